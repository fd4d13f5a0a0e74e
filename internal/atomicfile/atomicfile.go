package atomicfile

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/tppfaas/tppfaas/internal/errorfs"
)

// Write calls write with a buffered writer and, if write returns nil and everything is on disk, atomically replaces the file at path by what was
// written. If path ends in .gz, the content is compressed, the same content always to the same bytes.
//
// On any error the file at path is unchanged and no temporary file is left, with one exception: if it is replaced and that cannot be made
// durable, the error says so. The error names path and wraps the cause, but an error of write is
// returned as it is. A file that is replaced keeps its permissions. A symbolic link stays, and
// the file that it points to is replaced or, if there is none, created. What is no regular file (a pipe) and what this process has open (/dev/stdout,
// /dev/fd/N, whatever stands behind them) cannot be replaced, and is written to directly, from where it stands on.
func Write(path string, write func(io.Writer) error) error {
	return WriteOn(errorfs.OS{}, path, write)
}

// WriteOn does what Write does, on a file system that may fail.
func WriteOn(disk errorfs.FS, path string, write func(io.Writer) error) (err error) {
	target, mode, err := resolve(disk, path)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if !mode.IsRegular() {
		f, err := openThrough(disk, target)
		if err != nil {
			return failure(path, err)
		}
		err = fill(f, path, write)
		if cerr := f.Close(); err == nil && cerr != nil {
			err = failure(path, cerr)
		}
		return err
	}

	f, err := createBeside(disk, path, target, mode.Perm())
	if err != nil {
		return err
	}
	closed, installed := false, false
	// Deferred, so that no temporary file is left even if write panics.
	defer func() {
		if !closed {
			f.Close()
		}
		if !installed {
			err = discard(disk, f, err)
		}
	}()
	if err := fill(f, path, write); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return failure(path, err)
	}
	closed = true
	if err := f.Close(); err != nil {
		return failure(path, err)
	}
	if err := disk.Rename(f.Name(), target); err != nil {
		return failure(path, err)
	}
	installed = true
	if err := disk.SyncDir(filepath.Dir(target)); err != nil {
		return fmt.Errorf("write %s: it is replaced, but a crash of the machine may bring back what was there before: syncing its folder: %w", path, cause(err))
	}
	return nil
}

// discard removes a temporary file after err, and adds to err if it is left.
func discard(disk errorfs.FS, f errorfs.File, err error) error {
	left := disk.Remove(f.Name())
	if left == nil || err == nil {
		return err
	}
	return fmt.Errorf("%w; the temporary file %s is left: %w", err, f.Name(), cause(left))
}

// openThrough opens what cannot be replaced.
func openThrough(disk errorfs.FS, target string) (errorfs.File, error) {
	if _, descriptor := follow(target); descriptor >= 0 {
		return openDescriptor(descriptor)
	}
	return disk.Open(target, os.O_WRONLY)
}

// resolve follows symbolic links. It returns the path and the mode of the file to write; the mode is 0 if there is none, and irregular
// for what is written to directly: what is no file of a folder, or an open file of this process.
func resolve(disk errorfs.FS, path string) (target string, mode fs.FileMode, err error) {
	target, descriptor := follow(path)
	if descriptor >= 0 {
		return target, fs.ModeIrregular, nil
	}
	info, err := disk.Stat(target)
	switch {
	case err == nil && info.IsDir():
		return "", 0, errors.New("is a folder, not a file")
	case err == nil && !info.Mode().IsRegular():
		return target, info.Mode(), nil
	case err == nil:
		target, err = filepath.EvalSymlinks(target)
		return target, info.Mode(), err
	case !errors.Is(err, fs.ErrNotExist):
		return "", 0, cause(err)
	}
	if strings.HasSuffix(path, string(filepath.Separator)) || path == "" {
		return "", 0, errors.New("is not the name of a file")
	}
	folder := filepath.Dir(target)
	if _, err := disk.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return "", 0, missingFolder(folder)
	}
	return target, 0, nil
}

