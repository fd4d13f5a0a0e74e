package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/policy"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

func TestMain(m *testing.M) {
	// A stand-in for policies that take a price: the higher it is, the longer a container is kept.
	policy.Register(policy.Kind{
		Name: "priced", Form: "priced[:λ[:MODEL]]", Help: "keeps a container for λ/10 seconds",
		New: func(a *policy.Args, _ policy.Options) (prewarm.Policy, error) {
			hold := time.Duration(a.Number("λ", 100, 0, 1e9) / 10 * float64(time.Second))
			a.Word("MODEL", "")
			return prewarm.PolicyFunc(func(e *prewarm.Event, f *prewarm.Fleet, d *prewarm.Decisions) {
				if e.Kind == prewarm.Idle {
					d.Hold(f.Container(e.Container), e.At+hold, prewarm.Why{Rule: "kept by its price"})
				}
			}), nil
		},
	})
	goleak.VerifyTestMain(m)
}

// call runs the program.
func call(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = program.Run(ctx, args, &out, &errs)
	return status, out.String(), errs.String()
}

func lines(text string) []string { return strings.Split(strings.TrimSuffix(text, "\n"), "\n") }

var short = []string{"lab", "-app", "tree_small", "-load", "poisson:100", "-n", "10", "-seeds", "2"}

func with(args ...string) []string { return slices.Concat(short, args) }

// TestJSON checks that an object for each combination has exactly the fields that are promised, in the order of the line.
func TestJSON(t *testing.T) {
	status, stdout, stderr := call(t.Context(), with("-load", "uniform:5:6", "-policy", "keepalive:60,600", "-json", "-policy", "O1")...)
	require.Equal(t, cli.OK, status, stderr)
	all := lines(stdout)
	require.Len(t, all, 2*3*2)
	fields := []string{"app", "load", "policy", "seed", "requests", "p50", "p95", "p99", "mean", "starting", "idle", "busy", "cold", "late", "wasted"}
	var loads, policies []string
	for _, line := range all {
		decoder := json.NewDecoder(strings.NewReader(line))
		var keys []string
		_, err := decoder.Token()
		require.NoError(t, err)
		for decoder.More() {
			key, err := decoder.Token()
			require.NoError(t, err)
			keys = append(keys, key.(string))
			_, err = decoder.Token()
			require.NoError(t, err)
		}
		require.Equal(t, fields, keys)
		var r struct {
			Load, Policy string
			Requests     int
		}
		require.NoError(t, json.Unmarshal([]byte(line), &r))
		require.Equal(t, 5, r.Requests)
		loads, policies = append(loads, r.Load), append(policies, r.Policy)
	}
	require.Equal(t, []string{"poisson:100", "uniform:5:6"}, slices.Compact(loads))
	require.Equal(t, []string{"keepalive:60", "keepalive:600", "O1", "keepalive:60", "keepalive:600", "O1"}, slices.Compact(policies))
}

// TestTable checks that the table has a row for each policy and for the oracles, in text and in Markdown.
func TestTable(t *testing.T) {
	status, text, stderr := call(t.Context(), with("-policy", "keepalive", "-policy", "none", "-functions", "-v")...)
	require.Equal(t, cli.OK, status, stderr)
	for _, want := range []string{"5 requests in each of 2 runs (seeds 1 to 2)", "\n  keepalive ", "\n  none ", "\n  O1 ", "\n  O3 ", "tree_small-dev-f26"} {
		require.Contains(t, text, want)
	}
	require.Contains(t, stderr, "none: ")
	require.Contains(t, stderr, "µs an arrival")
	status, text, _ = call(t.Context(), with("-policy", "keepalive", "-markdown", "-bounds=false")...)
	require.Equal(t, cli.OK, status)
	require.Contains(t, text, "\n| keepalive |")
	require.NotContains(t, text, "O1")
}

// TestFiles checks the files that are written beside the table, and that results are the same bytes for any number of workers.
func TestFiles(t *testing.T) {
	var first [][]byte
	for _, workers := range []string{"1", "3"} {
		dir := t.TempDir()
		in := func(name string) string { return filepath.Join(dir, name) }
		status, stdout, stderr := call(t.Context(), with("-policy", "keepalive:60", "-policy", "none", "-workers", workers,
			"-csv", in("r.csv"), "-picture", in("p.svg"), "-explain", in("e.jsonl"), "-traces", in("t.jsonl"), "-o", in("r.jsonl"))...)
		require.Equal(t, cli.OK, status, stderr)
		files := [][]byte{[]byte(stdout)}
		for _, name := range []string{"r.csv", "p.svg", "e.jsonl", "t.jsonl", "r.jsonl"} {
			text, err := os.ReadFile(in(name))
			require.NoError(t, err)
			require.NotEmpty(t, text, name)
			files = append(files, text)
		}
		if first == nil {
			first = files
		}
		require.Equal(t, first, files)
		require.Len(t, lines(string(files[1])), 1+8, "two policies and two oracles with two seeds")
		require.Contains(t, string(files[3]), `"rule":"kept for K after its use"`)
		d, err := dataset.ReadFile(in("t.jsonl"))
		require.NoError(t, err)
		require.Len(t, d.Sequences, 2*2*10)
		require.Equal(t, 10, d.Sequences[0].Len())
	}
}

