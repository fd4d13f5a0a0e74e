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
)

// Write calls write with a buffered writer and, if write returns nil and everything is on disk, atomically replaces the file at path by what was
// written. If path ends in .gz, the content is compressed, the same content always to the same bytes.
//
// On any error the file at path is unchanged and no temporary file is left. The error names path and wraps the cause, but an error of write is
// returned as it is. A file that is replaced keeps its permissions. A symbolic link stays, and
// the file that it points to is replaced or, if there is none, created. What is no regular file (a pipe) and what this process has open (/dev/stdout,
// /dev/fd/N, whatever stands behind them) cannot be replaced, and is written to directly, from where it stands on.
func Write(path string, write func(io.Writer) error) (err error) {
	target, mode, err := resolve(path)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if !mode.IsRegular() {
		f, err := openThrough(target)
		if err != nil {
			return failure(path, err)
		}
		err = fill(f, path, write)
		if cerr := f.Close(); err == nil && cerr != nil {
			err = failure(path, cerr)
		}
		return err
	}

	f, err := createBeside(target, mode.Perm())
	if err != nil {
		return failure(path, err)
	}
	installed := false
	// Deferred, so that no temporary file is left even if write panics.
	defer func() {
		if !installed {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := fill(f, path, write); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return failure(path, err)
	}
	if err := f.Close(); err != nil {
		return failure(path, err)
	}
	if err := os.Rename(f.Name(), target); err != nil {
		return failure(path, err)
	}
	installed = true
	syncFolder(filepath.Dir(target))
	return nil
}

// openThrough opens what cannot be replaced.
func openThrough(target string) (*os.File, error) {
	if _, descriptor := follow(target); descriptor >= 0 {
		return openDescriptor(descriptor)
	}
	return os.OpenFile(target, os.O_WRONLY, 0)
}

// resolve follows symbolic links. It returns the path and the mode of the file to write; the mode is 0 if there is none, and irregular
// for what is written to directly: what is no file of a folder, or an open file of this process.
func resolve(path string) (target string, mode fs.FileMode, err error) {
	target, descriptor := follow(path)
	if descriptor >= 0 {
		return target, fs.ModeIrregular, nil
	}
	info, err := os.Stat(target)
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
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return "", 0, missingFolder(folder)
	}
	return target, 0, nil
}

// missingFolder is an error that is fs.ErrNotExist and names the folder.
type missingFolder string

func (m missingFolder) Error() string { return "folder " + string(m) + " does not exist" }

func (m missingFolder) Is(target error) bool { return target == fs.ErrNotExist }

// createBeside creates a temporary file in target's folder, because a rename is atomic only within a file system. Mode 0 means that there is no
// target yet: the permissions then follow from the umask, which os.CreateTemp ignores.
func createBeside(target string, mode fs.FileMode) (*os.File, error) {
	base := filepath.Base(target)
	if len(base) > 100 {
		base = base[:100]
	}
	for attempt := 0; ; attempt++ {
		name := filepath.Join(filepath.Dir(target), fmt.Sprintf(".%s.%08x.tmp", base, rand.Uint32()))
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) && attempt < 100 {
			continue
		}
		if err == nil && mode != 0 {
			if err = f.Chmod(mode); err != nil {
				f.Close()
				os.Remove(name)
				return nil, err
			}
		}
		return f, err
	}
}

// fill calls write with a buffered writer to f, and flushes it.
func fill(f *os.File, path string, write func(io.Writer) error) error {
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

// syncFolder makes the rename durable, on systems on which folders can be synced.
func syncFolder(folder string) {
	if d, err := os.Open(folder); err == nil {
		_ = d.Sync()
		d.Close()
	}
}

// failure returns an error that names path instead of the temporary file.
func failure(path string, err error) error {
	return fmt.Errorf("write %s: %w", path, cause(err))
}

// cause returns the error of a path or link error, without its paths.
func cause(err error) error {
	var onPath *fs.PathError
	if errors.As(err, &onPath) {
		return onPath.Err
	}
	var onLink *os.LinkError
	if errors.As(err, &onLink) {
		return onLink.Err
	}
	return err
}

// Check returns the error that Write would return if path cannot be written to: its folder does not exist or is read-only, or path is itself a folder.
// Callers should check before a long computation whose result they write.
func Check(path string) error {
	target, mode, err := resolve(path)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if !mode.IsRegular() {
		if _, descriptor := follow(target); descriptor >= 0 {
			// Opening it takes nothing from it, as opening a pipe might.
			f, err := openThrough(target)
			if err != nil {
				return failure(path, err)
			}
			return f.Close()
		}
		return nil
	}
	f, err := createBeside(target, mode.Perm())
	if err != nil {
		return failure(path, err)
	}
	f.Close()
	return os.Remove(f.Name())
}
