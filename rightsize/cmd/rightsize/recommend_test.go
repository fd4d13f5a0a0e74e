package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/rightsize/synthetic"
	"github.com/tppfaas/tppfaas/rightsize/usagecsv"
)

// dailyFile writes three days of a daily rhythm, and returns the file.
func dailyFile(t *testing.T) string {
	t.Helper()
	u, err := synthetic.New("daily", 1, synthetic.Options{Length: 3 * 24 * time.Hour, Step: 5 * time.Minute})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "usage.csv")
	require.NoError(t, usagecsv.WriteFile(file, u))
	return file
}

func TestRecommend(t *testing.T) {
	file := dailyFile(t)
	limits := filepath.Join(t.TempDir(), "limits.yaml")
	require.NoError(t, os.WriteFile(limits, []byte("kind: LimitRange\nspec: {limits: [{type: Container, max: {memory: 100Mi}, min: {cpu: 2}}]}\n"), 0o600))

	status, stdout, stderr := command(t, "recommend", file, "-recommender", "krr", "-runtime", "go", "-set", "memory=64Mi,cpu=100m")
	require.Equal(t, 0, status, stderr)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	require.Len(t, lines, 4)
	require.Regexp(t, `^memory  request \d+Mi +limit \d+Mi +\(set: 64Mi, 64Mi\) +15 % above the maximum of 2d 23h, \d+Mi$`, lines[1])
	require.Regexp(t, `^cpu     request \d+m +limit none +\(set: 100m, 100m\) +the 95th percentile of 2d 23h as the request, and no limit$`, lines[2])
	require.Regexp(t, `^GOMEMLIMIT=\d+MiB$`, lines[3])

	status, stdout, stderr = command(t, "recommend", file, "-limit-range", limits, "-json", "-function", "f")
	require.Equal(t, 0, status, stderr)
	var r recommendation
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	require.Equal(t, writtenLimits{"100Mi", "100Mi", "2", "2"}, writtenLimits{r.MemoryRequest, r.MemoryLimit, r.CPURequest, "2"})
	require.Equal(t, "f", r.Function)
	require.Len(t, r.Notes, 3)
	require.NotEmpty(t, r.Reasons.Memory)
	require.Empty(t, r.Set)

	for _, c := range []struct{ args, want string }{
		{"", "files of usage, please"},
		{file + " -set cpu", "-set: cpu: quantity"},
		{file + " -set memory=1Mi,memory=2Mi", "-set: memory is given twice"},
		{file + " -set memory=64Mi,request-memory=128Mi", "a request is above its limit"},
		{file + " -set cpu=1,request-cpu=2", "a request is above its limit"},
		{file + " -set cores=1", `"cores=1"`},
		{file + " -recommender oracle", "it is one of forecast, krr"},
		{file + " -runtime cobol", "it is one of go, node, java"},
		{file + " -floor-memory 0", "-floor-memory: it must be positive"},
		{file + " -floor-cpu x", "-floor-cpu: quantity"},
		{file + " -restart -in-place", "only one of them"},
	} {
		status, _, stderr := command(t, append([]string{"recommend"}, strings.Fields(c.args)...)...)
		require.Equal(t, 2, status, c.args)
		require.Contains(t, stderr, c.want)
	}
	status, _, stderr = command(t, "recommend", file, "-limit-range", file)
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "not a LimitRange")
	status, _, stderr = command(t, "recommend", file, "-limit-range", "/nowhere.yaml")
	require.Equal(t, 1, status)
	require.Equal(t, "rightsize recommend: read /nowhere.yaml: no such file or directory\n", stderr)
}

func TestBacktest(t *testing.T) {
	file := dailyFile(t)
	picture := filepath.Join(t.TempDir(), "bars.svg")
	status, stdout, stderr := command(t, "backtest", file, "-recommender", "krr,vpa", "-picture", picture)
	require.Equal(t, 0, status, stderr)
	require.Contains(t, stdout, "usage, 2 days each; to krr by seed\n")
	require.Contains(t, stdout, "\n          krr ")
	require.FileExists(t, picture)

	status, stdout, stderr = command(t, "backtest", "-synthetic", "idle,leak", "-seeds", "2", "-seed", "7", "-length", "48h", "-step", "10m", "-recommender", "krr,fixed", "-json")
	require.Equal(t, 0, status, stderr)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	require.Len(t, lines, 8)
	require.True(t, strings.HasPrefix(lines[0], `{"series":"idle","seed":7,"recommender":"krr","days":1,"reserved":`), lines[0])
	var fields map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[7]), &fields))
	for _, name := range []string{"series", "seed", "recommender", "days", "reserved", "requested", "kills", "over", "changes", "cpu", "throttled"} {
		require.Contains(t, fields, name)
	}

	status, stdout, _ = command(t, "backtest", file, file, "-recommender", "fixed", "-markdown", "-in-place", "-warmup", "1h")
	require.Equal(t, 0, status)
	require.Contains(t, stdout, "| fixed |")

	for _, c := range []struct{ args, want string }{
		{"", "files of usage, please, or -synthetic"},
		{file + " -synthetic idle", "not both"},
		{"-synthetic weekly", `"weekly" is none of all, daily`},
		{"-synthetic idle,idle", "given twice"},
		{"-synthetic idle -seeds 0", "-seeds: from 1"},
		{"-synthetic idle -workers -1", "-workers"},
		{"-synthetic idle -warmup -1h", "-warmup"},
		{"-synthetic idle -step 1ms", "series idle"},
		{"-synthetic idle -base oracle", `-base: "oracle"`},
		{"-synthetic idle -base vpa -recommender krr,fixed", "-base: vpa is not among -recommender krr,fixed"},
		{"-synthetic idle -step 0s", "must be positive"},
		{"-synthetic idle -length 0s", "must be positive"},
		{"-synthetic idle -recommender oracle", `-recommender: "oracle"`},
		{"-synthetic idle -json -markdown", "only one of them"},
		{"-synthetic idle -picture bars.gif", "must end in"},
		{"-synthetic idle -restart -in-place", "only one of them"},
	} {
		status, _, stderr := command(t, append([]string{"backtest"}, strings.Fields(c.args)...)...)
		require.Equal(t, 2, status, c.args)
		require.Contains(t, stderr, c.want)
	}
	status, _, stderr = command(t, "backtest", file, "-warmup", "72h")
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "a backtest needs more than the warm-up of 72h0m0s")
}
