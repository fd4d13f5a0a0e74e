package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// runRightsize runs the command, and returns its status and what it printed.
func runRightsize(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = program.Run(ctx, args, &out, &errs)
	return status, out.String(), errs.String()
}

// testFile writes a file of the test, and returns its path.
func testFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// textOf returns the text of a file.
func textOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// TestAcquireAndDriveMistakes checks that each mistake is one clear line, and the status.
func TestAcquireAndDriveMistakes(t *testing.T) {
	csv := testFile(t, "u.csv", "Time,mem\n1790000010000,1\n")
	out := filepath.Join(t.TempDir(), "out.csv")
	for _, c := range []struct {
		args   string
		status int
		want   []string
	}{
		{"acquire -function f -o " + out, 2, []string{"where from?", "-prometheus"}},
		{"acquire -function f -o " + out + " -process 1 " + csv, 2, []string{"-process and CSV files: give one of them"}},
		{"acquire -o " + out + " " + csv, 2, []string{"-function is missing"}},
		{"acquire -function f " + csv, 2, []string{"-o is missing"}},
		{"acquire -function f -o /nowhere/u.csv " + csv, 1, []string{"/nowhere"}},
		{"acquire -function f -o " + out + " /nowhere.csv", 1, []string{"/nowhere.csv"}},
		{"acquire -function f -o " + out + " -pods /nowhere.json", 1, []string{"-pods: ", "/nowhere.json"}},
		{"acquire -function f -o " + out + " -process a( ", 2, []string{"-process: ", "missing closing )"}},
		{"acquire -function f -o " + out + " -process ,", 2, []string{`-process: "," is no list of numbers`}},
		{"acquire -function f -o " + out + " -process 0", 2, []string{"0 is no number of a process"}},
		{"acquire -function f -o " + out + " -prometheus http://", 2, []string{"Prometheus", "no host"}},
		{"acquire -function f -o " + out + " -prometheus http://example.org -user me -password-file x", 2, []string{"it needs https"}},
		{"acquire -function f/g -o " + out + " -prometheus http://127.0.0.1:1", 1, []string{`"f/g" is no name of a function`}},
		{"acquire -function f -o " + out + " -prometheus http://127.0.0.1:1 -from yesterday", 2, []string{"-from", `"yesterday"`, "6h"}},
		{"acquire -function f -o " + out + " -prometheus http://127.0.0.1:1 -from 1h -to 2h", 2, []string{"-to is before -from"}},
		{"acquire -function f -o " + out + " -prometheus http://127.0.0.1:1 -for 1h", 2, []string{"-for is for -pods ADDRESS and -process"}},
		{"acquire -function f -o " + out + " -prometheus http://127.0.0.1:1 -step 1us", 2, []string{"-step: at least 1ms"}},
		{"acquire -function f -o " + out + " -process 1 -from 1h", 2, []string{"-from is for what has been measured before"}},
		{"acquire -function f -o " + out + " -append -pods " + csv, 2, []string{"-append is for "}},
		{"acquire -function f -o " + out + " -process 1 -cpu-query x", 2, []string{"-cpu-query is for -prometheus"}},
		{"acquire -function f -o " + out + " -timeout 0s " + csv, 2, []string{"-timeout"}},
		{"acquire -function f -o " + out + " -unit h " + csv, 1, []string{csv + ":2: ", `unit "h"`}},
		{"drive", 2, []string{"-url is missing"}},
		{"drive -url http://127.0.0.1:1 x", 2, []string{`"x" is left over`}},
		{"drive -url ftp://x", 2, []string{"ftp"}},
		{"drive -url http://127.0.0.1:1 -calls 5-6", 2, []string{"-calls", `"5-6" is no range`}},
		{"drive -url http://127.0.0.1:1 -calls 0", 2, []string{"calls a minute"}},
		{"drive -url http://127.0.0.1:1 -parallel 0", 2, []string{"-parallel"}},
		{"drive -url http://127.0.0.1:1 -timeout 0s", 2, []string{"-timeout"}},
		{"drive -url http://127.0.0.1:1 -max-failures 0", 2, []string{"-max-failures"}},
		{"drive -url http://127.0.0.1:1 -user me", 2, []string{"a user needs a password"}},
		{"function x", 2, []string{`"x" is left over`}},
		{"function -listen nowhere", 1, []string{"nowhere"}},
	} {
		status, stdout, stderr := runRightsize(t.Context(), strings.Fields(c.args)...)
		if status != c.status || strings.Count(stderr, "\n") != 1 || stdout != "" {
			t.Errorf("%s: status %d, want %d; printed %q and %q", c.args, status, c.status, stdout, stderr)
		}
		for _, want := range c.want {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s: %q lacks %q", c.args, stderr, want)
			}
		}
	}
	_, err := os.Stat(out)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestAcquireFiles puts files together, and prints what came of it for people and for programs.
