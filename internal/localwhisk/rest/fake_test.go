package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
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
	faster time.Duration // by how much actions sleep less; 0: nothing

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
	case spec.Env["INIT_FAIL"] != "":
		c.log(spec.Env["__OW_ACTIVATION_ID"], "stdout", "failing init on purpose")
		c.log(spec.Env["__OW_ACTIVATION_ID"], "stderr", "Command exited abruptly during initialization.")
		fallthrough
	case !spec.Binary && spec.Kind != "blackbox", len(spec.Code) > 5 && spec.Code[5] == 1: // no exec.env
		o := failure(container.DeveloperError, "Cannot start action. Check logs for details.", 57)
		return &o, nil
	}
	return nil, nil
}

func (c *inProcessContainer) log(id, stream, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.logs[id] = append(c.logs[id], container.Line{Time: time.Now(), Stream: stream, Text: text})
}

func (c *inProcessContainer) Run(ctx context.Context, inv container.Invocation, timeout time.Duration) container.Outcome {
	c.n++
	var params map[string]json.RawMessage
	if err := json.Unmarshal(inv.Value, &params); err != nil {
		return failure(container.InternalError, err.Error(), 0)
	}
	number := func(name string) (n int) {
		json.Unmarshal(params[name], &n)
		return n
	}
	if sleep := time.Duration(number("sleep")) * time.Millisecond; sleep > 0 {
		wait := time.NewTimer(min(sleep, timeout) / max(c.runtime.faster, 1))
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done():
			return failure(container.InternalError, "The platform ended.", 0)
		case <-c.gone:
			return failure(container.InternalError, "The container is gone.", 0)
		}
		if sleep >= timeout {
			o := failure(container.DeveloperError, fmt.Sprintf("The action exceeded its time limits of %d milliseconds.", timeout.Milliseconds()), 0)
			o.TimedOut = true
			return o
		}
	}
	for i := range number("logs") {
		c.log(inv.ActivationID, "stdout", fmt.Sprintf("stdout line %d", i))
		c.log(inv.ActivationID, "stderr", fmt.Sprintf("stderr line %d", i))
	}
	for range number("logbytes") / 1000 {
		c.log(inv.ActivationID, "stdout", strings.Repeat("x", 999))
	}
	success := func(v any) container.Outcome {
		result, _ := marshal(v)
		size := len(result) + 1
		if most := 1 << 20; size > most {
			return failure(container.ApplicationError, fmt.Sprintf(
				"The action produced a response that exceeded the allowed length: %d > %d bytes. The truncated response was: %s", size, most, result[:most]), size)
		}
		return container.Outcome{Result: result, Size: size, HasBody: true}
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
		c.log(inv.ActivationID, "stdout", "about to crash")
		c.log(inv.ActivationID, "stderr", "panic: boom")
		return failure(container.DeveloperError, "command exited", 27)
	case "big":
		return success(map[string]string{"data": strings.Repeat("a", number("size"))})
	case "env":
		env := map[string]string{"__OW_EXECUTION_ENV": "openwhisk/action-golang-v1.20", "__OW_PROXY_VERSION": "1.17.1", "__OW_WAIT_FOR_ACK": "1"}
		for k, v := range c.spec.Env {
			env[k] = v
		}
		return success(map[string]any{"env": env, "n": c.n, "input": map[string]any{
			"action_name": inv.ActionName, "action_version": inv.ActionVersion, "activation_id": inv.ActivationID,
			"deadline": fmt.Sprint(inv.Deadline.UnixMilli()), "namespace": inv.Namespace, "transaction_id": inv.TransactionID, "value": inv.Value,
		}})
	}
	name := "stranger"
	json.Unmarshal(params["name"], &name)
	c.log(inv.ActivationID, "stdout", "Hello log "+name)
	return success(map[string]any{"greeting": fmt.Sprintf("Hello, %s!", name), "n": c.n, "params": params})
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
