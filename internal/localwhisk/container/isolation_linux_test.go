package container

import (
	"fmt"
	"math/bits"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const nobody = 65534

// openDir returns a directory that every user can enter, as the usual directory for temporary files.
func openDir(t *testing.T, owner int) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tppfaas-open-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, os.Chown(dir, owner, owner))
	return dir
}

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
}

// TestOtherUser checks that an action that runs as another user can write to its own directory and nowhere else, and cannot read the
// environment of the platform and the supervisor.
func TestOtherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		_, err := NewProcessRuntime(Options{UID: nobody})
		require.ErrorContains(t, err, "only root")
		t.Skip("only root can become another user")
	}
	r, err := NewProcessRuntime(Options{Dir: openDir(t, 0), UID: nobody, GID: nobody})
	require.NoError(t, err)
	defer r.Close()
	c, other := started(t, r, spec(t)), started(t, r, spec(t))
	status := field[string](t, run(c, `{"mode": "read", "name": "/proc/self/status"}`), "text")
	for _, id := range []string{"Uid", "Gid"} {
		require.Contains(t, status, fmt.Sprintf("\n%s:\t%[2]d\t%[2]d\t%[2]d\t%[2]d\n", id, nobody))
	}
	require.Contains(t, status, "\nGroups:\t \n")
	require.Equal(t, "<nil>", field[string](t, run(c, `{"mode": "write", "name": "own.txt"}`), "problem"))
	forbidden := []string{filepath.Join(r.dir, "x"), filepath.Join(r.codes.dir, "x"), filepath.Join(other.(*processContainer).code.dir, "x")}
	for _, file := range forbidden {
		o := run(c, fmt.Sprintf(`{"mode": "write", "name": %q}`, file))
		require.Contains(t, field[string](t, o, "problem"), "permission denied", file)
	}
	for _, pid := range []int{os.Getpid(), r.supervisor.command.Process.Pid} {
		o := run(c, fmt.Sprintf(`{"mode": "read", "name": "/proc/%d/environ"}`, pid))
		require.Contains(t, field[string](t, o, "problem"), "permission denied")
	}
	daemon := daemonOf(t, c)
	c.Remove()
	require.False(t, alive(daemon))
}

// TestSignals checks that an action starts with no signal ignored or blocked, whatever those were that the platform inherited: nohup ignores
// SIGHUP, and a shell ignores SIGINT and SIGQUIT in what a script runs in the background.
func TestSignals(t *testing.T) {
	ignored := []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGPIPE, syscall.SIGUSR1, syscall.SIGTSTP, syscall.SIGTTIN}
	mask := func(status, name string) (v uint64) {
		for line := range strings.Lines(status) {
			if n, _ := fmt.Sscanf(line, name+":\t%x", &v); n == 1 {
				return v
			}
		}
		t.Fatalf("no %s in %s", name, status)
		return 0
	}
	signal.Ignore(ignored...)
	defer signal.Reset(ignored...)
	own, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	require.GreaterOrEqual(t, bits.OnesCount64(mask(string(own), "SigIgn")), len(ignored))
	c := started(t, newRuntime(t, Options{}), spec(t))
	status := field[string](t, run(c, `{"mode": "read", "name": "/proc/self/status"}`), "text")
	// Signals 32 and 33 belong to the C library: what make starts ignores them.
	require.Zero(t, mask(status, "SigIgn")&^(3<<31))
	require.Zero(t, mask(status, "SigBlk"))
	require.Contains(t, status, "NoNewPrivs:\t1")
}

const hiddenName = "the-hidden-platform-of-a-test"

// hiddenMain is the main function of a platform in a process of its own: it makes an action read the platform's files in /proc, and prints
// the results.
func hiddenMain() {
	r := must(NewProcessRuntime(Options{Dir: os.Args[2], HidePlatform: os.Args[4] == "true"}))
	code := must(os.ReadFile(os.Args[3]))
	c := must(r.Start(background, 256))
	if o, err := c.Init(background, Spec{Kind: "go:1.24", Binary: true, Code: code, LogMB: 1}, time.Minute); o != nil || err != nil {
		fmt.Println(o, err)
		os.Exit(1)
	}
	for _, file := range []string{"environ", "mem", "maps"} {
		fmt.Println(string(run(c, fmt.Sprintf(`{"mode": "open", "name": "/proc/%d/%s"}`, os.Getpid(), file)).Result))
	}
	if err := r.Close(); err != nil {
		fmt.Println(err)
	}
}

// TestHidePlatform checks that an action of the same user can read the platform's environment and memory unless HidePlatform is set.
func TestHidePlatform(t *testing.T) {
	requireRoot(t) // to start a platform as another user
	dir := openDir(t, nobody)
	code := filepath.Join(dir, "code.zip")
	require.NoError(t, os.WriteFile(code, spec(t).Code, 0o644))
	for _, hidden := range []bool{false, true} {
		c := exec.Command("/proc/self/exe", hiddenName, dir, code, fmt.Sprint(hidden))
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		c.Env = []string{"SECRET=must not be seen"}
		c.Dir = "/"
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s", out)
		if hidden {
			require.Equal(t, 3, strings.Count(string(out), "permission denied"), "%s", out)
		} else {
			require.Equal(t, 3, strings.Count(string(out), `"problem":"\u003cnil\u003e"`), "%s", out)
		}
	}
}
