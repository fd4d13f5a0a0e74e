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
	"github.com/tppfaas/tppfaas/internal/localwhisk/sprayjson"
)

// invocation is an invocation of an action on its way through the engine, which has it as the parameters of an activation.
type invocation struct {
	action  *action
	value   json.RawMessage
	apiKey  string
	apiHost string
	request string // the id of the client's request

	outcome container.Outcome
	logs    []container.Line
	record  localwhisk.Activation
	run     *localwhisk.Run
	// parts counts what is there: the record and the logs. The activation can be read when both are.
	parts    atomic.Int32
	onEnded  func(*invocation) // called when the record is there
	onStored func(*invocation) // called when both are there
}

// partDone counts the logs or the record, and calls onStored when both are there.
func (i *invocation) partDone() {
	if i.parts.Add(1) == 2 {
		i.onStored(i)
	}
}

// collect sets the logs of the invocation. A container whose logs were truncated is not used again, as in OpenWhisk.
func (i *invocation) collect(logs []container.Line) {
	i.logs = logs
	if i.run != nil && slices.ContainsFunc(logs[max(len(logs)-2, 0):], isTruncation) {
		i.run.DiscardContainer()
	}
}

// isTruncation reports whether a line says that the logs were truncated.
func isTruncation(l container.Line) bool {
	return l.Stream == "stderr" && strings.HasPrefix(l.Text, "Logs were truncated because the total bytes size exceeds the limit of ")
}

// runtimeBackend is the Backend that runs the engine's containers in a container.Runtime.
type runtimeBackend struct {
	ctx     context.Context
	runtime container.Runtime
	delays  *localwhisk.StartDelays // nil: starts take as long as they take
	log     *slog.Logger
	wait    sync.WaitGroup
	working atomic.Int64 // number of goroutines

	mu         sync.Mutex
	containers map[int]*containerHandle // by the ids of the engine's containers
	closed     bool
}

// containerHandle is the running container of an engine's container. The engine asks for one thing at a time, but Remove may come at any time.
type containerHandle struct {
	mu        sync.Mutex
	container container.Container // nil until it is started
	removed   bool
}

func newRuntimeBackend(ctx context.Context, runtime container.Runtime, log *slog.Logger) *runtimeBackend {
	return &runtimeBackend{ctx: ctx, runtime: runtime, log: log, containers: map[int]*containerHandle{}}
}

// delay begins a delay of b.delays, and returns a function that waits until it, or the backend, has ended.
func (b *runtimeBackend) delay(begin func(d *localwhisk.StartDelays, done func())) (wait func()) {
	if b.delays == nil {
		return func() {}
	}
	passed := make(chan struct{})
	begin(b.delays, func() { close(passed) })
	return func() {
		select {
		case <-passed:
		case <-b.ctx.Done():
		}
	}
}

// invocationOf returns the invocation that the container is working for, nil if there is none.
func invocationOf(c *localwhisk.PoolContainer) *invocation {
	i, _ := c.Params().(*invocation)
	return i
}

// handle returns the handle for an engine's container, which it creates if there is none.
func (b *runtimeBackend) handle(c *localwhisk.PoolContainer) *containerHandle {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.containers[c.ID()] == nil {
		b.containers[c.ID()] = &containerHandle{}
	}
	return b.containers[c.ID()]
}

// do calls f in a goroutine that close waits for. After close it does nothing, and the engine, which may still ask for work, gets no answer.
func (b *runtimeBackend) do(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.working.Add(1)
	b.wait.Go(func() {
		defer b.working.Add(-1)
		f()
	})
}

// close waits for the goroutines.
func (b *runtimeBackend) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.wait.Wait()
}

