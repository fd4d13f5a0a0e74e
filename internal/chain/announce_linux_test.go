package chain

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/testbin"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// zipkinSpan is a span as Zipkin's API has it.
type zipkinSpan struct {
	ID, ParentID, Name  string
	Timestamp, Duration int64 // µs
	Tags                map[string]string
	LocalEndpoint       struct{ ServiceName string }
}

// traces returns all traces that Zipkin has.
func (c *Chain) traces(t *testing.T) [][]zipkinSpan {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.ZipkinURL+"/api/v2/traces?limit=1000&lookback=3600000", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var traces [][]zipkinSpan
	if err := json.NewDecoder(answer.Body).Decode(&traces); err != nil {
		t.Fatal(err)
	}
	return traces
}

// TestAnnouncements samples with announcements through the real programs. It checks that each invocation of each trace was announced once by its
// caller, as a child of the caller's span and not later than its start, that its start and its finished span repeat the id of the call, and that
// a predictor behind the collector is told of each call once.
func TestAnnouncements(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	const application, requests = "tree_small", 10
	app, err := apps.Load(application)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	predictor := startLive(t, trained(t, dir, application))
	c := start(t, Options{CollectorArgs: []string{
		"--config", "builtin:local", "--config", filepath.Join("..", "..", "collector", "predictor.yaml"),
		"--config", "yaml:exporters::otlp_http/predictor: {endpoint: \"" + predictor.url + "\", timeout: 1m}", // on a slow machine too it is told of all
	}})
	c.sample(t, "-announce", "-d", application, "-n", fmt.Sprint(requests), "-l", "0.4", "-u", "0.6", "-o", filepath.Join(dir, "x.json"))
	n := app.Invocations()
	var traces [][]zipkinSpan
	for deadline := time.After(time.Minute); ; { // a start may arrive after the finished span that the sampler waits for
		traces = c.traces(t)
		announced := 0
		for _, trace := range traces {
			for _, s := range trace {
				if s.Name == "invoke" || s.Name == "start" {
					announced++
				}
			}
		}
		if announced >= 2*n*requests {
			break
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-deadline:
			t.Fatalf("%d of %d announcements came", announced, 2*n*requests)
		}
	}
	if len(traces) != requests {
		t.Fatalf("%d traces, want %d", len(traces), requests)
	}
	colds := 0
	for _, trace := range traces {
		invokes, starts, finished := map[string]zipkinSpan{}, map[string]zipkinSpan{}, map[string]zipkinSpan{} // by call id
		for _, s := range trace {
			kind := finished
			switch {
			case s.Tags["phase.of"] != "":
				continue
			case s.Name == "invoke":
				kind = invokes
			case s.Name == "start":
				kind = starts
			}
			id := s.Tags["call.id"]
			if before, twice := kind[id]; twice || id == "" {
				t.Fatalf("the call %q of %+v is that of %+v too", id, s, before)
			}
			kind[id] = s
		}
		if len(invokes) != n || len(starts) != n || len(finished) != n {
			t.Fatalf("%d invoke, %d start, %d finished spans, want %d of each", len(invokes), len(starts), len(finished), n)
		}
		for id, invoke := range invokes {
			began, own := starts[id], finished[id]
			if began.Tags["faas.coldstart"] != own.Tags["faas.coldstart"] {
				t.Errorf("start says coldstart %q, the record %q", began.Tags["faas.coldstart"], own.Tags["faas.coldstart"])
			}
			if own.Tags["faas.coldstart"] == "true" {
				colds++
			}
			switch {
			case invoke.Tags["faas.invoked_name"] != own.Tags["faas.name"] || began.Tags["faas.name"] != own.Tags["faas.name"] || own.Tags["faas.name"] == "":
				t.Errorf("announced %v, began %v, finished %v", invoke.Tags, began.Tags, own.Tags)
			case invoke.ParentID != own.ParentID || began.ParentID != own.ID:
				t.Errorf("invoke has the parent %s, the span %s has %s, its start %s", invoke.ParentID, own.ID, own.ParentID, began.ParentID)
			case invoke.Timestamp > began.Timestamp || invoke.Duration > 1 || began.Duration > 1:
				t.Errorf("announced at %d for %d µs, began at %d for %d", invoke.Timestamp, invoke.Duration, began.Timestamp, began.Duration)
			}
		}
	}
	if colds == 0 {
		t.Error("no start was cold")
	}
	predictor.check(t, traces)
}

