//go:build linux && integration

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tppfaas/tppfaas/internal/integration"
	"github.com/tppfaas/tppfaas/internal/testbin"
)

func TestMain(m *testing.M) { os.Exit(testbin.Main(m)) }

// TestIntegrationPrewarmLive makes a short form of both runs, with a trained model. It checks that each prints a line for each request, that with the
// controller fewer invocations beside the root start cold, and that nothing is left behind.
func TestIntegrationPrewarmLive(t *testing.T) {
	const requests, skip = 10, 6
	model := integration.File(t, "../../../models/low_tree_small_rand.race.safetensors", "a trained model", "make models")
	program := ""
	for _, pkg := range []string{"apps/action/cmd/action", "sampler/cmd/sampler", "collector/cmd/collector", "prewarm/cmd/prewarm", "prewarm/cmd/live"} {
		var err error
		program, err = testbin.Path(pkg)
		require.NoError(t, err)
	}
	// What outlives the process that has started it becomes a child of this one.
	require.NoError(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	dir := t.TempDir()
	command := exec.CommandContext(t.Context(), program, "-n", fmt.Sprint(requests), "-skip", fmt.Sprint(skip), "-every", "3s", "-idle", "1.5s",
		"-starts", "standalone", "-model", model, "-json")
	command.Env = append(os.Environ(), "TMPDIR="+dir)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = time.Minute
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	begin := time.Now()
	require.NoError(t, command.Run(), "%s", &stderr)
	t.Logf("%.0f s\n%s%s", time.Since(begin).Seconds(), &stdout, &stderr)

	lines, sums := map[string]int{}, map[string]summary{}
	for decoder := json.NewDecoder(&stdout); decoder.More(); {
		var line json.RawMessage
		require.NoError(t, decoder.Decode(&line))
		var keys map[string]any
		require.NoError(t, json.Unmarshal(line, &keys))
		if _, ok := keys["requests"]; ok {
			var s summary
			require.NoError(t, json.Unmarshal(line, &s))
			sums[s.Run] = s
			continue
		}
		var o outcome
		require.NoError(t, json.Unmarshal(line, &o))
		require.Positive(t, o.Invocations)
		lines[o.Run]++
	}
	require.Equal(t, map[string]int{withoutRun: requests, withRun: requests}, lines)
	require.Len(t, sums, 2)
	without, with := sums[withoutRun], sums[withRun]
	require.Equal(t, requests-skip, without.Requests)
	require.Equal(t, without.Invocations, with.Invocations)
	require.Less(t, with.Cold, without.Cold)
	require.Positive(t, with.Warmups+with.Renewals, "where all is kept nothing is warmed")

	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	require.Eventually(t, func() bool { return len(orphans(t)) == 0 }, time.Minute, 20*time.Millisecond, "%v", orphans(t))
}

// orphans returns the processes that run and whose parent is this one.
func orphans(t *testing.T) (running []string) {
	t.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	require.NoError(t, err)
	require.NotEmpty(t, lists)
	for _, list := range lists {
		children, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for _, id := range strings.Fields(string(children)) {
			stat, err := os.ReadFile("/proc/" + id + "/stat") // id (name) state …
			if err != nil {
				continue // the process has ended
			}
			name, state, _ := strings.Cut(string(stat), ") ")
			if !strings.HasPrefix(state, "Z") {
				running = append(running, name+")")
			}
		}
	}
	return running
}
