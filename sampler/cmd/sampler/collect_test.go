package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/localzipkin"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// zipkinWith serves a Zipkin with n traces, of which the last began seconds ago: a function a, cold in every second trace, that invokes b.
func zipkinWith(t *testing.T, n int) (address string, first time.Time) {
	t.Helper()
	var spans []string
	first = time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	for i := range n {
		at := first.Add(time.Duration(i) * time.Minute).UnixMicro()
		if i == n-1 {
			at = time.Now().Add(-5 * time.Second).UnixMicro()
		}
		initTime := ""
		if i%2 == 1 {
			initTime = `,"initTimeMilli":"3"`
		}
		spans = append(spans,
			fmt.Sprintf(`{"traceId":"%032x","id":"1","name":"a","kind":"SERVER","timestamp":%d,"duration":9000,"localEndpoint":{"serviceName":"a"},"tags":{"activationId":"a%d","faas.name":"A","waitTimeMilli":"5"%s}}`, i+1, at, i, initTime),
			fmt.Sprintf(`{"traceId":"%032x","id":"2","parentId":"1","name":"b","kind":"SERVER","timestamp":%d,"duration":900,"localEndpoint":{"serviceName":"b"},"tags":{"activationId":"b%d","faas.name":"B","waitTimeMilli":"1"}}`, i+1, at+7000, i))
	}
	store := localzipkin.NewStore(10_000, 1<<24)
	decoded, err := localzipkin.Decode([]byte("["+strings.Join(spans, ",")+"]"), "application/json")
	if err != nil {
		t.Fatal(err)
	}
	store.Add(decoded)
	server := httptest.NewServer(localzipkin.NewHandler(store, 1<<20))
	t.Cleanup(server.Close)
	return server.URL, first
}

