package container

import (
	"errors"
	"sync"
	"time"
)

// processContainer is the Container of a ProcessRuntime: a process that runs one version of one action, and its descendants. Its life:
//
//	        Init               Run                   timeout, exit,
//	new ───────────▶ ready ───────────▶ running ───────────────────▶ broken
//	 │               │   ▲                │        invalid answer      ▲
//	 │         Pause │   │ Unpause        │ answer                     │
//	 │               ▼   │                ▼                            │
//	 │              paused              ready                          │
//	 └─────────────────────────────────────────────────────────────────┘
//	     Init fails, or the process exits in any state
//
//	Remove, in any state ──▶ removed
//
// Remove is all that is left to do with a broken container: a further Run fails. The fields say which state it is:
//
//   - process is the launcher in state new and the action afterwards; a broken container keeps its process, which has exited. If each
//     invocation has its own process, there is a launcher, or none after the first Run, in state ready.
//   - idle is set in state ready after a successful Run of an action that speaks the action loop.
//   - removed is set by Remove, and done is closed when processes and directory are gone.
type processContainer struct {
	runtime  *ProcessRuntime
	memoryMB int
	dir      string // its working directory
	logs     logBuffer

	spec    Spec
	env     []string
	loop    bool   // the action speaks the action loop; otherwise each invocation has its own process
	isStub  bool   // there is no action, see isStub
	request []byte // buffer of the last request
	warning string // becomes the last line of the logs

	mu      sync.Mutex
	process *process // nil: the next Run starts one
	code    *code    // nil before Init
	idle    bool
	removed bool
	done    chan struct{} // made by Remove; closed when the container is gone
}

var errRemoved = errors.New("the container was removed")

// current returns the container's process, which it starts if there is none.
func (c *processContainer) current() (*process, error) {
	c.mu.Lock()
	p, removed := c.process, c.removed
	c.mu.Unlock()
	if removed {
		return nil, errRemoved
	}
	if p != nil {
		return p, nil
	}
	p, err := c.runtime.startProcess(c)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	if removed = c.removed; !removed {
		c.process = p
	}
	c.mu.Unlock()
	if removed {
		p.kill()
		p.close()
		return nil, errRemoved
	}
	return p, nil
}

func (c *processContainer) isRemoved() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.removed
}

// Logs returns what the container has written since the last call.
func (c *processContainer) Logs(string) []Line {
	c.mu.Lock()
	p := c.process
	c.mu.Unlock()
	if p != nil {
		p.drain()
	}
	warning := c.warning
	c.warning = ""
	return c.logs.take(warning)
}

// send sends a command for the container's process to the supervisor.
func (c *processContainer) send(op opcode) error {
	c.mu.Lock()
	p, removed := c.process, c.removed
	c.mu.Unlock()
	switch {
	case removed:
		return errRemoved
	case p == nil:
		return nil // nothing runs between two invocations
	case p.hasExited():
		return nil // the next Run returns why
	}
	return p.supervisor.send(message{op: op, id: p.id})
}

// Pause stops the processes.
func (c *processContainer) Pause() error {
	c.setIdle(false)
	return c.send(opPause)
}

// Unpause continues the processes.
func (c *processContainer) Unpause() error { return c.send(opUnpause) }

func (c *processContainer) setIdle(idle bool) {
	c.mu.Lock()
	c.idle = idle
	c.mu.Unlock()
}

// exitGrace is how long an idle action may keep running after the end of its input: it may have work to finish that its answer did not
// wait for, such as exporting a span. A paused action has had time for that before.
const exitGrace = 300 * time.Millisecond

// Remove closes the input of an idle action, kills the processes that are left after exitGrace, and removes the directory.
func (c *processContainer) Remove() {
	c.mu.Lock()
	if c.removed {
		done := c.done
		c.mu.Unlock()
		<-done
		return
	}
	c.removed, c.done = true, make(chan struct{})
	p, code, idle := c.process, c.code, c.idle
	c.mu.Unlock()
	defer close(c.done)
	if p != nil {
		if idle {
			_ = p.stdin.Close()
			select {
			case <-p.exited:
			case <-time.After(exitGrace):
			}
		}
		p.kill()
		p.close()
	}
	if code != nil {
		c.runtime.codes.release(code)
	}
	_ = removeAll(c.dir)
	c.runtime.forget(c)
}
