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

// Processes is the Runtime whose containers are process groups of this system. All of them are children of one further process, the
// warden, which kills them and whatever descends from them when this process ends, in whatever way.
type Processes struct {
	options Options
	dir     string
	lock    *os.File // of dir, held as long as we or a warden live
	codes   *codes
	ids     atomic.Uint64

	starting sync.WaitGroup // of spares

	mu         sync.Mutex
	spare      *group  // a container without an action, for the next that is asked for; nil: none, or it is being started
	awaited    bool    // it is
	keeper     *keeper // the present warden's; nil: none yet
	containers map[*group]struct{}
	closed     bool
}

// NewProcesses makes a runtime. Close ends it.
func NewProcesses(options Options) (*Processes, error) {
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
	p := &Processes{options: options, dir: dir, lock: lock, containers: map[*group]struct{}{}}
	p.codes = &codes{
		dir: filepath.Join(dir, "code"), mostOfOne: options.CodeBytes, mostIdle: options.IdleCodeBytes,
		byContent: map[[sha256.Size]byte]*code{}, bySlice: map[slice]*code{}, preparing: make(chan struct{}, 2),
	}
	// Actions that run as another user get through, but see nobody else's directories.
	err = errors.Join(os.Chmod(dir, 0o711), os.Mkdir(p.codes.dir, 0o711))
	if err == nil && options.HidePlatform {
		err = os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
	}
	if err == nil {
		p.keeper, err = newKeeper(dir, lock, &p.options)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("containers: %w", err), removeAll(dir), lock.Close())
	}
	return p, nil
}

// living returns the keeper of a warden that lives.
func (p *Processes) living() (*keeper, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	if p.keeper != nil && !p.keeper.lost() {
		return p.keeper, nil
	}
	k, err := newKeeper(p.dir, p.lock, &p.options)
	if err != nil {
		return nil, err
	}
	p.keeper = k
	return k, nil
}

// Start starts a process that waits for an action, or takes one that waits already.
func (p *Processes) Start(ctx context.Context, memoryMB int) (Container, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	closed, g := p.closed, p.spare
	if g != nil && g.memoryMB == memoryMB {
		p.spare = nil
	} else {
		g = nil
	}
	p.mu.Unlock()
	switch {
	case closed:
		return nil, errClosed
	case g != nil && !g.process.hasExited():
		return g, nil
	case g != nil:
		g.Remove()
	}
	return p.start(memoryMB)
}

// replenish starts a spare, in the background, so that the next container's start does not wait for a process: it is told by each
// container that has been initialised, when there is nothing else to be done for it.
func (p *Processes) replenish(memoryMB int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.spare
	if p.options.noSpare || p.closed || p.awaited || old != nil && old.memoryMB == memoryMB {
		return
	}
	p.spare, p.awaited = nil, true
	p.starting.Go(func() {
		if old != nil {
			old.Remove()
		}
		g, err := p.start(memoryMB)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.awaited = false
		if err == nil {
			p.spare = g
		}
	})
}

// start starts a process that waits for an action.
func (p *Processes) start(memoryMB int) (*group, error) {
	g := &group{runtime: p, memoryMB: memoryMB, dir: filepath.Join(p.dir, strconv.FormatUint(p.ids.Add(1), 10))}
	if err := os.Mkdir(g.dir, 0o700); err != nil {
		return nil, fmt.Errorf("a container's directory: %w", err)
	}
	var err error
	if p.options.UID != 0 || p.options.GID != 0 {
		err = os.Chown(g.dir, p.options.UID, p.options.GID)
	}
	if err == nil {
		g.process, err = p.startProcess(g)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting a container: %w", err), removeAll(g.dir))
	}
	p.mu.Lock()
	closed := p.closed
	if !closed {
		p.containers[g] = struct{}{}
	}
	p.mu.Unlock()
	if closed {
		g.Remove()
		return nil, errClosed
	}
	return g, nil
}

func (p *Processes) startProcess(g *group) (*process, error) {
	k, err := p.living()
	if err != nil {
		return nil, err
	}
	return k.start(p.ids.Add(1), g.memoryMB, &g.book)
}

// Prepare unpacks the code of an action in the background, so that its first container starts as fast as the others.
func (p *Processes) Prepare(code []byte) {
	if len(code) > 0 {
		p.codes.prepare(code)
	}
}

// Close kills all containers and ends the warden. It returns when nothing is left of them.
func (p *Processes) Close() error {
	p.mu.Lock()
	already := p.closed
	p.closed = true
	k := p.keeper
	p.mu.Unlock()
	if already {
		<-k.gone
		return nil
	}
	k.close()
	p.starting.Wait()
	p.codes.close()
	p.mu.Lock()
	left := p.containers
	p.containers = nil
	p.mu.Unlock()
	for g := range left {
		g.Remove()
	}
	return errors.Join(removeAll(p.dir), p.lock.Close())
}

func (p *Processes) forget(g *group) {
	p.mu.Lock()
	delete(p.containers, g)
	p.mu.Unlock()
}
