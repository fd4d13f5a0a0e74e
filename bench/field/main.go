// Command field compares the models of this library with published figures on public sequences, and with the truth on simulated ones.
//
//	go run ./bench/field -data ../shared/data/field
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/progress"
)

const usage = `Usage: field [SET...] [OPTIONS]

Trains models on public sequences and on simulated ones, and prints a table for each set: log-likelihood per event, errors of the next mark and of the
time to the next event, and of forecasts of several events. Of the candidates of a set the one with the highest likelihood on the validation part is
marked; the test part decides nothing. Simulated sets have a row for the process that they were drawn from, whose likelihood is exact.

Public sets are read from a folder, NAME_train.json.gz, NAME_dev.json.gz and NAME_test.json.gz; a set that is not there is left out, with a message.

Examples:
  field                                    all sets, as a table
  field taxi -data ../shared/data/field    one set
  field -into bench/field/RESULTS.md       replace the tables of a document
  field hawkes2 -epochs 10 -sequences 100  a quick look
`

func main() { cli.Main(run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return cli.Exit(stderr, "field", compare(ctx, args, stdout, stderr))
}

// order is what the command line asks for.
type order struct {
	data      string
	sequences int // of a simulated training part
	training
}

func compare(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := cli.NewFlagSet("field", stdout, usage)
	var o order
	fs.StringVar(&o.data, "data", "../shared/data/field", "the `folder` of the public sets")
	fs.IntVar(&o.sequences, "sequences", 1000, "`number` of sequences in a simulated training part; the others have a fifth and two fifths of that")
	fs.IntVar(&o.epochs, "epochs", 0, "`passes` over a training part (0: the default of the library)")
	fs.IntVar(&o.seeds, "seeds", 1, "`number` of trainings of each network, with seeds from 1 on, over which scores are averaged")
	fs.IntVar(&o.workers, "workers", 0, "`goroutines` that compute (0: one a processor); the results do not depend on it")
	into := fs.String("into", "", "replace the tables in `FILE`, a document, instead of printing them")
	keep := fs.String("keep", "", "keep results in `FILE`, JSON lines; what it has is not trained again")
	names, err := cli.Parse(fs, args)
	if err != nil {
		return err
	}
	if o.sequences < 10 || o.epochs < 0 || o.seeds < 1 || o.workers < 0 {
		return cli.Usagef("-sequences must be at least 10, -seeds at least 1, and -epochs and -workers not negative")
	}
	if len(names) == 0 {
		names = setNames()
	}
	for _, name := range names {
		if findSource(name) == nil {
			return cli.Usagef("there is no set %q: the sets are %s", name, strings.Join(setNames(), ", "))
		}
	}
	var document string
	if *into != "" {
		text, err := os.ReadFile(*into)
		if err != nil {
			return err
		}
		document = string(text)
		if _, err := replaceTables(document, ""); err != nil {
			return fmt.Errorf("%s: %w", *into, err)
		}
	}
	journal, err := openJournal(*keep, stderr)
	if err != nil {
		return err
	}
	defer journal.Close()
	tables, err := o.run(ctx, names, journal, stderr)
	if err != nil {
		return err
	}
	if *into == "" {
		_, err := io.WriteString(stdout, tables)
		return err
	}
	if document, err = replaceTables(document, tables); err != nil {
		return fmt.Errorf("%s: %w", *into, err)
	}
	return atomicfile.Write(*into, func(w io.Writer) error {
		_, err := io.WriteString(w, document)
		return err
	})
}

// run measures the candidates of all sets and returns their tables.
func (o *order) run(ctx context.Context, names []string, journal *journal, stderr io.Writer) (string, error) {
	show := progress.New(stderr, len(names)*len(candidates)*o.seeds, "trainings")
	defer show.Done()
	var tables strings.Builder
	for _, name := range names {
		s, err := findSource(name).load(ctx, o)
		if err != nil {
			return "", fmt.Errorf("set %s: %w", name, err)
		}
		if s == nil {
			show.Print(fmt.Sprintf("%s is left out: %s has no files of it\n", name, o.data))
			continue
		}
		t, err := o.measure(ctx, s, journal, show)
		if err != nil {
			return "", fmt.Errorf("set %s: %w", name, err)
		}
		t.write(&tables)
	}
	return tables.String(), nil
}

// The tables of a document stand between two lines.
const (
	tablesBegin = "<!-- printed -->\n"
	tablesEnd   = "<!-- end -->\n"
)

// replaceTables returns the document with other tables.
func replaceTables(document, tables string) (string, error) {
	before, rest, found := strings.Cut(document, tablesBegin)
	_, after, ended := strings.Cut(rest, tablesEnd)
	if !found || !ended {
		return "", fmt.Errorf("it has no lines %q and %q for the tables", strings.TrimSpace(tablesBegin), strings.TrimSpace(tablesEnd))
	}
	return before + tablesBegin + tables + tablesEnd + after, nil
}
