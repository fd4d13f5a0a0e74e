package container

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// daemonOf makes an action start a daemon in a session of its own, whose parent has died, and returns its process id.
func daemonOf(t testing.TB, c Container) int {
	t.Helper()
	pid, err := strconv.Atoi(field[string](t, run(c, `{"mode": "daemon"}`), "pid"))
	require.NoError(t, err)
	require.True(t, alive(pid))
	return pid
}

// TestRemoveKillsAll checks that Remove also kills a process that has left the group and the session and whose parent has died, and nothing of
// another container.
func TestRemoveKillsAll(t *testing.T) {
	r := newRuntime(t, Options{})
	one, two := started(t, r, spec(t)), started(t, r, spec(t))
	first, other := daemonOf(t, one), daemonOf(t, two)
	c := one.(*processContainer)
	one.Remove()
	require.False(t, alive(first))
	require.False(t, alive(c.process.identity.pid))
	require.NoDirExists(t, c.dir)
	require.True(t, alive(other))
	require.Equal(t, Success, run(two, `{}`).Kind)
	one.Remove()
	require.Equal(t, InternalError, run(one, `{}`).Kind)
	require.ErrorIs(t, one.Pause(), errRemoved)

	// The daemon is also killed when the action crashes.
	require.Equal(t, DeveloperError, run(two, `{"mode": "crash"}`).Kind)
	require.False(t, alive(other))
}

// TestCloseLeavesNothing checks that Close ends running invocations, and leaves neither processes nor files.
func TestCloseLeavesNothing(t *testing.T) {
	r := newRuntime(t, Options{})
	var pids []int
	for range 3 {
		c := started(t, r, spec(t))
		pids = append(pids, daemonOf(t, c), c.(*processContainer).process.identity.pid)
	}
	c := started(t, r, spec(t))
	done := make(chan Outcome)
	go func() { done <- run(c, `{"sleep": 60000}`) }()
	pids = append(pids, c.(*processContainer).process.identity.pid, r.supervisor.command.Process.Pid)
	require.NoError(t, c.Pause(), "stopped processes are killed too")
	require.NoError(t, r.Close())
	require.Equal(t, InternalError, (<-done).Kind)
	for _, pid := range pids {
		require.False(t, alive(pid))
	}
	require.NoDirExists(t, r.dir)
	_, err := r.Start(t.Context(), 256)
	require.ErrorIs(t, err, errClosed)
	require.NoError(t, r.Close())
}

// TestPause checks that Pause stops a daemon of the action too, and that a paused container can be continued and removed.
func TestPause(t *testing.T) {
	r := newRuntime(t, Options{})
	c := started(t, r, spec(t))
	daemon, own := daemonOf(t, c), c.(*processContainer).process.identity.pid
	state := func(pid int) byte {
		s, err := readStat(pid)
		require.NoError(t, err)
		return s.state
	}
	require.NoError(t, c.Pause())
	eventually(t, "both are stopped", func() bool { return state(own) == 'T' && state(daemon) == 'T' })
	require.NoError(t, c.Unpause())
	require.Equal(t, Success, run(c, `{}`).Kind)
	eventually(t, "both go on", func() bool { return state(own) != 'T' && state(daemon) != 'T' })
	require.NoError(t, c.Pause())
	c.Remove()
	require.False(t, alive(own))
	require.False(t, alive(daemon))
}

// TestSupervisorKilled checks that the platform notices the end of the supervisor, that no process is left, and that later containers run under
// another supervisor.
func TestSupervisorKilled(t *testing.T) {
	r := newRuntime(t, Options{})
	one, two := started(t, r, spec(t)), started(t, r, spec(t))
	pids := []int{daemonOf(t, one), one.(*processContainer).process.identity.pid, daemonOf(t, two), two.(*processContainer).process.identity.pid}
	done := make(chan Outcome)
	go func() { done <- run(one, `{"sleep": 60000}`) }()
	killed := r.supervisor
	require.NoError(t, syscall.Kill(killed.command.Process.Pid, syscall.SIGKILL))
	require.Equal(t, lost(exitedUnexpected), <-done)
	<-killed.gone
	for _, pid := range pids {
		require.False(t, alive(pid))
	}
	require.Equal(t, lost(exitedUnexpected), run(two, `{}`))
	one.Remove()
	require.NoDirExists(t, one.(*processContainer).dir)
	require.Equal(t, Success, run(started(t, r, spec(t)), `{}`).Kind)
	require.NotSame(t, killed, r.supervisor)
}

const platformName = "the-platform-of-a-test"

