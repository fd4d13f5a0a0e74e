package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// group is a container: a process group that runs one version of one action.
type group struct {
	runtime  *Processes
	memoryMB int
	dir      string // its own, where it works
	book     book

	spec    Spec
	env     []string
	loop    bool // the action loop is spoken; else each invocation has a process of its own
	request []byte
	warning string // the last line of the logs

	mu      sync.Mutex
	process *process // nil: none, until the next invocation
	code    *code    // nil: none yet
	removed bool
	done    chan struct{} // closed when a removed one is gone
}

var errRemoved = errors.New("the container was removed")

// Init unpacks the code and, where the action loop is spoken, starts the action.
func (g *group) Init(ctx context.Context, spec Spec, timeout time.Duration) (*Outcome, error) {
	deadline := time.Now().Add(timeout)
	g.spec = spec
	g.book.setLimit(spec.LogMB << 20)
	if o := Provide(&spec); o != nil {
		return o, nil
	}
	name := loopRuntime(&spec)
	g.loop = name != ""
	if !spec.Binary || len(spec.Code) == 0 {
		return g.refuse(fmt.Sprintf("Source code of kind %s cannot be compiled here: deploy a zip with a compiled exec.", spec.Kind)), nil
	}
	code, err := g.runtime.codes.get(spec.Code)
	if errors.Is(err, errClosed) || noFault(err) {
		return nil, fmt.Errorf("unpacking the code: %w", err)
	}
	if err != nil {
		return g.refuse(err.Error()), nil
	}
	g.mu.Lock()
	removed := g.removed
	if !removed {
		g.code = code // which Remove puts back
	}
	g.mu.Unlock()
	if removed {
		g.runtime.codes.put(code)
		return nil, errRemoved
	}
	if err := code.checkExec(); err != nil {
		return g.refuse(err.Error()), nil
	}
	if g.loop && code.env != name {
		return g.refuse(fmt.Sprintf("The zip's exec.env must be %q for this runtime; it is %q.", name, code.env)), nil
	}
	for _, f := range code.files {
		if err := os.Symlink(filepath.Join(code.dir, f), filepath.Join(g.dir, f)); err != nil {
			return nil, fmt.Errorf("a container's directory: %w", err)
		}
	}
	g.env = environment(g.dir, name, spec.Env)
	if !g.loop {
		return nil, nil
	}
	p, err := g.current()
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { p.kill() })
	defer stop()
	p.deadline(deadline)
	if err := g.execute(p, g.env, "exec"); err != nil {
		return g.refuse(err.Error()), nil
	}
	line, _, err := p.answer()
	switch {
	case err == nil && acknowledges(line):
		return nil, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err == nil:
		o := g.refuse(fmt.Sprintf("The action did not acknowledge its start, but wrote %.200q.", line))
		p.kill()
		return o, nil
	case errors.Is(err, os.ErrDeadlineExceeded) && !p.hasExited():
		p.kill()
		g.warning = notAsExpected
		o := timedOut(timeout, " during initialization")
		return &o, nil
	}
	switch e := p.kill(); {
	case e.lost:
		return nil, errWardenLost
	case e.closed:
		return nil, errClosed
	case g.isRemoved():
		return nil, errRemoved
	case e.exhausted:
		g.warning = notAsExpected
		o := lost(outOfMemory)
		return &o, nil
	}
	return g.refuse(exitedInInit), nil
}

// noFault tells whether code could not be unpacked for a reason that is not its own.
func noFault(err error) bool {
	for _, e := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.EIO, syscall.EROFS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// refuse is the outcome of an action that cannot be started; the reason goes to its logs.
func (g *group) refuse(reason string) *Outcome {
	if p, err := g.current(); err == nil {
		p.drain()
	}
	g.book.add(Line{time.Now(), "stderr", reason})
	g.warning = notAsExpected
	text := cannotStart
	if !g.loop {
		text = noBinary
	}
	o := broken(text)
	return &o
}

// environment is that of an action's processes. runtime is the name of one that speaks the action loop, else "".
func environment(dir, runtime string, more map[string]string) []string {
	env := map[string]string{
		"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": dir, "TMPDIR": dir, "PWD": dir,
	}
	if runtime != "" {
		// As OpenWhisk's proxy of this version tells its actions, which has got these from its image, without the underscores.
		env["__OW_EXECUTION_ENV"], env["__OW_WAIT_FOR_ACK"], env["__OW_PROXY_VERSION"] = runtime, "1", "1.17.1"
	}
	maps.Copy(env, more)
	list := make([]string, 0, len(env))
	for _, k := range slices.Sorted(maps.Keys(env)) {
		list = append(list, k+"="+env[k])
	}
	return list
}

// execute has the process that waits become the action.
func (g *group) execute(p *process, env []string, args ...string) error {
	o := order{
		file: filepath.Join(g.dir, "exec"), dir: g.dir, args: args, env: env, memoryMB: g.memoryMB, limitData: !p.jailed && g.memoryMB > 0,
		uid: g.runtime.options.UID, gid: g.runtime.options.GID, results: g.loop,
	}
	b, err := o.encode()
	if err != nil {
		return err
	}
	// That it has died meanwhile shows when it is waited for.
	_, _ = p.stdin.Write(b)
	return nil
}

// current returns the process, after starting one if there is none.
func (g *group) current() (*process, error) {
	g.mu.Lock()
	p, removed := g.process, g.removed
	g.mu.Unlock()
	if removed {
		return nil, errRemoved
	}
	if p != nil {
		return p, nil
	}
	p, err := g.runtime.startProcess(g)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	if removed = g.removed; !removed {
		g.process = p
	}
	g.mu.Unlock()
	if removed {
		p.kill()
		p.close()
		return nil, errRemoved
	}
	return p, nil
}

func (g *group) isRemoved() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.removed
}

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
		o = g.runLoop(p, inv, timeout)
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

// acknowledges tells whether a line is the acknowledgement of an action that has started.
func acknowledges(line []byte) bool {
	var ack struct {
		OK bool `json:"ok"`
	}
	return json.Unmarshal(line, &ack) == nil && ack.OK
}

// Logs returns what the container wrote since the last call.
func (g *group) Logs(string) []Line {
	g.mu.Lock()
	p := g.process
	g.mu.Unlock()
	if p != nil {
		p.drain()
	}
	warning := g.warning
	g.warning = ""
	return g.book.take(warning)
}

func (g *group) tell(op opcode) error {
	g.mu.Lock()
	p, removed := g.process, g.removed
	g.mu.Unlock()
	switch {
	case removed:
		return errRemoved
	case p == nil:
		return nil // nothing runs between two invocations
	case p.hasExited():
		return nil // the next run says so
	}
	return p.keeper.send(message{op: op, id: p.id})
}

// Pause stops the processes.
func (g *group) Pause() error { return g.tell(opPause) }

// Unpause lets them go on.
func (g *group) Unpause() error { return g.tell(opUnpause) }

// Remove kills the container.
func (g *group) Remove() {
	g.mu.Lock()
	if g.removed {
		done := g.done
		g.mu.Unlock()
		<-done
		return
	}
	g.removed, g.done = true, make(chan struct{})
	p, code := g.process, g.code
	g.mu.Unlock()
	defer close(g.done)
	if p != nil {
		p.kill()
		p.close()
	}
	if code != nil {
		g.runtime.codes.put(code)
	}
	_ = removeAll(g.dir)
	g.runtime.forget(g)
}
