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

// Init unpacks the code and, if the action speaks the action loop, starts the action.
func (c *processContainer) Init(ctx context.Context, spec Spec, timeout time.Duration) (*Outcome, error) {
	defer c.runtime.replenish(c.memoryMB)
	deadline := time.Now().Add(timeout)
	c.spec = spec
	c.logs.setLimit(spec.LogMB << 20)
	if o := Provide(&spec); o != nil {
		return o, nil
	}
	if c.isStub = isStub(&spec); c.isStub {
		return nil, nil
	}
	name := loopRuntime(&spec)
	c.loop = name != ""
	if c.loop && !spec.Binary || len(spec.Code) == 0 {
		return c.refuse(fmt.Sprintf("Source code of kind %s cannot be compiled here: deploy a zip with a compiled exec.", spec.Kind)), nil
	}
	code, err := c.runtime.codes.acquire(spec.Code)
	if errors.Is(err, errClosed) || isPlatformFault(err) {
		return nil, fmt.Errorf("unpacking the code: %w", err)
	}
	if err != nil {
		return c.refuse(err.Error()), nil
	}
	c.mu.Lock()
	removed := c.removed
	if !removed {
		c.code = code // released by Remove
	}
	c.mu.Unlock()
	if removed {
		c.runtime.codes.release(code)
		return nil, errRemoved
	}
	if err := code.checkExec(); err != nil {
		return c.refuse(err.Error()), nil
	}
	if c.loop && code.env != name {
		return c.refuse(fmt.Sprintf("The zip's exec.env must be %q for this runtime; it is %q.", name, code.env)), nil
	}
	for _, f := range code.files {
		if err := os.Symlink(filepath.Join(code.dir, f), filepath.Join(c.dir, f)); err != nil {
			return nil, fmt.Errorf("a container's directory: %w", err)
		}
	}
	c.env = environment(c.dir, name, spec.Env)
	if !c.loop {
		return nil, nil
	}
	p, err := c.current()
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { p.kill() })
	defer stop()
	p.setDeadline(deadline)
	if err := c.execute(p, c.env, "exec"); err != nil {
		return c.refuse(err.Error()), nil
	}
	line, _, err := p.readAnswer()
	switch {
	case err == nil && acknowledges(line):
		return nil, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err == nil:
		o := c.refuse(fmt.Sprintf("The action did not acknowledge its start, but wrote %.200q.", line))
		p.kill()
		return o, nil
	case errors.Is(err, os.ErrDeadlineExceeded) && !p.hasExited():
		p.kill()
		c.warning = notAsExpected
		o := timedOut(timeout, " during initialization")
		return &o, nil
	}
	switch e := p.kill(); {
	case e.supervisorLost:
		return nil, errSupervisorLost
	case e.closed:
		return nil, errClosed
	case c.isRemoved():
		return nil, errRemoved
	case e.outOfMemory:
		c.warning = notAsExpected
		o := lost(outOfMemory)
		return &o, nil
	}
	return c.refuse(exitedInInit), nil
}

// isPlatformFault reports whether unpacking failed because of the platform, such as a full disk, and not because of the code.
func isPlatformFault(err error) bool {
	for _, e := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.EIO, syscall.EROFS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// refuse returns the outcome of an action that cannot be started, and writes the reason to its logs.
func (c *processContainer) refuse(reason string) *Outcome {
	if p, err := c.current(); err == nil {
		p.drain()
	}
	c.logs.add(Line{time.Now(), "stderr", reason})
	c.warning = notAsExpected
	text := cannotStart
	if !c.loop {
		text = noBinary
	}
	o := broken(text)
	return &o
}

// environment returns the environment of an action's processes. The argument runtime is the name of the runtime if the action speaks the
// action loop, otherwise "".
func environment(dir, runtime string, more map[string]string) []string {
	env := map[string]string{
		"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": dir, "TMPDIR": dir, "PWD": dir,
	}
	if runtime != "" {
		// OpenWhisk's proxy of this version passes these to its actions.
		env["__OW_EXECUTION_ENV"], env["__OW_WAIT_FOR_ACK"], env["__OW_PROXY_VERSION"] = runtime, "1", "1.17.1"
	}
	maps.Copy(env, more)
	list := make([]string, 0, len(env))
	for _, k := range slices.Sorted(maps.Keys(env)) {
		list = append(list, k+"="+env[k])
	}
	return list
}

// execute makes the waiting launcher execute the action.
func (c *processContainer) execute(p *process, env []string, args ...string) error {
	r := execRequest{
		file: filepath.Join(c.dir, "exec"), dir: c.dir, args: args, env: env, memoryMB: c.memoryMB, limitData: !p.inCgroup && c.memoryMB > 0,
		uid: c.runtime.options.UID, gid: c.runtime.options.GID, results: c.loop,
	}
	b, err := r.encode()
	if err != nil {
		return err
	}
	// If the launcher has died meanwhile, the caller notices it when it waits for an answer.
	_, _ = p.stdin.Write(b)
	return nil
}

// acknowledges reports whether a line is the acknowledgement of an action that has started.
func acknowledges(line []byte) bool {
	var ack struct {
		OK bool `json:"ok"`
	}
	return json.Unmarshal(line, &ack) == nil && ack.OK
}