// TestResultsAreTakenFromTheFile checks that a second call runs nothing that is there, and that other settings are other results.
func TestResultsAreTakenFromTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	first := with("-policy", "keepalive", "-o", path, "-json")
	status, want, stderr := call(t.Context(), first...)
	require.Equal(t, cli.OK, status, stderr)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	// What is in the file is believed.
	require.NoError(t, os.WriteFile(path, bytes.ReplaceAll(text, []byte(`"requests":5`), []byte(`"requests":7`)), 0o600))
	status, got, _ := call(t.Context(), first...)
	require.Equal(t, cli.OK, status)
	require.Equal(t, strings.ReplaceAll(want, `"requests":5`, `"requests":7`), got)
	for _, other := range []string{"-own", "-no-giveback", "-starts-only", "-first-call", "-warmed-last", "-fixed"} {
		_, got, _ := call(t.Context(), append(slices.Clone(first), other)...)
		require.Contains(t, got, `"requests":5`, other)
	}
	text, err = os.ReadFile(path)
	require.NoError(t, err)
	require.Len(t, lines(string(text)), 7*2)
}

// TestInterrupted checks that Ctrl-C shows what is complete.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := filepath.Join(t.TempDir(), "r.csv")
	status, _, stderr := call(ctx, with("-policy", "keepalive", "-csv", path)...)
	require.Equal(t, cli.Failed, status)
	require.Equal(t, "prewarm lab: interrupted: after 0 of 6 runs\n", stderr)
	require.NoFileExists(t, path)
}

// TestPrices checks that a price is chosen by a target, and by money.
func TestPrices(t *testing.T) {
	old := pricedKind
	pricedKind = "priced"
	defer func() { pricedKind = old }()
	regular := []string{"lab", "-app", "long", "-load", "periodic:100", "-n", "10", "-seeds", "2", "-json", "-policy", "priced:m"}
	status, stdout, stderr := call(t.Context(), append(regular, "-target-p95", "100ms")...)
	require.Equal(t, cli.OK, status, stderr)
	// Requests are 100 s apart, and main is used for less than a second of them: it must be kept for more than 99 s.
	require.Regexp(t, `prewarm lab: priced:m on long, periodic:100: λ = (99\d|10\d\d) gives p95 0.0\d s in runs with other seeds\n`, stderr)
	require.Regexp(t, `"policy":"priced:(99\d|10\d\d):m"`, stdout)
	status, _, stderr = call(t.Context(), "lab", "-app", "long", "-load", "periodic:1000000", "-n", "6", "-seeds", "1", "-policy", "priced", "-json", "-target-p95", "1ns")
	require.Equal(t, cli.OK, status, stderr)
	require.Contains(t, stderr, "a p95 of 1ns is not reached: λ = 4194300 gives")
	status, stdout, stderr = call(t.Context(), append(regular, "-second-costs", "0.001", "-gbs-costs", "0.00001667")...)
	require.Equal(t, cli.OK, status, stderr)
	require.Contains(t, stdout, `"policy":"priced:61427.7:m"`)
}

// TestExpand checks lists of numbers in a policy.
func TestExpand(t *testing.T) {
	for spec, want := range map[string][]string{
		"none": {"none"}, "keepalive:60,600": {"keepalive:60", "keepalive:600"}, "jit:0.1,0.5:0.3,0.7": {"jit:0.1:0.3", "jit:0.1:0.7", "jit:0.5:0.3", "jit:0.5:0.7"},
		"chain:0:hold=60,120": {"chain:0:hold=60", "chain:0:hold=120"},
	} {
		require.Equal(t, want, expand(spec))
	}
}

