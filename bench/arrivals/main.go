// Command arrivals measures what the policy newsvendor costs for an arrival, by the number of requests in flight: it runs the benchmark of package
// prewarm/newsvendor, prints a table in Markdown, and draws a picture.
//
//	go run ./bench/arrivals -o prewarm/newsvendor/growth.png
package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strconv"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/figure"
)

const usage = `arrivals measures what the policy newsvendor costs for an arrival, by the number of requests in flight.

Usage: arrivals [OPTIONS]

Run it in a clone, on a machine that does nothing else.

Examples:
  arrivals                 a table on standard output
  arrivals -o growth.png   a picture too
`

// point is a measurement.
type point struct {
	model       string
	inFlight    float64
	nanoseconds float64 // an arrival
	mallocs     float64 // an arrival
}

func main() { cli.Main(run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return cli.Exit(stderr, "arrivals", measure(ctx, args, stdout, stderr))
}

func measure(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := cli.NewFlagSet("arrivals", stdout, usage)
	out := fs.String("o", "", "draw a picture into `FILE`, a .png, .svg or .pdf")
	times := fs.Int("arrivals", 20000, "`arrivals` of each measurement")
	if rest, err := cli.Parse(fs, args); err != nil {
		return err
	} else if len(rest) > 0 {
		return cli.Usagef("%q is left over on the line", rest[0])
	}
	if *out != "" && !figure.Writable(*out) {
		return cli.Usagef("-o: %s must end in .png, .svg or .pdf", *out)
	}
	if *times < 1 {
		return cli.Usagef("-arrivals: at least one is needed")
	}
	command := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkArrival$", "-benchtime", strconv.Itoa(*times)+"x", "-timeout", "1h", "./prewarm/newsvendor")
	command.Stderr = stderr
	text, err := command.Output()
	if err != nil {
		return fmt.Errorf("%v: %w: %s", command, err, bytes.TrimSpace(text))
	}
	points, err := parse(text)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "| model | requests in flight | µs an arrival | allocations an arrival |\n|---|---|---|---|\n"); err != nil {
		return err
	}
	for _, p := range points {
		if _, err := fmt.Fprintf(stdout, "| %s | %.0f | %.0f | %.2g |\n", p.model, p.inFlight, p.nanoseconds/1000, p.mallocs); err != nil {
			return err
		}
	}
	if *out == "" {
		return nil
	}
	return figure.Write(*out, picture(points))
}

var (
	line   = regexp.MustCompile(`^BenchmarkArrival/model=([a-z0-9]+)/traces=\d+(?:-\d+)?\s+(.*)$`)
	metric = regexp.MustCompile(`([0-9.e+-]+) (policy-ns/op|mallocs/op|in-flight)`)
)

// parse reads what the benchmark prints, and returns the measurements by model and number in flight.
func parse(text []byte) ([]point, error) {
	var points []point
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		m := line.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		p := point{model: m[1]}
		for _, v := range metric.FindAllStringSubmatch(m[2], -1) {
			x, err := strconv.ParseFloat(v[1], 64)
			if err != nil {
				return nil, fmt.Errorf("the benchmark printed %q: %w", lines.Text(), err)
			}
			switch v[2] {
			case "policy-ns/op":
				p.nanoseconds = x
			case "mallocs/op":
				p.mallocs = x
			case "in-flight":
				p.inFlight = x
			}
		}
		if p.nanoseconds <= 0 || p.inFlight <= 0 {
			return nil, fmt.Errorf("the benchmark printed %q, without its measurements", lines.Text())
		}
		points = append(points, p)
	}
	if len(points) == 0 {
		return nil, fmt.Errorf("the benchmark printed no measurement: %s", bytes.TrimSpace(text))
	}
	slices.SortStableFunc(points, func(a, b point) int {
		if a.model != b.model {
			if a.model < b.model {
				return -1
			}
			return 1
		}
		return int(a.inFlight - b.inFlight)
	})
	return points, nil
}
