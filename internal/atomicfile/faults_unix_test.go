//go:build unix

package atomicfile

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tppfaas/tppfaas/internal/errorfs"
)

// TestFaultsOfDirectWrites checks that the errors of what is written to directly are returned, that of the closing too. It writes to a pipe
// of its own: who breaks this as root would replace a device.
func TestFaultsOfDirectWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skipf("no named pipes here: %v", err)
	}
	reader, err := os.OpenFile(path, os.O_RDWR, 0) // does not wait for a writer
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	counting := errorfs.Fail(errorfs.OS{}, 0, nil)
	if err := WriteOn(counting, path, text("x")); err != nil || counting.Operations() != 4 {
		t.Fatalf("%d operations, error %v; want stat, open, write and close", counting.Operations(), err)
	}
	for n, want := range []string{"input/output error", "input/output error", "input/output error", "close: input/output error"} {
		err := WriteOn(errorfs.Fail(errorfs.OS{}, n+1, syscall.EIO), path, text("x"))
		if err == nil || err.Error() != "write "+path+": "+want {
			t.Errorf("operation %d: error %v, want %s", n+1, err, want)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		t.Errorf("the pipe is replaced: %v, %v", info.Mode(), err)
	}
}
