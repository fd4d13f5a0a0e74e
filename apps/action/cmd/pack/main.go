// Pack builds the action and zips it, for deployments with other tools than the sampler.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/tppfaas/tppfaas/apps/action"
	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
)

const usage = `Usage: pack [options]

Builds the function that compositions deploy and zips it, for deployments with other tools than the sampler.

Examples:
  pack                                        into apps/action/action.zip, where the serverless.yaml files look for it
  pack -kind go:1.24 -arch arm64 -o my.zip
`

var program = cli.Program{Command: cli.Command{
	Name: "pack", Summary: "build the function that compositions deploy and zip it, for deployments with other tools than the sampler",
	Help: usage, Define: pack,
}}

func main() { program.Main() }

func pack(fs *flag.FlagSet) cli.Run {
	kind := fs.String("kind", "go:1.20", "the `kind` that it is for: go: with a version, or blackbox")
	arch := fs.String("arch", "amd64", "the `architecture` of the machines that it runs on")
	output := fs.String("o", "apps/action/action.zip", "the `file` to write")
	return func(ctx context.Context, args []string, stdout, _ io.Writer) error {
		if len(args) > 0 {
			return cli.Usagef("unexpected argument %q", args[0])
		}
		if err := atomicfile.Check(*output); err != nil {
			return err
		}
		executable, err := action.Executable(ctx, *arch)
		if err != nil {
			return err
		}
		zip, err := action.Zip(executable, *kind)
		if err != nil {
			return err
		}
		if err := atomicfile.Write(*output, func(w io.Writer) error { _, err := w.Write(zip); return err }); err != nil {
			return err
		}
		_, err = fmt.Fprintf(stdout, "%s: %.1f MB, for kind %s on %s\n", *output, float64(len(zip))/1e6, *kind, *arch)
		return err
	}
}
