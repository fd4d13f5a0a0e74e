package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/localzipkin"
	"github.com/tppfaas/tppfaas/prewarm/report"
)

const sampled = "../../../data/high_tree_small_det.json.gz"

// TestReportOfDataset checks the summary, the page, and the object of JSON.
func TestReportOfDataset(t *testing.T) {
	page := filepath.Join(t.TempDir(), "report.html")
	status, stdout, stderr := call(t.Context(), "report", sampled, "-o", page, "-keep", "inf,30,30")
	require.Equal(t, cli.OK, status, stderr)
	require.Contains(t, stdout, sampled+": ")
	require.Contains(t, stdout, "keep-alive 30 s ")
	require.Contains(t, stdout, "keep-alive for ever ")
	require.NotContains(t, stdout, "keep-alive 10 min")
	html, err := os.ReadFile(page)
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(html, []byte("<!DOCTYPE html>")))
	require.True(t, bytes.HasSuffix(html, []byte("</html>\n")))

	status, stdout, stderr = call(t.Context(), "report", sampled, "-json", "-memory", "512")
	require.Equal(t, cli.OK, status, stderr)
	require.Len(t, lines(stdout), 1)
	var r report.Report
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	require.Equal(t, 512.0, r.MemoryMB)
	require.InDelta(t, 0.3, float64(r.ColdStarts)/float64(r.Invocations), 0.02)
}

// TestReportOfRun checks that what the laboratory writes is read, with its labels, and that both count the same cold starts.
func TestReportOfRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "run.jsonl")
	status, stdout, stderr := call(t.Context(), with("-policy", "none", "-policy", "keepalive:600", "-traces", file, "-json")...)
	require.Equal(t, cli.OK, status, stderr)
	require.NotEmpty(t, stdout)
	status, stdout, stderr = call(t.Context(), "report", file, "-policy", "none", "-seed", "2", "-json")
	require.Equal(t, cli.OK, status, stderr)
	var r report.Report
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	require.Equal(t, r.Invocations, r.ColdStarts, "nothing is kept")
	require.Empty(t, r.Missing)
	require.Positive(t, r.Traces)
	require.False(t, r.EndToEnd.ToStart)
	status, stdout, stderr = call(t.Context(), "report", file, "-json")
	require.Equal(t, cli.OK, status, stderr)
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	require.Len(t, r.Runs, 4)
}

// TestReportOfZipkin checks that traces are fetched from a Zipkin server, with how long each span lasted.
func TestReportOfZipkin(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server, err := localzipkin.Start(ctx, localzipkin.Options{})
	require.NoError(t, err)
	defer server.Close()
	status, _, stderr := call(t.Context(), "report", "-zipkin", server.URL(), "-settle", "0")
	require.Equal(t, cli.Failed, status)
	require.Contains(t, stderr, "has no trace that began in the last 24h0m0s")

	begin := time.Now().Add(-time.Minute).UnixMicro()
	var spans []string
	for i := range 3 {
		at := begin + int64(i)*5_000_000
		spans = append(spans,
			fmt.Sprintf(`{"traceId":"%016x","id":"%016x","name":"main","kind":"SERVER","timestamp":%d,"duration":3000000,"localEndpoint":{"serviceName":"shop"},"tags":{"activationId":"a%d","faas.name":"main","waitTimeMilli":"2000","initTimeMilli":"150"}}`, i+1, 16*i+1, at, i),
			fmt.Sprintf(`{"traceId":"%016x","id":"%016x","parentId":"%016x","name":"next","kind":"SERVER","timestamp":%d,"duration":700000,"localEndpoint":{"serviceName":"shop"},"tags":{"activationId":"b%d","faas.name":"next","waitTimeMilli":"4"}}`, i+1, 16*i+2, 16*i+1, at+2_500_000, i))
	}
	response, err := http.Post(server.URL()+"/api/v2/spans", "application/json", bytes.NewBufferString("["+strings.Join(spans, ",")+"]"))
	require.NoError(t, err)
	response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	require.Equal(t, http.StatusAccepted, response.StatusCode)

	status, stdout, stderr := call(t.Context(), "report", "-zipkin", server.URL(), "-settle", "0", "-service", "shop", "-json")
	require.Equal(t, cli.OK, status, stderr)
	var r report.Report
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	require.Equal(t, []int{3, 6, 3}, []int{r.Traces, r.Invocations, r.ColdStarts})
	require.Empty(t, r.Missing)
	require.InDelta(t, 3.2, r.EndToEnd.Latency.P50, 1e-6, "next ends 0.2 s behind main")
	require.InDelta(t, 2.15, r.EndToEnd.Added.P50, 1e-6)
	require.Contains(t, r.Source, "Zipkin at http")
}

// TestReportMistakes checks the messages for wrong lines, and that no file is touched then.
func TestReportMistakes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "traces.csv")
	require.NoError(t, os.WriteFile(file, []byte("time,mark\n1,a\n"), 0o644))
	broken := filepath.Join(dir, "broken.json")
	require.NoError(t, os.WriteFile(broken, []byte(`{"sequences":[{`), 0o644))
	for _, c := range []struct {
		args    []string
		status  int
		message string
	}{
		{nil, cli.Usage, "the DATASET is missing"},
		{[]string{file, file}, cli.Usage, "is left over"},
		{[]string{file, "-zipkin", "http://127.0.0.1:1"}, cli.Usage, "give one of them"},
		{[]string{file, "-o", file}, cli.Usage, "that would be lost"},
		{[]string{file, "-memory", "0"}, cli.Usage, "-memory"},
		{[]string{file, "-lambda", "NaN"}, cli.Usage, "-lambda"},
		{[]string{file, "-lambda", "1e300"}, cli.Usage, "-lambda"},
		{[]string{file, "-memory", "1e308"}, cli.Usage, "-memory"},
		{[]string{file, "-keep", "1e300"}, cli.Usage, `"1e300" is no time`},
		{[]string{file, "-policy", "none"}, cli.Failed, "The only trace does not have the labels asked for; it has none."},
		{[]string{file, "-keep", "1,x"}, cli.Usage, `"x" is no time`},
		{[]string{file, "-keep", "-1"}, cli.Usage, `"-1" is no time`},
		{[]string{file, "-spans", "some"}, cli.Usage, "-spans"},
		{[]string{file, "-unit", "eons"}, cli.Usage, "-unit"},
		{[]string{file, "-since", "1h"}, cli.Usage, "-since is for -zipkin"},
		{[]string{"-zipkin", "ftp://x"}, cli.Usage, "-zipkin"},
		{[]string{"-zipkin", "-"}, cli.Usage, "TPPFAAS_ZIPKIN"},
		{[]string{"-zipkin", "http://127.0.0.1:1", "-since", "-1h"}, cli.Usage, "-since"},
		{[]string{filepath.Join(dir, "none.json")}, cli.Failed, "none.json"},
		{[]string{broken}, cli.Failed, "broken.json"},
		{[]string{file, "-o", filepath.Join(dir, "none", "x.html")}, cli.Failed, "none"},
	} {
		t.Setenv("TPPFAAS_ZIPKIN", "")
		status, stdout, stderr := call(t.Context(), append([]string{"report"}, c.args...)...)
		require.Equal(t, c.status, status, "%v: %s", c.args, stderr)
		require.Contains(t, stderr, c.message, "%v", c.args)
		require.Empty(t, stdout)
		require.Len(t, lines(stderr), 1)
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "time,mark\n1,a\n", string(text))
}
