package container

import (
	"errors"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The warden is the parent of all processes of a platform's containers. It is a process of its own so that they can be killed however
// the platform ends: its connection to the platform ends then, and it kills what descends from it, removes the platform's directory,
// and exits. It is a subreaper, and so is each action. So a child that the warden has not started is an orphan of an action that has
// died, and is killed.
type warden struct {
	platform *net.UnixConn
	dir      string // of the platform, to be removed
	jail     *jail
	byID     map[uint64]*ward
	byPid    map[int]*ward
	dead     []*ward // reaped, but not what descends from them

	// Putting a process into a control group takes the system some milliseconds, in which nobody else shall wait.
	enclosing int
	enclosed  chan enclosure
}

// enclosure is a cell, and who is in it.
type enclosure struct {
	ward *ward
	cell string
}

// ward is a process that was started for the platform.
type ward struct {
	id        uint64
	pid       int
	limit     int64 // bytes
	cell      string
	members   []int // descendants at the last look
	paused    bool
	exhausted bool
}

const (
	watchEvery   = 100 * time.Millisecond
	membersEvery = 5 // looks at the memory between those at the descendants

	sharedSlack = 16 << 20 // bytes: what a process shares with others counts in its peak, but not against its limit
)

// wardenMain is the warden: descriptor 3 is its connection, 4 the lock of the directory that is its first argument, which it removes at
// the end. With a further argument it makes no control groups.
func wardenMain() int {
	runtime.LockOSThread()
	runtime.GOMAXPROCS(2)
	debug.SetGCPercent(50)
	// The supervisor ends when the platform does, not by a signal. It catches these signals instead of ignoring them: a caught signal
	// has its default action again in the programs that a process executes, while an ignored one stays ignored. The Go runtime does the
	// same with all signals but these, which it leaves ignored if the platform was started so (by nohup, or in the background of a script).
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE,
		syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGCONT)
	if unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != nil || len(os.Args) < 2 {
		return 2
	}
	// Actions of the same user must not look into it.
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	closeOnExec(4)
	file := os.NewFile(3, "platform")
	conn, err := net.FileConn(file)
	file.Close()
	if err != nil {
		return 2
	}
	platform, ok := conn.(*net.UnixConn)
	if !ok {
		return 2
	}
	w := &warden{platform: platform, dir: os.Args[1], byID: map[uint64]*ward{}, byPid: map[int]*ward{}, enclosed: make(chan enclosure)}
	if len(os.Args) == 2 {
		w.jail = newJail()
	}
	w.serve()
	w.end()
	return 0
}

// closeOnExec keeps descriptors from first on, which the platform may have got from its own parent, from the containers.
func closeOnExec(first int) {
	if unix.CloseRange(uint(first), ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd >= first {
			syscall.CloseOnExec(fd)
		}
	}
}

type packet struct {
	message
	files []int
}

// receive hands over what the platform says, until it says no more. The descriptors that come are closed on exec: package net sees to that.
func (w *warden) receive(packets chan<- packet) {
	defer close(packets)
	buffer, control := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4*4))
	for {
		n, c, _, _, err := w.platform.ReadMsgUnix(buffer, control)
		if err != nil || n == 0 {
			return
		}
		m, err := decodeMessage(buffer[:n])
		if err != nil {
			return
		}
		p := packet{message: m}
		if messages, err := unix.ParseSocketControlMessage(control[:c]); err == nil {
			for i := range messages {
				if fds, err := unix.ParseUnixRights(&messages[i]); err == nil {
					p.files = append(p.files, fds...)
				}
			}
		}
		packets <- p
	}
}

func (w *warden) serve() {
	packets := make(chan packet)
	go w.receive(packets)
	died := make(chan os.Signal, 1)
	signal.Notify(died, syscall.SIGCHLD)
	var watch *time.Ticker
	var look <-chan time.Time
	for looks := 0; ; {
		select {
		case p, ok := <-packets:
			if !ok {
				return
			}
			w.obey(p)
		case <-died:
			w.reap()
		case e := <-w.enclosed:
			if w.settle(e) {
				w.started(e.ward)
			}
		case <-look:
			looks++
			w.watch(looks%membersEvery == 0)
		}
		switch n := len(w.byID); {
		case n > 0 && watch == nil:
			watch = time.NewTicker(watchEvery)
			look = watch.C
		case n == 0 && watch != nil:
			watch.Stop()
			watch, look = nil, nil
		}
	}
}

func (w *warden) obey(p packet) {
	if p.op == opStart {
		w.start(p)
		return
	}
	c := w.byID[p.id]
	if c == nil {
		return // it has died meanwhile, and that has been told
	}
	switch p.op {
	case opPause:
		c.paused = true
		w.signal(c, syscall.SIGSTOP)
	case opUnpause:
		c.paused = false
		w.signal(c, syscall.SIGCONT)
	case opKill:
		w.kill(c)
	}
}

