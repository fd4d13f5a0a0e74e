//go:build linux && integration

package instrument

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/internal/integration"
	"github.com/tppfaas/tppfaas/internal/testbin"
)

// unpackedDir has the folders of unpacked, which all tests share.
var unpackedDir string

func TestMain(m *testing.M) {
	var err error
	if unpackedDir, err = os.MkdirTemp("", "tppfaas-instrument-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		if err := errors.Join(testbin.Remove(), os.RemoveAll(unpackedDir)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
		os.Exit(status)
	}))
}

const (
	examples = "../../examples/instrument"
	packages = "../../build/instrument"
	fetch    = "make fetch-instrument"
	// kind is a kind whose containers speak the action loop, and image the name that its exec.env has.
	kind, image = "go:1.20", "openwhisk/action-golang-v1.20"
)

// languages are the folders of the examples.
var languages = []string{"node", "python", "go"}

// unpacked returns a folder with what a container has after the deployment of an example: its code with the packages that it needs, and exec,
// which starts it.
func unpacked(t *testing.T, language string) string {
	t.Helper()
	dir, source := filepath.Join(unpackedDir, language), filepath.Join(examples, language)
	if _, err := os.Stat(filepath.Join(dir, "exec.env")); err == nil { // it is written last
		return dir
	}
	require.NoError(t, os.MkdirAll(dir, 0o777))
	switch language {
	case "node":
		node := integration.Program(t, "node", "apt-get install nodejs")
		modules := integration.File(t, filepath.Join(source, "node_modules"), "OpenTelemetry for Node.js", fetch)
		copyFiles(t, dir, map[string]string{
			"index.js": filepath.Join(source, "index.js"), "tracing.js": filepath.Join(source, "tracing.js"), "package.json": filepath.Join(source, "package.json"),
			"node_modules": modules, "launcher.js": "testdata/launcher.js",
		})
		write(t, filepath.Join(dir, "exec"), fmt.Sprintf("#!/bin/sh\nexec %q launcher.js\n", node), 0o777)
	case "python":
		python, err := filepath.Abs(integration.File(t, filepath.Join(packages, "venv/bin/python"), "Python", fetch))
		require.NoError(t, err)
		installed := integration.File(t, filepath.Join(packages, "python"), "OpenTelemetry for Python", fetch)
		copyFiles(t, dir, map[string]string{
			".": installed, "main__.py": filepath.Join(source, "__main__.py"), "tracing.py": filepath.Join(source, "tracing.py"), "launcher.py": "testdata/launcher.py",
		})
		write(t, filepath.Join(dir, "exec"), fmt.Sprintf("#!/bin/sh\nexec %q launcher.py\n", python), 0o777)
	case "go":
		build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", filepath.Join(dir, "exec"), ".")
		build.Dir, build.Env = source, append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
		out, err := build.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	write(t, filepath.Join(dir, "exec.env"), image, 0o666)
	return dir
}

// copyFiles copies files and folders into a folder, without what only development tools read.
func copyFiles(t *testing.T, dir string, sources map[string]string) {
	t.Helper()
	for name, source := range sources {
		require.NoError(t, filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || strings.HasSuffix(path, ".map") || strings.HasSuffix(path, ".ts") {
				return err
			}
			rel, err := filepath.Rel(source, path)
			if err != nil {
				return err
			}
			target := filepath.Join(dir, name, rel)
			if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
				return err
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(target, content, 0o666)
		}))
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), mode))
}

// zipped returns the zip of a folder.
func zipped(t *testing.T, dir string) []byte {
	t.Helper()
	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	require.NoError(t, z.AddFS(os.DirFS(dir)))
	require.NoError(t, z.Close())
	return packed.Bytes()
}

// process is a container with an example: the process that exec starts.
type process struct {
	t       *testing.T
	command *exec.Cmd
	stdin   io.WriteCloser
	answers *bufio.Reader
	log     bytes.Buffer // of standard error; to be read after stop
}

// launch starts the code in a folder, as OpenWhisk starts it for the activation first.
func launch(t *testing.T, dir, apiHost, first string) *process {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	p := &process{t: t, answers: bufio.NewReader(r), command: exec.CommandContext(t.Context(), filepath.Join(dir, "exec"))}
	p.command.Dir = dir
	p.command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "__OW_API_HOST=" + apiHost, "__OW_ACTIVATION_ID=" + first, "__OW_WAIT_FOR_ACK=1",
		// Timers do not fire in a paused container: nothing may be left to that of OpenTelemetry's batches.
		"OTEL_BSP_SCHEDULE_DELAY=3600000",
	}
	p.command.ExtraFiles = []*os.File{w}
	p.command.Stderr = &p.log
	p.command.WaitDelay = 10 * time.Second
	p.stdin, err = p.command.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, p.command.Start())
	require.NoError(t, w.Close())
	t.Cleanup(func() {
		p.stop()
		_ = r.Close()
		if t.Failed() {
			t.Log(p.log.String())
		}
	})
	require.JSONEq(t, `{"ok":true}`, p.line())
	return p
}

// run invokes the function, and returns its answer.
func (p *process) run(activation string, value map[string]any) map[string]any {
	p.t.Helper()
	request, err := json.Marshal(map[string]any{
		"value": value, "activation_id": activation, "action_name": "/guest/shop/hello", "api_key": "user:password", "namespace": "guest",
	})
	require.NoError(p.t, err)
	_, err = p.stdin.Write(append(request, '\n'))
	require.NoError(p.t, err)
	var answer map[string]any
	require.NoError(p.t, json.Unmarshal([]byte(p.line()), &answer))
	return answer
}

func (p *process) line() string {
	p.t.Helper()
	line, err := p.answers.ReadString('\n')
	require.NoError(p.t, err)
	return line
}

// stop ends the process, if it has not ended.
func (p *process) stop() {
	if p.command.ProcessState == nil {
		_ = p.stdin.Close()
		_ = p.command.Wait()
	}
}
