package container

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"weak"
)

// codeCache keeps unpacked code in a directory that all containers share, one folder for each distinct code. Code that no container uses is
// kept up to a limit; the least recently used is removed first.
type codeCache struct {
	dir         string
	maxUnpacked int64 // bytes of one code, unpacked
	maxIdle     int64 // bytes of all codes that no container uses
	mu          sync.Mutex
	byContent   map[[sha256.Size]byte]*code
	bySlice     map[slice]*code
	idle        []*code // used by no container, the least recently used first
	idleBytes   int64
	unpacked    int // number of codes unpacked so far
	closed      bool
	working     sync.WaitGroup // goroutines that unpack or prepare
	preparing   chan struct{}  // a semaphore: its capacity is the number of codes prepared at once
}

// slice identifies a slice of bytes by address and length, without keeping it alive.
type slice struct {
	first weak.Pointer[byte]
	n     int
}

// code is unpacked code.
type code struct {
	dir    string
	sum    [sha256.Size]byte
	ready  chan struct{} // closed when the fields up to files are set
	err    error         // why it could not be unpacked
	bytes  int64
	env    string   // the text of exec.env
	files  []string // the top-level files and folders, without exec.env
	users  int      // number of users; protected by the cache's lock
	slices []slice  // under which bySlice has this code; protected by the cache's lock
}

// acquire returns the code, unpacked. The caller must release it.
func (c *codeCache) acquire(content []byte) (*code, error) {
	key := slice{weak.Make(&content[0]), len(content)}
	c.mu.Lock()
	found := c.bySlice[key]
	if found == nil {
		c.mu.Unlock()
		sum := sha256.Sum256(content)
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return nil, errClosed
		}
		if found = c.byContent[sum]; found == nil {
			found = &code{dir: filepath.Join(c.dir, hex.EncodeToString(sum[:8])), sum: sum, ready: make(chan struct{})}
			c.byContent[sum] = found
			c.unpacked++
			c.working.Go(func() { found.unpack(content, c.maxUnpacked) })
		}
		if c.bySlice[key] == nil {
			c.bySlice[key] = found
			if len(found.slices) >= 64 {
				found.slices = slices.DeleteFunc(found.slices, func(s slice) bool {
					gone := s.first.Value() == nil
					if gone {
						delete(c.bySlice, s)
					}
					return gone
				})
			}
			found.slices = append(found.slices, key)
		}
	}
	if found.users++; found.users == 1 {
		c.removeIdle(found)
	}
	c.mu.Unlock()
	<-found.ready
	if found.err != nil {
		c.release(found)
		return nil, found.err
	}
	return found, nil
}

// prepare unpacks code in the background, so that a later acquire need not wait. It does nothing if too many codes are being prepared already.
func (c *codeCache) prepare(content []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.bySlice[slice{weak.Make(&content[0]), len(content)}] != nil {
		return
	}
	select {
	case c.preparing <- struct{}{}:
	default:
		return
	}
	c.working.Go(func() {
		defer func() { <-c.preparing }()
		// An error is returned to the caller that acquires the code later.
		if k, err := c.acquire(content); err == nil {
			c.release(k)
		}
	})
}

// close waits for the goroutines that unpack. Afterwards no code is unpacked.
func (c *codeCache) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.working.Wait()
}

// removeIdle removes a code from the list of idle ones.
func (c *codeCache) removeIdle(found *code) {
	for i, other := range c.idle {
		if other == found {
			c.idle = append(c.idle[:i], c.idle[i+1:]...)
			c.idleBytes -= found.bytes
			return
		}
	}
}

// release ends one use of the code, and removes idle codes beyond the limit.
func (c *codeCache) release(k *code) {
	c.mu.Lock()
	if k.users--; k.users > 0 {
		c.mu.Unlock()
		return
	}
	c.idle = append(c.idle, k)
	c.idleBytes += k.bytes
	var gone []*code
	for len(c.idle) > 0 && (c.idleBytes > c.maxIdle || k.err != nil) {
		old := c.idle[0]
		if k.err != nil {
			old = k // not kept: a disk that was full may have room the next time
		}
		c.removeIdle(old)
		delete(c.byContent, old.sum)
		for _, s := range old.slices {
			delete(c.bySlice, s)
		}
		// It is renamed before it is removed: the same code may be unpacked again at once.
		aside := fmt.Sprintf("%s-gone-%d", old.dir, c.unpacked)
		if os.Rename(old.dir, aside) == nil {
			gone = append(gone, &code{dir: aside})
		}
		if k.err != nil {
			break
		}
	}
	c.mu.Unlock()
	for _, old := range gone {
		_ = removeAll(old.dir)
	}
}

// unpack unpacks the content, at most maxBytes bytes, into the code's directory, and closes ready.
func (k *code) unpack(content []byte, maxBytes int64) {
	defer close(k.ready)
	if k.err = os.Mkdir(k.dir, 0o755); k.err != nil {
		return
	}
	if bytes.HasPrefix(content, []byte("PK")) {
		k.err = unzip(content, k.dir, maxBytes)
	} else if int64(len(content)) > maxBytes {
		k.err = fmt.Errorf("the code is larger than %d bytes", maxBytes)
	} else {
		k.err = os.WriteFile(filepath.Join(k.dir, "exec"), content, 0o555)
	}
	if k.err != nil {
		return
	}
	if env, err := os.ReadFile(filepath.Join(k.dir, "exec.env")); err == nil {
		k.env = strings.TrimSpace(string(env[:min(len(env), 1000)]))
	}
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		k.err = err
		return
	}
	for _, e := range entries {
		if e.Name() != "exec.env" {
			k.files = append(k.files, e.Name())
		}
	}
	k.err = filepath.WalkDir(k.dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			k.bytes += info.Size()
		}
		return err
	})
}

// checkExec returns an error if the code has no executable file exec.
func (k *code) checkExec() error {
	info, err := os.Stat(filepath.Join(k.dir, "exec"))
	switch {
	case err != nil:
		return fmt.Errorf("the zip has no file exec at its top")
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return fmt.Errorf("exec in the zip is no executable file (its mode is %s)", info.Mode())
	}
	return nil
}

// removeAll removes a directory, even if an action has taken away the owner's permissions on parts of it.
func removeAll(dir string) error {
	if err := os.RemoveAll(dir); err == nil || os.Geteuid() == 0 {
		return err
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
