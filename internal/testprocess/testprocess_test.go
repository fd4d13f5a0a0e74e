package testprocess

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestKill(t *testing.T) {
	p, err := Start(exec.Command("sh", "-c", "echo ready; while true; do read x || sleep 1; done"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return p.Output() == "ready\n" }, time.Minute, time.Millisecond)
	select {
	case <-p.Ended:
		t.Fatal("it ended by itself")
	default:
	}
	p.Kill()
	p.Kill()
	<-p.Ended
}

func TestEndsByItself(t *testing.T) {
	p, err := Start(exec.Command("sh", "-c", "echo wrong >&2; exit 3"))
	require.NoError(t, err)
	<-p.Ended
	require.Equal(t, "wrong\n", p.Output())
	p.Kill()
}

func TestNoProgram(t *testing.T) {
	_, err := Start(exec.Command(filepath.Join(t.TempDir(), "none")))
	require.Error(t, err)
}
