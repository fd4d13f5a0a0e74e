package action

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/apps"
)

// Bounds of a warm-up.
const (
	defaultLinger  = 50 * time.Millisecond // if the payload does not say how long it lingers
	maxLinger      = time.Second
	connectTimeout = 500 * time.Millisecond // of the first connections
)

// warmup is the payload of an invocation that only makes a container: {"prewarm": {"linger_ms": 50}}, or {"source":
// "serverless-plugin-warmup"}, which others send. It has the parameters of the function too.
type warmup struct {
	Prewarm     json.RawMessage `json:"prewarm"`
	Source      json.RawMessage `json:"source"`
	Application string          `json:"application"`
	Function    string          `json:"function"`
	APIHost     string          `json:"apihost"`
	Auth        string          `json:"auth"`
	Collector   string          `json:"collector"`
	Insecure    flag            `json:"insecure"`
}

// warmedUp is the answer to a warm-up.
type warmedUp struct {
	Prewarmed bool `json:"prewarmed"`
	// Cold reports whether it is what the container was started for; nil if that is not known.
	Cold *bool `json:"cold,omitempty"`
	// Instance is that of the spans.
	Instance string `json:"instance,omitempty"`
}

// source is what the plugin of the Serverless Framework sends, and others who follow it.
const source = "serverless-plugin-warmup"

// newWarmup returns the warm-up that a payload asks for, and how long it lingers: so long that others which begin at the same time find the
// container busy. It is nil if the payload is of an invocation like any other.
func newWarmup(value json.RawMessage) (*warmup, time.Duration) {
	if !bytes.Contains(value, []byte(`"prewarm"`)) && !bytes.Contains(value, []byte(source)) {
		return nil, 0 // as almost always
	}
	w := &warmup{}
	// A parameter of another type is none of a warm-up's business.
	_ = json.Unmarshal(value, w)
	var by string
	_ = json.Unmarshal(w.Source, &by)
	switch string(w.Prewarm) {
	case "", "null", "false":
		if by == source {
			return w, defaultLinger
		}
		return nil, 0
	}
	var how struct {
		LingerMS *float64 `json:"linger_ms"`
	}
	if json.Unmarshal(w.Prewarm, &how) != nil || how.LingerMS == nil {
		return w, defaultLinger
	}
	return w, toDuration(min(max(*how.LingerMS, 0), inMilliseconds(maxLinger)))
}

// warmUp answers a warm-up: it makes the connections that the first run will need, and lingers. Nothing else comes of it, and it does not fail:
// the container is there.
func (r *Runner) warmUp(ctx context.Context, w *warmup, linger time.Duration, request Request) warmedUp {
	cold := r.isCold()
	connecting, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var connections sync.WaitGroup
	connect := func(what string, connect func(context.Context) error) {
		connections.Go(func() {
			if err := connect(connecting); err != nil {
				r.logf("warming up, %s: %v", what, err)
			}
		})
	}
	t := &task{parameters: parameters{
		Application: w.Application, Function: w.Function, APIHost: w.APIHost, Auth: w.Auth, Collector: w.Collector, Insecure: w.Insecure,
	}, app: &apps.Application{Name: w.Application}}
	if cold == nil || *cold {
		if err := r.invoker.ready(t, request, r.APIHost); err != nil {
			r.logf("warming up: %v", err)
		} else {
			connect("invoking", r.invoker.first)
		}
		r.tracer.logf = r.logf
		if t.Collector != "" && r.tracer.ready(t) {
			connect("exporting", r.tracer.first)
		}
	}
	_ = wait(ctx, linger) // until its time limit
	connections.Wait()
	r.logf("warmed up")
	answer := warmedUp{Prewarmed: true, Cold: cold}
	if !r.single {
		answer.Instance = r.instanceID()
	}
	return answer
}

// instanceID returns a random name for this process.
func (r *Runner) instanceID() string {
	if r.instance == "" {
		var random [8]byte
		_, _ = rand.Read(random[:]) // never fails
		r.instance = hex.EncodeToString(random[:])
	}
	return r.instance
}
