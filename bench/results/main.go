// Command results runs the commands of a document and puts what they print below them.
//
//	go run ./bench/results prewarm/RESULTS.md
//	go run ./bench/results rightsize/RESULTS.md
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
)

const usage = `Usage: results DOCUMENT [OPTIONS]

Runs the commands of prewarm and rightsize in a Markdown document, and replaces what stands below each by what it prints now. A command stands in a block
marked sh, in which nothing else is. What it prints stands behind it, between the lines

  <!-- printed -->
  <!-- end -->

Commands without them are not run. Each run of a policy by prewarm lab is kept in a file of build/results, by the program that made it: what was
interrupted goes on, and another version of the program begins anew.

Examples:
  results prewarm/RESULTS.md
  results prewarm/RESULTS.md -only 'One request in 20 minutes'
  results rightsize/RESULTS.md
`

func main() { cli.Main(run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return cli.Exit(stderr, "results", renew(ctx, args, stdout, stderr))
}

func renew(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := cli.NewFlagSet("results", stdout, usage)
	only := fs.String("only", "", "only commands below a heading that contains this `text`")
	folder := fs.String("keep", "build/results", "the `folder` for what was run")
	files, err := cli.Parse(fs, args)
	if err != nil {
		return err
	}
	if len(files) != 1 {
		return cli.Usagef("one document, please")
	}
	program, journal, err := build(ctx, *folder)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	blocks, err := parse(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", files[0], err)
	}
	for i := range blocks {
		b := &blocks[i]
		if !b.printed || !strings.Contains(b.heading, *only) {
			continue
		}
		fmt.Fprintf(stderr, "%s: %s\n", b.heading, strings.Join(strings.Fields(strings.ReplaceAll(b.command, "\\\n", " ")), " "))
		out, err := execute(ctx, program, journal, b.command, stderr)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", files[0], b.heading, err)
		}
		b.output = out
		// Each is kept at once: the next one may take long.
		if err := atomicfile.Write(files[0], func(w io.Writer) error { _, err := io.WriteString(w, join(blocks)); return err }); err != nil {
			return err
		}
	}
	return nil
}

// build builds prewarm and rightsize, and returns the folder that they are in and the results file of this version of prewarm.
func build(ctx context.Context, folder string) (program, journal string, err error) {
	folder, err = filepath.Abs(folder)
	if err != nil {
		return "", "", err
	}
	file := filepath.Join(folder, "prewarm")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", folder+string(filepath.Separator), "./prewarm/cmd/prewarm", "./rightsize/cmd/rightsize")
	if out, err := build.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("go build: %w: %s", err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", "", err
	}
	sum := sha256.Sum256(text)
	return folder, filepath.Join(folder, fmt.Sprintf("%x.jsonl", sum[:8])), nil
}

// execute runs a command by a shell that finds the program, prewarm lab with the results file, and returns what it prints.
func execute(ctx context.Context, program, journal, command string, stderr io.Writer) (string, error) {
	command = strings.TrimSpace(command)
	if strings.HasPrefix(command, "prewarm lab ") {
		command += " -o " + quote(journal)
	}
	c := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", command)
	c.Env = append(os.Environ(), "PATH="+program+string(os.PathListSeparator)+os.Getenv("PATH"))
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) } // it keeps what is complete
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, stderr
	if err := c.Run(); err != nil {
		return "", errors.Join(err, ctx.Err())
	}
	return out.String(), nil
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
