package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// command runs the command, and returns its status and what it prints.
func command(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = program.Run(t.Context(), args, &out, &err)
	return status, out.String(), err.String()
}

const stackFile = `functions:
  qrcode:
    image: qrcode   # draws
    limits:
      memory: 40Mi
`

func TestWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stack.yml")
	require.NoError(t, os.WriteFile(file, []byte(stackFile), 0o600))
	read := func(name string) string {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		return string(text)
	}
	status, stdout, stderr := command(t, "write", file, "-function", "qrcode", "-memory", "64Mi", "-cpu", "100m")
	require.Equal(t, 0, status, stderr)
	diff := "--- " + file + "\n+++ " + file + "\n@@ -2,4 +2,5 @@\n   qrcode:\n     image: qrcode   # draws\n     limits:\n-      memory: 40Mi\n+      memory: 64Mi\n+      cpu: 100m\n"
	require.Equal(t, diff, stdout)
	require.Equal(t, "nothing is written: -write does\n", stderr)
	require.Equal(t, stackFile, read(file))

	status, stdout, stderr = command(t, "write", "-write", file, "-function", "qrcode", "-memory", "64Mi", "-cpu", "100m")
	require.Equal(t, 0, status, stderr)
	require.Equal(t, diff, stdout)
	require.Equal(t, file+" is written; "+file+".bak is how it was\n", stderr)
	require.Equal(t, stackFile, read(file+".bak"))
	require.Contains(t, read(file), "memory: 64Mi\n      cpu: 100m\n")

	status, stdout, stderr = command(t, "write", "-write", file, "-function", "qrcode", "-memory", "64Mi", "-cpu", "0.1")
	require.Equal(t, 0, status, stderr)
	require.Empty(t, stdout)
	require.Equal(t, "qrcode has these values already\n", stderr)
	require.NoFileExists(t, file+".bak.1")

	status, stdout, _ = command(t, "write", "-write", "-json", file, "-function", "qrcode", "-request-memory", "32Mi")
	require.Equal(t, 0, status)
	require.JSONEq(t, `{"file": "`+file+`", "function": "qrcode", "kind": "function of OpenFaaS", "written": true, "backup": "`+file+`.bak.1",
		"changes": [{"path": "functions.qrcode.requests.memory", "old": "", "new": "32Mi"}]}`, stdout)

	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{nil, 2, "the FILE is missing"},
		{[]string{file}, 2, "-function is missing"},
		{[]string{file, "-function", "qrcode"}, 2, "nothing is to be set"},
		{[]string{file, "x", "-function", "qrcode", "-cpu", "1"}, 2, `"x" is left over`},
		{[]string{file, "-function", "qrcode", "-cpu", "1MB"}, 2, `-cpu: quantity "1MB"`},
		{[]string{file, "-function", "qrcode", "-memory", "64m"}, 1, "64m are 0.064 bytes"},
		{[]string{file, "-function", "other", "-cpu", "1"}, 1, file + ": it has no other"},
		{[]string{file, "-function", "qrcode", "-memory", "16Mi"}, 1, "the limit of memory would be 16Mi, below its request of 32Mi"},
		{[]string{file + ".none", "-function", "qrcode", "-memory", "16Mi"}, 1, "no such file"},
	} {
		status, stdout, stderr := command(t, append([]string{"write"}, test.args...)...)
		require.Equal(t, test.status, status, "%v", test.args)
		require.Empty(t, stdout)
		require.Contains(t, stderr, test.want)
	}
}