// TestWrongCalls checks that a wrong call starts nothing, has status 2, and says in a line what is wrong.
func TestWrongCalls(t *testing.T) {
	t.Chdir(t.TempDir()) // where it tries whether r.txt can be written
	for _, c := range []struct {
		args    []string
		message string
	}{
		{[]string{"lab"}, "-app is missing"},
		{[]string{"lab", "-app", "sequence"}, "-load is missing"},
		{[]string{"lab", "-app", "sequence", "-load", "poisson:9"}, "-policy is missing"},
		{with("-policy", "none", "more"), `"more" is left over on the line`},
		{with("-policy", "magic"), `there is no policy "magic"`},
		{with("-policy", "keepalive:x"), `K is "x"`},
		{with("-policy", "none", "-policy", "none"), "policy none is given twice"},
		{with("-policy", "O7"), "there is no oracle O7"},
		{with("-policy", "O1:x"), `O1:x: "x" is not a number`},
		{with("-policy", "O3:7"), `O3:7: "7" is left over`},
		{with("-policy", "none", "-app", "nothing"), "nothing"},
		{with("-policy", "none", "-load", "pareto:1"), "there is no such kind"},
		{with("-policy", "none", "-n", "5"), "-n: at least 6"},
		{with("-policy", "none", "-n", "9999999999"), "-n: at most 1000000"},
		{with("-policy", "none", "-seeds", "0"), "-seeds: at least one"},
		{with("-policy", "none", "-seeds", "9999999999"), "-seeds: at most 100000"},
		{with("-policy", "none", "-csv", "r.txt", "-traces", "./r.txt"), "-csv and -traces: both are ./r.txt"},
		{with("-policy", "none", "-o", "r.txt", "-csv", "r.txt"), "-o and -csv: both are r.txt"},
		{with("-policy", "none", "-workers", "-1"), "-workers: it must not be negative"},
		{with("-policy", "none", "-memory", "-1"), "-memory: it must not be negative"},
		{with("-policy", "none", "-memory", "100"), "100 MiB of memory, of which a container takes 256"},
		{with("-policy", "none", "-picture", "p.gif"), "must end in .png, .svg or .pdf"},
		{with("-policy", "none", "-json", "-markdown"), "only one of them"},
		{with("-policy", "none", "-target-p95", "1s"), "there is no newsvendor without one"},
		{with("-policy", "none", "-second-costs", "1"), "go together"},
		{with("-policy", "none", "-second-costs", "1", "-gbs-costs", "0"), "must be positive"},
		{with("-policy", "none", "-second-costs", "1", "-gbs-costs", "1", "-target-p95", "1s"), "give one or the other"},
		{with("-policy", "none", "-target-p95", "-1s"), "must not be negative"},
		{with("-policy", ""), "must not be empty"},
		{[]string{"labor"}, `unknown command "labor"`},
		{nil, "a command is missing"},
	} {
		status, stdout, stderr := call(t.Context(), c.args...)
		require.Equal(t, cli.Usage, status, "%q: %s", c.args, stderr)
		require.Empty(t, stdout)
		require.Len(t, lines(stderr), 1)
		require.Contains(t, stderr, c.message)
	}
}

// TestFilesThatCannotBeWritten checks that the run does not begin if its output could not be kept.
func TestFilesThatCannotBeWritten(t *testing.T) {
	for _, option := range []string{"-csv", "-explain", "-traces", "-o"} {
		status, _, stderr := call(t.Context(), with("-policy", "none", option, "/does/not/exist/f")...)
		require.Equal(t, cli.Failed, status)
		require.Contains(t, stderr, "/does/not/exist")
	}
}

// TestHelp checks that the help names everything that can be chosen.
func TestHelp(t *testing.T) {
	status, stdout, _ := call(t.Context(), "lab", "-h")
	require.Equal(t, cli.OK, status)
	for _, want := range []string{"Examples:", "poisson:S", "azure2021:FILE", "keepalive[:K]", "O3[:hindsight[:λ]]", "checkout", "-own", "Exit status"} {
		require.Contains(t, stdout, want)
	}
}

// TestEveryPolicyRuns runs every policy with its usual arguments, on platforms of each kind, alone and where memory is short.
func TestEveryPolicyRuns(t *testing.T) {
	var policies []string
	for _, k := range policy.Kinds() {
		spec := k.Name
		if spec == pricedKind {
			spec += ":2560:table" // which is trained at once
		}
		policies = append(policies, "-policy", spec)
	}
	for i, more := range [][]string{
		{"-app", "tree_small"}, {"-app", "branch", "-own"}, {"-app", "memory", "-starts-only"}, {"-app", "checkout", "-no-giveback", "-warmed-last"}, {"-app", "parallel_small", "-first-call"},
		{"-app", "tree_small+parallel_small", "-memory", "3072"},
	} {
		load := []string{"gamma:30:0.5", "bursts:5:0.2:30"}[i%2]
		args := slices.Concat([]string{"lab", "-load", load, "-n", "8", "-seeds", "1", "-json"}, more, policies)
		status, stdout, stderr := call(t.Context(), args...)
		require.Equal(t, cli.OK, status, "%q: %s", args, stderr)
		require.Len(t, lines(stdout), len(policies)/2)
	}
}