func TestAcquireFiles(t *testing.T) {
	memory := testFile(t, "memory.csv", "\xef\xbb\xbf\"Time\",\"mem_usage\"\r\n1790000010000,5242880\r\n1790000025000,10485760\r\n1790000325000,5242880\r\n")
	cpu := testFile(t, "cpu.csv", "Time,cpu_usage\n1790000010000,0.001\n1790000025000,0.25\n")
	out := filepath.Join(t.TempDir(), "usage.csv")
	status, stdout, stderr := runRightsize(t.Context(), "acquire", memory, cpu, "-function", "qrcode", "-o", out, "-step", "15s")
	require.Zero(t, status, stderr)
	require.Equal(t, "Time,mem_usage,cpu_usage\n1790000010000,5242880,0.001\n1790000025000,10485760,0.25\n1790000325000,5242880,\n", textOf(t, out))
	require.Equal(t, out+`: 3 samples of qrcode, 2026-09-21 14:13:30 until 2026-09-21 14:18:45 UTC, every 15s
memory   5 MiB to 10 MiB
cpu      1 m to 250 m, not known 1 times
gaps     1, the longest 5m0s from 2026-09-21 14:13:45 on
`, stdout)

	status, _, stderr = runRightsize(t.Context(), "acquire", out, "-function", "qrcode", "-o", out+".gz", "-json", "-from", "2026-09-21T14:13:31Z", "-to", "2026-09-21T16:13:31+02:00")
	require.Equal(t, 1, status, stderr)
	require.Contains(t, stderr, "none of its 3 samples")
	status, stdout, stderr = runRightsize(t.Context(), "acquire", out, "-function", "qrcode", "-o", out+".gz", "-json")
	require.Zero(t, status, stderr)
	var got acquired
	require.NoError(t, json.Unmarshal([]byte(stdout), &got))
	require.Equal(t, 3, got.Samples)
	require.Equal(t, 10485760.0, *got.Memory.Max)
	require.Equal(t, 1, got.CPU.Unknown)
	require.Equal(t, "\x1f\x8b", textOf(t, out+".gz")[:2])
}

