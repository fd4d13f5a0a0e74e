package testenv

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/apps/action"
	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
)

// runtime implements container.Runtime; its containers run the action in this process.
type runtime struct {
	mu         sync.Mutex
	containers []*actionContainer
}

func (r *runtime) Start(context.Context, int) (container.Container, error) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &actionContainer{gone: ctx, remove: cancel}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.containers = append(r.containers, c)
	return c, nil
}

func (r *runtime) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.containers {
		c.Remove()
	}
	return nil
}

// actionContainer is a container with the action.
type actionContainer struct {
	gone   context.Context // done when the container is removed
	remove context.CancelFunc
	once   sync.Once
	mu     sync.Mutex // held during an invocation: a runner serves one at a time
	runner action.Runner
}

func (c *actionContainer) Init(context.Context, container.Spec, time.Duration) (*container.Outcome, error) {
	return nil, nil
}

func (c *actionContainer) Run(ctx context.Context, i container.Invocation, timeout time.Duration) container.Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer context.AfterFunc(c.gone, cancel)()
	text := c.runner.Run(ctx, action.Request{Value: i.Value, ActivationID: i.ActivationID, ActionName: i.ActionName, APIKey: i.APIKey})
	outcome := container.Outcome{Result: text, Size: len(text), HasBody: true}
	var failed struct {
		Error any `json:"error"`
	}
	if json.Unmarshal(text, &failed) == nil && failed.Error != nil {
		outcome.Kind = container.ApplicationError
	}
	return outcome
}

func (c *actionContainer) Logs(string) []container.Line { return nil }
func (c *actionContainer) Pause() error                 { return nil }
func (c *actionContainer) Unpause() error               { return nil }

func (c *actionContainer) Remove() {
	c.once.Do(func() {
		c.remove()
		c.mu.Lock()
		defer c.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = c.runner.Close(ctx)
	})
}
