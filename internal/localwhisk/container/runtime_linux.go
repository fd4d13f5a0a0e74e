package container

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ProcessRuntime is a Runtime that runs each container as a process group of this system. A further process, the supervisor, is the parent of
// all of them; it kills them and their descendants when this process ends, however that happens.
type ProcessRuntime struct {
	options Options
	dir     string
	lock    *os.File // of dir; held by this process and the supervisor
	codes   *codeCache
	ids     atomic.Uint64

	spareStarts sync.WaitGroup

	mu            sync.Mutex
	spare         *processContainer // a container without an action, for the next Start; nil: none
	startingSpare bool
	supervisor    *supervisorClient // the latest; it may have ended
	containers    map[*processContainer]struct{}
	closed        bool
}

// NewProcessRuntime returns a runtime, which must be closed.
func NewProcessRuntime(options Options) (*ProcessRuntime, error) {
	options.defaults()
	if (options.UID != 0 || options.GID != 0) && os.Geteuid() != 0 {
		return nil, errors.New("only root can run actions as another user")
	}
	if options.Dir == "" {
		options.Dir = os.TempDir()
	}
	sweep(options.Dir, options.Log)
	dir, lock, err := newDirectory(options.Dir)
	if err != nil {
		return nil, fmt.Errorf("a directory for containers: %w", err)
	}
	p := &ProcessRuntime{options: options, dir: dir, lock: lock, containers: map[*processContainer]struct{}{}}
	p.codes = &codeCache{
		dir: filepath.Join(dir, "code"), maxUnpacked: options.CodeBytes, maxIdle: options.IdleCodeBytes,
		byContent: map[[sha256.Size]byte]*code{}, bySlice: map[slice]*code{}, preparing: make(chan struct{}, 2),
	}
	// Actions that run as another user can enter the directory, but cannot list it.
	err = errors.Join(os.Chmod(dir, 0o711), os.Mkdir(p.codes.dir, 0o711))
	if err == nil && options.HidePlatform {
		err = os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
	}
	if err == nil {
		p.supervisor, err = startSupervisor(dir, lock, &p.options)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("containers: %w", err), removeAll(dir), lock.Close())
	}
	return p, nil
}

// liveSupervisor returns the supervisor. If that has ended unexpectedly, it starts another.
func (p *ProcessRuntime) liveSupervisor() (*supervisorClient, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	if p.supervisor != nil && !p.supervisor.isDisconnected() {
		return p.supervisor, nil
	}
	s, err := startSupervisor(p.dir, p.lock, &p.options)
	if err != nil {
		return nil, err
	}
	p.supervisor = s
	return s, nil
}

// Start returns a container without an action: the spare one if it has the right memory limit, otherwise a new one.
func (p *ProcessRuntime) Start(ctx context.Context, memoryMB int) (Container, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	closed, c := p.closed, p.spare
	if c != nil && c.memoryMB == memoryMB {
		p.spare = nil
	} else {
		c = nil
	}
	p.mu.Unlock()
	switch {
	case closed:
		return nil, errClosed
	case c != nil && !c.process.hasExited():
		return c, nil
	case c != nil:
		c.Remove()
	}
	return p.start(memoryMB)
}

// replenish starts a spare container in the background, so that the next Start need not wait for a process. Containers call it at the end of
// Init, when the start itself is no longer slowed down by it.
func (p *ProcessRuntime) replenish(memoryMB int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.spare
	if p.options.noSpare || p.closed || p.startingSpare || old != nil && old.memoryMB == memoryMB {
		return
	}
	p.spare, p.startingSpare = nil, true
	p.spareStarts.Go(func() {
		if old != nil {
			old.Remove()
		}
		c, err := p.start(memoryMB)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.startingSpare = false
		if err == nil {
			p.spare = c
		}
	})
}

// start starts a container without an action.
func (p *ProcessRuntime) start(memoryMB int) (*processContainer, error) {
	c := &processContainer{runtime: p, memoryMB: memoryMB, dir: filepath.Join(p.dir, strconv.FormatUint(p.ids.Add(1), 10))}
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("a container's directory: %w", err)
	}
	var err error
	if p.options.UID != 0 || p.options.GID != 0 {
		err = os.Chown(c.dir, p.options.UID, p.options.GID)
	}
	if err == nil {
		c.process, err = p.startProcess(c)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting a container: %w", err), removeAll(c.dir))
	}
	p.mu.Lock()
	closed := p.closed
	if !closed {
		p.containers[c] = struct{}{}
	}
	p.mu.Unlock()
	if closed {
		c.Remove()
		return nil, errClosed
	}
	return c, nil
}

func (p *ProcessRuntime) startProcess(c *processContainer) (*process, error) {
	s, err := p.liveSupervisor()
	if err != nil {
		return nil, err
	}
	return s.start(p.ids.Add(1), c.memoryMB, &c.logs)
}

// Prepare unpacks the code of an action in the background, so that its first container starts as fast as later ones.
func (p *ProcessRuntime) Prepare(code []byte) {
	if len(code) > 0 {
		p.codes.prepare(code)
	}
}

// Close kills all containers and ends the supervisor. It returns when all processes and directories are gone.
func (p *ProcessRuntime) Close() error {
	p.mu.Lock()
	already := p.closed
	p.closed = true
	s := p.supervisor
	p.mu.Unlock()
	if already {
		<-s.gone
		return nil
	}
	s.close()
	p.spareStarts.Wait()
	p.codes.close()
	p.mu.Lock()
	left := p.containers
	p.containers = nil
	p.mu.Unlock()
	for c := range left {
		c.Remove()
	}
	return errors.Join(removeAll(p.dir), p.lock.Close())
}

func (p *ProcessRuntime) forget(c *processContainer) {
	p.mu.Lock()
	delete(p.containers, c)
	p.mu.Unlock()
}
