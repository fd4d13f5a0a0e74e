package atomicfile

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tppfaas/tppfaas/internal/errorfs"
)

// long is more than the buffer takes, so that a file is written in parts.
var long = strings.Repeat("a line that is written\n", 5000)

// wholeOrNot fails unless the file holds the old content or the new one, "" standing for no file, and reports whether it is the new one.
func wholeOrNot(t *testing.T, n int, path, old, latest string) bool {
	t.Helper()
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && old == "" {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	got := string(b)
	if got == old {
		return false
	}
	if strings.HasSuffix(path, ".gz") {
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("operation %d: %v", n, err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("operation %d: %v", n, err)
		}
		got = string(text)
	}
	if got != latest {
		t.Errorf("operation %d leaves a file of %d bytes that is neither the old nor the new one", n, len(b))
	}
	return true
}

// faultCases are a file that is new, one that is replaced, and a compressed one.
var faultCases = []struct{ name, old string }{{"new", ""}, {"old", "the old content"}, {"old.gz", "the old content"}}

// before returns the name of a file in a new folder, which holds the old content.
func before(t *testing.T, name, old string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if old != "" {
		if err := os.WriteFile(path, []byte(old), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// countOperations returns how many operations a write makes.
func countOperations(t *testing.T, name, old string) int {
	t.Helper()
	counting := errorfs.Fail(errorfs.OS{}, 0, nil)
	if err := WriteOn(counting, before(t, name, old), text(long)); err != nil {
		t.Fatal(err)
	}
	return counting.Operations()
}

// temporaries returns the names of the temporary files beside a file.
func temporaries(t *testing.T, path string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".tmp") {
			names = append(names, e.Name())
		}
	}
	return names
}

// TestWriteFaults lets each operation of a write fail, alone and with all later ones. The file is the old one or the new one, whole; an
// error names the file; without one the file is the new one; a temporary file is left only where it cannot be removed, and then the
// error names it.
func TestWriteFaults(t *testing.T) {
	for _, c := range faultCases {
		t.Run(c.name, func(t *testing.T) {
			operations := countOperations(t, c.name, c.old)
			if operations < 7 {
				t.Errorf("a write takes %d operations: some are not seen", operations)
			}
			failed := 0
			for n := 1; n <= operations; n++ {
				for onward, fail := range map[bool]func(errorfs.FS, int, error) *errorfs.Faulty{false: errorfs.Fail, true: errorfs.FailFrom} {
					path := before(t, c.name, c.old)
					err := WriteOn(fail(errorfs.OS{}, n, syscall.EIO), path, text(long))
					isNew := wholeOrNot(t, n, path, c.old, long)
					left := temporaries(t, path)
					switch {
					case err == nil:
						if !isNew || onward {
							t.Errorf("operation %d: no error, and the new file is there: %v", n, isNew)
						}
					case !strings.HasPrefix(err.Error(), "write "+path+": ") || !errors.Is(err, syscall.EIO):
						t.Errorf("operation %d: error %v", n, err)
					case isNew && !strings.Contains(err.Error(), "it is replaced"):
						t.Errorf("operation %d: error %v, and the file is new", n, err)
					}
					if err != nil && !onward {
						failed++
					}
					if len(left) > 0 && (!onward || !strings.Contains(err.Error(), left[0]+" is left")) {
						t.Errorf("operation %d: %q is left, error %v", n, left, err)
					}
				}
			}
			// Only whether the folder exists need not be known: opening a file in it tells that.
			if failed < operations-1 {
				t.Errorf("%d of %d failures were errors", failed, operations)
			}
		})
	}
}

// TestCrashDuringWrite lets the machine die after each operation of a write: the old file is there or the new one, whole, and once Write
// has returned the new one.
func TestCrashDuringWrite(t *testing.T) {
	for _, c := range faultCases {
		t.Run(c.name, func(t *testing.T) {
			operations := countOperations(t, c.name, c.old)
			for n := 1; n <= operations+1; n++ {
				for _, keepNames := range []bool{false, true} {
					path := before(t, c.name, c.old)
					disk := errorfs.NewVolatile()
					err := WriteOn(errorfs.FailFrom(disk, n, syscall.EIO), path, text(long))
					if (err == nil) != (n > operations) {
						t.Errorf("operation %d of %d: error %v", n, operations, err)
					}
					if err := disk.Crash(keepNames); err != nil {
						t.Fatal(err)
					}
					if isNew := wholeOrNot(t, n, path, c.old, long); !isNew && err == nil {
						t.Error("what was written is lost")
					}
				}
			}
		})
	}
}

// TestCheckFaults checks that a check whose operations fail says so, and names a temporary file that it cannot remove.
func TestCheckFaults(t *testing.T) {
	for _, c := range faultCases {
		counting := errorfs.Fail(errorfs.OS{}, 0, nil)
		if err := CheckOn(counting, before(t, c.name, c.old)); err != nil {
			t.Fatal(err)
		}
		errs := 0
		for n := 1; n <= counting.Operations(); n++ {
			path := before(t, c.name, c.old)
			err := CheckOn(errorfs.Fail(errorfs.OS{}, n, syscall.EIO), path)
			wholeOrNot(t, n, path, c.old, "")
			if err != nil {
				errs++
				if !strings.HasPrefix(err.Error(), "write "+path+": ") || !errors.Is(err, syscall.EIO) {
					t.Errorf("operation %d: error %v", n, err)
				}
			}
			if left := temporaries(t, path); len(left) > 0 && (n < counting.Operations() || !strings.Contains(err.Error(), left[0]+" is left")) {
				t.Errorf("operation %d: %q is left, error %v", n, left, err)
			}
		}
		if errs < counting.Operations()-1 {
			t.Errorf("%d of %d failures were errors", errs, counting.Operations())
		}
	}
}
