package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
)

const usage = `Usage: dashboard -o FILE

Writes Grafana's dashboard of the controller, with the same bytes every time. In Grafana: Dashboards, New, Import.

Examples:
  dashboard -o prewarm/deploy/dashboard.json
`

func main() {
	cli.Main(func(_ context.Context, args []string, stdout, stderr io.Writer) int {
		return cli.Exit(stderr, "dashboard", run(args, stdout))
	})
}

func run(args []string, stdout io.Writer) error {
	fs := cli.NewFlagSet("dashboard", stdout, usage)
	output := fs.String("o", "", "the `file` to write")
	if rest, err := cli.Parse(fs, args); err != nil {
		return err
	} else if len(rest) > 0 {
		return cli.Usagef("unexpected argument %q", rest[0])
	}
	if *output == "" {
		return cli.Usagef("-o names the file to write")
	}
	text, err := encode()
	if err != nil {
		return err
	}
	return atomicfile.Write(*output, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// encode returns the dashboard as JSON.
func encode() ([]byte, error) {
	d, err := build()
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}
