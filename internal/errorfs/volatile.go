package errorfs

import (
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
)

// Volatile is a file system that loses in Crash what was not synced. What was there before its first operation is durable, and folders
// are. It is safe for concurrent use.
type Volatile struct {
	FS

	mu      sync.Mutex
	now     map[string]*node // the files that it knows, by name
	durable map[string]*node // the same with the names that SyncDir has made durable
}

// node is a file, whatever its names are.
type node struct {
	synced []byte // its content when it was last synced
	mode   fs.FileMode
}

// NewVolatile returns a volatile file system over the operating system's.
func NewVolatile() *Volatile {
	return &Volatile{FS: OS{}, now: map[string]*node{}, durable: map[string]*node{}}
}

// know takes up a file that was there before. The lock is held.
func (v *Volatile) know(path string) {
	if v.now[path] != nil || v.durable[path] != nil {
		return
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return
	}
	if text, err := os.ReadFile(path); err == nil {
		n := &node{text, info.Mode().Perm()}
		v.now[path], v.durable[path] = n, n
	}
}

func (v *Volatile) Create(path string, mode fs.FileMode) (File, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.know(path)
	f, err := v.FS.Create(path, mode)
	if err != nil {
		return nil, err
	}
	n := &node{mode: mode}
	v.now[path] = n
	return &volatileFile{f, v, n}, nil
}

func (v *Volatile) Open(path string, flag int) (File, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.know(path)
	f, err := v.FS.Open(path, flag)
	if err != nil || v.now[path] == nil {
		return f, err
	}
	return &volatileFile{f, v, v.now[path]}, nil
}

func (v *Volatile) Link(from, to string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.know(from)
	v.know(to)
	err := v.FS.Link(from, to)
	if err == nil {
		v.now[to] = v.now[from]
	}
	return err
}

func (v *Volatile) Rename(from, to string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.know(from)
	v.know(to)
	err := v.FS.Rename(from, to)
	if err == nil {
		v.now[to] = v.now[from]
		delete(v.now, from)
	}
	return err
}

func (v *Volatile) Remove(path string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.know(path)
	err := v.FS.Remove(path)
	if err == nil {
		delete(v.now, path)
	}
	return err
}

func (v *Volatile) SyncDir(path string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.FS.SyncDir(path); err != nil {
		return err
	}
	for name := range v.durable {
		if filepath.Dir(name) == path {
			delete(v.durable, name)
		}
	}
	for name, n := range v.now {
		if filepath.Dir(name) == path {
			v.durable[name] = n
		}
	}
	return nil
}

// Crash leaves on the disk what a machine finds that loses its power now and is started again: of each file what was synced. Names that
// were given or taken without SyncDir are lost, or if keepNames is set not: systems may do either. All files must be closed.
func (v *Volatile) Crash(keepNames bool) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	left := v.durable
	if keepNames {
		left = v.now
	}
	for _, names := range []map[string]*node{v.now, v.durable} {
		for name := range names {
			if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
				return err
			}
		}
	}
	for name, n := range left {
		if err := os.WriteFile(name, n.synced, n.mode); err != nil {
			return err
		}
	}
	return nil
}

type volatileFile struct {
	File
	fs   *Volatile
	node *node
}

func (f *volatileFile) Sync() error {
	if err := f.File.Sync(); err != nil {
		return err
	}
	text, err := io.ReadAll(io.NewSectionReader(f.File, 0, math.MaxInt64))
	if err != nil {
		return err
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.node.synced = text
	return nil
}
