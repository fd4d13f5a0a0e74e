package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		if built != "" {
			os.RemoveAll(built)
		}
		os.Exit(status)
	}))
}

// inProcess is a Runtime whose containers do not start processes, for tests and benchmarks of the other parts.
type inProcess struct {
	mu      sync.Mutex
	started int
	living  int
	closed  bool
}

func (r *inProcess) Start(context.Context, int) (container.Container, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started++
	r.living++
	return &inProcessContainer{runtime: r, gone: make(chan struct{})}, nil
}

func (r *inProcess) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return nil
}

type inProcessContainer struct {
	runtime *inProcess
	gone    chan struct{}
	once    sync.Once

	mu   sync.Mutex
	n    int
	logs map[string][]container.Line
}

func failure(kind container.OutcomeKind, text string, size int) container.Outcome {
	return container.Outcome{Kind: kind, Result: errorResult(text), Size: size, HasBody: size > 0, Broken: kind == container.DeveloperError}
}

func (c *inProcessContainer) Init(_ context.Context, spec container.Spec, _ time.Duration) (*container.Outcome, error) {
	c.logs = map[string][]container.Line{}
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
	if answer := params["answer"]; answer != nil {
		var fields map[string]json.RawMessage
		if json.Unmarshal(answer, &fields) == nil && fields["error"] != nil {
			return container.Outcome{Kind: container.ApplicationError, Result: answer, Size: len(answer), HasBody: true}
		}
		return container.Outcome{Result: answer, Size: len(answer), HasBody: true}
	}
	var mode string
	json.Unmarshal(params["mode"], &mode)
	switch mode {
	case "error":
		return failure(container.ApplicationError, "this is an application error", 41)
	case "array":
		return container.Outcome{Result: json.RawMessage(`[1,2,3]`), Size: 8, HasBody: true}
	case "crash":
		return failure(container.DeveloperError, "command exited", 27)
	}
	name := "stranger"
	json.Unmarshal(params["name"], &name)
	result, _ := marshal(map[string]any{"greeting": fmt.Sprintf("Hello, %s!", name), "n": c.n, "params": params})
	c.mu.Lock()
	c.logs[inv.ActivationID] = []container.Line{{Time: time.Now(), Stream: "stdout", Text: "Hello log " + name}}
	c.mu.Unlock()
	return container.Outcome{Result: result, Size: len(result) + 1, HasBody: true}
}

func (c *inProcessContainer) Logs(id string) []container.Line {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := c.logs[id]
	delete(c.logs, id)
	return lines
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
