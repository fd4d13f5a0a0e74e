//go:build unix

package readme

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/internal/loopback"
)

// pages are the documents whose commands are run, in this order, in one folder.
var pages = []string{"README.md", "docs/modelling.md", "docs/sampling.md", "docs/prewarm.md", "docs/controller.md", "docs/cluster.md", "docs/report.md", "docs/rightsize.md", "docs/collector.md", "docs/instrument.md"}

// TestEveryCommandWorks runs the commands of the README and of the handbook from top to bottom, as a new user would.
func TestEveryCommandWorks(t *testing.T) {
	if testing.Short() {
		t.Skip("builds everything and trains models")
	}
	dir := t.TempDir()
	copyProject(t, dir)
	// The ports in the README may be in use on this machine: the servers listen on free ones.
	for _, address := range []string{"TPPFAAS_OTLP_GRPC", "TPPFAAS_HEALTH"} {
		t.Setenv(address, "127.0.0.1:0")
	}
	t.Setenv("TPPFAAS_METRICS_PORT", "0")
	for _, server := range []struct{ address, url string }{{"TPPFAAS_OTLP_HTTP", "TPPFAAS_COLLECTOR"}, {"", "OW_APIHOST"}, {"", "TPPFAAS_ZIPKIN"}, {"TPPFAAS_LISTEN", "TPPFAAS_PREDICTOR"}, {"TPPFAAS_PREWARM_LISTEN", "TPPFAAS_PREWARM_URL"}} {
		addresses, err := loopback.FreeAddresses(1)
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv(server.url, "http://"+addresses[0])
		if server.address != "" {
			t.Setenv(server.address, addresses[0])
		}
	}
	// The platform draws a key, and its clients find it.
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, ".config"))
	t.Setenv("OW_AUTH", "")
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Minute)
	defer cancel()
	for _, page := range pages {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		blocks, err := Blocks(string(text))
		if err != nil {
			t.Fatalf("%s: %v", page, err)
		}
		for _, b := range blocks {
			place := fmt.Sprintf("%s:%d", page, b.Line)
			switch {
			case b.NotRun != "":
				t.Logf("%s is not run: %s", place, b.NotRun)
			case b.Background:
				background(ctx, t, dir, place, b)
			default:
				begin := time.Now()
				command := shell(ctx, dir, b.Script)
				if strings.Contains(b.Script, "${OW_AUTH:-") {
					// The cluster of one's own is the platform.
					key, err := os.ReadFile(filepath.Join(dir, ".config", "tppfaas", "local-platform.key"))
					if err != nil {
						t.Fatalf("%s: %v", place, err)
					}
					command.Env = append(command.Env, "OW_AUTH="+strings.TrimSpace(string(key)))
				}
				out, err := command.CombinedOutput()
				if err != nil {
					t.Fatalf("%s: %v\n%s\n%s", place, err, b.Script, tail(out))
				}
				t.Logf("%s: %.1f s", place, time.Since(begin).Seconds())
			}
		}
	}
}

// shell returns a command that runs a script by bash, in a process group of its own, which is killed as a whole.
func shell(ctx context.Context, dir, script string) *exec.Cmd {
	c := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	c.Dir = dir
	c.Env = append(os.Environ(), "HOME="+dir, "GOFLAGS=-buildvcs=false", "GOPATH="+goEnv("GOPATH"), "GOCACHE="+goEnv("GOCACHE"), "GOMODCACHE="+goEnv("GOMODCACHE"))
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = 10 * time.Second
	return c
}

// goEnv returns a setting of go; the commands have another home folder, where go would not find it.
func goEnv(name string) string {
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// background starts a block and returns when it is ready. At the end of the test it sends SIGINT to the block, which must end within a minute.
func background(ctx context.Context, t *testing.T, dir, place string, b Block) {
	t.Helper()
	// Not cancelled with the test, but by the cleanup below.
	c := shell(context.WithoutCancel(ctx), dir, b.Script)
	r, w := io.Pipe()
	c.Stdout, c.Stderr = w, w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ready, ended := make(chan struct{}), make(chan error, 1)
	var mu sync.Mutex
	var seen []byte
	go func() {
		var once sync.Once
		for lines := bufio.NewScanner(r); lines.Scan(); {
			mu.Lock()
			seen = append(append(seen, lines.Bytes()...), '\n')
			mu.Unlock()
			if strings.Contains(lines.Text(), b.Ready) {
				once.Do(func() { close(ready) })
			}
		}
	}()
	go func() {
		err := c.Wait()
		w.Close()
		ended <- err
	}()
	printed := func() []byte {
		mu.Lock()
		defer mu.Unlock()
		return tail(seen)
	}
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("%s ended: %v\n%s", place, err, printed())
	case <-time.After(2 * time.Minute):
		t.Fatalf("%s has not printed %q\n%s", place, b.Ready, printed())
	}
	t.Cleanup(func() {
		if err := syscall.Kill(-c.Process.Pid, syscall.SIGINT); err != nil {
			t.Errorf("%s: %v", place, err)
		}
		select {
		case <-ended:
		case <-time.After(time.Minute):
			t.Errorf("%s goes on after an interrupt\n%s", place, printed())
			_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		}
	})
}

func tail(out []byte) []byte { return out[max(0, len(out)-4000):] }

// copyProject copies the files of the project, without what was built.
func copyProject(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && (rel == ".git" || rel == "bin" || rel == "build" || d.Name() == "node_modules"):
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, rel), 0o777)
		case !d.Type().IsRegular():
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), content, info.Mode().Perm())
	})
	if err != nil {
		t.Fatal(err)
	}
}
