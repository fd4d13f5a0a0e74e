package errorfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// FS is a file system.
type FS interface {
	// MkdirAll creates a folder and its parents.
	MkdirAll(path string, mode fs.FileMode) error
	// Create creates a file for reading and writing; one that exists is an error.
	Create(path string, mode fs.FileMode) (File, error)
	// Open opens a file that exists, with the flags of os.OpenFile.
	Open(path string, flag int) (File, error)
	Stat(path string) (fs.FileInfo, error)
	// Link gives a file a second name; a name that exists is an error.
	Link(from, to string) error
	Rename(from, to string) error
	Remove(path string) error
	// ReadDir returns the entries of a folder, sorted by name.
	ReadDir(path string) ([]fs.DirEntry, error)
	// SyncDir makes the names in a folder durable, where the system can do that.
	SyncDir(path string) error
}

// File is an open file.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Seeker
	Name() string
	Fd() uintptr
	Chmod(mode fs.FileMode) error
	Truncate(size int64) error
	Sync() error
	Close() error
}

// OS is the file system of the operating system.
type OS struct{}

func (OS) MkdirAll(path string, mode fs.FileMode) error { return os.MkdirAll(path, mode) }

func (OS) Create(path string, mode fs.FileMode) (File, error) {
	return opened(os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode))
}

func (OS) Open(path string, flag int) (File, error) { return opened(os.OpenFile(path, flag, 0)) }

// opened returns a nil File, and not a nil *os.File in one, after an error.
func opened(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (OS) Stat(path string) (fs.FileInfo, error) { return os.Stat(path) }

func (OS) Link(from, to string) error { return os.Link(from, to) }

func (OS) Rename(from, to string) error { return os.Rename(from, to) }

func (OS) Remove(path string) error { return os.Remove(path) }

func (OS) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }

// SyncDir returns no error where the system, the file system or the permissions of the folder do not allow folders to be synced.
func (OS) SyncDir(path string) error {
	d, err := os.Open(path)
	if err == nil {
		defer d.Close()
		err = d.Sync()
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		return nil
	}
	return err
}
