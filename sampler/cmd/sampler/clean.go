package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/sampler/openwhisk"
)

const cleanUsage = `Usage: sampler clean [PACKAGE...] [options]

Lists the packages that samplings have left on OpenWhisk because they were killed, or that are being used by one that goes on.
Those that are named are removed with all their functions, or with -older those that were deployed so long ago.

Examples:
  sampler clean                                          lists, and removes nothing
  sampler clean tppfaas-tree_small-5c0de1f2a3b4          removes this one
  sampler clean -older 24h                               removes those that are older than a day
  sampler clean -older 1h -apihost https://openwhisk.example.com

Options say where OpenWhisk is, as for sampler -platform openwhisk.
`

// clean is the subcommand clean: it lists or removes leftovers.
func clean(fs *flag.FlagSet) cli.Run {
	servers := newServerFlags(fs)
	older := fs.Duration("older", 0, "remove what was deployed longer `ago`: 90m, 24h, …")
	asJSON := fs.Bool("json", false, "print one JSON object a package instead of text")
	return func(ctx context.Context, names []string, stdout, stderr io.Writer) error {
		switch {
		case cli.IsSet(fs, "older") && *older < 0:
			return cli.Usagef("-older: must not be negative, and is %v", *older)
		case cli.IsSet(fs, "older") && len(names) > 0:
			return cli.Usagef("either -older or names of packages")
		}
		settings, err := servers.settings(fs)
		if err != nil {
			return err
		}
		target, err := openwhisk.New(openwhisk.Options{Settings: settings, OnMessage: func(text string) { fmt.Fprintln(stderr, text) }})
		if err != nil {
			return err
		}
		defer target.Close()
		if err := target.Preflight(ctx); err != nil {
			return err
		}
		found, err := target.Leftovers(ctx)
		if err != nil {
			return err
		}
		for _, name := range names {
			if !slices.ContainsFunc(found, func(l openwhisk.Leftover) bool { return l.Package == name }) {
				return fmt.Errorf("there is no package %s that a sampling has left", name)
			}
		}
		for _, l := range found {
			age := time.Since(l.Created).Round(time.Second)
			remove := slices.Contains(names, l.Package) || cli.IsSet(fs, "older") && age >= *older
			if remove {
				if err := target.RemoveLeftover(ctx, l.Package); err != nil {
					return err
				}
			}
			if *asJSON {
				err = json.NewEncoder(stdout).Encode(struct {
					Package     string    `json:"package"`
					Application string    `json:"application"`
					Created     time.Time `json:"created"`
					Removed     bool      `json:"removed"`
				}{l.Package, l.Application, l.Created.UTC(), remove})
			} else {
				what := ""
				if remove {
					what = ", removed"
				}
				_, err = fmt.Fprintf(stdout, "%s: %s, deployed %v ago%s\n", l.Package, l.Application, age, what)
			}
			if err != nil {
				return err
			}
		}
		if len(found) == 0 && !*asJSON {
			_, err = fmt.Fprintln(stdout, "no sampling has left anything")
		}
		return err
	}
}
