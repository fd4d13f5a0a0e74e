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
	"syscall"
	"time"
)

// Init unpacks the code and, where the action loop is spoken, starts the action.
func (g *group) Init(ctx context.Context, spec Spec, timeout time.Duration) (*Outcome, error) {
	defer g.runtime.replenish(g.memoryMB)
	deadline := time.Now().Add(timeout)
	g.spec = spec
	g.book.setLimit(spec.LogMB << 20)
	if o := Provide(&spec); o != nil {
		return o, nil
	}
	name := loopRuntime(&spec)
	g.loop = name != ""
	if g.loop && !spec.Binary || len(spec.Code) == 0 {
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

// acknowledges tells whether a line is the acknowledgement of an action that has started.
func acknowledges(line []byte) bool {
	var ack struct {
		OK bool `json:"ok"`
	}
	return json.Unmarshal(line, &ack) == nil && ack.OK
}
