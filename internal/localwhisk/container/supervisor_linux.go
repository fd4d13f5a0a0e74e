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

// supervisor is the parent of all processes of a platform's containers. It runs in a process of its own, so that the containers are killed
// however the platform ends: when its connection to the platform is closed, it kills all its descendants, removes the platform's
// directory, and exits.
//
// The supervisor and every action are subreapers: a process whose parent has died becomes a child of the nearest subreaper above it. A
// child that the supervisor has not started is therefore an orphan of an action that has died, and is killed.
type supervisor struct {
	platform *net.UnixConn
	dir      string         // of the platform; removed at the end
	cgroups  *memoryCgroups // nil: memory is limited by polling
	byID     map[uint64]*child
	byPid    map[int]*child
	dead     []*child // reaped, but their descendants may still exist

	// Moving a process into a control group takes the kernel some milliseconds. Goroutines do it, so that other commands need not wait;
	// grouping is the number of these goroutines, and each sends one value on grouped.
	grouping int
	grouped  chan groupedChild
}

// groupedChild is a child that has been moved into a control group; the path is "" if that failed.
type groupedChild struct {
	child  *child
	cgroup string
}

// child is a process that the supervisor has started for the platform. Its life:
//
//	opStart
//	   │
//	   ▼       moved into its cgroup, or          opPause
//	starting ─── has none: opStarted ──▶ running ──────────▶ paused
//	   │                                    │    ◀──────────   │
//	   │                                    │     opUnpause    │
//	   │   exits, opKill, or exceeds        │                  │
//	   │   its memory limit                 ▼                  │
//	   └─────────────────────────────────▶ dead ◀──────────────┘
//	                                        │  no orphans are left: opExited
//	                                        ▼
//	                                       gone
//
// A running child executes the launcher until the platform sends it an execRequest on its standard input, and then the action; the
// supervisor sees no difference. A starting, running or paused child is in byID and byPid, a dead one in dead.
type child struct {
	id          uint64
	pid         int    // also the id of its process group
	limit       int64  // of its memory, in bytes
	cgroup      string // path of its control group; "": none
	descendants []int  // as of the last listing
	paused      bool   // stopped: its memory cannot grow
	outOfMemory bool   // killed because it exceeded its limit
}

const (
	// pollInterval is the time between two checks of the memory of children that are in no control group.
	pollInterval = 100 * time.Millisecond
	// descendantsEvery is the number of checks that use the same listing of descendants.
	descendantsEvery = 5
	// sharedSlack, in bytes, is how far the peak memory of a child may exceed its limit: the peak counts memory that is shared with other
	// processes, the limit does not.
	sharedSlack = 16 << 20
)

// supervisorMain is the main function of the supervisor, and returns its exit status. Its first argument is the platform's directory,
// descriptor 3 its connection to the platform, and descriptor 4 the lock of the directory. With a second argument it creates no control
// groups.
func supervisorMain() int {
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
	// Processes of the same user, as actions are, must not read the supervisor's memory.
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
	s := &supervisor{platform: platform, dir: os.Args[1], byID: map[uint64]*child{}, byPid: map[int]*child{}, grouped: make(chan groupedChild)}
	if len(os.Args) == 2 {
		s.cgroups = newMemoryCgroups()
	}
	s.serve()
	s.shutdown()
	return 0
}

// closeOnExec marks the descriptors from first on as close-on-exec: the platform may have inherited some from its own parent, and containers
// must not get them.
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

// packet is a message with the descriptors that came with it.
type packet struct {
	message
	files []int
}

