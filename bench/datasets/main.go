// Command datasets makes the datasets in data/: one for each application, load, and fixed or random durations.
//
//	go run ./bench/datasets -o data
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

const usage = `Usage: datasets [-o FOLDER] [APPLICATION...]

Samples the datasets of this repository in virtual time, each with a card that says how it was made: the same bytes every time.

Examples:
  datasets                        all of them, into data/
  datasets -o build/data sequence those of one application, elsewhere
`

func main() { cli.Main(run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return cli.Exit(stderr, "datasets", write(ctx, args, stdout))
}

func write(ctx context.Context, args []string, stdout io.Writer) error {
	fs := cli.NewFlagSet("datasets", stdout, usage)
	folder := fs.String("o", "data", "the `folder` to write into")
	wanted, err := cli.Parse(fs, args)
	if err != nil {
		return err
	}
	chosen := recipes()
	if len(wanted) > 0 {
		chosen = nil
		for _, name := range wanted {
			before := len(chosen)
			for _, r := range recipes() {
				if r.application == name {
					chosen = append(chosen, r)
				}
			}
			if len(chosen) == before {
				return cli.Usagef("%s is no application that there are datasets of", name)
			}
		}
	}
	if err := os.MkdirAll(*folder, 0o777); err != nil {
		return err
	}
	for _, r := range chosen {
		low, high, err := r.make(ctx)
		if err != nil {
			return err
		}
		for _, m := range []made{low, high} {
			path := filepath.Join(*folder, m.name)
			if err := dataset.WriteFile(path, m.data); err != nil {
				return err
			}
			card := strings.TrimSuffix(path, ".json.gz") + ".md"
			err := atomicfile.Write(card, func(w io.Writer) error {
				_, err := io.WriteString(w, m.card)
				return err
			})
			if err != nil {
				return err
			}
			fmt.Fprintf(stdout, "%s: %s\n", path, facts(m.data))
		}
	}
	return nil
}