// TestCollect checks that the traces of a Zipkin become a dataset in the order of their beginning, in every format, and what is said about them.
func TestCollect(t *testing.T) {
	address, first := zipkinWith(t, 5)
	dir := t.TempDir()
	for _, name := range []string{"t.json.gz", "t.jsonl", "t.csv"} {
		out := filepath.Join(dir, name)
		stdout, stderr, status := try(t.Context(), "collect -zipkin "+address+" -o "+out)
		if status != cli.OK || stdout != out+": 4 traces, 8 events, 2 marks\n" {
			t.Fatalf("status %d, prints %q, says %q", status, stdout, stderr)
		}
		for _, want := range []string{"8 events are invocations", "their times arrivals", "1 traces are left out: spans may still come (-settle)"} {
			if !strings.Contains(stderr, want) {
				t.Errorf("says %q, want %q", stderr, want)
			}
		}
		d, err := dataset.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range d.Sequences {
			at := float64(first.Add(time.Duration(i) * time.Minute).UnixMilli())
			cold := float64(i % 2 * 3)
			want := fmt.Sprint([]float64{at, at + 7}, []float64{5, 1}, []float64{cold, 0}, []int{-1, 0}, "A B")
			if got := fmt.Sprint(s.ArrivalTimes, s.WaitTimes, s.InitTimes, s.Parents, d.MarkNames[s.Mark(0)]+" "+d.MarkNames[s.Mark(1)]); got != want {
				t.Errorf("%s: sequence %d is %s, want %s", name, i, got, want)
			}
		}
	}
	out := filepath.Join(dir, "s.json")
	stdout, stderr, status := try(t.Context(), "collect -json -settle 0 -service b -query faas.name=B -spans server -mark service -since 3h -zipkin "+address+" -o "+out)
	var report struct {
		File       string
		Sequences  int
		Events     int
		ColdStarts int `json:"cold_starts"`
		Marks      []string
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || status != cli.OK {
		t.Fatalf("status %d, prints %q, says %q: %v", status, stdout, stderr, err)
	}
	if got := fmt.Sprintf("%+v", report); got != fmt.Sprintf("{File:%s Sequences:5 Events:10 ColdStarts:2 Marks:[a b]}", out) {
		t.Errorf("prints %s", got)
	}
}

// TestCollectRefuses checks that nothing is written, and the old file kept, where the call or the server is wrong or has no trace.
func TestCollectRefuses(t *testing.T) {
	address, _ := zipkinWith(t, 1)
	page := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(page.Close)
	old := filepath.Join(t.TempDir(), "old.json")
	if err := os.WriteFile(old, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line   string
		status int
		want   string
	}{
		{"", cli.Usage, "-o not given: the file to write"},
		{"-o " + old + " x", cli.Usage, `unexpected argument "x"`},
		{"-o " + old + " -zipkin ftp://a", cli.Usage, "-zipkin: the scheme ftp is neither http nor https"},
		{"-o " + old + " -spans some", cli.Usage, `-spans: must be invocations, server or all, not "some"`},
		{"-o " + old + " -since yesterday", cli.Usage, `option -since: "yesterday" is neither a duration like 24h nor a time like`},
		{"-o " + old + " -since -1h", cli.Usage, "option -since: must not be negative"},
		{"-o " + old + " -since 1h -until 2h", cli.Usage, "-since: must be before -until"},
		{"-o " + old + " -since 2100-01-01", cli.Usage, "-since: must be before"},
		{"-o " + old + " -settle -1s", cli.Usage, "must not be negative"},
		{"-o " + old + " -timeout 0s", cli.Usage, "must be positive"},
		{"-o " + old + "/x.json -zipkin " + address, cli.Failed, "old.json"},
		{"-o " + old + " -zipkin " + address, cli.Failed, "has no trace that began between"},
		{"-o " + old + " -zipkin " + address, cli.Failed, "but 1 that may still be running (-settle 0 takes them)"},
		{"-o " + old + " -zipkin " + address + " -service c", cli.Failed, `knows no service "c": it has a, b`},
		{"-o " + old + " -zipkin " + page.URL, cli.Failed, "is this the address of a Zipkin"},
		{"-o " + old + " -zipkin " + address + " -settle 0 -mark tag -since 2020-01-01T00:00:00Z -until 2020-01-02", cli.Failed, "has no trace that began between 2020-01-01T00:00:00Z and 2020-01-02T00:00:00Z"},
	} {
		stdout, stderr, status := try(t.Context(), "collect "+c.line)
		if status != c.status || stdout != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("sampler collect %s: status %d, prints %q, says %q, want %q", c.line, status, stdout, stderr, c.want)
		}
	}
	// The environment may hold a password.
	for value, want := range map[string]string{"https://me:secret@%zz": "TPPFAAS_ZIPKIN: ", "https://me:secret@a?b": "TPPFAAS_ZIPKIN: an address ends", "http://me:secret@127.0.0.1:1": "Zipkin at http://127.0.0.1:1 cannot be reached"} {
		t.Setenv("TPPFAAS_ZIPKIN", value)
		_, stderr, status := try(t.Context(), "collect -o "+old)
		if status == cli.OK || !strings.Contains(stderr, want) || strings.Contains(stderr, "secret") {
			t.Errorf("TPPFAAS_ZIPKIN=%s: status %d, says %q, want %q", value, status, stderr, want)
		}
	}
	if stdout, _, _ := try(t.Context(), "collect -h"); strings.Contains(stdout, "secret") {
		t.Error("the help has the password")
	}
	if text, err := os.ReadFile(old); err != nil || string(text) != "precious" {
		t.Errorf("the old file has %q, %v", text, err)
	}
}

// TestCollectInterrupted checks that an interrupt in the middle leaves the old file, and no other behind.
func TestCollectInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	released := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/services") {
			fmt.Fprint(w, `["a"]`)
			return
		}
		cancel()
		<-released
	}))
	defer server.Close()
	defer close(released)
	dir, temporary := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temporary)
	out := filepath.Join(dir, "t.json")
	stdout, stderr, status := try(ctx, "collect -zipkin "+server.URL+" -o "+out)
	if status != cli.Failed || stdout != "" || stderr != "sampler collect: interrupted: "+out+" is not written\n" {
		t.Errorf("status %d, prints %q, says %q", status, stdout, stderr)
	}
	for _, folder := range []string{dir, temporary} {
		if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
			t.Errorf("%s has %v, %v", folder, left, err)
		}
	}
}