// missingFolder is an error that is fs.ErrNotExist and names the folder.
type missingFolder string

func (m missingFolder) Error() string { return "folder " + string(m) + " does not exist" }

func (m missingFolder) Is(target error) bool { return target == fs.ErrNotExist }

// createBeside creates a temporary file in the folder of target, to which path leads, because a rename is atomic only within a file
// system. Mode 0 means that there is no target yet: the permissions then follow from the umask, which os.CreateTemp ignores.
func createBeside(disk errorfs.FS, path, target string, mode fs.FileMode) (errorfs.File, error) {
	base := filepath.Base(target)
	if len(base) > 100 {
		base = base[:100]
	}
	for attempt := 0; ; attempt++ {
		name := filepath.Join(filepath.Dir(target), fmt.Sprintf(".%s.%08x.tmp", base, rand.Uint32()))
		f, err := disk.Create(name, 0o666)
		if errors.Is(err, fs.ErrExist) && attempt < 100 {
			continue
		}
		if err != nil {
			return nil, failure(path, err)
		}
		if mode != 0 {
			if err := f.Chmod(mode); err != nil {
				f.Close()
				return nil, discard(disk, f, failure(path, err))
			}
		}
		return f, nil
	}
}

// fill calls write with a buffered writer to f, and flushes it.
func fill(f io.Writer, path string, write func(io.Writer) error) error {
	out := &keepError{w: f}
	buffered := bufio.NewWriterSize(out, 1<<16)
	var err error
	if strings.HasSuffix(path, ".gz") {
		zipped := gzip.NewWriter(buffered)
		if err = write(zipped); err == nil {
			err = zipped.Close()
		}
	} else {
		err = write(buffered)
	}
	if err == nil {
		err = buffered.Flush()
	}
	if out.err != nil {
		// The error of the file, whether write has returned, wrapped or dropped it.
		return failure(path, out.err)
	}
	return err
}

// keepError is a writer that keeps its first error.
type keepError struct {
	w   io.Writer
	err error
}

func (k *keepError) Write(p []byte) (int, error) {
	n, err := k.w.Write(p)
	if err != nil && k.err == nil {
		k.err = err
	}
	return n, err
}

// failure returns an error that names path instead of the temporary file, and the operation unless it is the opening or the writing.
func failure(path string, err error) error {
	var onPath *fs.PathError
	var onLink *os.LinkError
	switch {
	case errors.As(err, &onPath) && onPath.Op != "open" && onPath.Op != "write":
		return fmt.Errorf("write %s: %s: %w", path, onPath.Op, onPath.Err)
	case errors.As(err, &onLink):
		return fmt.Errorf("write %s: %s: %w", path, onLink.Op, onLink.Err)
	}
	return fmt.Errorf("write %s: %w", path, cause(err))
}

// cause returns the error of an operation on a path, without the operation and the path.
func cause(err error) error {
	var onPath *fs.PathError
	if errors.As(err, &onPath) {
		return onPath.Err
	}
	return err
}

// Check returns the error that Write would return if path cannot be written to: its folder does not exist or is read-only, or path is itself a folder.
// Callers should check before a long computation whose result they write.
func Check(path string) error { return CheckOn(errorfs.OS{}, path) }

// CheckOn does what Check does, on a file system that may fail.
func CheckOn(disk errorfs.FS, path string) error {
	target, mode, err := resolve(disk, path)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if !mode.IsRegular() {
		if _, descriptor := follow(target); descriptor >= 0 {
			// Opening it takes nothing from it, as opening a pipe might.
			f, err := openThrough(disk, target)
			if err != nil {
				return failure(path, err)
			}
			return f.Close()
		}
		return nil
	}
	f, err := createBeside(disk, path, target, mode.Perm())
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return discard(disk, f, failure(path, err))
	}
	if err := disk.Remove(f.Name()); err != nil {
		return fmt.Errorf("write %s: the temporary file %s is left: %w", path, f.Name(), cause(err))
	}
	return nil
}
