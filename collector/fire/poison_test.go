//go:build unix

package fire

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// TestBadRecord lets the record of one activation be everything that it cannot be, and kills the collector meanwhile. The collector does
// not end, all other spans are enriched, and this one is delivered without a record when its time is over. With the debug switches of
// OpenWhisk's tools the log shows no key, which the harness checks.
func TestBadRecord(t *testing.T) {
	w, z := newWhisk(t), newZipkin(t)
	c := newCollector(t, w, z.address, "builtin:local", "yaml:processors::openwhisk::retry: {max_elapsed_time: 3s, max_interval: 500ms}")
	c.stop()
	c.env = append(c.env, "WSK_CLI_DEBUG=true", "DEBUG=true")
	c.start()
	bodies := []string{"null", "[]", `"record"`, `{"activationId": "`, "7", "", "{}", `{"annotations": null}`}
	var asked atomic.Int64
	w.answerWith(func(rw http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, activationID(0)) {
			w.answerCorrectly(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, bodies[int(asked.Add(1))%len(bodies)])
	})
	c.send(spans(0, 10))
	z.wait(t, 9)
	require.Eventually(t, func() bool { return asked.Load() >= 5 }, time.Minute, time.Millisecond)
	c.kill()
	c.start()
	c.send(spans(10, 10))
	z.wait(t, 20)
	z.check(t, 1, 19)
	require.Equal(t, 1.0, c.metric("otelcol_processor_openwhisk_spans_passed_on", `reason="malformed"`))
	require.Greater(t, asked.Load(), int64(8))
}

// files returns the number of files in the folder for spans that were set aside.
func (c *collector) files() int {
	entries, _ := os.ReadDir(filepath.Join(c.state, "refused"))
	return len(entries)
}

// TestPoisonedSpans sends spans that cannot be exported among good ones, and checks that the good ones arrive, and the others are in files.
func TestPoisonedSpans(t *testing.T) {
	w, z := newWhisk(t), newZipkin(t)
	c := newCollector(t, w, z.address)
	refused := spanID(25)
	z.refuse.Store(26)
	require.Equal(t, byte(26), refused[7])
	traces := spans(0, 50)
	own := traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans()
	at := func(i int) ptrace.Span { return own.At(i) }
	at(10).SetTraceID(pcommon.TraceID{})
	at(11).SetSpanID(pcommon.SpanID{})
	at(12).SetEndTimestamp(at(12).StartTimestamp() - 1) // its record has better times
	at(13).SetEndTimestamp(at(13).StartTimestamp() - 1)
	at(13).Attributes().Clear()
	at(14).CopyTo(own.AppendEmpty())
	c.send(traces)
	z.wait(t, 47)
	require.Eventually(t, func() bool { return c.files() > 1 }, time.Minute, time.Millisecond)
	for reason, want := range map[string]float64{`reason="not_encodable"`: 2, `reason="refused"`: 1} { // counted after the file is there
		require.Eventually(t, func() bool { return c.metric("otelcol_exporter_zipkin_spans_set_aside", reason) == want }, time.Minute, 5*time.Millisecond, reason)
	}
	z.check(t, 14, 11)
	z.check(t, 26, 24)
	z.check(t, 12, 1)
}

// TestDamagedStorage damages the files of a collector that was stopped with spans that wait, and checks that the next one starts, says so, keeps
// the files under other names, and works.
func TestDamagedStorage(t *testing.T) {
	w, z := newWhisk(t), newZipkin(t)
	c := newCollector(t, w, z.address)
	w.answerWith(notYet)
	for i := range 20 {
		c.send(spans(10*i, 10))
	}
	c.kill()
	w.answerWith(nil)
	damaged := 0
	entries, err := os.ReadDir(c.state)
	require.NoError(t, err)
	for _, e := range entries {
		file := filepath.Join(c.state, e.Name())
		content, err := os.ReadFile(file)
		if err != nil || len(content) < 3*4096 {
			continue
		}
		for i := 2 * 4096; i < len(content); i += 512 {
			content[i] ^= 0x5a
		}
		require.NoError(t, os.WriteFile(file, content, 0o600))
		damaged++
	}
	require.Positive(t, damaged)
	c.start()
	c.send(spans(1000, 10))
	z.wait(t, 10)
	z.check(t, 1000, 10)
	aside, err := filepath.Glob(filepath.Join(c.state, "*.damaged.*"))
	require.NoError(t, err)
	require.Len(t, aside, damaged)
	c.logMu.Lock()
	defer c.logMu.Unlock()
	require.Contains(t, c.log.String(), aside[0])
}
