package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

type options struct {
	n    int
	u    uint64
	x    float64
	o    string
	wait time.Duration
	json bool
}

func set(stdout io.Writer) (*flag.FlagSet, *options) {
	var o options
	fs := NewFlagSet("tool", stdout, "Usage: tool [options] FILE...\n")
	fs.IntVar(&o.n, "n", 1, "how `many`")
	fs.Uint64Var(&o.u, "seed", 1, "the `seed`")
	fs.Float64Var(&o.x, "x", 0, "a `number`")
	fs.StringVar(&o.o, "o", "", "the `file`")
	fs.DurationVar(&o.wait, "wait", 0, "longest `time`")
	fs.BoolVar(&o.json, "json", false, "for machines")
	return fs, &o
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		args       string
		positional string
		want       options
	}{
		{"", "", options{n: 1, u: 1}},
		{"a b", "a b", options{n: 1, u: 1}},
		{"-n 3 a -json b -o out", "a b", options{n: 3, u: 1, json: true, o: "out"}},
		{"a --n=3 -x=-2.5 --json=false", "a", options{n: 3, u: 1, x: -2.5}},
		{"-n -3 -x -1e3", "", options{n: -3, u: 1, x: -1000}},
		{"a -- -n 3", "a -n 3", options{n: 1, u: 1}},
		{"-o -- -n 3", "", options{n: 3, u: 1, o: "--"}},
		{"- -o -", "-", options{n: 1, u: 1, o: "-"}},
		{"-n 1 -n 2", "", options{n: 2, u: 1}},
		{"-json a", "a", options{n: 1, u: 1, json: true}},
		{"-o= a", "a", options{n: 1, u: 1}},
	} {
		t.Run(c.args, func(t *testing.T) {
			fs, got := set(io.Discard)
			positional, err := Parse(fs, strings.Fields(c.args))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(positional, strings.Fields(c.positional)) || *got != c.want {
				t.Errorf("got %q %+v, want %q %+v", positional, *got, c.positional, c.want)
			}
		})
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	for args, want := range map[string]string{
		"-n":            "option -n needs a value",
		"-n three":      `option -n: "three" is not a whole number`,
		"-n 2.5":        `option -n: "2.5" is not a whole number`,
		"-n 1e99":       `option -n: "1e99" is not a whole number`,
		"-n " + nines:   "option -n: " + nines + " is out of range",
		"-seed -1":      `option -seed: "-1" is not a whole number, not negative`,
		"-x 1,5":        `option -x: "1,5" is not a number`,
		"-wait 5":       `option -wait: "5" is not a time with its unit, like 500ms, 30s or 10m`,
		"a -y 3":        "unknown option -y (-h shows the known ones)",
		"--":            "",
		"-json=perhaps": `option -json: "perhaps" is not true or false`,
	} {
		t.Run(args, func(t *testing.T) {
			fs, _ := set(io.Discard)
			_, err := Parse(fs, strings.Fields(args))
			if want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var usage *UsageError
			if !errors.As(err, &usage) || err.Error() != want {
				t.Errorf("err = %v, want the UsageError %s", err, want)
			}
		})
	}
}

const nines = "99999999999999999999"

func TestHelp(t *testing.T) {
	for _, arg := range []string{"-h", "--help", "-help"} {
		var stdout bytes.Buffer
		fs, _ := set(&stdout)
		if _, err := Parse(fs, []string{"a", arg}); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s: err = %v, want flag.ErrHelp", arg, err)
		}
		for _, want := range []string{"Usage: tool", "-seed seed", "how many"} {
			if !strings.Contains(stdout.String(), want) {
				t.Errorf("%s: the help lacks %q:\n%s", arg, want, stdout.String())
			}
		}
	}
}

func TestIsSet(t *testing.T) {
	fs, _ := set(io.Discard)
	if _, err := Parse(fs, []string{"-n", "1", "-json=false"}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"n": true, "json": true, "o": false, "x": false} {
		if IsSet(fs, name) != want {
			t.Errorf("IsSet(%s) = %v, want %v", name, !want, want)
		}
	}
}

func TestExit(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		line   string
	}{
		{nil, OK, ""},
		{flag.ErrHelp, OK, ""},
		{Usagef("-n must be at least %d", 1), Usage, "tool: -n must be at least 1\n"},
		{fmt.Errorf("checking: %w", Usagef("-n is missing")), Usage, "tool: checking: -n is missing\n"},
		{errors.New("disk full\nvery full"), Failed, "tool: disk full very full\n"},
		{context.Canceled, Failed, "tool: interrupted\n"},
		{fmt.Errorf("after 3 of 9 requests: %w", context.Canceled), Failed, "tool: interrupted: after 3 of 9 requests\n"},
	} {
		var stderr bytes.Buffer
		if got := Exit(&stderr, "tool", c.err); got != c.status || stderr.String() != c.line {
			t.Errorf("Exit(%v) = %d, %q; want %d, %q", c.err, got, stderr.String(), c.status, c.line)
		}
	}
}

// Wherever the options stand, the outcome is the same.
func TestOptionsMayStandAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		arguments := rapid.SliceOf(rapid.StringMatching(`[a-z0-9./]{1,8}`)).Draw(t, "arguments")
		given := rapid.Permutation([][]string{{"-n", "7"}, {"-json"}, {"-o", "-x"}, {"--x=2"}}).Draw(t, "options")
		var line []string
		rest := arguments
		for _, option := range given {
			k := rapid.IntRange(0, len(rest)).Draw(t, "position")
			line = append(append(line, rest[:k]...), option...)
			rest = rest[k:]
		}
		line = append(line, rest...)
		fs, got := set(io.Discard)
		positional, err := Parse(fs, line)
		if err != nil {
			t.Fatal(err)
		}
		if want := (options{n: 7, u: 1, x: 2, o: "-x", json: true}); *got != want || !slices.Equal(positional, arguments) {
			t.Fatalf("%q gave %q and %+v", line, positional, *got)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("-n 3 a -json")
	f.Add("-o -- --x=1 -h")
	f.Fuzz(func(t *testing.T, line string) {
		fs, _ := set(io.Discard)
		args := strings.Split(line, " ")
		positional, err := Parse(fs, args)
		var usage *UsageError
		if err != nil && !errors.Is(err, flag.ErrHelp) && !errors.As(err, &usage) {
			t.Errorf("%q: %T is neither help nor a UsageError", line, err)
		}
		for _, p := range positional {
			if !slices.Contains(args, p) {
				t.Errorf("%q: %q was never given", line, p)
			}
		}
	})
}
