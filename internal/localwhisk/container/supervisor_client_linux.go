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

	"golang.org/x/sys/unix"
)

// supervisorClient is the platform's end of the connection to a supervisor.
type supervisorClient struct {
	command *exec.Cmd
	conn    *net.UnixConn
	log     *slog.Logger
	gone    chan struct{} // closed when the supervisor and all its processes are gone

	mu        sync.Mutex
	processes map[uint64]*process // nil when disconnected
	closing   bool                // close has been called
	// disconnected is set when the connection has ended. If closing is not set then, the supervisor was lost.
	disconnected bool
}

var (
	errSupervisorLost        = errors.New("the process that keeps the containers is gone")
	errSupervisorUnreachable = errors.New("the process that keeps the containers cannot be reached")
)

// startSupervisor starts a supervisor, which is this program under another name. The supervisor holds the lock of the directory too.
func startSupervisor(dir string, lock *os.File, o *Options) (*supervisorClient, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "supervisor"), os.NewFile(uintptr(pair[1]), "platform")
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		return nil, err
	}
	c := &supervisorClient{conn: conn.(*net.UnixConn), log: o.Log, gone: make(chan struct{}), processes: map[uint64]*process{}}
	c.command = &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{supervisorName, dir}, Env: []string{}, Dir: "/", ExtraFiles: []*os.File{theirs, lock},
		// A session of its own: Ctrl-C in the platform's terminal is not for the supervisor.
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if o.noControlGroups {
		c.command.Args = append(c.command.Args, "-")
	}
	if err := c.command.Start(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("starting the process that keeps the containers: %w", err)
	}
	go c.listen()
	return c, nil
}

// isDisconnected reports whether the supervisor is gone.
func (c *supervisorClient) isDisconnected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.disconnected
}

// listen receives the supervisor's reports until the connection ends. Then it waits for the supervisor and, if that ended unexpectedly,
// kills the processes that it has left.
func (c *supervisorClient) listen() {
	defer close(c.gone)
	buffer := make([]byte, maxMessage)
	for {
		n, err := c.conn.Read(buffer)
		if err != nil || n == 0 {
			break
		}
		m, err := decodeMessage(buffer[:n])
		if err != nil {
			break
		}
		c.mu.Lock()
		p := c.processes[m.id]
		if m.op == opExited {
			delete(c.processes, m.id)
		}
		c.mu.Unlock()
		if p == nil {
			continue
		}
		switch m.op {
		case opStarted:
			p.started <- m
		case opExited:
			p.setExited(exit{outOfMemory: m.a&flagOutOfMemory != 0})
		}
	}
	c.mu.Lock()
	closing := c.closing
	c.disconnected = true
	left := c.processes
	c.processes = nil
	c.mu.Unlock()
	if !closing {
		_ = c.command.Process.Kill() // a supervisor without connection is of no use
	}
	_ = c.command.Wait()
	_ = c.conn.Close()
	if !closing {
		c.log.Error("the process that keeps the containers has ended; they are lost", "containers", len(left))
		var roots []procStat
		for _, p := range left {
			if p.identity.pid > 0 {
				roots = append(roots, p.identity)
			}
		}
		killTrees(roots)
	}
	for _, p := range left {
		p.setExited(exit{supervisorLost: !closing, closed: closing})
	}
}

// close ends the supervisor, which kills all processes, and waits for it.
func (c *supervisorClient) close() {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	_ = c.conn.CloseWrite()
	<-c.gone
}

// send sends a command, and with it the descriptors.
func (c *supervisorClient) send(m message, files ...int) error {
	var rights []byte
	if len(files) > 0 {
		rights = unix.UnixRights(files...)
	}
	if _, _, err := c.conn.WriteMsgUnix(m.encode(), rights, nil); err != nil {
		return fmt.Errorf("%w: %w", errSupervisorUnreachable, err)
	}
	return nil
}

// forget removes a process whose start has failed, if opExited has not removed it already.
func (c *supervisorClient) forget(id uint64) {
	c.mu.Lock()
	delete(c.processes, id)
	c.mu.Unlock()
}

// start starts a launcher, which waits for an execRequest.
func (c *supervisorClient) start(id uint64, memoryMB int, logs *logBuffer) (*process, error) {
	p := &process{id: id, supervisor: c, started: make(chan message, 1), exited: make(chan struct{})}
	theirs, err := p.openPipes(logs)
	defer func() {
		for _, fd := range theirs {
			unix.Close(fd)
		}
	}()
	if err != nil {
		p.close()
		return nil, err
	}
	c.mu.Lock()
	if c.disconnected {
		c.mu.Unlock()
		p.close()
		return nil, errSupervisorLost
	}
	c.processes[id] = p
	c.mu.Unlock()
	if err := c.send(message{op: opStart, id: id, a: int64(memoryMB)}, theirs...); err != nil {
		c.forget(id)
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
			c.forget(id)
			p.close()
			return nil, errors.New(m.text)
		}
		c.mu.Lock()
		p.identity = procStat{pid: int(m.a >> 1), start: uint64(m.b)}
		c.mu.Unlock()
		p.inCgroup = m.a&1 != 0
		p.startReading()
		return p, nil
	case <-p.exited:
		p.close()
		return nil, errSupervisorLost
	}
}
