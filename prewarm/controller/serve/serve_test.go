package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/controller"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// recorder is an actuator that takes everything.
type recorder struct {
	mu       sync.Mutex
	commands []actuator.Command
}

func (r *recorder) Name() string { return "recorder" }
func (r *recorder) Platform() prewarm.Platform {
	p := Default()
	p.Arrivals = false // which actuators know nothing of
	return p
}

func (r *recorder) Act(_ context.Context, c actuator.Command) ([]actuator.Result, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.commands = append(r.commands, c)
	results := make([]actuator.Result, c.Results())
	for i := range results {
		results[i] = actuator.Result{Outcome: actuator.Created, Asked: time.Now(), Ready: time.Now()}
	}
	return results, nil
}

func (r *recorder) Close(context.Context) error { return nil }

func (r *recorder) asked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.commands)
}

// start runs a server until the test ends, or stop is called, which returns what Run has.
func start(t *testing.T, o Options) (s *Server, stop func() error) {
	t.Helper()
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	s, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return s, stop
}

// client does not keep connections.
var client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// get returns what is answered.
func get(t *testing.T, s *Server, path, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// arrive announces an invocation.
func arrive(t *testing.T, s *Server, function, trace, call, parent string) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"trace": trace, "call": call, "parent": parent, "function": function, "time": time.Now().UnixMilli()})
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Post(s.URL()+"/v1/arrivals", "application/json", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		answer, _ := io.ReadAll(response.Body)
		t.Fatalf("answered %s: %s", response.Status, answer)
	}
}

