//go:build unix

package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/loopback"
	"github.com/tppfaas/tppfaas/internal/testbin"
)

// freeAddress returns an address of this machine on which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	addresses, err := loopback.FreeAddresses(1)
	require.NoError(t, err)
	return addresses[0]
}

// TestRun runs the collector of an unpacked image until its health check answers, and ends it by SIGTERM, as Kubernetes does. As root, and
// if the program is static, it sees nothing but the files of the image, under the image's user.
func TestRun(t *testing.T) {
	file, _ := made(t)
	all, _ := images(t, file, t.TempDir())
	img := all[runtime.GOARCH]
	config, err := img.ConfigFile()
	require.NoError(t, err)
	dir := t.TempDir()
	content := mutate.Extract(img)
	unpack(t, content, dir)
	require.NoError(t, content.Close())

	health := freeAddress(t)
	settings := fmt.Sprintf(`
receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:0"}}}}
exporters: {debug: {}}
extensions: {health_check: {endpoint: %q}, file_storage: {directory: state, create_directory: true}}
service:
  extensions: [health_check, file_storage]
  pipelines: {traces: {receivers: [otlp], exporters: [debug]}}
  telemetry: {metrics: {level: none}}
`, health)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(settings), 0o644))
	executable := filepath.Join(dir, config.Config.Entrypoint[0])
	static, err := isStatic(executable)
	require.NoError(t, err)
	c := exec.Command(executable, "--config=../../config.yaml")
	c.Dir = filepath.Join(dir, config.Config.WorkingDir)
	c.Env = config.Config.Env
	if os.Getuid() == 0 && static {
		c.Path, c.Dir = config.Config.Entrypoint[0], config.Config.WorkingDir
		c.SysProcAttr = &syscall.SysProcAttr{Chroot: dir, Credential: &syscall.Credential{Uid: user, Gid: user}}
	}
	var log bytes.Buffer
	c.Stdout, c.Stderr = &log, &log
	require.NoError(t, c.Start())
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	defer c.Process.Kill() // unless it has ended

	client := &http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	for ready, deadline := false, time.After(time.Minute); !ready; {
		if answer, err := client.Get("http://" + health + "/"); err == nil {
			ready = answer.StatusCode == http.StatusOK
			require.NoError(t, answer.Body.Close())
		}
		select {
		case err := <-ended:
			t.Fatalf("the collector ended: %v\n%s", err, &log)
		case <-deadline:
			_ = c.Process.Kill()
			t.Fatalf("the collector is not healthy: %v\n%s", <-ended, &log)
		case <-time.After(20 * time.Millisecond):
		}
	}
	require.DirExists(t, filepath.Join(dir, config.Config.WorkingDir, "state"), "the user can write into its folder")
	require.NoError(t, c.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-ended:
		require.NoError(t, err, log.String())
	case <-time.After(time.Minute):
		t.Fatal("the collector goes on after SIGTERM")
	}
	require.Contains(t, log.String(), "Shutdown complete.")
	t.Logf("%s, static %v, chroot %v", path.Base(file), static, c.SysProcAttr != nil)
}

// TestInspect checks what is seen of a program, and that one of which there are no images is refused.
func TestInspect(t *testing.T) {
	collector, err := testbin.Path("collector/cmd/collector")
	require.NoError(t, err)
	p, err := inspect(collector)
	require.NoError(t, err)
	require.Equal(t, runtime.GOARCH, p.arch)
	require.NotEmpty(t, p.version)
	require.Equal(t, "collector", p.product.name)

	self, err := os.Executable()
	require.NoError(t, err)
	_, err = inspect(self)
	require.ErrorContains(t, err, self+" is ")
	require.ErrorContains(t, err, "of which there are no images")
	text := filepath.Join(t.TempDir(), "collector")
	require.NoError(t, os.WriteFile(text, []byte("#!/bin/sh\n"), 0o755))
	_, err = inspect(text)
	require.ErrorContains(t, err, text)
}

// TestPrewarm checks that an image of the controller has that program and no other, and that it runs from there.
func TestPrewarm(t *testing.T) {
	if testing.Short() {
		t.Skip("compresses the controller")
	}
	built, err := testbin.Path("prewarm/cmd/prewarm")
	require.NoError(t, err)
	p, err := inspect(built)
	require.NoError(t, err)
	require.Equal(t, "prewarm", p.product.name)
	img, err := sample(t).of(p)
	require.NoError(t, err)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	require.Equal(t, []string{"/prewarm"}, config.Config.Entrypoint)
	require.Equal(t, "prewarm", config.Config.Labels["org.opencontainers.image.title"])
	dir := t.TempDir()
	content := mutate.Extract(img)
	headers := unpack(t, content, dir)
	require.NoError(t, content.Close())
	require.Contains(t, headers, "prewarm")
	require.NotContains(t, headers, "collector")
	executable := filepath.Join(dir, "prewarm")
	c := exec.CommandContext(t.Context(), executable, "-h")
	if os.Getuid() == 0 && p.static {
		c.Path, c.Dir = "/prewarm", "/"
		c.SysProcAttr = &syscall.SysProcAttr{Chroot: dir, Credential: &syscall.Credential{Uid: user, Gid: user}}
	}
	out, err := c.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "prewarm")
}