// receive reads the platform's commands until the connection ends, and then closes packets. Package net marks the descriptors that it
// receives as close-on-exec.
func (s *supervisor) receive(packets chan<- packet) {
	defer close(packets)
	buffer, control := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4*4))
	for {
		n, c, _, _, err := s.platform.ReadMsgUnix(buffer, control)
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

// serve carries out the platform's commands and watches the children, until the connection to the platform ends.
func (s *supervisor) serve() {
	packets := make(chan packet)
	go s.receive(packets)
	childDied := make(chan os.Signal, 1)
	signal.Notify(childDied, syscall.SIGCHLD)
	var ticker *time.Ticker // nil while there are no children
	var tick <-chan time.Time
	for ticks := 0; ; {
		select {
		case p, ok := <-packets:
			if !ok {
				return
			}
			s.handle(p)
		case <-childDied:
			s.reap()
		case g := <-s.grouped:
			if s.setCgroup(g) {
				s.reportStarted(g.child)
			}
		case <-tick:
			ticks++
			s.enforceMemory(ticks%descendantsEvery == 0)
		}
		switch n := len(s.byID); {
		case n > 0 && ticker == nil:
			ticker = time.NewTicker(pollInterval)
			tick = ticker.C
		case n == 0 && ticker != nil:
			ticker.Stop()
			ticker, tick = nil, nil
		}
	}
}

// handle carries out one command.
func (s *supervisor) handle(p packet) {
	if p.op == opStart {
		s.start(p)
		return
	}
	c := s.byID[p.id]
	if c == nil {
		return // the child has died meanwhile; opExited says so
	}
	switch p.op {
	case opPause:
		c.paused = true
		s.signal(c, syscall.SIGSTOP)
	case opUnpause:
		c.paused = false
		s.signal(c, syscall.SIGCONT)
	case opKill:
		s.kill(c)
	}
}

func (s *supervisor) report(m message) {
	// If the platform is gone, receive notices it.
	_, _ = s.platform.Write(m.encode())
}

// start starts a launcher, which gets the descriptors of the packet as its descriptors 0 to 3.
func (s *supervisor) start(p packet) {
	c := &child{id: p.id, limit: p.a << 20}
	defer func() {
		for _, fd := range p.files {
			syscall.Close(fd)
		}
	}()
	err := errors.New("descriptors are missing")
	if len(p.files) == 4 {
		c.pid, err = syscall.ForkExec("/proc/self/exe", []string{launcherName}, &syscall.ProcAttr{
			Dir: "/", Env: []string{}, Files: []uintptr{uintptr(p.files[0]), uintptr(p.files[1]), uintptr(p.files[2]), uintptr(p.files[3])},
			Sys: &syscall.SysProcAttr{Setpgid: true},
		})
	}
	if err != nil {
		s.report(message{op: opStarted, id: p.id, text: "starting a process: " + err.Error()})
		return
	}
	s.byID[c.id], s.byPid[c.pid] = c, c
	path := s.cgroups.nextPath()
	if path == "" || c.limit <= 0 {
		s.reportStarted(c)
		return
	}
	s.grouping++
	go func() { s.grouped <- groupedChild{c, s.cgroups.add(path, c.pid, c.limit)} }()
}

// setCgroup records the control group of a child. If the child has died meanwhile, it removes the group and returns false.
func (s *supervisor) setCgroup(g groupedChild) bool {
	s.grouping--
	if s.byID[g.child.id] != g.child {
		s.cgroups.remove(g.cgroup)
		return false
	}
	g.child.cgroup = g.cgroup
	return true
}

// reportStarted reports that a launcher is ready for its execRequest.
func (s *supervisor) reportStarted(c *child) {
	inCgroup := int64(0)
	if c.cgroup != "" {
		inCgroup = 1
	}
	stat, _ := readStat(c.pid)
	s.report(message{op: opStarted, id: c.id, a: int64(c.pid)<<1 | inCgroup, b: int64(stat.start)})
}

// signal sends a signal to the child's process group, and to those of its descendants that have left the group.
func (s *supervisor) signal(c *child, sig syscall.Signal) {
	_ = syscall.Kill(-c.pid, sig)
	for _, pid := range descendants(c.pid) {
		if group, err := syscall.Getpgid(pid); err == nil && group != c.pid {
			_ = syscall.Kill(pid, sig)
		}
	}
}

// kill kills the child's process group. Descendants that have left the group become orphans, which reap kills.
func (s *supervisor) kill(c *child) { _ = syscall.Kill(-c.pid, syscall.SIGKILL) }

// reap waits for the children that have died, kills their orphans, and reports the dead children once no orphans are left.
func (s *supervisor) reap() {
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
		if c := s.byPid[pid]; c != nil {
			// What is left of its group are orphans already.
			_ = syscall.Kill(-pid, syscall.SIGKILL)
			delete(s.byPid, pid)
			delete(s.byID, c.id)
			s.dead = append(s.dead, c)
			// It may have failed at RLIMIT_DATA before enforceMemory saw it.
			if c.cgroup == "" && c.limit > 0 && status != 0 && usage.Maxrss<<10 > c.limit+sharedSlack {
				c.outOfMemory = true
			}
		}
	}
	// The death of an orphan sends SIGCHLD again. Orphans are looked for at every SIGCHLD, even if no child has died: the kernel's list of
	// children may miss one.
	if s.killOrphans() > 0 {
		return
	}
	for _, c := range s.dead {
		flags := int64(0)
		if s.cgroups.remove(c.cgroup) || c.outOfMemory {
			flags = flagOutOfMemory
		}
		s.report(message{op: opExited, id: c.id, a: flags})
	}
	s.dead = nil
}

// killOrphans kills all orphans, and returns how many there were.
func (s *supervisor) killOrphans() int {
	n := 0
	for _, pid := range children(os.Getpid()) {
		if s.byPid[pid] == nil {
			n++
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return n
}

// enforceMemory kills the children that exceed their memory limit and are in no control group. It skips paused ones, whose memory cannot
// grow. If list is set, it lists their descendants anew.
func (s *supervisor) enforceMemory(list bool) {
	for _, c := range s.byID {
		if c.paused || c.outOfMemory || c.cgroup != "" || c.limit <= 0 {
			continue
		}
		if list {
			c.descendants = descendants(c.pid)
		}
		total := residentBytes(c.pid)
		for _, pid := range c.descendants {
			total += residentBytes(pid)
		}
		if total > c.limit {
			c.outOfMemory = true
			s.kill(c)
		}
	}
}

// shutdown kills all descendants, waits for them, and removes the control groups and the directory.
func (s *supervisor) shutdown() {
	for s.grouping > 0 {
		s.setCgroup(<-s.grouped)
	}
	for {
		for _, c := range s.byPid {
			s.kill(c)
		}
		s.killOrphans()
		pid, err := syscall.Wait4(-1, nil, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			break
		}
		if c := s.byPid[pid]; c != nil {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
			delete(s.byPid, pid)
			s.dead = append(s.dead, c)
		}
	}
	for _, c := range s.dead {
		s.cgroups.remove(c.cgroup)
	}
	s.cgroups.close()
	_ = removeAll(s.dir)
}
