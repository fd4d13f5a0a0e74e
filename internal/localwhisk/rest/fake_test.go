package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inProcess is a Runtime whose containers are values of this process. They answer like the recorded actions, as far as the API
// can tell.
type inProcess struct {
	mu      sync.Mutex
	started int
	living  int
}

func (r *inProcess) Start(context.Context, int) (Container, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started++
	r.living++
	return &inProcessContainer{runtime: r, gone: make(chan struct{})}, nil
}

func (r *inProcess) Close() error { return nil }

type inProcessContainer struct {
	runtime *inProcess
	gone    chan struct{}
	once    sync.Once

	mu   sync.Mutex
	spec container.Spec
	n    int
	logs map[string][]container.Line
}

func failure(kind container.OutcomeKind, text string, size int) container.Outcome {
	return container.Outcome{Kind: kind, Result: errorResult(text), Size: size, HasBody: size > 0, Broken: kind == container.DeveloperError}
}

func (c *inProcessContainer) Init(_ context.Context, spec container.Spec, timeout time.Duration) (*container.Outcome, error) {
	c.spec, c.logs = spec, map[string][]container.Line{}
	switch {
	case spec.Env["INIT_SLEEP"] != "":
		o := failure(container.DeveloperError, fmt.Sprintf("The action exceeded its time limits of %d milliseconds during initialization.", timeout.Milliseconds()), 0)
		o.TimedOut = true
		return &o, nil
	case spec.Env["INIT_FAIL"] != "" || !spec.Binary:
		o := failure(container.DeveloperError, "Cannot start action. Check logs for details.", 57)
		return &o, nil
	}
	return nil, nil
}

func (c *inProcessContainer) Run(ctx context.Context, inv container.Invocation, timeout time.Duration) container.Outcome {
	c.n++
	var params map[string]json.RawMessage
	if err := json.Unmarshal(inv.Value, &params); err != nil {
		return failure(container.InternalError, err.Error(), 0)
	}
	var sleep int
	json.Unmarshal(params["sleep"], &sleep)
	if sleep > 0 {
		wait := time.NewTimer(min(time.Duration(sleep)*time.Millisecond, timeout))
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done():
			return failure(container.InternalError, "The platform ended.", 0)
		case <-c.gone:
			return failure(container.InternalError, "The container is gone.", 0)
		}
		if time.Duration(sleep)*time.Millisecond >= timeout {
			o := failure(container.DeveloperError, fmt.Sprintf("The action exceeded its time limits of %d milliseconds.", timeout.Milliseconds()), 0)
			o.TimedOut = true
			return o
		}
	}
	var mode string
	json.Unmarshal(params["mode"], &mode)
	switch mode {
	case "error":
		return failure(container.ApplicationError, "this is an application error", 41)
	case "errorobj":
		return container.Outcome{Kind: container.ApplicationError, Result: json.RawMessage(`{"error":{"code":42,"msg":"obj"}}`), Size: 44, HasBody: true}
	case "string", "notjson":
		return failure(container.DeveloperError, "The action did not return a dictionary or array.", 61)
	case "array":
		return container.Outcome{Result: json.RawMessage(`[1,2,3]`), Size: 7, HasBody: true}
	case "crash":
		return failure(container.DeveloperError, "command exited", 27)
	}
	name := "stranger"
	json.Unmarshal(params["name"], &name)
	text := fmt.Sprintf("Hello, %s!", name)
	result, _ := json.Marshal(map[string]any{"greeting": text, "n": c.n, "params": params})
	c.mu.Lock()
	c.logs = map[string][]container.Line{inv.ActivationID: {{Time: time.Now(), Stream: "stdout", Text: "Hello log " + name}}}
	c.mu.Unlock()
	return container.Outcome{Result: result, Size: len(result), HasBody: true}
}

func (c *inProcessContainer) Logs(id string) []container.Line {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.logs[id]
}

func (c *inProcessContainer) Pause() error   { return nil }
func (c *inProcessContainer) Unpause() error { return nil }

func (c *inProcessContainer) Remove() {
	c.once.Do(func() {
		close(c.gone)
		c.runtime.mu.Lock()
		c.runtime.living--
		c.runtime.mu.Unlock()
	})
}
