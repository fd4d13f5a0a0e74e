package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/openfaastest"
	"github.com/tppfaas/tppfaas/internal/testbin"
	"github.com/tppfaas/tppfaas/rightsize/controller"
)

// runArgs returns a line that looks after this process as if it were a function, in a folder of its own.
func runArgs(t *testing.T, more ...string) (dir string, args []string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("it looks at processes, which needs Linux")
	}
	dir = t.TempDir()
	tooLow := strings.Replace(stackFile, "40Mi", "1Mi", 1) // whatever this process takes
	require.NoError(t, os.WriteFile(filepath.Join(dir, "stack.yml"), []byte(tooLow), 0o666))
	args = []string{
		"run", "-function", "qrcode", "-process", fmt.Sprint(os.Getpid()), "-journal", filepath.Join(dir, "journal"), "-interval", "20ms", "-step", "10ms",
		"-min-history", "1ms", "-recommender", "fixed",
	}
	return dir, append(args, more...)
}

// TestRunFile checks that limits are written into a file as they are recommended, and not without -act.
func TestRunFile(t *testing.T) {
	dir, args := runArgs(t, "-rounds", "4")
	file := filepath.Join(dir, "stack.yml")
	args = append(args, "-file", file)
	status, stdout, stderr := command(t, args...)
	require.Equal(t, 0, status, stderr)
	require.Contains(t, stdout, " qrcode: would change: memory limit 1Mi → ")
	require.Contains(t, stderr, "nothing is changed: -act does\n")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), "      memory: 1Mi\n")
	require.NotContains(t, string(text), "requests")

	status, stdout, stderr = command(t, append(args, "-act", "-json")...)
	require.Equal(t, 0, status, stderr)
	var changes int
	for line := range strings.Lines(stdout) {
		var e controller.Event
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		if e.Kind == controller.Changed {
			changes++
		}
	}
	require.Positive(t, changes)
	require.Contains(t, stderr, file+".bak is how "+file+" was\n")
	text, err = os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), "    requests:\n      memory: ")
	require.Contains(t, string(text), "image: qrcode   # draws\n")
}

// TestRunGateway checks that limits are set through the gateway, and what happens when that fails.
func TestRunGateway(t *testing.T) {
	server := openfaastest.New(t, 1)
	dir, args := runArgs(t, "-gateway", server.Server.URL, "-act")
	args[2] = openfaastest.Function
	password := filepath.Join(dir, "password")
	require.NoError(t, os.WriteFile(password, []byte(openfaastest.Password+"\n"), 0o600))
	status, stdout, stderr := command(t, append(args, "-rounds", "1")...)
	require.Equal(t, 1, status, stderr)
	require.Contains(t, stdout, "f1: failed: f1: the OpenFaaS gateway at "+server.Server.URL+" does not accept the key (401)")
	require.NotContains(t, stdout+stderr, openfaastest.Password)

	status, stdout, stderr = command(t, append(args, "-rounds", "4", "-gateway-password-file", password)...)
	require.Equal(t, 0, status, stderr)
	require.Contains(t, stdout, " f1: changed: ")
	require.NotEmpty(t, server.Deployments())
	require.Equal(t, "ghcr.io/openfaas/f1:latest", server.Deployments()[0].Image)
}

