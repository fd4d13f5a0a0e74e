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

// realContainers returns a Runtime of real containers, which the server closes that it is given to.
func realContainers(tb testing.TB) container.Runtime {
	tb.Helper()
	p, err := container.NewProcessRuntime(container.Options{Dir: tb.TempDir()})
	if err != nil {
		tb.Skip(err)
	}
	return p
}

// built is the directory of the stand-in for the recorded actions. TestMain removes it.
var built string

// executable builds the stand-in, and returns its path.
var executable = sync.OnceValues(func() (file string, err error) {
	if built, err = os.MkdirTemp("", "tppfaas-rest-test-"); err != nil {
		return "", err
	}
	file = filepath.Join(built, "standin")
	build := osexec.Command("go", "build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o", file, "./testdata/standin")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return file, nil
})

// packed returns the stand-in as the code of an action, in base64, with an exec.env if that is not empty.
func packed(env string) (string, error) {
	file, err := executable()
	if err != nil {
		return "", err
	}
	program, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return packedExec(program, env)
}

// packedScript is like packed, but the code is short: exec is a script that starts the stand-in.
func packedScript(env string) (string, error) {
	file, err := executable()
	if err != nil {
		return "", err
	}
	return packedExec([]byte("#!"+file+"\n"), env)
}

func packedExec(program []byte, env string) (string, error) {
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

const goEnv = "openwhisk/action-golang-v1.20"

var (
	goCode      = sync.OnceValues(func() (string, error) { return packed(goEnv) })
	goScript    = sync.OnceValues(func() (string, error) { return packedScript(goEnv) })
	noEnvScript = sync.OnceValues(func() (string, error) { return packedScript("") })
)