// platformMain is the main function of a platform in a process of its own, which is to be killed: it starts containers with daemons, prints the
// process ids, and waits.
func platformMain() {
	fail := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	r, err := NewProcessRuntime(Options{Dir: os.Args[2]})
	fail(err)
	code, err := os.ReadFile(os.Args[3])
	fail(err)
	var pids []string
	for range 2 {
		c, err := r.Start(background, 256)
		fail(err)
		o, err := c.Init(background, Spec{Kind: "go:1.24", Binary: true, Code: code, LogMB: 1}, time.Minute)
		fail(err)
		if o != nil {
			fail(fmt.Errorf("%s", o.Result))
		}
		d := run(c, `{"mode": "daemon"}`)
		pids = append(pids, strings.Trim(string(d.Result), `{}"pid:`), fmt.Sprint(c.(*processContainer).process.identity.pid))
		go run(c, `{"sleep": 600000}`)
	}
	// Wait for the spare container: a supervisor that is killed while it starts a process leaves the lock to that process for a moment.
	for ready := false; !ready; time.Sleep(time.Millisecond) {
		r.mu.Lock()
		ready = r.spare != nil && !r.startingSpare
		r.mu.Unlock()
	}
	fmt.Println(r.supervisor.command.Process.Pid, strings.Join(pids, " "))
	select {}
}

// platform starts a platform in a process of its own, with its directory in dir. It returns the platform and the ids of its processes, the
// supervisor's first.
func platform(t *testing.T, dir string) (c *exec.Cmd, pids []int) {
	t.Helper()
	code := filepath.Join(t.TempDir(), "code.zip")
	require.NoError(t, os.WriteFile(code, spec(t).Code, 0o600))
	c = exec.Command(os.Args[0], platformName, dir, code)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	for _, f := range strings.Fields(line) {
		pid, err := strconv.Atoi(f)
		require.NoError(t, err, line)
		require.True(t, alive(pid))
		pids = append(pids, pid)
	}
	require.Len(t, pids, 5)
	return c, pids
}

func requireEmpty(t testing.TB, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestPlatformKilled checks that SIGKILL of the platform leaves neither processes nor files, and that the supervisor survives the signals that
// a terminal or an administrator may send it.
func TestPlatformKilled(t *testing.T) {
	dir := t.TempDir()
	c, pids := platform(t, dir)
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		require.NoError(t, syscall.Kill(pids[0], s))
	}
	require.NoError(t, c.Process.Kill())
	require.Error(t, c.Wait())
	for _, pid := range pids {
		eventually(t, "all are gone", func() bool { return !alive(pid) })
	}
	requireEmpty(t, dir)
}

// TestBothKilled checks that the next platform removes what a platform and a supervisor have left that were killed together, and nothing of
// a running platform.
func TestBothKilled(t *testing.T) {
	dir := t.TempDir()
	c, pids := platform(t, dir)
	living := must(NewProcessRuntime(Options{Dir: dir}))
	defer living.Close()
	require.NoError(t, syscall.Kill(pids[0], syscall.SIGSTOP), "it must do nothing in between")
	require.NoError(t, c.Process.Kill())
	require.NoError(t, syscall.Kill(pids[0], syscall.SIGKILL))
	require.Error(t, c.Wait())
	eventually(t, "the supervisor is gone", func() bool { return !alive(pids[0]) })
	require.True(t, alive(pids[1]), "nobody has killed the daemon")
	require.NoError(t, must(NewProcessRuntime(Options{Dir: dir})).Close())
	for _, pid := range pids {
		require.False(t, alive(pid), "process %d of %d", pid, pids)
	}
	require.Equal(t, Success, run(started(t, living, spec(t)), `{}`).Kind)
	require.NoError(t, living.Close())
	requireEmpty(t, dir)
}

// TestMany runs many containers at once, some of which crash.
func TestMany(t *testing.T) {
	r := newRuntime(t, Options{noSpare: true})
	s := spec(t)
	var wait sync.WaitGroup
	for i := range 16 {
		wait.Go(func() {
			for range 3 {
				c, err := r.Start(t.Context(), 256)
				if err != nil {
					t.Error(err)
					return
				}
				if o, err := c.Init(t.Context(), s, time.Minute); o != nil || err != nil {
					t.Error(o, err)
				}
				if o := run(c, `{}`); o.Kind != Success {
					t.Errorf("%s", o.Result)
				}
				if i%4 == 0 {
					run(c, `{"mode": "daemon"}`)
					run(c, `{"mode": "crash"}`)
				}
				c.Remove()
			}
		})
	}
	wait.Wait()
	require.Empty(t, children(r.supervisor.command.Process.Pid))
	entries, err := os.ReadDir(r.dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "the code and the lock")
}
