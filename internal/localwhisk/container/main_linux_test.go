package container

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

var background = context.Background()

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == platformName {
		platformMain()
		return
	}
	if len(os.Args) > 1 && os.Args[1] == hiddenName {
		hiddenMain()
		return
	}
	goleak.VerifyTestMain(m)
}

// build returns a function that builds a program, once, and returns its bytes.
func build(pkg string) func() ([]byte, error) {
	return sync.OnceValues(func() ([]byte, error) {
		dir, err := os.MkdirTemp("", "tppfaas-container-test-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		file := filepath.Join(dir, "exec")
		c := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o", file, pkg)
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build %s: %w: %s", pkg, err, out)
		}
		return os.ReadFile(file)
	})
}

var (
	standIn    = build("./testdata/action")
	realAction = build("github.com/tppfaas/tppfaas/apps/action/cmd/action")
)

const goEnv = "openwhisk/action-golang-v1.24"

// packed returns a zip of the files; exec and names that end in .sh are executable.
func packed(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range files {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		h.SetMode(0o644)
		if name == "exec" || strings.HasSuffix(name, ".sh") {
			h.SetMode(0o755)
		}
		w, err := z.CreateHeader(h)
		require.NoError(t, err)
		_, err = w.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return b.Bytes()
}

func newRuntime(t testing.TB, o Options) *ProcessRuntime {
	t.Helper()
	o.Dir = t.TempDir()
	p, err := NewProcessRuntime(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

var zipped sync.Map // by the first byte of the program

// standInZip returns the zip of the stand-in, which it makes once.
func standInZip(t testing.TB, program []byte) []byte {
	if z, ok := zipped.Load(&program[0]); ok {
		return z.([]byte)
	}
	z, _ := zipped.LoadOrStore(&program[0], packed(t, map[string]string{"exec": string(program), "exec.env": goEnv}))
	return z.([]byte)
}

// spec returns the Spec of the stand-in as an action of the kind go:1.24.
func spec(t testing.TB, env ...string) Spec {
	t.Helper()
	program, err := standIn()
	require.NoError(t, err)
	s := Spec{
		Name: "/guest/stand-in", Version: "0.0.1", Kind: "go:1.24", Main: "main", Binary: true, MemoryMB: 256, LogMB: 1, Env: map[string]string{},
		Code: standInZip(t, program),
	}
	for i := 0; i+1 < len(env); i += 2 {
		s.Env[env[i]] = env[i+1]
	}
	return s
}

// started returns a container that has been initialised with the action.
func started(t testing.TB, r *ProcessRuntime, s Spec) Container {
	t.Helper()
	c, err := r.Start(t.Context(), s.MemoryMB)
	require.NoError(t, err)
	t.Cleanup(c.Remove)
	o, err := c.Init(t.Context(), s, time.Minute)
	require.NoError(t, err)
	if o != nil {
		t.Fatalf("%s: %s %v", o.Kind, o.Result, c.Logs(""))
	}
	return c
}

func run(c Container, value string) Outcome {
	return runFor(c, value, time.Minute)
}

func runFor(c Container, value string, timeout time.Duration) Outcome {
	return c.Run(background, Invocation{
		Value: json.RawMessage(value), ActionName: "/guest/stand-in", ActionVersion: "0.0.1", ActivationID: "id", TransactionID: "tid",
		Namespace: "guest", Deadline: time.UnixMilli(1700000000123),
	}, timeout)
}

// field returns a member of a result, which must be there.
func field[T any](t testing.TB, o Outcome, name string) (v T) {
	t.Helper()
	var fields map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(o.Result, &fields), "%s", o.Result)
	require.Contains(t, fields, name)
	require.NoError(t, json.Unmarshal(fields[name], &v))
	return v
}

func texts(lines []Line) []string {
	var list []string
	for _, l := range lines {
		list = append(list, l.Stream+": "+l.Text)
	}
	return list
}

// alive reports whether a process is running.
func alive(pid int) bool {
	s, err := readStat(pid)
	return err == nil && !s.gone()
}

// eventually polls a condition that only /proc shows.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, time.Minute, time.Millisecond, what)
}

// unread returns the number of bytes in a pipe.
func unread(t testing.TB, f *os.File) int {
	t.Helper()
	raw, err := f.SyscallConn()
	require.NoError(t, err)
	n := 0
	require.NoError(t, raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }))
	require.NoError(t, err)
	return n
}
