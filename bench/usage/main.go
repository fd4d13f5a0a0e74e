// Command usage makes the examples of usage in data/: what made functions used of CPU and memory in six days.
//
//	go run ./bench/usage -o data
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/rightsize/synthetic"
	"github.com/tppfaas/tppfaas/rightsize/usagecsv"
)

const help = `Usage: usage [-o FOLDER]

Makes the examples of usage of this repository, the same values every time.
`

// examples are the kinds of series that there are examples of.
var examples = []string{"daily", "leak", "bursts"}

// seed and options are those of the examples. The seed is none that anything was tuned or compared on.
const seed = 7

var options = synthetic.Options{Length: 6 * 24 * time.Hour, Step: 5 * time.Minute}

func main() { cli.Main(run) }

func run(_ context.Context, args []string, stdout, stderr io.Writer) int {
	return cli.Exit(stderr, "usage", write(args, stdout))
}

func write(args []string, stdout io.Writer) error {
	fs := cli.NewFlagSet("usage", stdout, help)
	folder := fs.String("o", "data", "the `folder` to write into")
	rest, err := cli.Parse(fs, args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return cli.Usagef("%q is left over on the line", rest[0])
	}
	if err := os.MkdirAll(*folder, 0o777); err != nil {
		return err
	}
	for _, kind := range examples {
		u, err := synthetic.New(kind, seed, options)
		if err != nil {
			return err
		}
		path := filepath.Join(*folder, fileName(kind))
		if err := usagecsv.WriteFile(path, u); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s: %d samples\n", path, u.Len())
	}
	return nil
}

func fileName(kind string) string { return "usage_" + kind + ".csv.gz" }
