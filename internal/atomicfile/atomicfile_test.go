package atomicfile

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// onlyFiles fails unless the folder holds exactly these names.
func onlyFiles(t *testing.T, folder string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the folder holds %q, want %q", got, want)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestWriteCreatesAndReplaces checks that Write creates a file and replaces its content.
func TestWriteCreatesAndReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.json")
	for _, want := range []string{"first and longer", "second", ""} {
		if err := Write(path, text(want)); err != nil {
			t.Fatal(err)
		}
		if got := content(t, path); got != want {
			t.Errorf("content = %q, want %q", got, want)
		}
	}
	onlyFiles(t, dir, "a.json")
}

// TestCheckLeavesNothing checks that Check neither creates nor changes a file.
func TestCheckLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "old")
	if err := os.WriteFile(old, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{old, filepath.Join(dir, "new"), os.DevNull} {
		if err := Check(path); err != nil {
			t.Error(err)
		}
	}
	if got := content(t, old); got != "old" {
		t.Errorf("the old file holds %q", got)
	}
	onlyFiles(t, dir, "old")
}

// TestWriteKeepsPermissions checks that a replaced file keeps its permissions.
func TestWriteKeepsPermissions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, text("new")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o604 {
		t.Errorf("mode = %v, want 0604", info.Mode().Perm())
	}
}

// TestWriteThroughSymbolicLink checks that Write replaces the target of a symbolic link, not the link.
func TestWriteThroughSymbolicLink(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := os.WriteFile(real, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	if err := Write(link, text("new")); err != nil {
		t.Fatal(err)
	}
	if got := content(t, real); got != "new" {
		t.Errorf("the file behind the link holds %q, want %q", got, "new")
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v %v", info, err)
	}
}

// TestWriteToADevice checks that a device is written to and not replaced.
func TestWriteToADevice(t *testing.T) {
	before, err := os.Stat(os.DevNull)
	if err != nil {
		t.Skip(err)
	}
	if err := Write(os.DevNull, text("gone")); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(os.DevNull)
	if err != nil || after.Mode() != before.Mode() {
		t.Errorf("%s changed from %v to %v (%v)", os.DevNull, before.Mode(), after.Mode(), err)
	}
}

// TestWriteCompressesByName checks that the content of a .gz file is compressed, to bytes that do not depend on its name.
func TestWriteCompressesByName(t *testing.T) {
	dir := t.TempDir()
	var files [2][]byte
	for i, name := range []string{"a.json.gz", "b.json.gz"} {
		path := filepath.Join(dir, name)
		if err := Write(path, text("the same content")); err != nil {
			t.Fatal(err)
		}
		files[i] = []byte(content(t, path))
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("the same content gave different bytes under another name")
	}
	r, err := gzip.NewReader(bytes.NewReader(files[0]))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || string(got) != "the same content" {
		t.Errorf("decompressed %q, %v", got, err)
	}
}

// TestFailingWriterKeepsTheOldFile checks that an error of write leaves the old file, and no temporary one.
func TestFailingWriterKeepsTheOldFile(t *testing.T) {
	for _, name := range []string{"a.json", "a.json.gz"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
				t.Fatal(err)
			}
			cancelled := errors.New("cancelled")
			err := Write(path, func(w io.Writer) error {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return err
				}
				return cancelled
			})
			if !errors.Is(err, cancelled) {
				t.Errorf("err = %v, want %v", err, cancelled)
			}
			if got := content(t, path); got != "old" {
				t.Errorf("the old file holds %q", got)
			}
			onlyFiles(t, dir, name)
		})
	}
}

// TestPanicLeavesNoTemporary checks that a panic of write leaves no temporary file.
func TestPanicLeavesNoTemporary(t *testing.T) {
	dir := t.TempDir()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic of write was swallowed")
			}
		}()
		_ = Write(filepath.Join(dir, "a"), func(io.Writer) error { panic("boom") })
	}()
	onlyFiles(t, dir)
}

// TestFullDiskIsReportedWhateverWriteMakesOfIt checks that the error of a full disk is returned even if write drops or replaces it.
func TestFullDiskIsReportedWhateverWriteMakesOfIt(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	for name, returned := range map[string]error{"dropped": nil, "replaced": errors.New("something failed")} {
		t.Run(name, func(t *testing.T) {
			err := Write("/dev/full", func(w io.Writer) error {
				w.Write(make([]byte, 1<<20))
				return returned
			})
			if want := "write /dev/full: no space left on device"; err == nil || err.Error() != want {
				t.Errorf("err = %v, want %s", err, want)
			}
		})
	}
}

// TestWriteNamesWhatIsWrong checks the errors for paths that cannot be written to, and that Check returns the same ones.
func TestWriteNamesWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, path, want string }{
		{"missing folder", filepath.Join(dir, "no", "a"), "folder " + filepath.Join(dir, "no") + " does not exist"},
		{"a folder as target", dir, "is a folder"},
		{"a file as folder", filepath.Join(file, "a"), "not a directory"},
		{"trailing slash", filepath.Join(dir, "new") + "/", "is not the name of a file"},
		{"empty", "", "is not the name of a file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			called := false
			err := Write(c.path, func(io.Writer) error { called = true; return nil })
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) {
				t.Errorf("err = %v, want %q and the path", err, c.want)
			}
			if c.name == "missing folder" && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v is no fs.ErrNotExist", err)
			}
			if called {
				t.Error("write was called although there is nowhere to write")
			}
			if early := Check(c.path); early == nil || early.Error() != err.Error() {
				t.Errorf("Check says %v, Write says %v", early, err)
			}
		})
	}
	onlyFiles(t, dir, "file")
}
