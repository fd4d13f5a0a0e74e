package errorfs

import (
	"io/fs"
	"sync"
)

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

// FailFrom returns a file system of which the n-th operation and all later ones fail, as after the death of a disk or of the process.
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
	return f.wrap(f.fs.Create(path, mode))
}

func (f *Faulty) Open(path string, flag int) (File, error) {
	if err := f.next("open", path); err != nil {
		return nil, err
	}
	return f.wrap(f.fs.Open(path, flag))
}

func (f *Faulty) wrap(file File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return &faultyFile{file, f}, nil
}

func (f *Faulty) Stat(path string) (fs.FileInfo, error) {
	if err := f.next("stat", path); err != nil {
		return nil, err
	}
	return f.fs.Stat(path)
}

func (f *Faulty) Link(from, to string) error {
	if err := f.next("link", to); err != nil {
		return err
	}
	return f.fs.Link(from, to)
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
	File
	fs *Faulty
}

func (f *faultyFile) Read(p []byte) (int, error) {
	if err := f.fs.next("read", f.Name()); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

func (f *faultyFile) ReadAt(p []byte, offset int64) (int, error) {
	if err := f.fs.next("read", f.Name()); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, offset)
}

func (f *faultyFile) Write(p []byte) (int, error) {
	if err := f.fs.next("write", f.Name()); err != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	}
	return f.File.Write(p)
}

func (f *faultyFile) Seek(offset int64, whence int) (int64, error) {
	if err := f.fs.next("seek", f.Name()); err != nil {
		return 0, err
	}
	return f.File.Seek(offset, whence)
}

func (f *faultyFile) Chmod(mode fs.FileMode) error {
	if err := f.fs.next("chmod", f.Name()); err != nil {
		return err
	}
	return f.File.Chmod(mode)
}

func (f *faultyFile) Truncate(size int64) error {
	if err := f.fs.next("truncate", f.Name()); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultyFile) Sync() error {
	if err := f.fs.next("sync", f.Name()); err != nil {
		return err
	}
	return f.File.Sync()
}

// Close closes the file even if it fails.
func (f *faultyFile) Close() error {
	failure := f.fs.next("close", f.Name())
	if err := f.File.Close(); err != nil {
		return err
	}
	return failure
}