// trained samples an application in virtual time and returns the file of a model that is fitted to it.
func trained(t *testing.T, dir, application string) string {
	t.Helper()
	program, err := testbin.Path("sampler/cmd/sampler")
	if err != nil {
		t.Fatal(err)
	}
	sampled, file := filepath.Join(dir, "virtual.json"), filepath.Join(dir, "model.safetensors")
	if out, err := exec.CommandContext(t.Context(), program, "-d", application, "-n", "100", "-l", "2", "-u", "4", "-seed", "1", "-o", sampled).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := dataset.ReadFile(sampled)
	if err != nil {
		t.Fatal(err)
	}
	model, err := classical.FitMarkovRenewal(t.Context(), data, classical.FitOptions{})
	if err == nil {
		err = tpp.WriteModelFile(file, model)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// live is the example that follows live traces.
type live struct {
	url            string
	mu             sync.Mutex
	stdout, stderr bytes.Buffer
}

// startLive starts the example, which listens for announcements until the test ends.
func startLive(t *testing.T, model string) *live {
	t.Helper()
	program, err := testbin.Path("examples/live")
	if err != nil {
		t.Fatal(err)
	}
	l := &live{}
	command := exec.Command(program, model, "-listen", "127.0.0.1:0", "-json")
	stdout, err1 := command.StdoutPipe()
	stderr, err2 := command.StderrPipe()
	if err := errors.Join(err1, err2, command.Start()); err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	var readers sync.WaitGroup
	read := func(from io.Reader, to *bytes.Buffer) {
		for lines := bufio.NewScanner(from); lines.Scan(); {
			if url, ok := strings.CutPrefix(lines.Text(), "live: listening on "); ok {
				ready <- url
				continue
			}
			l.mu.Lock()
			fmt.Fprintln(to, lines.Text())
			l.mu.Unlock()
		}
	}
	readers.Go(func() { read(stdout, &l.stdout) })
	readers.Go(func() { read(stderr, &l.stderr) })
	t.Cleanup(func() {
		if err := command.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		readers.Wait()
		if err := command.Wait(); err != nil {
			t.Errorf("live: %v\n%s", err, l.stderr.String())
		}
	})
	select {
	case l.url = <-ready:
	case <-time.After(time.Minute):
		t.Fatal("live does not listen")
	}
	return l
}

// leftOut is what the example says of an announcement that was overtaken by another one.
var leftOut = regexp.MustCompile(`^live: POST /v1/traces: left out: trace [0-9a-f]{32}: event at (\S+): it is before the last one at (\S+)$`)

// overtaken returns how many announcements have been overtaken by more than a second, which happens on a slow machine alone: these are left out.
// Everything else that the example says is wrong.
func overtaken(t *testing.T, stderr string) (n int) {
	t.Helper()
	for line := range strings.Lines(stderr) {
		if m := leftOut.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			at, err1 := strconv.ParseFloat(m[1], 64)
			last, err2 := strconv.ParseFloat(m[2], 64)
			if err1 == nil && err2 == nil && last-at > 1000 {
				n++
				continue
			}
		}
		t.Errorf("live: %s", line)
	}
	return n
}

// check checks that the example was told of each call of the traces once, and has left out none but those that were overtaken.
func (l *live) check(t *testing.T, traces [][]zipkinSpan) {
	t.Helper()
	want := map[string]string{} // names of functions by call id
	for _, trace := range traces {
		for _, s := range trace {
			if s.Name == "invoke" {
				want[s.Tags["call.id"]] = s.Tags["faas.invoked_name"]
			}
		}
	}
	for deadline := time.After(time.Minute); ; { // it may still be about to print the last ones
		l.mu.Lock()
		stdout, stderr := l.stdout.String(), l.stderr.String()
		l.mu.Unlock()
		late := overtaken(t, stderr)
		if t.Failed() {
			return
		}
		if strings.Count(stdout, "\n")+late >= len(want) {
			got := map[string]string{}
			for line := range strings.Lines(stdout) {
				var i struct{ Call, Function string }
				if err := json.Unmarshal([]byte(line), &i); err != nil {
					t.Fatal(err)
				}
				if got[i.Call] != "" {
					t.Errorf("call %s comes twice", i.Call)
				}
				got[i.Call] = i.Function
				if want[i.Call] != i.Function {
					t.Errorf("live was told of call %s of %s, want %q", i.Call, i.Function, want[i.Call])
				}
			}
			if len(got)+late != len(want) {
				t.Errorf("live was told of %d calls and left out %d, want %d", len(got), late, len(want))
			}
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatalf("live was told of %d calls, want %d", strings.Count(stdout, "\n"), len(want))
		}
	}
}
