package rest

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
)

// realContainers returns a Runtime of real containers. It lives as long as the server that it is given to.
func realContainers(tb testing.TB) container.Runtime {
	tb.Helper()
	p, err := container.NewProcesses(container.Options{Dir: tb.TempDir()})
	if err != nil {
		tb.Skip(err)
	}
	return p
}

// executable builds the stand-in for the recorded actions.
var executable = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "tppfaas-rest-test-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "exec")
	build := osexec.Command("go", "build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o", file, "./testdata/standin")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w: %s", err, out)
	}
	return os.ReadFile(file)
})

// packed returns the code of an action that is the stand-in, in base64, with an exec.env where one is given.
func packed(env string) (string, error) {
	program, err := executable()
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	h := &zip.FileHeader{Name: "exec", Method: zip.Deflate}
	h.SetMode(0o755)
	w, err := z.CreateHeader(h)
	if err == nil {
		_, err = w.Write(program)
	}
	if err == nil && env != "" {
		if w, err = z.Create("exec.env"); err == nil {
			_, err = w.Write([]byte(env))
		}
	}
	if err == nil {
		err = z.Close()
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), err
}

var (
	goCode    = sync.OnceValues(func() (string, error) { return packed("openwhisk/action-golang-v1.20") })
	noEnvCode = sync.OnceValues(func() (string, error) { return packed("") })
)
