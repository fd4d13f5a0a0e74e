package errorfs

import (
	"io"
	"io/fs"
	"os"
	"sync"
)

// FS is a file system.
type FS interface {
	// MkdirAll creates a folder and its parents.
	MkdirAll(path string, mode fs.FileMode) error
	// Create creates a file for writing; one that exists is an error.
	Create(path string, mode fs.FileMode) (File, error)
	Rename(from, to string) error
	Remove(path string) error
	// ReadDir returns the entries of a folder, sorted by name.
	ReadDir(path string) ([]fs.DirEntry, error)
	// SyncDir makes the names in a folder durable.
	SyncDir(path string) error
}

// File is a file that is written.
type File interface {
	io.Writer
	Sync() error
	Close() error
}

// OS is the file system of the operating system.
type OS struct{}

func (OS) MkdirAll(path string, mode fs.FileMode) error { return os.MkdirAll(path, mode) }

func (OS) Create(path string, mode fs.FileMode) (File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
}

func (OS) Rename(from, to string) error { return os.Rename(from, to) }

func (OS) Remove(path string) error { return os.Remove(path) }

func (OS) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }

func (OS) SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Faulty is a file system of which one operation fails, or all from one on. It is safe for concurrent use.
type Faulty struct {
	fs     FS
	at     int
	onward bool
	err    error

	mu    sync.Mutex
	count int
}

// Fail returns a file system whose n-th operation, counted from 1, fails with err; with n = 0 none does. A write that fails writes the
// first half of its bytes.
func Fail(fs FS, n int, err error) *Faulty { return &Faulty{fs: fs, at: n, err: err} }

// FailFrom returns a file system of which the n-th operation and all later ones fail, as after the death of a disk.
func FailFrom(fs FS, n int, err error) *Faulty { return &Faulty{fs: fs, at: n, onward: true, err: err} }

// Operations returns the number of operations so far.
func (f *Faulty) Operations() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

// next counts an operation and returns the error with which it fails, nil if it does not.
func (f *Faulty) next(op, path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	if f.count == f.at || f.onward && f.count > f.at {
		return &fs.PathError{Op: op, Path: path, Err: f.err}
	}
	return nil
}

func (f *Faulty) MkdirAll(path string, mode fs.FileMode) error {
	if err := f.next("mkdir", path); err != nil {
		return err
	}
	return f.fs.MkdirAll(path, mode)
}

func (f *Faulty) Create(path string, mode fs.FileMode) (File, error) {
	if err := f.next("create", path); err != nil {
		return nil, err
	}
	file, err := f.fs.Create(path, mode)
	if err != nil {
		return nil, err
	}
	return &faultyFile{f, path, file}, nil
}

func (f *Faulty) Rename(from, to string) error {
	if err := f.next("rename", from); err != nil {
		return err
	}
	return f.fs.Rename(from, to)
}

func (f *Faulty) Remove(path string) error {
	if err := f.next("remove", path); err != nil {
		return err
	}
	return f.fs.Remove(path)
}

func (f *Faulty) ReadDir(path string) ([]fs.DirEntry, error) {
	if err := f.next("readdir", path); err != nil {
		return nil, err
	}
	return f.fs.ReadDir(path)
}

func (f *Faulty) SyncDir(path string) error {
	if err := f.next("syncdir", path); err != nil {
		return err
	}
	return f.fs.SyncDir(path)
}

type faultyFile struct {
	fs   *Faulty
	path string
	file File
}

func (f *faultyFile) Write(p []byte) (int, error) {
	if err := f.fs.next("write", f.path); err != nil {
		n, _ := f.file.Write(p[:len(p)/2])
		return n, err
	}
	return f.file.Write(p)
}

func (f *faultyFile) Sync() error {
	if err := f.fs.next("sync", f.path); err != nil {
		return err
	}
	return f.file.Sync()
}

// Close closes the file even if it fails.
func (f *faultyFile) Close() error {
	failure := f.fs.next("close", f.path)
	if err := f.file.Close(); err != nil {
		return err
	}
	return failure
}
