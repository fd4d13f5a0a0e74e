package action

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExecutableBesideTheProgram checks which files beside a program are taken for the action's executable.
func TestExecutableBesideTheProgram(t *testing.T) {
	dir := t.TempDir()
	_, err := executableIn(dir, "amd64")
	require.ErrorContains(t, err, dir+" has neither action-linux-amd64 nor action")

	write := func(name string, content []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o777))
	}
	write("action", []byte("#!/bin/sh\n"))
	_, err = executableIn(dir, "amd64")
	require.ErrorContains(t, err, "action is not the action's executable")

	self, err := os.Executable()
	require.NoError(t, err)
	another, err := os.ReadFile(self)
	require.NoError(t, err)
	write("action", another)
	_, err = executableIn(dir, "amd64")
	require.ErrorContains(t, err, "it was built from github.com/tppfaas/tppfaas/apps/action.test")

	static, err := Build(t.Context(), "amd64")
	require.NoError(t, err)
	write("action", static)
	content, err := executableIn(dir, "amd64")
	require.NoError(t, err)
	require.Equal(t, static, content)
	_, err = executableIn(dir, "arm64")
	require.ErrorContains(t, err, "it is for amd64, not for arm64")

	write("action-linux-arm64", []byte("whatever make build puts there"))
	content, err = executableIn(dir, "arm64")
	require.NoError(t, err)
	require.Equal(t, "whatever make build puts there", string(content))
}

// TestExecutableOutsideACheckout checks that one line says what to install.
func TestExecutableOutsideACheckout(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := exec.LookPath("go"); err != nil {
		t.Fatal(err)
	}
	_, err := Executable(t.Context(), "arm64")
	require.ErrorContains(t, err, "install it with CGO_ENABLED=0 GOARCH=arm64 go install github.com/tppfaas/tppfaas/apps/action/cmd/action@latest (go build: ")
	require.NotContains(t, err.Error(), "\n")
}
