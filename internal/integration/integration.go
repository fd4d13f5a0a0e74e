package integration

import (
	"os"
	"os/exec"
	"testing"
)

// Variable is the environment variable that decides about missing parts: with the value required they are failures.
const Variable = "TPPFAAS_INTEGRATION"

// Missing ends a test that needs a part which is not there; how says how to get it. The test is skipped, or where parts are
// required it fails.
func Missing(t testing.TB, part, how string) {
	t.Helper()
	if os.Getenv(Variable) == "required" {
		t.Fatalf("%s is missing, and %s=required: %s", part, Variable, how)
	}
	t.Skipf("%s is missing: %s", part, how)
}

// Program returns the path of a program in PATH. If there is none, the test ends as with Missing.
func Program(t testing.TB, name, how string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, name, how)
	}
	return path
}

// File returns the path if there is a file or folder. If there is none, the test ends as with Missing.
func File(t testing.TB, path, part, how string) string {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		Missing(t, part, how+" ("+err.Error()+")")
	}
	return path
}
