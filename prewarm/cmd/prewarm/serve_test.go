package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/prewarm/actuator"
)

// TestServeMistakes checks that each mistake is one clear line, and the status.
func TestServeMistakes(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("OW_AUTH", "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:"+strings.Repeat("x", 64))
	short := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(short, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const model = "../../../models/high_checkout_det.race.safetensors"
	for _, c := range []struct {
		args   string
		status int
		want   []string
	}{
		{"serve -learn extra", 2, []string{`"extra"`, "-model"}},
		{"serve -actuator foo -learn", 2, []string{`"foo"`, "openwhisk", "keda"}},
		{"serve -learn -act", 2, []string{"-act", "-actuator"}},
		{"serve -learn -apihost http://127.0.0.1:3233", 2, []string{"-apihost", "openwhisk"}},
		{"serve -learn -actuator keda -renew", 2, []string{"-renew", "dry or openwhisk"}},
		{"serve -kafka a:1 -share -actuator keda -renew -model " + model, 2, []string{"-renew", "dry or openwhisk"}},
		{"serve -learn -policy newsvendor:2560:start=1e10", 1, []string{"start", "1e10", "1e9"}},
		{"serve -learn -policy newsvendor:2560:start=1:start=2", 1, []string{"start", "twice"}},
		{"serve -learn -keda 127.0.0.1:1", 2, []string{"-keda", "-actuator keda"}},
		{"serve -learn -actuator keda -keda 0.0.0.0:1", 2, []string{"0.0.0.0:1", "-cert"}},
		{"serve -learn -actuator openfaas -gateway-password-file /nowhere", 2, []string{"-gateway-password-file", "/nowhere"}},
		{"serve -learn -most-warm 0", 2, []string{"-most-warm"}},
		{"serve -learn -in-flight -1", 2, []string{"-in-flight"}},
		{"serve -learn -idle-timeout 0s", 2, []string{"-idle-timeout"}},
		{"serve -learn -kafka kafka", 2, []string{"-kafka", `"kafka"`, "host:port"}},
		{"serve -learn -kafka a:1 -kafka-user u", 2, []string{"-kafka", "password"}},
		{"serve -learn -kafka a:1 -kafka-mechanism MD5", 2, []string{"MD5", "SCRAM-SHA-512"}},
		{"serve -learn -kafka-topic t", 2, []string{"-kafka-topic", "-kafka"}},
		{"serve -learn -log xml", 2, []string{"-log", `"xml"`}},
		{"serve -learn -listen 0.0.0.0:80", 2, []string{"0.0.0.0:80", "certificate", "token"}},
		{"serve -learn -grpc nowhere", 2, []string{`"nowhere"`}},
		{"serve -learn -token-file " + short, 2, []string{short}},
		{"serve", 1, []string{"-model FILE", "-learn"}},
		{"serve -model /nowhere", 1, []string{"/nowhere"}},
		{"serve -policy none -model " + model, 1, []string{"none uses no model"}},
		{"serve -policy kpa -act -actuator openwhisk", 1, []string{"kpa", "replicas", "openwhisk"}},
		{"pause now", 2, []string{`"now"`}},
		{"pause -url here", 1, []string{`"here"`}},
		{"resume -url http://127.0.0.1:1", 1, []string{"127.0.0.1:1"}},
		{"pause -timeout 0s", 2, []string{"-timeout"}},
	} {
		var stdout, stderr bytes.Buffer
		status := program.Run(t.Context(), strings.Fields(c.args), &stdout, &stderr)
		if status != c.status || strings.Count(stderr.String(), "\n") != 1 || stdout.Len() > 0 {
			t.Errorf("%s: status %d, want %d; printed %q and %q", c.args, status, c.status, stdout.String(), stderr.String())
		}
		for _, want := range c.want {
			if !strings.Contains(stderr.String(), want) {
				t.Errorf("%s: %q lacks %q", c.args, stderr.String(), want)
			}
		}
	}
}

// output is an output that can be read while it is written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *output) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *output) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestServeAndPause runs a controller that looks on, pauses and resumes it, and ends it, by the command.
func TestServeAndPause(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, errs output
	ended := make(chan int, 1)
	state := filepath.Join(t.TempDir(), "state")
	go func() {
		ended <- program.Run(ctx, []string{"serve", "-learn", "-listen", "127.0.0.1:0", "-grpc", "off", "-state", state, "-log", "json"}, &out, &errs)
	}()
	page := regexp.MustCompile(`"page":"(http://[^"]+)"`)
	deadline := time.Now().Add(time.Minute)
	for !page.MatchString(errs.String()) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not say where it serves: %s", errs.String())
		}
		<-time.After(5 * time.Millisecond)
	}
	url := page.FindStringSubmatch(errs.String())[1]
	defer http.DefaultClient.CloseIdleConnections()
	for _, c := range []struct{ command, want string }{{"pause", "paused\n"}, {"pause", "paused\n"}, {"resume", "dry run\n"}} {
		var stdout, stderr bytes.Buffer
		if status := program.Run(ctx, []string{c.command, "-url", url}, &stdout, &stderr); status != 0 || stdout.String() != c.want {
			t.Errorf("%s: status %d, %q, %q", c.command, status, stdout.String(), stderr.String())
		}
	}
	cancel()
	if status := <-ended; status != 0 || out.String() != "" {
		t.Errorf("status %d, printed %q", status, out.String())
	}
	if _, err := os.Stat(filepath.Join(state, "state.journal")); err != nil {
		t.Error(err)
	}
}

// TestServeChecksThePlatform checks that who is to act hears at once that the platform refuses the key or is not there, and nothing otherwise; and that
// nothing is asked by a controller that only looks on.
func TestServeChecksThePlatform(t *testing.T) {
	asked := make(chan struct{}, 1)
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if _, key, _ := r.BasicAuth(); key != "right" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error": "The supplied authentication is invalid", "code": "x"}`)
			return
		}
		_, _ = io.WriteString(w, "[]")
		asked <- struct{}{}
	}))
	defer platform.Close()
	for _, c := range []struct{ address, key, warns string }{
		{platform.URL, "user:wrong", "does not accept the key (401)"},
		{"http://127.0.0.1:1", "user:right", "OpenWhisk at http://127.0.0.1:1 cannot be reached"},
		{platform.URL, "user:right", ""},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var errs output
		ended := make(chan int, 1)
		go func() {
			ended <- program.Run(ctx, []string{"serve", "-learn", "-listen", "127.0.0.1:0", "-grpc", "off", "-act", "-actuator", "openwhisk", "-apihost", c.address, "-auth", c.key}, io.Discard, &errs)
		}()
		if c.warns == "" {
			<-asked
		} else {
			for deadline := time.Now().Add(time.Minute); !strings.Contains(errs.String(), c.warns) && time.Now().Before(deadline); {
				<-time.After(5 * time.Millisecond)
			}
		}
		cancel()
		if status := <-ended; status != 0 || strings.Contains(errs.String(), "nothing can be warmed as things are") != (c.warns != "") || !strings.Contains(errs.String(), c.warns) {
			t.Errorf("%+v: status %d, %s", c, status, errs.String())
		}
	}
	var o serveOptions
	o.serve.Actuator = uncheckable{actuator.DryRun{}, t}
	o.checkActuator(t.Context())()
}

// uncheckable is an actuator of which nobody may ask anything.
type uncheckable struct {
	actuator.DryRun
	t *testing.T
}

func (u uncheckable) Check(context.Context) error {
	u.t.Error("it was asked")
	return nil
}
