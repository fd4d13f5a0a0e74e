package container

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// keeper is the platform's end of the connection to a warden.
type keeper struct {
	command *exec.Cmd
	conn    *net.UnixConn
	log     *slog.Logger
	gone    chan struct{} // closed when the warden and all its processes are

	mu        sync.Mutex
	processes map[uint64]*process
	closing   bool
	ended     bool // the connection is
}

var (
	errWardenLost      = errors.New("the process that keeps the containers is gone")
	errWardenUnreached = errors.New("the process that keeps the containers cannot be reached")
)

// newKeeper starts a warden, which is this program started again. It holds the lock of the directory too.
func newKeeper(dir string, lock *os.File, o *Options) (*keeper, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "warden"), os.NewFile(uintptr(pair[1]), "platform")
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		return nil, err
	}
	k := &keeper{conn: conn.(*net.UnixConn), log: o.Log, gone: make(chan struct{}), processes: map[uint64]*process{}}
	k.command = &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{wardenName, dir}, Env: []string{}, Dir: "/", ExtraFiles: []*os.File{theirs, lock},
		// What the terminal sends to the platform's group is none of its business.
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if o.noControlGroups {
		k.command.Args = append(k.command.Args, "-")
	}
	if err := k.command.Start(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("starting the process that keeps the containers: %w", err)
	}
	go k.listen()
	return k, nil
}

func (k *keeper) lost() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ended
}

// listen takes the warden's reports, until it is gone.
func (k *keeper) listen() {
	defer close(k.gone)
	buffer := make([]byte, maxMessage)
	for {
		n, err := k.conn.Read(buffer)
		if err != nil || n == 0 {
			break
		}
		m, err := decodeMessage(buffer[:n])
		if err != nil {
			break
		}
		k.mu.Lock()
		p := k.processes[m.id]
		if m.op == opExited {
			delete(k.processes, m.id)
		}
		k.mu.Unlock()
		if p == nil {
			continue
		}
		switch m.op {
		case opStarted:
			p.started <- m
		case opExited:
			p.end(exit{exhausted: m.a&exhausted != 0})
		}
	}
	k.mu.Lock()
	closing := k.closing
	k.ended = true
	left := k.processes
	k.processes = nil
	k.mu.Unlock()
	if !closing {
		_ = k.command.Process.Kill() // of what use is one that does not talk to us?
	}
	_ = k.command.Wait()
	_ = k.conn.Close()
	if !closing {
		k.log.Error("the process that keeps the containers has ended; they are lost", "containers", len(left))
		var roots []stat
		for _, p := range left {
			if p.identity.pid > 0 {
				roots = append(roots, p.identity)
			}
		}
		killTrees(roots)
	}
	for _, p := range left {
		p.end(exit{lost: !closing, closed: closing})
	}
}

// close ends the warden, and with it all processes.
func (k *keeper) close() {
	k.mu.Lock()
	k.closing = true
	k.mu.Unlock()
	_ = k.conn.CloseWrite()
	<-k.gone
}

func (k *keeper) send(m message, files ...int) error {
	var rights []byte
	if len(files) > 0 {
		rights = unix.UnixRights(files...)
	}
	if _, _, err := k.conn.WriteMsgUnix(m.encode(), rights, nil); err != nil {
		return fmt.Errorf("%w: %w", errWardenUnreached, err)
	}
	return nil
}

// forget takes a process out of those that the warden is to report on. It may have reported already.
func (k *keeper) forget(id uint64) {
	k.mu.Lock()
	delete(k.processes, id)
	k.mu.Unlock()
}

// start starts a process that waits for an order.
func (k *keeper) start(id uint64, memoryMB int, logs *book) (*process, error) {
	p := &process{id: id, keeper: k, started: make(chan message, 1), exited: make(chan struct{})}
	theirs, err := p.open(logs)
	defer func() {
		for _, fd := range theirs {
			unix.Close(fd)
		}
	}()
	if err != nil {
		p.close()
		return nil, err
	}
	k.mu.Lock()
	if k.ended {
		k.mu.Unlock()
		p.close()
		return nil, errWardenLost
	}
	k.processes[id] = p
	k.mu.Unlock()
	if err := k.send(message{op: opStart, id: id, a: int64(memoryMB)}, theirs...); err != nil {
		k.forget(id)
		p.close()
		return nil, err
	}
	for _, fd := range theirs {
		unix.Close(fd)
	}
	theirs = nil
	select {
	case m := <-p.started:
		if m.text != "" {
			k.forget(id)
			p.close()
			return nil, errors.New(m.text)
		}
		k.mu.Lock()
		p.identity = stat{pid: int(m.a >> 1), start: uint64(m.b)}
		k.mu.Unlock()
		p.jailed = m.a&1 != 0
		p.listen()
		return p, nil
	case <-p.exited:
		p.close()
		return nil, errWardenLost
	}
}

// killTrees kills processes that are not our children, and whatever descends from them. They are stopped first: what is stopped
// makes no more processes, and while it is there, what descends from it can be found.
func killTrees(roots []stat) {
	found := map[int]uint64{}
	for again := true; again; {
		again = false
		var list []int
		for _, r := range roots {
			if s, err := readStat(r.pid); err == nil && s.start == r.start && !s.gone() {
				list = append(append(list, r.pid), descendants(r.pid)...)
			}
		}
		for _, pid := range list {
			s, err := readStat(pid)
			if err != nil || s.gone() || found[pid] == s.start {
				continue
			}
			found[pid] = s.start
			_ = syscall.Kill(pid, syscall.SIGSTOP)
			again = true
		}
	}
	var waiting []unix.PollFd
	for pid, start := range found {
		fd, err := unix.PidfdOpen(pid, 0)
		if s, e := readStat(pid); e == nil && s.start == start {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			if err == nil {
				waiting = append(waiting, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
				continue
			}
		}
		if err == nil {
			unix.Close(fd)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); len(waiting) > 0; {
		for i := range waiting {
			waiting[i].Revents = 0
		}
		_, _ = unix.Poll(waiting, int(max(0, time.Until(deadline)).Milliseconds()))
		late := !time.Now().Before(deadline)
		rest := waiting[:0]
		for _, w := range waiting {
			if w.Revents != 0 || late {
				unix.Close(int(w.Fd))
			} else {
				rest = append(rest, w)
			}
		}
		waiting = rest
	}
}