// TestRunPrometheus checks that a run begins with what Prometheus has measured before, and asks only for what is new then.
func TestRunPrometheus(t *testing.T) {
	var asked []string
	prometheus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, end, value := r.FormValue("start"), r.FormValue("end"), "31457280"
		if strings.Contains(r.FormValue("query"), "cpu") {
			value = "0.05"
		} else {
			asked = append(asked, start)
		}
		from, err1 := strconv.ParseFloat(start, 64)
		to, err2 := strconv.ParseFloat(end, 64)
		step, err3 := strconv.ParseFloat(r.FormValue("step"), 64)
		if errors.Join(err1, err2, err3) != nil || step != 60 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		var values []string
		for at := from; at <= to; at += step {
			values = append(values, fmt.Sprintf(`[%.0f,"%s"]`, at, value))
		}
		_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"container":"qrcode","pod":"qrcode-1"},"values":[%s]}]}}`, strings.Join(values, ","))
	}))
	defer prometheus.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "stack.yml")
	require.NoError(t, os.WriteFile(file, []byte(stackFile), 0o666))
	args := []string{
		"run", "-function", "qrcode", "-prometheus", prometheus.URL, "-file", file, "-journal", filepath.Join(dir, "journal"), "-step", "1m", "-interval", "1ms", "-max-age", "5m",
		"-history", "26h", "-recommender", "krr", "-min-memory", "20Mi", "-rounds", "2", "-act",
	}
	status, stdout, stderr := command(t, args...)
	require.Equal(t, 0, status, stderr)
	require.Contains(t, stdout, "qrcode: changed: memory limit 40Mi → 35Mi, memory request none → 35Mi, CPU request none → 50m", "a day is known, so that lowering is allowed")
	n := len(asked)
	require.Positive(t, n)
	status, _, stderr = command(t, args...)
	require.Equal(t, 0, status, stderr)
	for _, start := range asked[n:] {
		at, err := strconv.ParseFloat(start, 64)
		require.NoError(t, err)
		require.Less(t, time.Since(time.UnixMilli(int64(1000*at))), 15*time.Minute, "the journal has what was before")
	}
}

// TestRunLimitRange checks that what a namespace allows is kept to.
func TestRunLimitRange(t *testing.T) {
	dir, args := runArgs(t, "-rounds", "2", "-act")
	file, allowed := filepath.Join(dir, "stack.yml"), filepath.Join(dir, "range.yaml")
	require.NoError(t, os.WriteFile(allowed, []byte("kind: LimitRange\napiVersion: v1\nspec: {limits: [{type: Container, min: {memory: 5Gi}}]}\n"), 0o666))
	large := strings.Replace(stackFile, "40Mi", "4Gi", 1)
	require.NoError(t, os.WriteFile(file, []byte(large), 0o666))
	status, stdout, stderr := command(t, append(args, "-file", file, "-limit-range", allowed)...)
	require.Equal(t, 0, status, stderr)
	require.Contains(t, stdout, "memory limit 4Gi → 5Gi")
}

// TestRunServes checks the health of a run, and that it ends with its context.
func TestRunServes(t *testing.T) {
	dir, args := runArgs(t, "-listen", "127.0.0.1:0")
	args = append(args, "-file", filepath.Join(dir, "stack.yml"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events, stdout := io.Pipe()
	messages, stderr := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		status := program.Run(ctx, args, stdout, stderr)
		stdout.Close()
		stderr.Close()
		ended <- status
	}()
	first, err := bufio.NewReader(messages).ReadString('\n')
	require.NoError(t, err)
	go func() { _, _ = io.Copy(io.Discard, messages) }()
	go func() { _, _ = io.Copy(io.Discard, events) }()
	web := &http.Client{Timeout: 10 * time.Second}
	defer web.CloseIdleConnections()
	get := func(path string) (int, string) {
		response, err := web.Get(strings.TrimSuffix(strings.Fields(first)[0], "/healthz") + path)
		require.NoError(t, err)
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(text)
	}
	require.Eventually(t, func() bool {
		status, _ := get("/healthz")
		return status == 200
	}, time.Minute, time.Millisecond, "the first look at the function")
	status, text := get("/status")
	require.Equal(t, 200, status)
	var s controller.Status
	require.NoError(t, json.Unmarshal([]byte(text), &s))
	require.True(t, s.Healthy)
	require.Equal(t, "qrcode", s.Functions[0].Function)
	cancel()
	require.Equal(t, 0, <-ended, "Ctrl-C is how it ends")
}

// TestRunKilled kills a run at any time, with SIGKILL, and checks that the next one takes up what it has noted, and keeps to the cap on changes.
func TestRunKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the command")
	}
	dir, args := runArgs(t, "-max-changes", "2", "-act")
	file := filepath.Join(dir, "stack.yml")
	args = append(args, "-file", file, "-json")
	binary, err := testbin.Path("rightsize/cmd/rightsize")
	require.NoError(t, err)
	for range 4 {
		c := exec.CommandContext(t.Context(), binary, args...)
		out, err := c.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, c.Start())
		lines := bufio.NewScanner(out)
		for n := 0; n < 3 && lines.Scan(); n++ {
			require.NotContains(t, lines.Text(), "failed")
		}
		require.NoError(t, c.Process.Kill())
		_, _ = io.Copy(io.Discard, out)
		require.Error(t, c.Wait())
	}
	journal, err := os.ReadFile(filepath.Join(dir, "journal"))
	require.NoError(t, err)
	changes := strings.Count(string(journal), `"change":`)
	require.True(t, changes >= 1 && changes <= 2, "%d changes", changes)
	status, stdout, stderr := command(t, append(args, "-rounds", "1")...)
	require.Equal(t, 0, status, stderr)
	require.NotContains(t, stdout, "no usage is known", "it has seen %s", journal)
}

func TestRunMistakes(t *testing.T) {
	dir := t.TempDir()
	journal := filepath.Join(dir, "journal")
	good := "run -function f -process 1 -file " + filepath.Join(dir, "stack.yml") + " -journal " + journal + " "
	for _, test := range []struct {
		args   string
		status int
		want   string
	}{
		{good + "x", 2, `"x" is left over`},
		{"run -process 1 -file x", 2, "-function is missing"},
		{"run -function f -file x", 2, "where is the usage from?"},
		{"run -function f -process 1 -prometheus http://x -file x", 2, "where is the usage from?"},
		{"run -function f -process 1", 2, "where are limits to be set?"},
		{"run -function f -process 1 -file x -gateway x", 2, "where are limits to be set?"},
		{"run -function f,f -prometheus http://x -file x", 2, `"f" is empty or named twice`},
		{"run -function f,g -process 1 -file x", 2, "and there are 2"},
		{"run -function f -pods x -file x", 2, "-pods: \"x\" is no address"},
		{good + "-interval 0s", 2, "times must be positive"},
		{good + "-max-changes 0", 2, "-max-changes: at least 1"},
		{good + "-rounds -1", 2, "-rounds must not be negative"},
		{good + "-recommender none", 2, "it is one of forecast, krr"},
		{good + "-min-memory 1MB", 2, `-min-memory: quantity "1MB"`},
		{good + "-limit-range none.yaml", 1, "-limit-range: open none.yaml"},
		{good + "-limit-range run.go", 1, "-limit-range: run.go: "},
		{good + "-listen nowhere", 1, "-listen: "},
		{good + "-rounds 1", 1, "f: the last look failed"},
	} {
		status, stdout, stderr := command(t, strings.Fields(test.args)...)
		require.Equal(t, test.status, status, "%s: %s", test.args, stderr)
		require.Contains(t, stderr, test.want, test.args)
		if strings.Contains(test.args, "-rounds 1") {
			require.Contains(t, stdout, "f: failed: open "+filepath.Join(dir, "stack.yml"))
		}
	}
}

// writerFunc is a writer by a function.
type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestRunTriesAgain checks that what fails is tried again, and that of several looks the last one decides on the status.
func TestRunTriesAgain(t *testing.T) {
	dir, args := runArgs(t, "-rounds", "2", "-json")
	file := filepath.Join(dir, "stack.yml")
	require.NoError(t, os.Remove(file))
	var stdout, stderr strings.Builder
	put := writerFunc(func(line []byte) (int, error) {
		if stdout.Len() == 0 { // what is said of the first look
			require.NoError(t, os.WriteFile(file, []byte(stackFile), 0o666))
		}
		return stdout.Write(line)
	})
	status := program.Run(t.Context(), append(args, "-file", file), put, &stderr)
	require.Regexp(t, `^\{.*no such file`, stdout.String())
	require.Equal(t, 0, status, stderr.String())
}
