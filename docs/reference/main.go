// Command reference writes docs/reference.md: every command with its options, as the programs describe themselves.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
)

//go:generate go run . -o ../reference.md

var program = cli.Program{Command: cli.Command{
	Name: "reference", Summary: "write the reference of every command",
	Help: `Usage: reference [options]

Builds every command and writes the reference of their options.

Examples:
  go run ./docs/reference
`,
	Define: func(fs *flag.FlagSet) cli.Run {
		output := fs.String("o", "docs/reference.md", "the `file` to write")
		return func(ctx context.Context, args []string, _, _ io.Writer) error {
			if len(args) > 0 {
				return cli.Usagef("unexpected argument %q", args[0])
			}
			dir, err := os.MkdirTemp("", "tppfaas-reference-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			text, err := reference(ctx, func(pkg string) (string, error) {
				file := filepath.Join(dir, path.Base(pkg))
				out, err := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", file, "github.com/tppfaas/tppfaas/"+pkg).CombinedOutput()
				if err != nil {
					return "", fmt.Errorf("go build %s: %w: %s", pkg, err, out)
				}
				return file, nil
			})
			if err != nil {
				return err
			}
			return atomicfile.Write(*output, func(w io.Writer) error { _, err := w.Write(text); return err })
		}
	},
}}

func main() { program.Main() }

// commands are the folders of the programs, in the order of the reference.
var commands = []string{"tpp/cmd/tpp", "sampler/cmd/sampler", "prewarm/cmd/prewarm", "rightsize/cmd/rightsize", "sampler/cmd/chain", "collector/cmd/collector", "apps/action/cmd/pack"}

const head = `<!-- Written by make generate from the commands themselves: change those. -->
# Reference

Every command and its options. Options may stand before or after the arguments; "-h" shows what stands here, "--version" prints the
version. The exit status is 0 when the work is done, 1 when it failed or was interrupted, 2 when the command was called wrongly.

"COMMAND completion bash" (or zsh, fish) prints a script with which a shell completes commands and options.

`

// reference returns the text; executable returns the path of the program of a package.
func reference(ctx context.Context, executable func(pkg string) (string, error)) ([]byte, error) {
	text := bytes.NewBufferString(head)
	for i, pkg := range commands {
		file, err := executable(pkg)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			text.WriteByte('\n')
		}
		c := exec.CommandContext(ctx, file, "completion", "markdown")
		c.Env = []string{} // some defaults come from there
		var stderr bytes.Buffer
		c.Stdout, c.Stderr = text, &stderr
		if err := c.Run(); err != nil {
			return nil, fmt.Errorf("%s: %w: %s", file, err, &stderr)
		}
	}
	return text.Bytes(), nil
}