// TestAcquirePrometheus asks a fake that ends in the middle: what it answered is kept. With an environment that has a token.
func TestAcquirePrometheus(t *testing.T) {
	t.Setenv(tokenVariable, "abc")
	for _, breaks := range []string{"", "interrupt", "fail"} {
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := r.FormValue("start")
			if n++; r.Header.Get("Authorization") != "Bearer abc" || n > 2 && breaks == "fail" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			if n > 2 && breaks == "interrupt" {
				cancel()
				<-r.Context().Done()
				return
			}
			_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"container":"f","pod":"f-1"},"values":[[%s,"0.5"]]}]}}`, start)
		}))
		out := filepath.Join(t.TempDir(), "usage.csv")
		status, stdout, stderr := runRightsize(ctx, "acquire", "-prometheus", server.URL, "-function", "f", "-o", out, "-step", "1s", "-from", "2011-09-21T00:00:00Z", "-to", "2011-09-21T04:00:00Z")
		server.Close()
		cancel()
		if breaks == "" {
			require.Zero(t, status, stderr)
			require.Contains(t, stdout, "2 samples of f, 2011-09-21 00:00:00 until 2011-09-21 02:46:40 UTC, every 1s")
			require.Contains(t, stdout, "pods     1, at most 1 at a time")
			continue
		}
		require.Equal(t, 1, status)
		require.Contains(t, stderr, "1 samples are kept in "+out)
		require.Equal(t, breaks == "interrupt", strings.Contains(stderr, "interrupted"), stderr)
		require.Equal(t, "Time,mem_usage,cpu_usage\n1316563200000,0.5,0.5\n", textOf(t, out))
	}
}

// TestAcquireProcess looks at this process until Ctrl-C, goes on with the journal of a run that was killed, and with what the output has.
func TestAcquireProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	out := filepath.Join(t.TempDir(), "usage.csv")
	line := []string{"acquire", "-process", fmt.Sprint(os.Getpid()), "-function", "f", "-step", "10ms", "-for", "25ms", "-o", out}
	status, _, stderr := runRightsize(t.Context(), line...)
	require.Zero(t, status, stderr)
	require.GreaterOrEqual(t, strings.Count(textOf(t, out), "\n"), 2)
	_, err := os.Stat(out + ".journal")
	require.ErrorIs(t, err, os.ErrNotExist)

	// A killed run leaves a journal of long ago, and half a line.
	head := fmt.Sprintf(`{"columns":"Time,mem_usage,cpu_usage","function":"f","source":"process %d"}`, os.Getpid())
	require.NoError(t, os.WriteFile(out+".journal", []byte(head+"\n1000000010000,7,\n1000000025000,8,0.5\n10000000"), 0o600))
	status, stdout, stderr := runRightsize(t.Context(), line...)
	require.Zero(t, status, stderr)
	require.Contains(t, stderr, "going on with 2 samples that "+out+".journal has")
	require.Regexp(t, `^Time,mem_usage,cpu_usage\n1000000010000,7,\n1000000025000,8,0\.5\n\d{13},\d+,`, textOf(t, out))
	require.Contains(t, stdout, "from 2001-09-09 01:47:05 on\n")

	before := strings.Count(textOf(t, out), "\n")
	status, _, stderr = runRightsize(t.Context(), append(line, "-append")...)
	require.Zero(t, status, stderr)
	require.Greater(t, strings.Count(textOf(t, out), "\n"), before)
	require.Contains(t, textOf(t, out), "\n1000000010000,7,\n")

	require.NoError(t, os.WriteFile(out+".journal", []byte("{\"function\":\"g\"}\n"), 0o600))
	status, _, stderr = runRightsize(t.Context(), line...)
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "is of other work")
	require.NoError(t, os.Remove(out+".journal"))

	// Ctrl-C ends it, and that is no failure without -for.
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan bool)
	go func() {
		defer close(ended)
		for {
			if text, err := os.ReadFile(out + ".journal"); err == nil && bytes.Count(text, []byte("\n")) >= 3 {
				cancel()
				return
			}
			<-time.After(time.Millisecond)
		}
	}()
	status, _, stderr = runRightsize(ctx, "acquire", "-process", fmt.Sprint(os.Getpid()), "-function", "f", "-step", "10ms", "-o", out)
	<-ended
	require.Zero(t, status, stderr)
	require.GreaterOrEqual(t, strings.Count(textOf(t, out), "\n"), 3)
}

// TestAcquireKeepsTheJournal checks that what was found is not lost where the output cannot be written.
func TestAcquireKeepsTheJournal(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	folder := t.TempDir()
	out := filepath.Join(folder, "usage.csv")
	line := []string{"acquire", "-process", fmt.Sprint(os.Getpid()), "-function", "f", "-step", "1ms", "-o", out}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan bool)
	go func() {
		defer close(ended)
		for {
			if text, err := os.ReadFile(out + ".journal"); err == nil && bytes.Count(text, []byte("\n")) >= 3 {
				_ = os.Mkdir(out, 0o700) // a folder in its place cannot be replaced
				cancel()
				return
			}
			<-time.After(time.Millisecond)
		}
	}()
	status, _, stderr := runRightsize(ctx, line...)
	<-ended
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "is a folder, not a file")
	require.NoError(t, os.Remove(out))
	status, _, stderr = runRightsize(t.Context(), append(line, "-for", "1ms")...)
	require.Zero(t, status, stderr)
	require.Regexp(t, `going on with \d+ samples`, stderr)
	require.GreaterOrEqual(t, strings.Count(textOf(t, out), "\n"), 3)
}

// TestAcquirePods reads what kubectl prints.
func TestAcquirePods(t *testing.T) {
	pods := testFile(t, "pods.json", `{"kind":"PodMetricsList","items":[{"metadata":{"name":"f-1"},"timestamp":"2026-11-29T12:00:00Z","containers":[{"name":"f","usage":{"cpu":"1500000n","memory":"5024Ki"}}]}]}`)
	out := filepath.Join(t.TempDir(), "usage.csv")
	status, stdout, stderr := runRightsize(t.Context(), "acquire", "-pods", pods, "-function", "f", "-o", out)
	require.Zero(t, status, stderr)
	require.Contains(t, stdout, "1 samples of f")
	require.Equal(t, "Time,mem_usage,cpu_usage\n1795953600000,5144576,0.0015\n", textOf(t, out))
	status, _, stderr = runRightsize(t.Context(), "acquire", "-pods", pods, "-function", "g", "-o", out)
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "nothing is known of g: of 1 pods none is its own, in the namespace openfaas-fn")
}

// liveOutput is an output that can be read while it is written.
type liveOutput struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *liveOutput) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *liveOutput) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestFunctionAndDrive drives the function, twice with a journal, and ends it.
func TestFunctionAndDrive(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		var out liveOutput
		ended := make(chan int, 1)
		args := []string{"function", "-listen", "127.0.0.1:0"}
		if asJSON {
			args = append(args, "-json")
		}
		go func() { ended <- program.Run(ctx, args, &out, io.Discard) }()
		address := regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
		require.Eventually(t, func() bool { return address.MatchString(out.String()) && strings.HasSuffix(out.String(), "\n") }, time.Minute, time.Millisecond)
		require.Contains(t, out.String(), fmt.Sprint(os.Getpid()))
		journal := filepath.Join(t.TempDir(), "calls.jsonl")
		drive := []string{"drive", "-url", address.FindString(out.String()), "-calls", "60000", "-size", "1:20", "-for", "30ms", "-journal", journal}
		status, stdout, stderr := runRightsize(t.Context(), drive...)
		require.Zero(t, status, stderr)
		require.Regexp(t, `(?m)^\d+ calls, 0 failed; \d+ bytes of payload`, stdout)
		require.Contains(t, stdout, "latency     median ")
		status, stdout, stderr = runRightsize(t.Context(), append(drive, "-json")...)
		require.Zero(t, status, stderr)
		var got struct{ Calls, Earlier, Failed int }
		require.NoError(t, json.Unmarshal([]byte(stdout), &got))
		require.Positive(t, got.Calls)
		require.Equal(t, got.Calls, got.Earlier)
		cancel()
		require.Zero(t, <-ended)
	}
	status, stdout, stderr := runRightsize(t.Context(), "drive", "-url", "http://127.0.0.1:1", "-calls", "60000")
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "rightsize drive: the function at http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused\n")
	require.Contains(t, stdout, "failed")
}

func TestParseMoment(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": {}, "now": now, "6h": now.Add(-6 * time.Hour), "-6h": now.Add(-6 * time.Hour), "7d": now.AddDate(0, 0, -7), "1.5d": now.Add(-36 * time.Hour),
		"2026-11-01T00:00:00Z": time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
	} {
		got, err := parseMoment(text, now)
		require.NoError(t, err)
		require.True(t, want.Equal(got), text)
	}
	for _, text := range []string{"yesterday", "6", "--6h", "d", "NaNd", "1e9d", "2026-11-01"} {
		_, err := parseMoment(text, now)
		require.Error(t, err, text)
	}
}
