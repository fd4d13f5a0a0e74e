package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/sampler"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

const mixUsage = `Usage: sampler mix LOW BURSTS -cold SHARE -o HIGH [options]

Makes the dataset of a high load: the traces of LOW, of which as many are replaced by traces of BURSTS as make the given share of all
invocations cold starts. The two are datasets of one application; marks are matched by name.

Examples:
  sampler -d tree_small -n 1000 -l 0.4 -u 0.7 -o low.json.gz
  sampler -d tree_small -n 1000 -l 0.1 -u 0.12 -b 50 -w 120 -o bursts.json.gz
  sampler mix low.json.gz bursts.json.gz -cold 0.3 -o high.json.gz -seed 1
`

// mix is the subcommand mix: it mixes two datasets into one of a high load.
func mix(fs *flag.FlagSet) cli.Run {
	cold := fs.Float64("cold", 0, "`share` of cold starts among the invocations, from 0 to 1")
	seed := fs.Uint64("seed", sampler.DefaultSeed, "`number` that determines which traces go and which come")
	output := fs.String("o", "", "the `file` to write: JSON, by its name .jsonl or .csv, compressed if it ends in .gz")
	asJSON := fs.Bool("json", false, "print one JSON object instead of text")
	return func(_ context.Context, files []string, stdout, _ io.Writer) error {
		switch {
		case len(files) != 2:
			return cli.Usagef("two datasets, please, LOW and BURSTS, and not %d", len(files))
		case !cli.IsSet(fs, "cold"):
			return cli.Usagef("-cold not given (-h shows examples)")
		case !(*cold >= 0 && *cold <= 1):
			return cli.Usagef("-cold: must be from 0 to 1, and is %v", *cold)
		case *output == "":
			return cli.Usagef("-o not given: the file to write")
		}
		if err := atomicfile.Check(*output); err != nil {
			return err
		}
		low, err := dataset.ReadFile(files[0])
		if err != nil {
			return err
		}
		bursts, err := dataset.ReadFile(files[1])
		if err != nil {
			return err
		}
		mixed, m, err := sampler.Mix(low, bursts, *cold, *seed)
		if err != nil {
			return fmt.Errorf("mixing %s and %s: %w", files[0], files[1], err)
		}
		if err := dataset.WriteFile(*output, mixed); err != nil {
			return err
		}
		if *asJSON {
			return json.NewEncoder(stdout).Encode(struct {
				File       string  `json:"file"`
				Sequences  int     `json:"sequences"`
				Replaced   int     `json:"replaced"`
				Events     int     `json:"events"`
				ColdStarts int     `json:"cold_starts"`
				ColdShare  float64 `json:"cold_share"`
				Seed       uint64  `json:"seed"`
			}{*output, m.Traces, m.Replaced, m.Events, m.ColdStarts, m.ColdShare(), *seed})
		}
		_, err = fmt.Fprintf(stdout, "%s: %d traces, %d of them from %s, %d invocations, %.1f %% cold starts\n",
			*output, m.Traces, m.Replaced, files[1], m.Events, 100*m.ColdShare())
		return err
	}
}