// Create starts a container.
func (b *runtimeBackend) Create(c *localwhisk.PoolContainer, load int, ready func(error)) {
	handle, inv := b.handle(c), invocationOf(c)
	wait := b.delay(func(d *localwhisk.StartDelays, done func()) { d.Create(load, done) })
	b.do(func() {
		if inv != nil {
			a := inv.action
			if o := container.Provide(&container.Spec{Kind: a.exec.Kind, Image: a.exec.Image, Code: a.code}); o != nil {
				inv.outcome = *o
				inv.parts.Add(1)
				ready(fmt.Errorf("kind %s: %s", a.exec.Kind, o.Result))
				return
			}
		}
		started, err := b.runtime.Start(b.ctx, c.MemoryMB())
		wait()
		if err != nil {
			fail(inv, container.InternalError, "Failed to provision resources to run the action.")
			ready(err)
			return
		}
		handle.mu.Lock()
		handle.container = started
		removed := handle.removed
		handle.mu.Unlock()
		if removed {
			started.Remove()
			ready(errors.New("the container was removed"))
			return
		}
		b.log.Info("container started", "container", c.ID(), "memory_mb", c.MemoryMB())
		ready(nil)
	})
}

// fail sets the outcome of an invocation that did not run; it has no logs.
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

// Init initialises the container with the code of the action.
func (b *runtimeBackend) Init(c *localwhisk.PoolContainer, load int, done func(error)) {
	handle, inv := b.handle(c), invocationOf(c)
	id := c.ActivationID()
	wait := b.delay(func(d *localwhisk.StartDelays, done func()) { d.Init(load, done) })
	b.do(func() {
		a := inv.action
		outcome, err := handle.container.Init(b.ctx, a.spec(inv, id), a.limits.timeout())
		wait()
		switch {
		case err != nil:
			fail(inv, container.InternalError, "Failed to provision resources to run the action.")
		case outcome != nil:
			inv.outcome = *outcome
			inv.collect(handle.container.Logs(id))
			inv.parts.Add(1)
			err = fmt.Errorf("%s: %s", outcome.Kind, outcome.Result)
		}
		done(err)
	})
}

// Run runs the invocation.
func (b *runtimeBackend) Run(c *localwhisk.PoolContainer, run *localwhisk.Run) {
	handle, inv := b.handle(c), run.Params().(*invocation)
	inv.run = run
	id := run.ActivationID()
	b.do(func() {
		a := inv.action
		timeout := a.limits.timeout()
		inv.outcome = handle.container.Run(b.ctx, container.Invocation{
			Value: inv.value, ActionName: a.fullName, ActionVersion: a.version, ActivationID: id, TransactionID: inv.request,
			Namespace: a.namespace, APIKey: inv.apiKey, Deadline: time.Now().Add(timeout),
		}, timeout)
		inv.outcome.Result = sprayjson.Compact(inv.outcome.Result)
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

// CollectLogs collects what the activation has written.
func (b *runtimeBackend) CollectLogs(c *localwhisk.PoolContainer, activationID string, _ int, done func()) {
	handle, inv := b.handle(c), invocationOf(c)
	b.do(func() {
		inv.collect(handle.container.Logs(activationID))
		inv.partDone()
		done()
	})
}

// Pause stops the processes.
func (b *runtimeBackend) Pause(c *localwhisk.PoolContainer) {
	// Not in a goroutine: Unpause may follow at once, and a signal takes microseconds. After a failure Unpause or Run fails too.
	_ = b.handle(c).container.Pause()
}

// Unpause continues the processes.
func (b *runtimeBackend) Unpause(c *localwhisk.PoolContainer, done func(error)) {
	handle, inv := b.handle(c), invocationOf(c)
	b.do(func() {
		err := handle.container.Unpause()
		if err != nil {
			fail(inv, container.InternalError, "Failed to provision resources to run the action.")
		}
		done(err)
	})
}

// Remove kills the processes.
func (b *runtimeBackend) Remove(c *localwhisk.PoolContainer) {
	handle := b.handle(c)
	b.mu.Lock()
	delete(b.containers, c.ID())
	b.mu.Unlock()
	if b.delays != nil {
		b.delays.Remove()
	}
	b.do(func() {
		handle.mu.Lock()
		handle.removed = true
		started := handle.container
		handle.mu.Unlock()
		if started != nil {
			started.Remove()
		}
	})
}
