package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// echo declares options and prints what it was called with.
func echo(name string) func(fs *flag.FlagSet) Run {
	return func(fs *flag.FlagSet) Run {
		kind := fs.String("kind", "a", "`word` that says which")
		fs.Int("n", 1, "how `many`")
		fs.Bool("json", false, "for machines")
		fs.String("o", "", "the `file` to write, user's own | pipe")
		return func(_ context.Context, args []string, stdout, _ io.Writer) error {
			_, err := fmt.Fprintf(stdout, "%s -kind %s %q\n", name, *kind, args)
			return err
		}
	}
}

func tool(define func(fs *flag.FlagSet) Run) *Program {
	kinds := map[string][]string{"kind": {"alpha", "beta", "bravo"}}
	return &Program{
		Command: Command{Name: "tool", Arguments: "FILE...", Summary: "do things", Help: "Usage: tool FILE...\n", Define: define, Values: kinds},
		Commands: []Command{
			{Name: "make", Arguments: "FILE", Summary: "make a thing", Help: "Usage: tool make FILE\n", Define: echo("make"), Values: kinds},
			{Name: "mend", Summary: "mend a thing", Help: "Usage: tool mend\n", Define: echo("mend")},
		},
	}
}

func TestProgram(t *testing.T) {
	with, without := tool(echo("tool")), tool(nil)
	for _, c := range []struct {
		program        *Program
		args           string
		status         int
		stdout, stderr string // a part of what is printed; "" for nothing
	}{
		{with, "make a -kind b c", OK, `make -kind b ["a" "c"]`, ""},
		{with, "mend", OK, `mend -kind a []`, ""},
		{with, "a -kind b make", OK, `tool -kind b ["a" "make"]`, ""},
		{with, "", OK, `tool -kind a []`, ""},
		{with, "-h", OK, "Usage: tool FILE...\n\nCommands:\n  make FILE                  make a thing\n", ""},
		{with, "-h", OK, "\nOptions:\n  -json\n", ""},
		{with, "make -h", OK, "Usage: tool make FILE\n\nOptions:\n", ""},
		{with, "make -x", Usage, "", "tool make: unknown option -x"},
		{with, "-x", Usage, "", "tool: unknown option -x"},
		{without, "", Usage, "", "tool: a command is missing: make or mend (-h explains them)"},
		{without, "break", Usage, "", `tool: unknown command "break": it is make or mend (-h explains them)`},
		{without, "help", OK, "mend                       mend a thing\n", ""},
		{without, "completion", Usage, "", "tool completion: one shell, please: bash, zsh, fish"},
		{without, "completion csh", Usage, "", "tool completion: one shell, please: bash, zsh, fish"},
		{without, "completion fish", OK, "complete -c tool ", ""},
	} {
		var stdout, stderr bytes.Buffer
		status := c.program.Run(t.Context(), strings.Fields(c.args), &stdout, &stderr)
		if status != c.status || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) ||
			c.stdout == "" && stdout.Len() > 0 || c.stderr == "" && stderr.Len() > 0 {
			t.Errorf("tool %s: status %d, stdout %q, stderr %q; want %d, %q, %q", c.args, status, &stdout, &stderr, c.status, c.stdout, c.stderr)
		}
	}
}

// TestBashCompletion has bash complete lines with the script that the program prints.
func TestBashCompletion(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "tool.bash")
	var text bytes.Buffer
	if status := tool(echo("tool")).Run(t.Context(), []string{"completion", "bash"}, &text, io.Discard); status != OK {
		t.Fatal(status)
	}
	if err := os.WriteFile(script, text.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	options := "-h -json -kind -n -o"
	for _, c := range []struct {
		words string // separated by |, the last is completed
		want  string
	}{
		{"tool|", "completion make mend"},
		{"tool|m", "make mend"},
		{"tool|-", "--version " + options},
		{"tool|--k", "--kind"},
		{"tool|--", "--h --json --kind --n --o --version"},
		{"tool|file|", ""}, // the names of files
		{"tool|file|-j", "-json"},
		{"tool|-kind|", "alpha beta bravo"},
		{"tool|make|-", options},
		{"tool|make|-kind|b", "beta bravo"},
		{"tool|make|--kind|b", "beta bravo"},
		{"tool|make|-kind|=|", "alpha beta bravo"},
		{"tool|make|-kind|=", "alpha beta bravo"},
		{"tool|make|-kind|=|a", "alpha"},
		{"tool|make|-json|-k", "-kind"},
		{"tool|make|-json|", ""},
		{"tool|make|-n|", ""},
		{"tool|make|-o|", ""},
		{"tool|make|", ""},
		{"tool|mend|-kind|", ""},
		{"tool|completion|", "bash fish zsh"},
		{"tool|completion|z", "zsh"},
	} {
		words := strings.Split(c.words, "|")
		line := fmt.Sprintf(`source %s; COMP_WORDS=("$@"); COMP_CWORD=%d; _tool; printf '%%s\n' "${COMPREPLY[@]}"`, script, len(words)-1)
		command := exec.CommandContext(t.Context(), "bash", append([]string{"--norc", "-uc", line, "bash"}, words...)...)
		var stderr bytes.Buffer
		command.Stderr = &stderr
		out, err := command.Output()
		if err != nil {
			t.Fatalf("%s: %v: %s", c.words, err, &stderr)
		}
		got := strings.Fields(string(out))
		slices.Sort(got)
		if strings.Join(got, " ") != c.want || stderr.Len() > 0 {
			t.Errorf("%s: %q %s, want %q", c.words, got, &stderr, c.want)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "bash", "--norc", "-c", "source "+script+"; complete -p tool").CombinedOutput(); err != nil ||
		string(out) != "complete -o default -F _tool tool\n" {
		t.Errorf("%v: %s", err, out)
	}
}

// TestCompletionNamesEverything checks the scripts for every shell.
func TestCompletionNamesEverything(t *testing.T) {
	for _, shell := range shells {
		var text bytes.Buffer
		tool(echo("tool")).Run(t.Context(), []string{"completion", shell}, &text, io.Discard)
		for _, want := range []string{"make", "mend", "completion", "kind", "json", "alpha beta bravo", "version"} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("the script for %s lacks %q:\n%s", shell, want, &text)
			}
		}
	}
}

