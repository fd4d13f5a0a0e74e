package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
)

// invocation is what the engine carries for one activation of an action.
type invocation struct {
	action  *action
	value   json.RawMessage
	apiKey  string
	apiHost string
	request string // the id of the request, or that of the one that led to it

	outcome container.Outcome
	logs    []container.Line
	record  localwhisk.Activation
	run     *localwhisk.Run
	parts   atomic.Int32 // of outcome and logs, how many are in
	ended   func(*invocation)
	stored  func(*invocation)
}

// in notes that the logs or the record are in; when both are, the activation is stored.
func (i *invocation) in() {
	if i.parts.Add(1) == 2 {
		i.stored(i)
	}
}

// collect takes the logs of the invocation. A container whose logs were too long is not used again, as in OpenWhisk.
func (i *invocation) collect(logs []container.Line) {
	i.logs = logs
	if i.run != nil && slices.ContainsFunc(logs[max(len(logs)-2, 0):], isTruncation) {
		i.run.DiscardContainer()
	}
}

func isTruncation(l container.Line) bool {
	return l.Stream == "stderr" && strings.HasPrefix(l.Text, "Logs were truncated because the total bytes size exceeds the limit of ")
}

// processes is the engine's Backend of real containers.
type processes struct {
	ctx     context.Context
	runtime container.Runtime
	log     *slog.Logger
	wait    sync.WaitGroup
	working atomic.Int64 // how many things are being done

	mu         sync.Mutex
	containers map[int]*process
	closed     bool
}

// process is a container; one thing at a time is done in it, but Remove may come at any time.
type process struct {
	mu        sync.Mutex
	container container.Container
	removed   bool
}

func newProcesses(ctx context.Context, runtime container.Runtime, log *slog.Logger) *processes {
	return &processes{ctx: ctx, runtime: runtime, log: log, containers: map[int]*process{}}
}

// invocationOf returns what the container works for.
func invocationOf(c *localwhisk.PoolContainer) *invocation {
	i, _ := c.Params().(*invocation)
	return i
}

func (p *processes) process(c *localwhisk.PoolContainer) *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.containers[c.ID()] == nil {
		p.containers[c.ID()] = &process{}
	}
	return p.containers[c.ID()]
}

// do does work of a container in a goroutine that close waits for. After that it does nothing: the engine, which may still be
// about to give work, gets no answer.
func (p *processes) do(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.working.Add(1)
	p.wait.Go(func() {
		defer p.working.Add(-1)
		f()
	})
}

// close waits for what is being done.
func (p *processes) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.wait.Wait()
}

// Create starts the process group.
func (p *processes) Create(c *localwhisk.PoolContainer, _ int, ready func(error)) {
	process, inv := p.process(c), invocationOf(c)
	p.do(func() {
		if inv != nil {
			a := inv.action
			if o := container.Provide(&container.Spec{Kind: a.exec.Kind, Image: a.exec.Image, Code: a.code}); o != nil {
				inv.outcome = *o
				inv.parts.Add(1)
				ready(fmt.Errorf("kind %s: %s", a.exec.Kind, o.Result))
				return
			}
		}
		started, err := p.runtime.Start(p.ctx, c.MemoryMB())
		if err != nil {
			fail(inv, container.InternalError, "Failed to provision resources to run the action.")
			ready(err)
			return
		}
		process.mu.Lock()
		process.container = started
		removed := process.removed
		process.mu.Unlock()
		if removed {
			started.Remove()
			ready(errors.New("the container was removed"))
			return
		}
		p.log.Info("container started", "container", c.ID(), "memory_mb", c.MemoryMB())
		ready(nil)
	})
}

// fail sets the outcome of an invocation that never ran; it has no logs.
func fail(inv *invocation, kind container.OutcomeKind, text string) {
	if inv == nil {
		return
	}
	inv.outcome = container.Outcome{Kind: kind, Result: errorResult(text)}
	inv.parts.Add(1)
}

func errorResult(text string) json.RawMessage {
	b, _ := marshal(map[string]string{"error": text})
	return b
}

// Init calls /init with the code of the action.
func (p *processes) Init(c *localwhisk.PoolContainer, _ int, done func(error)) {
	process, inv := p.process(c), invocationOf(c)
	id := c.ActivationID()
	p.do(func() {
		a := inv.action
		outcome, err := process.container.Init(p.ctx, a.spec(inv, id), a.limits.timeout())
		switch {
		case err != nil:
			fail(inv, container.InternalError, "Failed to provision resources to run the action.")
		case outcome != nil:
			inv.outcome = *outcome
			inv.collect(process.container.Logs(id))
			inv.parts.Add(1)
			err = fmt.Errorf("%s: %s", outcome.Kind, outcome.Result)
		}
		done(err)
	})
}

// Run calls /run.
func (p *processes) Run(c *localwhisk.PoolContainer, run *localwhisk.Run) {
	process, inv := p.process(c), run.Params().(*invocation)
	inv.run = run
	id := run.ActivationID()
	p.do(func() {
		a := inv.action
		timeout := a.limits.timeout()
		inv.outcome = process.container.Run(p.ctx, container.Invocation{
			Value: inv.value, ActionName: a.fullName, ActionVersion: a.version, ActivationID: id, TransactionID: inv.request,
			Namespace: a.namespace, APIKey: inv.apiKey, Deadline: time.Now().Add(timeout),
		}, timeout)
		if inv.outcome.Broken {
			run.DiscardContainer()
		}
		if inv.outcome.Kind == container.Success {
			run.Finish()
			return
		}
		run.Fail(errors.New(inv.outcome.Kind.String()))
	})
}

// CollectLogs fetches what the activation wrote.
func (p *processes) CollectLogs(c *localwhisk.PoolContainer, activationID string, _ int, done func()) {
	process, inv := p.process(c), invocationOf(c)
	p.do(func() {
		inv.collect(process.container.Logs(activationID))
		inv.in()
		done()
	})
}

// Pause stops the processes.
func (p *processes) Pause(c *localwhisk.PoolContainer) {
	// At once: the engine may ask for the opposite next, and a signal takes microseconds. A failure shows in Unpause or Run.
	_ = p.process(c).container.Pause()
}

// Unpause lets them go on.
func (p *processes) Unpause(c *localwhisk.PoolContainer, done func(error)) {
	process, inv := p.process(c), invocationOf(c)
	p.do(func() {
		err := process.container.Unpause()
		if err != nil {
			fail(inv, container.InternalError, "Failed to provision resources to run the action.")
		}
		done(err)
	})
}

// Remove kills the process group.
func (p *processes) Remove(c *localwhisk.PoolContainer) {
	process := p.process(c)
	p.mu.Lock()
	delete(p.containers, c.ID())
	p.mu.Unlock()
	p.do(func() {
		process.mu.Lock()
		process.removed = true
		started := process.container
		process.mu.Unlock()
		if started != nil {
			started.Remove()
		}
	})
}