func (w *warden) report(m message) {
	// If the platform is gone, receive says so.
	_, _ = w.platform.Write(m.encode())
}

func (w *warden) start(p packet) {
	c := &ward{id: p.id, limit: p.a << 20}
	defer func() {
		for _, fd := range p.files {
			syscall.Close(fd)
		}
	}()
	err := errors.New("descriptors are missing")
	if len(p.files) == 4 {
		c.pid, err = syscall.ForkExec("/proc/self/exe", []string{stageName}, &syscall.ProcAttr{
			Dir: "/", Env: []string{}, Files: []uintptr{uintptr(p.files[0]), uintptr(p.files[1]), uintptr(p.files[2]), uintptr(p.files[3])},
			Sys: &syscall.SysProcAttr{Setpgid: true},
		})
	}
	if err != nil {
		w.report(message{op: opStarted, id: p.id, text: "starting a process: " + err.Error()})
		return
	}
	w.byID[c.id], w.byPid[c.pid] = c, c
	cell := w.jail.next()
	if cell == "" || c.limit <= 0 {
		w.started(c)
		return
	}
	w.enclosing++
	go func() { w.enclosed <- enclosure{c, w.jail.enclose(cell, c.pid, c.limit)} }()
}

// settle notes that a process is in its cell; false if the process has died meanwhile.
func (w *warden) settle(e enclosure) bool {
	w.enclosing--
	if w.byID[e.ward.id] != e.ward {
		w.jail.release(e.cell)
		return false
	}
	e.ward.cell = e.cell
	return true
}

// started reports that a process is ready for its order.
func (w *warden) started(c *ward) {
	limited := int64(0)
	if c.cell != "" {
		limited = 1
	}
	s, _ := readStat(c.pid)
	w.report(message{op: opStarted, id: c.id, a: int64(c.pid)<<1 | limited, b: int64(s.start)})
}

// signal signals the group, and what has left it.
func (w *warden) signal(c *ward, s syscall.Signal) {
	_ = syscall.Kill(-c.pid, s)
	for _, pid := range descendants(c.pid) {
		if group, err := syscall.Getpgid(pid); err == nil && group != c.pid {
			_ = syscall.Kill(pid, s)
		}
	}
}

// kill kills the group; what has left it becomes an orphan, and is killed by reap.
func (w *warden) kill(c *ward) { _ = syscall.Kill(-c.pid, syscall.SIGKILL) }

// reap notes which of the processes have died, and kills their orphans.
func (w *warden) reap() {
	for {
		var status syscall.WaitStatus
		var usage syscall.Rusage
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, &usage)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			break
		}
		if c := w.byPid[pid]; c != nil {
			// Those of its group that are left are orphans already.
			_ = syscall.Kill(-pid, syscall.SIGKILL)
			delete(w.byPid, pid)
			delete(w.byID, c.id)
			w.dead = append(w.dead, c)
			// It may have run into RLIMIT_DATA before it was looked at.
			if c.cell == "" && c.limit > 0 && status != 0 && usage.Maxrss<<10 > c.limit+sharedSlack {
				c.exhausted = true
			}
		}
	}
	// A dead orphan wakes us again. They are looked for also when nothing else has died: the system's list of children may miss one.
	if w.killOrphans() > 0 {
		return
	}
	for _, c := range w.dead {
		flags := int64(0)
		if w.jail.release(c.cell) || c.exhausted {
			flags = exhausted
		}
		w.report(message{op: opExited, id: c.id, a: flags})
	}
	w.dead = nil
}

// killOrphans returns how many there were.
func (w *warden) killOrphans() int {
	n := 0
	for _, pid := range children(os.Getpid()) {
		if w.byPid[pid] == nil {
			n++
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return n
}

// watch kills what has taken more memory than it may. What is paused takes no more.
func (w *warden) watch(members bool) {
	for _, c := range w.byID {
		if c.paused || c.exhausted || c.cell != "" || c.limit <= 0 {
			continue
		}
		if members {
			c.members = descendants(c.pid)
		}
		total := residentBytes(c.pid)
		for _, pid := range c.members {
			total += residentBytes(pid)
		}
		if total > c.limit {
			c.exhausted = true
			w.kill(c)
		}
	}
}

// end kills everything and removes the directory.
func (w *warden) end() {
	for w.enclosing > 0 {
		w.settle(<-w.enclosed)
	}
	for {
		for _, c := range w.byPid {
			w.kill(c)
		}
		w.killOrphans()
		pid, err := syscall.Wait4(-1, nil, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			break
		}
		if c := w.byPid[pid]; c != nil {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
			delete(w.byPid, pid)
			w.dead = append(w.dead, c)
		}
	}
	for _, c := range w.dead {
		w.jail.release(c.cell)
	}
	w.jail.close()
	_ = removeAll(w.dir)
}
