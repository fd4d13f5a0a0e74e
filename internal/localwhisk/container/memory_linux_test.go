package container

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMemory checks that an action that exceeds its memory limit, itself or by a child process, is killed, and that others are not.
func TestMemory(t *testing.T) {
	for name, o := range map[string]Options{"control groups if available": {}, "polled": {noControlGroups: true}} {
		t.Run(name, func(t *testing.T) {
			r := newRuntime(t, o)
			s := spec(t)
			s.MemoryMB = 128
			c, kept := started(t, r, s), started(t, r, s)
			if g := c.(*processContainer); o.noControlGroups || os.Geteuid() != 0 {
				require.False(t, g.process.inCgroup)
			} else {
				t.Logf("in a control group: %t", g.process.inCgroup)
			}
			require.Equal(t, Success, run(kept, `{"mode": "memory", "size": 64}`).Kind)
			require.Equal(t, lost(outOfMemory), run(c, `{"mode": "memory", "size": 1000}`))
			logs := texts(c.Logs("id"))
			require.Equal(t, "stderr: "+notAsExpected, logs[len(logs)-1])
			child := started(t, r, s)
			switch o := run(child, `{"mode": "memory child", "size": 1000}`); {
			case o.Kind == Success: // the kernel refuses the memory or kills the child alone, as in Docker
				require.NotEqual(t, "<nil>", field[string](t, o, "problem"))
			default:
				require.Equal(t, lost(outOfMemory), o)
			}
			require.Equal(t, Success, run(kept, `{}`).Kind)

			s.Kind, s.Image, s.Code = "blackbox", "openwhisk/dockerskeleton", must(standIn())
			once := started(t, r, s)
			require.Equal(t, lost(outOfMemory), run(once, `{"mode": "memory", "size": 1000}`))
		})
	}
}

// TestControlGroups checks that control groups are removed with their containers, and their parent with the supervisor.
func TestControlGroups(t *testing.T) {
	r := newRuntime(t, Options{noSpare: true})
	c := started(t, r, spec(t))
	if !c.(*processContainer).process.inCgroup {
		t.Skip("no control groups can be created here")
	}
	groups := func() []string {
		var list []string
		for _, dir := range []string{"/sys/fs/cgroup/memory", "/sys/fs/cgroup"} {
			found, err := filepath.Glob(filepath.Join(dir, fmt.Sprintf("tppfaas-%d/*/cgroup.procs", r.supervisor.command.Process.Pid)))
			require.NoError(t, err)
			list = append(list, found...)
		}
		return list
	}
	require.Len(t, groups(), 1)
	c.Remove()
	require.Empty(t, groups())
	require.NoError(t, r.Close())
	for _, dir := range []string{"/sys/fs/cgroup/memory", "/sys/fs/cgroup"} {
		require.NoDirExists(t, filepath.Join(dir, fmt.Sprintf("tppfaas-%d", r.supervisor.command.Process.Pid)))
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
