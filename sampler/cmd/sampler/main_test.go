package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// TestMain runs the command instead of the tests if RUN_SAMPLER is set, so that tests can run it as a process.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_SAMPLER") == "1" {
		main()
	}
	os.Exit(m.Run())
}

// call runs the command as a process in the working directory.
func call(t *testing.T, line string) (stdout, stderr string, status int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, strings.Fields(line)...)
	cmd.Env = append(os.Environ(), "RUN_SAMPLER=1")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Fatal(err)
		}
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// try runs the command in this process.
func try(ctx context.Context, line string) (stdout, stderr string, status int) {
	var out, errs bytes.Buffer
	status = program.Run(ctx, strings.Fields(line), &out, &errs)
	return out.String(), errs.String(), status
}

func files(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestCalledWrongly(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("broken", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("broken/graph.yaml", []byte("functions:\n  main: {invokes: [f]}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("wrong.yaml", []byte("# where it is\nkey: user:password\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"OW_APIHOST", "OW_AUTH", "WSK_CONFIG_FILE", "HOME"} {
		t.Setenv(name, "")
	}
	before := files(t)
	for _, c := range []struct{ line, want string }{
		{"", "-d, -n, -l, -u not given (-h shows examples)"},
		{"-n 1 -l 1 -u 2", "-d not given (-h shows examples)"},
		{"-d sequence -l 1 -u 2", "-n not given (-h shows examples)"},
		{"-d sequence -n 1 -u 2", "-l not given (-h shows examples)"},
		{"-d sequence -n 1 -l 1", "-u not given (-h shows examples)"},
		{"-d sequense -n 1 -l 1 -u 2", "-d: application sequense: no such folder, and not one of the embedded ones: " + strings.Join(apps.Embedded(), ", ")},
		{"-d= -n 1 -l 1 -u 2", "-d: no application given (known: " + strings.Join(apps.Embedded(), ", ") + ", or a folder with a graph.yaml)"},
		{"-d broken -n 1 -l 1 -u 2", `-d: broken/graph.yaml:2: main invokes "f", which is no function of this application`},
		{"-d sequence -n 0 -l 1 -u 2", "-n: must be at least 1, not 0"},
		{"-d sequence -n -5 -l 1 -u 2", "-n: must be at least 1, not -5"},
		{"-d sequence -n 1.5 -l 1 -u 2", `option -n: "1.5" is not a whole number`},
		{"-d sequence -n many -l 1 -u 2", `option -n: "many" is not a whole number`},
		{"-d sequence -n 99999999999999999999 -l 1 -u 2", "option -n: 99999999999999999999 is out of range"},
		{"-d sequence -n 1 -l -1 -u 2", "-l: must not be negative, and is -1"},
		{"-d sequence -n 1 -l -2 -u -1", "-l: must not be negative, and is -2"},
		{"-d sequence -n 1 -l 1 -u -1", "-u: must not be negative, and is -1"},
		{"-d sequence -n 1 -l 3 -u 2", "-l: must not be more than -u, and 3 > 2"},
		{"-d sequence -n 1 -l nan -u 2", "-l: must be finite, not NaN"},
		{"-d sequence -n 1 -l 1 -u inf", "-u: must be finite, not +Inf"},
		{"-d sequence -n 1 -l 1 -u 1e300", "-u: 1e+300 seconds are more than a hundred years"},
		{"-d sequence -n 1 -l 1 -u 1e999", "option -u: 1e999 is out of range"},
		{"-d sequence -n 1 -l 1s -u 2s", `option -l: "1s" is not a number`},
		{"-d sequence -n 9999999 -l 1 -u 99999", "-n: 9999999 requests at these intervals may take more than a hundred years"},
		{"-d sequence -n 1 -l 1 -u 2 -b 5", "-b and -w: only together, the requests in a batch and the seconds of pause after it"},
		{"-d sequence -n 1 -l 1 -u 2 -w 5", "-b and -w: only together, the requests in a batch and the seconds of pause after it"},
		{"-d sequence -n 1 -l 1 -u 2 -b 0 -w 5", "-b: must be positive, not 0"},
		{"-d sequence -n 1 -l 1 -u 2 -b -1 -w 5", "-b: must be positive, not -1"},
		{"-d sequence -n 1 -l 1 -u 2 -b 5 -w 0", "-w: must be positive, not 0"},
		{"-d sequence -n 1 -l 1 -u 2 -b 5 -w -3", "-w: must not be negative, and is -3"},
		{"-d sequence -n 1 -l 1 -u 2 -b 5 -w nan", "-w: must be finite, not NaN"},
		{"-d sequence -n 1 -l 1 -u 2 -e -1", "-e: must not be negative, and is -1"},
		{"-d sequence -n 1 -l 1 -u 2 -m -1", "-m: must not be negative, and is -1"},
		{"-d sequence -n 1 -l 1 -u 2 -e 11", "-e: 11 duration anomalies and 0 missing functions are more than the 10 functions that sequence has besides main"},
		{"-d sequence -n 1 -l 1 -u 2 -e 5 -m 6", "-e: 5 duration anomalies and 6 missing functions are more than the 10 functions that sequence has besides main"},
		{"-d sequence -n 1 -l 1 -u 2 extra", `unexpected argument "extra"`},
		{"sequence -n 1 -l 1 -u 2", `unexpected argument "sequence"`},
		{"-d sequence -n 1 -l 1 -u 2 -r true", `unexpected argument "true"`},
		{"-d sequence -n 1 -l 1 -u 2 -x", "unknown option -x (-h shows the known ones)"},
		{"-d sequence -n 1 -l 1 -u 2 -o", "option -o needs a value"},
		{"-d sequence -n 1 -l 1 -u 2 -o=", "-o: the name of the file is empty"},
		{"-d sequence -n 1 -l 1 -u 2 -overheads none", `-overheads: there are no overheads of "none", only of cluster, standalone and local`},
		{"-platform openwhisk -d sequence -n 1 -l 1 -u 2 -overheads local", "-overheads: only without -platform openwhisk: a real platform has its own"},
		{"-d sequence -n 1 -l 1 -u 2 -seed -1", `option -seed: "-1" is not a whole number, not negative`},
		{"-d sequence -n 1 -l 1 -u 2 -platform kubernetes", `-platform: must be local or openwhisk, not "kubernetes"`},
		{"-d sequence -n 1 -l 1 -u 2 -apihost x", "-apihost: only with -platform openwhisk"},
		{"-d sequence -n 1 -l 1 -u 2 -resume", "-resume: only with -platform openwhisk"},
		{"-d sequence -n 1 -l 1 -u 2 -platform openwhisk -resume -discard", "-resume and -discard: only one of them"},
		{"-d sequence -n 1 -l 1 -u 2 -platform openwhisk -settle 0", "-settle: must be positive and at most a day, and is 0 s"},
		{"-d sequence -n 1 -l 1 -u 2 -platform openwhisk -patience nan", "-patience: must be positive and at most a day, and is NaN s"},
		{"-d sequence -n 1 -l 1 -u 2 -platform openwhisk -kind python:3", `-kind: must be go: with a version, or blackbox, not "python:3"`},
		{"-d sequence -n 1 -l 1 -u 2 -platform openwhisk -memory 0", "-memory: must be positive, not 0"},
		{"-d sequence -n 1 -l 1 -u 2 -platform openwhisk -apihost=", "-apihost: it is empty"},
		{"-d sequence -n 1 -l 1 -u 2 -platform openwhisk -apihost x", "the key is missing: give it with -auth, OW_AUTH, auth in the configuration, or AUTH in .wskprops"},
		{"-d sequence -n 1 -l 1 -u 2 -platform openwhisk -apihost x -auth secret", "-auth: the key must be of the form user:password"},
		{"-d sequence -n 1 -l 1 -u 2 -platform openwhisk -config nowhere.yaml", "nowhere.yaml: no such file or directory"},
		{"-d sequence -n 1 -l 1 -u 2 -platform openwhisk -config wrong.yaml", `wrong.yaml:2: unknown key "key" (known: apihost, auth, insecure, zipkin, collector, sampler_collector, action_apihost)`},
	} {
		t.Run(c.line, func(t *testing.T) {
			stdout, stderr, status := try(t.Context(), c.line)
			if status != cli.Usage || stdout != "" || stderr != "sampler: "+c.want+"\n" {
				t.Errorf("status %d, stdout %q, stderr %q\nwant status 2 and %q", status, stdout, stderr, c.want)
			}
		})
	}
	if after := files(t); !slices.Equal(after, before) {
		t.Errorf("files before %q, after %q", before, after)
	}
}

func TestHelp(t *testing.T) {
	for _, line := range []string{"-h", "--help", "-d sequence -h"} {
		stdout, stderr, status := try(t.Context(), line)
		if status != cli.OK || stderr != "" || !strings.Contains(stdout, "Examples:") || !strings.Contains(stdout, "tree_small") {
			t.Errorf("%s: status %d, stderr %q, stdout:\n%s", line, status, stderr, stdout)
		}
	}
}

// ownConfigFolder gives the test a configuration folder of its own, and no key in the environment.
func ownConfigFolder(t *testing.T) {
	t.Helper()
	t.Setenv("OW_AUTH", "")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
}

// parse reads a line as sampler does.
func parse(args []string) (options, error) {
	fs := cli.NewFlagSet("sampler", io.Discard, usage)
	parsed := sampleFlags(fs)
	rest, err := cli.Parse(fs, args)
	if err != nil {
		return options{}, err
	}
	return parsed(rest)
}

// TestExamplesOfTheHelp checks that every example of the help is a valid call.
func TestExamplesOfTheHelp(t *testing.T) {
	ownConfigFolder(t)
	if _, _, err := whisk.LocalKey(); err != nil {
		t.Fatal(err)
	}
	examples := 0
	for line := range strings.Lines(usage) {
		line, ok := strings.CutPrefix(line, "  sampler ")
		if !ok || strings.Contains(line, "path/to") {
			continue
		}
		examples++
		line, _, _ = strings.Cut(line, "   ")
		if _, err := parse(strings.Fields(line)); err != nil {
			t.Errorf("sampler %s: %v", line, err)
		}
	}
	if examples < 4 {
		t.Errorf("only %d examples found", examples)
	}
}

func TestEndToEnd(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		line, file        string
		sequences, events int
	}{
		{"-d sequence -n 40 -l 2.0 -u 6.0", "data/sequence_n40_l2_u6.json", 40, 440},
		{"-u 0.6 -n 20 -r -l 0.3 -d tree_small -b 5 -w 60 -seed 3", "data/tree_small_n20_l0.3_u0.6_b5_w60_r_seed3.json", 20, 200},
		{"-d sequence -n 20 -l 1 -u 2 -overheads standalone", "data/sequence_n20_l1_u2_standalone.json", 20, 220},
		{"-d fanout_small -n 10 -l 0 -u 0 -e 2 -m 3 -o out.json.gz", "out.json.gz", 10, 100},
	} {
		t.Run(c.file, func(t *testing.T) {
			stdout, stderr, status := call(t, c.line)
			if status != cli.OK || stderr != "" || !strings.HasPrefix(stdout, c.file+": ") {
				t.Fatalf("status %d, stdout %q, stderr %q", status, stdout, stderr)
			}
			first, err := os.ReadFile(c.file)
			if err != nil {
				t.Fatal(err)
			}
			dataset, err := dataset.ReadFile(c.file)
			if err != nil {
				t.Fatal(err)
			}
			if len(dataset.Sequences) != c.sequences || dataset.NumEvents() != c.events {
				t.Errorf("%d sequences, %d events; want %d and %d", len(dataset.Sequences), dataset.NumEvents(), c.sequences, c.events)
			}
			for i, s := range dataset.Sequences {
				if s.WaitTimes == nil || s.InitTimes == nil || s.Parents == nil || s.Parents[0] != -1 {
					t.Errorf("sequence %d: %+v", i, s)
				}
			}

			stdout, stderr, status = call(t, c.line+" -json")
			var report struct {
				File                           string
				Sequences, Events, Cold_Starts int
			}
			if err := json.Unmarshal([]byte(stdout), &report); err != nil || status != cli.OK || stderr != "" {
				t.Fatalf("status %d, stdout %q, stderr %q: %v", status, stdout, stderr, err)
			}
			if report.File != c.file || report.Sequences != c.sequences || report.Events != c.events || report.Cold_Starts < 1 {
				t.Errorf("report %+v", report)
			}
			again, err := os.ReadFile(c.file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first, again) {
				t.Error("the same call gave different bytes")
			}
		})
	}
}

func TestApplicationOfTheUser(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("apps/mine", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("apps/mine/graph.yaml", []byte("functions:\n  main: {invokes: [f]}\n  f: {duration: 1, gamma: {shape: 1, rate: 1}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, status := try(t.Context(), "-d apps/mine/ -n 3 -l 1 -u 1")
	if status != cli.OK || !strings.HasPrefix(stdout, "data/mine_n3_l1_u1.json: 3 traces of mine, 6 invocations") {
		t.Fatalf("status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
	dataset, err := dataset.ReadFile("data/mine_n3_l1_u1.json")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(dataset.MarkNames, []string{"mine-dev-main", "mine-dev-f"}) {
		t.Errorf("marks %q", dataset.MarkNames)
	}
}

func TestFailures(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("folder", 0o755); err != nil {
		t.Fatal(err)
	}
	const good = "-d sequence -n 10 -l 1 -u 2"
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name, line, want string
		ctx              context.Context
	}{
		{"no such folder", good + " -o no/such/file.json", "write no/such/file.json: folder no/such does not exist", t.Context()},
		{"a folder as file", good + " -o folder", "write folder: is a folder, not a file", t.Context()},
		{"Ctrl-C", good + " -o out.json", "interrupted: after 0 of 10 requests", interrupted},
	} {
		t.Run(c.name, func(t *testing.T) {
			stdout, stderr, status := try(c.ctx, c.line)
			if status != cli.Failed || stdout != "" || stderr != "sampler: "+c.want+"\n" {
				t.Errorf("status %d, stdout %q, stderr %q, want status 1 and %q", status, stdout, stderr, c.want)
			}
		})
	}
	t.Run("full disk", func(t *testing.T) {
		if _, err := os.Stat("/dev/full"); err != nil {
			t.Skip("no /dev/full here")
		}
		if _, stderr, status := try(t.Context(), good+" -o /dev/full"); status != cli.Failed || stderr != "sampler: write /dev/full: no space left on device\n" {
			t.Errorf("status %d, stderr %q", status, stderr)
		}
	})
	t.Run("data is a file", func(t *testing.T) {
		if err := os.WriteFile("data", nil, 0o644); err != nil {
			t.Fatal(err)
		}
		defer os.Remove("data")
		if _, stderr, status := try(t.Context(), good); status != cli.Failed || !strings.Contains(stderr, "data") {
			t.Errorf("status %d, stderr %q", status, stderr)
		}
	})
	if left := files(t); len(left) != 0 {
		t.Errorf("files are left: %q", left)
	}
}

// TestOrderedWriter checks that sequences are written in the order of the plan, in whatever order they come.
func TestOrderedWriter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var out bytes.Buffer
		file, err := newOrderedWriter(&out, dataset.FormatJSON, []string{"f"})
		if err != nil {
			rt.Fatal(err)
		}
		order := rapid.Permutation([]int{0, 1, 2, 3, 4, 5}).Draw(rt, "order")
		for _, request := range order {
			if err := file.add(request, tpp.Sequence{ArrivalTimes: []float64{float64(request)}, Marks: []int{0}}); err != nil {
				rt.Fatal(err)
			}
		}
		if err := file.writer.Close(); err != nil {
			rt.Fatal(err)
		}
		d, err := dataset.Read(&out)
		if err != nil {
			rt.Fatal(err)
		}
		for i, s := range d.Sequences {
			if s.ArrivalTimes[0] != float64(i) {
				rt.Errorf("sequence %d is that of request %v", i, s.ArrivalTimes[0])
			}
		}
		if len(d.Sequences) != len(order) || len(file.waiting) != 0 {
			rt.Errorf("%d sequences, %d waiting", len(d.Sequences), len(file.waiting))
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("-d sequence -n 1000 -l 2.0 -u 6.0")
	f.Add("-d tree_small -n 5 -l 0 -u 1e-3 -b 2 -w 3 -e 1 -m 1 -r -json -seed 3 -o x")
	f.Fuzz(func(t *testing.T, line string) {
		o, err := parse(strings.Split(line, " "))
		var wrong *cli.UsageError
		switch {
		case errors.Is(err, flag.ErrHelp) || errors.As(err, &wrong):
		case err != nil:
			t.Errorf("%q: %v is not the user's fault", line, err)
		default:
			if err := o.config.Validate(o.app); err != nil {
				t.Errorf("%q passed, but %v", line, err)
			}
		}
	})
}

func Example() {
	dir, err := os.MkdirTemp("", "sampler")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "sequence.json")
	status := program.Run(context.Background(), []string{"-d", "sequence", "-n", "5", "-l", "2", "-u", "6", "-o", file}, io.Discard, os.Stdout)
	dataset, err := dataset.ReadFile(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(status, len(dataset.Sequences), dataset.NumEvents())
	// Output: 0 5 55
}
