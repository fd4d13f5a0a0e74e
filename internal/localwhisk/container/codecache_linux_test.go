package container

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCodeIsShared checks that the same code is unpacked once, whether it comes in one slice or in several, even concurrently.
func TestCodeIsShared(t *testing.T) {
	r := newRuntime(t, Options{})
	code := packed(t, map[string]string{"exec": "run", "exec.env": goEnv})
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for _, content := range [][]byte{code, bytes.Clone(code)} {
				k, err := r.codes.acquire(content)
				if err != nil || k.checkExec() == nil && k.env != goEnv {
					t.Error(err, k)
					return
				}
				r.codes.release(k)
			}
		})
	}
	wait.Wait()
	require.Equal(t, 1, r.codes.unpacked)
}

// TestCodeIsForgotten checks that the least recently used code is removed beyond the limit, and code in use never.
func TestCodeIsForgotten(t *testing.T) {
	r := newRuntime(t, Options{IdleCodeBytes: 250, CodeBytes: 1000})
	get := func(i int) *code {
		k, err := r.codes.acquire(packed(t, map[string]string{"exec": strings.Repeat(fmt.Sprint(i), 100)}))
		require.NoError(t, err)
		require.DirExists(t, k.dir)
		return k
	}
	used := get(0)
	for i := 1; i <= 5; i++ {
		r.codes.release(get(i))
	}
	entries, err := os.ReadDir(r.codes.dir)
	require.NoError(t, err)
	require.Len(t, entries, 3, "the used one, and two that fit")
	require.Equal(t, 6, r.codes.unpacked)
	r.codes.release(get(5))
	require.Equal(t, 6, r.codes.unpacked)
	r.codes.release(get(1))
	require.Equal(t, 7, r.codes.unpacked)
	require.DirExists(t, used.dir)
	r.codes.release(used)
	require.Len(t, r.codes.byContent, 2)
	require.Len(t, r.codes.bySlice, func() int {
		n := 0
		for _, k := range r.codes.byContent {
			n += len(k.slices)
		}
		return n
	}())

	_, err = r.codes.acquire(packed(t, map[string]string{"exec": strings.Repeat("x", 2000)}))
	require.ErrorContains(t, err, "too large")
	_, err = r.codes.acquire(bytes.Repeat([]byte("x"), 2000))
	require.ErrorContains(t, err, "larger than 1000 bytes")
	require.Len(t, r.codes.byContent, 2, "what failed is not kept")
}

// TestMessages checks that exec requests and messages are decoded as they were encoded, and that malformed ones are errors.
func TestMessages(t *testing.T) {
	o := execRequest{file: "/f", dir: "/d", args: []string{"exec", ""}, env: []string{"A=b", "C="}, memoryMB: 7, limitData: true, uid: 3, gid: 4, results: true}
	b, err := o.encode()
	require.NoError(t, err)
	var back execRequest
	require.NoError(t, back.decode(string(b[4:])))
	require.Equal(t, o, back)
	for _, text := range []string{"", "a\x00b", "f\x00d\x00x\x000\x000\x000\x000\x000", "f\x00d\x000\x000\x000\x000\x000\x009"} {
		require.Error(t, back.decode(text), "%q", text)
	}
	o.env = []string{strings.Repeat("x", maxExecRequest)}
	_, err = o.encode()
	require.ErrorContains(t, err, "larger than")
	m := message{opStart, 1 << 60, -1, 1 << 40, "text"}
	same, err := decodeMessage(m.encode())
	require.NoError(t, err)
	require.Equal(t, m, same)
	_, err = decodeMessage([]byte("short"))
	require.Error(t, err)
}

// TestPrepare checks that prepared code is not unpacked again, and that code that cannot be unpacked does no harm.
func TestPrepare(t *testing.T) {
	r := newRuntime(t, Options{})
	s := spec(t)
	r.Prepare(nil)
	r.Prepare([]byte("PK no zip"))
	r.Prepare(s.Code)
	eventually(t, "both are done", func() bool { return len(r.codes.preparing) == 0 })
	r.codes.working.Wait()
	require.Len(t, r.codes.idle, 1)
	require.Equal(t, Success, run(started(t, r, s), `{}`).Kind)
	require.Equal(t, 2, r.codes.unpacked)
	r.codes.close()
	r.Prepare(bytes.Clone(s.Code))
	_, err := r.codes.acquire(bytes.Clone(s.Code))
	require.ErrorIs(t, err, errClosed)
}

// TestChildren checks that the children found by their parents are those of the kernel's list, which not every kernel has.
func TestChildren(t *testing.T) {
	r := newRuntime(t, Options{noSpare: true})
	started(t, r, spec(t))
	started(t, r, spec(t))
	supervisor := r.supervisor.command.Process.Pid
	require.Len(t, children(supervisor), 2)
	require.ElementsMatch(t, children(supervisor), childrenByParent(supervisor))
	require.Contains(t, descendants(os.Getpid()), supervisor)
}
