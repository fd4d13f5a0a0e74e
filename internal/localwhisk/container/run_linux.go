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
func (c *processContainer) Run(ctx context.Context, inv Invocation, timeout time.Duration) Outcome {
	if c.isStub {
		return outcomeOf([]byte(stubAnswer), len(stubAnswer))
	}
	var o Outcome
	deadline := time.Now().Add(timeout)
	p, err := c.current()
	if err != nil {
		return internal("The container cannot run: " + err.Error() + ".")
	}
	stop := context.AfterFunc(ctx, func() { p.kill() })
	defer stop()
	p.setDeadline(deadline)
	if c.loop {
		c.setIdle(false)
		o = c.runLoop(p, inv, timeout)
		c.setIdle(!o.Broken)
	} else {
		o = c.runOnce(p, inv, deadline, timeout)
	}
	if ctx.Err() != nil && o.Kind == DeveloperError {
		o = internal("The invocation was given up: " + ctx.Err().Error() + ".")
	}
	if o.Broken {
		c.warning = notAsExpected
	}
	return o
}

// runLoop invokes an action that speaks the action loop: it writes the request, one line, and waits for the answer, another line.
func (c *processContainer) runLoop(p *process, inv Invocation, timeout time.Duration) Outcome {
	var err error
	if c.request, err = appendRequest(c.request[:0], inv); err != nil {
		return internal(err.Error())
	}
	p.discardAnswers()
	_, err = p.stdin.Write(c.request)
	if cap(c.request) > 64<<10 {
		c.request = nil
	}
	var line []byte
	var size int
	if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || p.hasExited() {
		// An action that does not read its input may have answered all the same.
		line, size, err = p.readAnswer()
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
	return c.died(p.kill(), broken(commandExited))
}

// died returns the outcome of a run whose process is gone; otherwise is the outcome if the action exited by itself.
func (c *processContainer) died(e exit, otherwise Outcome) Outcome {
	switch {
	case e.outOfMemory:
		return lost(outOfMemory)
	case e.supervisorLost:
		return lost(exitedUnexpected)
	case e.closed:
		return internal("The platform ended.")
	case c.isRemoved():
		return internal("The container was removed.")
	}
	return otherwise
}

// runOnce invokes an action that has one process per invocation: it starts the action with the parameters as argument, and takes the last line
// that the action writes as the answer.
func (c *processContainer) runOnce(p *process, inv Invocation, deadline time.Time, timeout time.Duration) Outcome {
	value, err := oneLine(inv.Value)
	if err != nil {
		return internal(err.Error())
	}
	answer := &answerLine{logs: p.out.sink.(*lineSplitter)}
	p.out.mu.Lock()
	p.out.sink = answer
	p.out.mu.Unlock()
	perInvocation := map[string]string{
		"__OW_ACTION_NAME": inv.ActionName, "__OW_ACTION_VERSION": inv.ActionVersion, "__OW_ACTIVATION_ID": inv.ActivationID,
		"__OW_TRANSACTION_ID": inv.TransactionID, "__OW_NAMESPACE": inv.Namespace, "__OW_DEADLINE": fmt.Sprint(inv.Deadline.UnixMilli()),
	}
	if inv.APIKey != "" {
		perInvocation["__OW_API_KEY"] = inv.APIKey
	}
	env := maps.Clone(c.spec.Env)
	if env == nil {
		env = map[string]string{}
	}
	maps.Copy(env, perInvocation)
	if err := c.execute(p, environment(c.dir, "", env), "exec", string(value)); err != nil {
		p.kill()
		c.logs.add(Line{time.Now(), "stderr", err.Error()})
		return broken(noObject)
	}
	_ = p.stdin.Close()
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	timeoutPassed := false
	select {
	case <-p.exited:
	case <-timer.C:
		timeoutPassed = true
		p.kill()
	}
	// The process is gone and has closed its ends of the pipes: drain reads all that it has written.
	p.drain()
	c.mu.Lock()
	if c.process == p {
		c.process = nil
	}
	c.mu.Unlock()
	p.close()
	if timeoutPassed {
		answer.release()
		return timedOut(timeout, "")
	}
	if p.exit != (exit{}) || c.isRemoved() {
		answer.release()
		return c.died(p.exit, Outcome{})
	}
	meaning := outcomeOf
	if isSkeleton(&c.spec) {
		meaning = skeletonOutcome
	}
	o := meaning(answer.held, answer.size)
	if o.Broken {
		answer.release()
	}
	return o
}
