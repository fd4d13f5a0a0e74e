package container

import (
	"errors"
	"sync"
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
	idle    bool     // it speaks the action loop, has run, and is neither running nor paused
	removed bool
	done    chan struct{} // closed when a removed one is gone
}

var errRemoved = errors.New("the container was removed")

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
func (g *group) Pause() error {
	g.setIdle(false)
	return g.tell(opPause)
}

// Unpause lets them go on.
func (g *group) Unpause() error { return g.tell(opUnpause) }

func (g *group) setIdle(idle bool) {
	g.mu.Lock()
	g.idle = idle
	g.mu.Unlock()
}

// farewell is how long an idle action may go on when its input has ended: it may have something to finish that its answer did not wait
// for. One that was paused has had time enough.
const farewell = 300 * time.Millisecond

// Remove ends the container: its input, and if that does not end it, with SIGKILL.
func (g *group) Remove() {
	g.mu.Lock()
	if g.removed {
		done := g.done
		g.mu.Unlock()
		<-done
		return
	}
	g.removed, g.done = true, make(chan struct{})
	p, code, idle := g.process, g.code, g.idle
	g.mu.Unlock()
	defer close(g.done)
	if p != nil {
		if idle {
			_ = p.stdin.Close()
			select {
			case <-p.exited:
			case <-time.After(farewell):
			}
		}
		p.kill()
		p.close()
	}
	if code != nil {
		g.runtime.codes.put(code)
	}
	_ = removeAll(g.dir)
	g.runtime.forget(g)
}
