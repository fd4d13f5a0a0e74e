package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/cli"
)

// spanFile writes the chain of the tests as spans in OTLP, a trace a line: a calls b, and b calls c.
func spanFile(t *testing.T, lines int) string {
	t.Helper()
	var b strings.Builder
	for i := range lines {
		var spans []string
		for k, name := range []string{"a", "b", "c"} {
			spans = append(spans, fmt.Sprintf(`{"traceId":"%032x","spanId":"%016x","parentSpanId":"%016x","kind":2,"name":"%s","startTimeUnixNano":"%d","attributes":[{"key":"faas.invocation_id","value":{"stringValue":"%d-%d"}}]}`,
				i+1, k+1, k, name, int64(1700000000000+60000*i+(100+i%7)*k)*1_000_000, i, k))
		}
		fmt.Fprintf(&b, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[%s]}]}]}\n", strings.Join(spans, ","))
	}
	return write(t, "traces.jsonl", b.String())
}

// TestEveryCommandReadsSpans checks that all commands take a file of spans, say what they take for events, and pass on the options.
func TestEveryCommandReadsSpans(t *testing.T) {
	spans := spanFile(t, 30)
	dir := t.TempDir()
	model := filepath.Join(dir, "m.safetensors")
	for _, c := range []struct {
		args []string
		says string
	}{
		{append([]string{"train", spans, "-o", model}, quick...), "6 sequences with 12 scored events"},
		{[]string{"train", spans, "-o", filepath.Join(dir, "p.safetensors"), "-kind", "poisson", "-spans", "server"}, "6 sequences with 12 scored events"},
		{[]string{"train", spans, "-kind", "poisson", "-repeat", "2"}, "mean"},
		{[]string{"evaluate", model, spans}, "12"},
		{[]string{"evaluate", model, spans, "-part", "all"}, "60"},
		{[]string{"inspect", spans, "-mark", "name"}, "spans in OTLP as JSON"},
		{[]string{"convert", spans, "-o", filepath.Join(dir, "o.csv")}, "30 sequences, 90 events, 3 marks"},
		{[]string{"predict", model, spans, "-sequence", "1"}, "Sequence 1, 3 events"},
		{[]string{"sample", model, "-n", "3", "-given", spans, "-max-events", "1000000", "-window", "100", "-o", filepath.Join(dir, "s.json")}, "3 sequences"},
		{[]string{"plot", model, spans, "-sequence", "1", "-mark-column", "name", "-o", filepath.Join(dir, "a.png")}, ""},
	} {
		status, out, errs := call(t, c.args...)
		if status != cli.OK || !strings.Contains(out, c.says) || strings.Contains(errs, "warning") || strings.Count(errs, "events are ") != 1 {
			t.Errorf("%v: status %d, %s%s", c.args, status, out, errs)
		}
	}
}

// TestSpansInCommandsRefuse checks what is said about options that mean nothing to spans, and about spans of which nothing is an event.
func TestSpansInCommandsRefuse(t *testing.T) {
	model, _ := trained(t)
	spans := spanFile(t, 2)
	none := write(t, "internal.json", `[{"traceId":"1","id":"1","timestamp":1}]`)
	cut := write(t, "cut.json", `[{"traceId":"1","id":"1","timest`)
	out := filepath.Join(t.TempDir(), "o.json")
	for _, c := range []struct {
		status int
		args   []string
		says   string
	}{
		{cli.Usage, []string{"convert", spans, "-o", out, "-unit", "s"}, "is no file whose times are plain numbers: -unit means nothing to it"},
		{cli.Usage, []string{"convert", spans, "-o", out, "-grouped"}, "is no CSV file: -grouped means nothing to it"},
		{cli.Usage, []string{"convert", spans, "-o", out, "-spans", "some"}, `"some" is not invocations, server or all`},
		{cli.Usage, []string{"convert", write(t, "c.csv", "time\n1\n"), "-o", out, "-spans", "all"}, "is no file of spans: -spans means nothing to it"},
		{cli.Usage, []string{"inspect", write(t, "d.json", `{"sequences": []}`), "-mark", "x"}, "is no CSV file and has no spans: -mark means nothing to it"},
		{cli.Failed, []string{"convert", none, "-o", out, "-spans", "server"}, "has 1 spans in 1 traces, and none that is an event by -spans server"},
		{cli.Failed, []string{"inspect", none, "-spans", "server"}, "none that is an event"},
		{cli.Failed, []string{"evaluate", model, none, "-spans", "server"}, "none that is an event"},
		{cli.Failed, []string{"train", none, "-o", out, "-spans", "server"}, "none that is an event"},
		{cli.Failed, []string{"convert", cut, "-o", out}, cut + ": line 1, byte 32: the file ends in the middle of a trace: it is cut off"},
		{cli.Failed, []string{"evaluate", model, spans}, `trace 0000000000000001: event 0 has mark "a"`},
	} {
		status, stdout, errs := call(t, c.args...)
		if status != c.status || !strings.Contains(errs, c.says) || stdout != "" {
			t.Errorf("%v: status %d, want %d; %q, want it to say %q", c.args, status, c.status, errs, c.says)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("an output was written")
	}
}