// state returns the state as JSON has it.
func state(t *testing.T, s *Server) controller.State {
	t.Helper()
	code, text := get(t, s, "/v1/state", "")
	var state controller.State
	if err := json.Unmarshal([]byte(text), &state); err != nil || code != http.StatusOK {
		t.Fatalf("%d, %v: %s", code, err, text)
	}
	return state
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// TestServes announces requests to a controller whose policy warms what follows, and checks what is done, shown, paused and kept.
func TestServes(t *testing.T) {
	a := &recorder{}
	follows := func(prewarm.Platform, []prewarm.Function) (prewarm.Policy, error) {
		return prewarm.PolicyFunc(func(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
			if e.Kind == prewarm.Arrived && fleet.Functions[e.Function].Name == "a" && len(fleet.Functions) > 1 {
				d.Start(1, 1, prewarm.Why{Rule: "after a comes b"})
			}
		}), nil
	}
	o := Options{Policy: "follows", NewPolicy: follows, Act: true, Actuator: a, State: filepath.Join(t.TempDir(), "state"), GRPC: "127.0.0.1:0"}
	s, stop := start(t, o)
	for _, path := range []string{"/healthz", "/readyz", "/", "/metrics"} {
		eventually(t, path, func() bool { code, _ := get(t, s, path, ""); return code == http.StatusOK })
	}
	trace := 0
	request := func() {
		trace++
		id := fmt.Sprint("t", trace)
		arrive(t, s, "a", id, "1", "")
		arrive(t, s, "b", id, "2", "1")
	}
	eventually(t, "a container is warmed", func() bool { request(); return a.asked() > 0 })
	eventually(t, "the state shows it", func() bool {
		now := state(t, s)
		return now.Mode == controller.Acting && now.Totals.Warmups > 0 && now.Totals.Requests > 0 && len(now.Functions) == 2 && len(now.Decisions) > 0 && len(now.Sources) >= 2
	})
	mode, err := Command(t.Context(), s.URL(), "pause", "", false)
	if err != nil || mode != string(controller.Paused) {
		t.Fatalf("%q, %v", mode, err)
	}
	if mode := s.Controller().Snapshot().Mode; mode != controller.Paused {
		t.Errorf("the controller is %s", mode)
	}
	eventually(t, "what was under way is done", func() bool { return state(t, s).Actuator.InFlight == 0 })
	before := a.asked()
	for range 10 {
		request()
	}
	eventually(t, "it is seen", func() bool { return state(t, s).Totals.Requests == uint64(trace) })
	if n := a.asked(); n != before {
		t.Errorf("%d commands in a pause", n-before)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	s, _ = start(t, o) // another process
	after := state(t, s)
	if after.Mode != controller.Paused || after.Totals.Requests != uint64(trace) || len(after.Functions) != 2 {
		t.Errorf("after the restart the state is %+v", after)
	}
	if mode, err := Command(t.Context(), s.URL(), "resume", "", false); err != nil || mode != string(controller.Acting) {
		t.Errorf("%q, %v", mode, err)
	}
}

// TestClockSetBack checks that a controller whose clock was set back while it was away goes on, and takes what it observes for something of now.
func TestClockSetBack(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	j, _, err := controller.OpenJournal(folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Compact(&controller.Saved{Epoch: time.Now().Add(time.Hour), Last: time.Hour, Command: 7, Totals: controller.Totals{Requests: 3}}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	s, _ := start(t, Options{Policy: "none", State: folder})
	arrive(t, s, "a", "t1", "1", "")
	eventually(t, "it is seen", func() bool { return state(t, s).Totals.Requests == 4 })
	now := state(t, s)
	if arrived := now.Traces[0].Invocations[0].Arrived; time.Since(arrived).Abs() > time.Minute {
		t.Errorf("it arrived at %v, and now it is %v", arrived, time.Now())
	}
}

// TestSources checks that a source which fails is run again, and that what it says of itself is shown.
func TestSources(t *testing.T) {
	var mu sync.Mutex
	runs := 0
	s, _ := start(t, Options{Policy: "none", Sources: map[string]source.Source{"other": sourceFunc(func(ctx context.Context, sink source.Sink) error {
		mu.Lock()
		defer mu.Unlock()
		if runs++; runs == 1 {
			return errors.New("nobody answers")
		}
		err := sink.Observe(ctx, []source.Observation{{Kind: source.Invoked, Function: "f", Trace: "t", Call: "c", Time: time.Now(), Wait: -1, Init: -1}})
		<-ctx.Done()
		return err
	})}})
	eventually(t, "the failure is shown", func() bool {
		for _, one := range state(t, s).Sources {
			if one.Name == "other" && one.Error == "nobody answers" {
				return true
			}
		}
		return false
	})
	eventually(t, "it is run again", func() bool { return state(t, s).Totals.Invocations == 1 })
}

// sourceFunc is a function that is a source.
type sourceFunc func(ctx context.Context, sink source.Sink) error

func (f sourceFunc) Run(ctx context.Context, sink source.Sink) error { return f(ctx, sink) }

// TestMistakes checks that options which contradict each other are one clear line, and that nothing is left open.
func TestMistakes(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, []byte("no model"), 0o666); err != nil {
		t.Fatal(err)
	}
	const model = "../../../models/high_checkout_det.race.safetensors"
	const other = "../../../models/high_checkout_rand.race.safetensors"
	for _, c := range []struct {
		name string
		o    Options
		want []string
	}{
		{"a policy that there is not", Options{Policy: "foo"}, []string{`there is no policy "foo"`, "newsvendor"}},
		{"no model", Options{Policy: "newsvendor"}, []string{"-model FILE", "-learn"}},
		{"two models of a function", Options{Policy: "newsvendor", Models: []string{model, other}}, []string{model, other, "checkout-dev-"}},
		{"a model twice", Options{Policy: "newsvendor", Models: []string{model, model}}, []string{model, "twice"}},
		{"no model file", Options{Policy: "newsvendor", Models: []string{file}}, []string{file}},
		{"a model for a policy without", Options{Policy: "none", Models: []string{model}}, []string{"none uses no model"}},
		{"learning without learning", Options{Policy: "none", Learn: true}, []string{"none does not learn"}},
		{"a price that is none", Options{Policy: "newsvendor:-3", Learn: true}, []string{"-3"}},
		{"acting by nobody", Options{Policy: "none", Act: true}, []string{"no actuator"}},
		{"an address beyond loopback", Options{Policy: "none", Listen: "0.0.0.0:0"}, []string{"0.0.0.0:0", "a token", "a certificate"}},
		{"no address", Options{Policy: "none", Listen: "here"}, []string{"here"}},
		{"state in a file", Options{Policy: "none", State: file}, []string{file}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.o.Listen == "" {
				c.o.Listen = "127.0.0.1:0"
			}
			_, err := New(t.Context(), c.o)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has several lines: %q", err)
			}
		})
	}
}

// TestModel checks that the functions of a model are known and served, and others not.
func TestModel(t *testing.T) {
	s, _ := start(t, Options{Policy: "newsvendor:2560", Models: []string{"../../../models/high_checkout_det.race.safetensors"}})
	arrive(t, s, "another", "t1", "1", "")
	eventually(t, "the other is seen", func() bool {
		for _, f := range state(t, s).Functions {
			if f.Name == "another" {
				return !f.Served && f.Reason == "no model"
			}
		}
		return false
	})
	now := state(t, s)
	if len(now.Models) != 1 || !now.Models[0].Agrees || len(now.Models[0].Functions) < 5 || now.Models[0].Kind != "race" {
		t.Fatalf("models are %+v", now.Models)
	}
	for _, f := range now.Functions {
		if strings.HasPrefix(f.Name, "checkout-dev-") && !f.Served {
			t.Errorf("%s is not served: %s", f.Name, f.Reason)
		}
	}
}

// TestCommandErrors checks what the client says of controllers that are not there, or want a token.
func TestCommandErrors(t *testing.T) {
	for address, want := range map[string]string{"127.0.0.1:1": "no address", "http://127.0.0.1:1": "refused", "ftp://x": "no address"} {
		if _, err := Command(t.Context(), address, "pause", "", false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestCommandKeepsToken checks that a token is sent only where nobody else can read it.
func TestCommandKeepsToken(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, r.Header.Get("Authorization")) }))
	defer server.Close()
	for address, want := range map[string]string{
		server.URL: "Bearer secret", strings.Replace(server.URL, "127.0.0.1", "localhost", 1): "Bearer secret",
		"http://192.0.2.1:4320": "pause: the token is sent over https, or to this machine, and not to http://192.0.2.1:4320",
	} {
		got, err := Command(t.Context(), address, "pause", "secret", false)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// TestClockWasAhead checks that a state which was written when the machine's clock was a year ahead does not have all times a year ahead.
func TestClockWasAhead(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for name, saved := range map[string]*controller.Saved{
		"from the beginning": {Epoch: time.Now().Add(year), Last: time.Hour},
		"since some time":    {Epoch: time.Now().Add(-time.Hour), Last: year},
		"never":              {Epoch: time.Now().Add(-2 * time.Hour), Last: time.Hour, Paused: true},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			j, _, err := controller.OpenJournal(folder)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(j.Compact(saved), j.Close()); err != nil {
				t.Fatal(err)
			}
			s, _ := start(t, Options{Policy: "none", State: folder})
			arrive(t, s, "f", "t", "1", "")
			eventually(t, "it is observed", func() bool { return state(t, s).Totals.Invocations == 1 })
			now := state(t, s)
			if off := time.Since(now.Traces[0].Begun).Abs(); off > time.Minute {
				t.Errorf("the request's beginning is off by %v", off)
			}
			if now.Begun.After(now.Time) || (now.Mode == controller.Paused) != saved.Paused {
				t.Errorf("begun at %v, %s", now.Begun, now.Mode)
			}
		})
	}
}

// TestAnd checks that two errors are one line.
func TestAnd(t *testing.T) {
	one, other := errors.New("one"), errors.New("other")
	if and(nil, nil) != nil || and(one, nil) != one || and(nil, other) != other || and(one, other).Error() != "one; and other" || !errors.Is(and(one, other), other) {
		t.Error("errors are lost")
	}
}
