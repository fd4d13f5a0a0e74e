//go:build linux

package atomicfile

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOpenFilesAreWrittenThrough checks that names of open files do not replace the file behind them.
func TestOpenFilesAreWrittenThrough(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(fmt.Sprintf("/dev/fd/%d", f.Fd()), link); err != nil {
		t.Fatal(err)
	}
	io.WriteString(f, "a")
	for i, name := range []string{fmt.Sprintf("/dev/fd/%d", f.Fd()), fmt.Sprintf("/proc/self/fd/%d", f.Fd()), fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()), link} {
		if err := Check(name); err != nil {
			t.Error(err)
		}
		if err := Write(name, text(fmt.Sprint(i))); err != nil {
			t.Error(err)
		}
	}
	io.WriteString(f, "b")
	if got := content(t, path); got != "a0123b" {
		t.Errorf("the file holds %q", got)
	}
	onlyFiles(t, dir, "link", "out")

	r, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for name, want := range map[string]string{fmt.Sprintf("/dev/fd/%d", r.Fd()): "open for reading only", "/dev/fd/987": "no file of that number"} {
		for _, err := range []error{Check(name), Write(name, text("x"))} {
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: error %v, want %q", name, err, want)
			}
		}
	}
}

// TestDanglingLinks checks that a link stays one, and that the file that it points to is created.
func TestDanglingLinks(t *testing.T) {
	dir := t.TempDir()
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"a": "sub/there", "b": filepath.Join(dir, "absolute"), "c": "a2", "a2": "sub/chain", "sub/d": "../up", "folder": "sub", "sub/e": "../up2"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"a": "sub/there", "b": "absolute", "c": "sub/chain", "sub/d": "up", "folder/e": "up2"} {
		path := filepath.Join(dir, link)
		if err := Check(path); err != nil {
			t.Error(err)
		}
		if err := Write(path, text(link)); err != nil {
			t.Error(err)
			continue
		}
		if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSymlink == 0 {
			t.Errorf("%s is no link any more: %v, error %v", link, info, err)
		}
		if got := content(t, filepath.Join(dir, target)); got != link {
			t.Errorf("%s holds %q", target, got)
		}
	}
	nowhere := filepath.Join(dir, "nowhere")
	if err := os.Symlink("missing/file", nowhere); err != nil {
		t.Fatal(err)
	}
	if err := Check(nowhere); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "missing")+" does not exist") {
		t.Errorf("a link into a missing folder: %v", err)
	}
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	if err := Write(loop, text("x")); err == nil {
		t.Error("a link to itself was written to")
	}
}
