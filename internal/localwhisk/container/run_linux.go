package container

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"time"
)

// Run invokes the action.
func (g *group) Run(ctx context.Context, inv Invocation, timeout time.Duration) Outcome {
	var o Outcome
	deadline := time.Now().Add(timeout)
	p, err := g.current()
	if err != nil {
		return internal("The container cannot run: " + err.Error() + ".")
	}
	stop := context.AfterFunc(ctx, func() { p.kill() })
	defer stop()
	p.deadline(deadline)
	if g.loop {
		g.setIdle(false)
		o = g.runLoop(p, inv, timeout)
		g.setIdle(!o.Broken)
	} else {
		o = g.runOnce(p, inv, deadline, timeout)
	}
	if ctx.Err() != nil && o.Kind == DeveloperError {
		o = internal("The invocation was given up: " + ctx.Err().Error() + ".")
	}
	if o.Broken {
		g.warning = notAsExpected
	}
	return o
}

// runLoop hands a line to the action and waits for one.
func (g *group) runLoop(p *process, inv Invocation, timeout time.Duration) Outcome {
	var err error
	if g.request, err = appendRequest(g.request[:0], inv); err != nil {
		return internal(err.Error())
	}
	p.discardAnswers()
	_, err = p.stdin.Write(g.request)
	if cap(g.request) > 64<<10 {
		g.request = nil
	}
	var line []byte
	var size int
	if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || p.hasExited() {
		// Even one that does not read may have answered.
		line, size, err = p.answer()
	}
	if err == nil {
		o := outcomeOf(line, size)
		if o.Broken {
			p.kill()
		}
		return o
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && !p.hasExited() {
		p.kill()
		return timedOut(timeout, "")
	}
	return g.died(p.kill(), broken(commandExited))
}

// died is the outcome of a run whose process has gone.
func (g *group) died(e exit, otherwise Outcome) Outcome {
	switch {
	case e.exhausted:
		return lost(outOfMemory)
	case e.lost:
		return lost(exitedUnexpected)
	case e.closed:
		return internal("The platform ended.")
	case g.isRemoved():
		return internal("The container was removed.")
	}
	return otherwise
}

// runOnce starts the action with the parameters as argument; the last line that it writes is the answer.
func (g *group) runOnce(p *process, inv Invocation, deadline time.Time, timeout time.Duration) Outcome {
	value, err := oneLine(inv.Value)
	if err != nil {
		return internal(err.Error())
	}
	last := &lastLine{logs: p.out.sink.(*splitter)}
	p.out.mu.Lock()
	p.out.sink = last
	p.out.mu.Unlock()
	of := map[string]string{
		"__OW_ACTION_NAME": inv.ActionName, "__OW_ACTION_VERSION": inv.ActionVersion, "__OW_ACTIVATION_ID": inv.ActivationID,
		"__OW_TRANSACTION_ID": inv.TransactionID, "__OW_NAMESPACE": inv.Namespace, "__OW_DEADLINE": fmt.Sprint(inv.Deadline.UnixMilli()),
	}
	if inv.APIKey != "" {
		of["__OW_API_KEY"] = inv.APIKey
	}
	env := maps.Clone(g.spec.Env)
	if env == nil {
		env = map[string]string{}
	}
	maps.Copy(env, of)
	if err := g.execute(p, environment(g.dir, "", env), "exec", string(value)); err != nil {
		p.kill()
		g.book.add(Line{time.Now(), "stderr", err.Error()})
		return broken(noObject)
	}
	_ = p.stdin.Close()
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	late := false
	select {
	case <-p.exited:
	case <-timer.C:
		late = true
		p.kill()
	}
	// The process is gone, and so are its ends of the pipes: this reads all that it wrote.
	p.drain()
	g.mu.Lock()
	if g.process == p {
		g.process = nil
	}
	g.mu.Unlock()
	p.close()
	if late {
		last.release()
		return timedOut(timeout, "")
	}
	if p.exit != (exit{}) || g.isRemoved() {
		last.release()
		return g.died(p.exit, Outcome{})
	}
	o := outcomeOf(last.held, last.size)
	if o.Broken {
		last.release()
	}
	return o
}