func TestReference(t *testing.T) {
	var text bytes.Buffer
	tool(echo("tool")).Run(t.Context(), []string{"completion", "markdown"}, &text, io.Discard)
	for _, want := range []string{
		"## tool\n\nDo things.\n\n| command | what it does |\n|---|---|\n| [`tool make`](#tool-make) | make a thing |\n",
		"\n### tool make\n\nMake a thing.\n\n```text\nUsage: tool make FILE\n```\n",
		"\n| `-json` |  | for machines |\n| `-kind word` | `a` | word that says which; values: `alpha`, `beta`, `bravo` |\n| `-n many` | `1` | how many |\n",
		"| `-o file` |  | the file to write, user's own \\| pipe |\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the reference lacks %q:\n%s", want, &text)
		}
	}
}

func TestVersion(t *testing.T) {
	setting := func(pairs ...string) (settings []debug.BuildSetting) {
		for i := 0; i < len(pairs); i += 2 {
			settings = append(settings, debug.BuildSetting{Key: pairs[i], Value: pairs[i+1]})
		}
		return settings
	}
	const revision = "53bafdc02fc631379e31fcb4cf9f789e4a914803"
	for _, c := range []struct {
		main     string
		settings []debug.BuildSetting
		want     string
	}{
		{"v1.2.3", nil, "v1.2.3"},
		{"v0.0.0-20261128143657-53bafdc02fc6+dirty", setting("vcs.revision", revision, "vcs.modified", "true"), "v0.0.0-20261128143657-53bafdc02fc6+dirty"},
		{"(devel)", setting("vcs.revision", revision, "vcs.modified", "true"), "devel-53bafdc02fc6+dirty"},
		{"(devel)", setting("vcs.revision", revision, "vcs.modified", "false"), "devel-53bafdc02fc6"},
		{"(devel)", setting("-ldflags", "-s"), "devel"},
		{"", nil, "devel"},
	} {
		if got := VersionOf(&debug.BuildInfo{Main: debug.Module{Version: c.main}, Settings: c.settings}); got != c.want {
			t.Errorf("%s %v: %q, want %q", c.main, c.settings, got, c.want)
		}
	}
	// In a program of another module, that version says nothing.
	for want, dependency := range map[string]debug.Module{
		"v1.2.3": {Path: module, Version: "v1.2.3"},
		"devel":  {Path: module, Version: "v0.0.0", Replace: &debug.Module{Path: "../.."}},
		"v9.9.9": {Path: "example.com/other", Version: "v1.2.3"},
	} {
		info := &debug.BuildInfo{Main: debug.Module{Path: "example.com/program", Version: "v9.9.9"}, Deps: []*debug.Module{&dependency}}
		if got := VersionOf(info); got != want {
			t.Errorf("%v: %q, want %q", dependency, got, want)
		}
	}
	if line := VersionLine("tool"); !strings.HasPrefix(line, "tool "+Version()+" go1.") || !strings.HasSuffix(line, "/"+runtime.GOARCH) {
		t.Errorf("%q", line)
	}
	for args, want := range map[string]bool{"-version": true, "--version": true, "": false, "-h": false, "--version x": false} {
		if isVersion(strings.Fields(args)) != want {
			t.Errorf("isVersion(%s) is %v", args, !want)
		}
	}
}
