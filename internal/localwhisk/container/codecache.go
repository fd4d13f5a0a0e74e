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

// codes keeps unpacked code in a directory, one folder for each distinct code, for all containers together.
type codes struct {
	dir       string
	mostOfOne int64 // bytes of one code, unpacked
	mostIdle  int64 // bytes of the codes that no container uses
	mu        sync.Mutex
	byContent map[[sha256.Size]byte]*code
	bySlice   map[slice]*code
	idle      []*code // the one used longest ago is first
	idleBytes int64
	unpacked  int // how often, for tests
	closed    bool
	working   sync.WaitGroup // those who unpack or prepare
	preparing chan struct{}  // its capacity is how many codes are prepared at once
}

// slice tells whether two slices are the same, without keeping them alive.
type slice struct {
	first weak.Pointer[byte]
	n     int
}

// code is unpacked code. It is removed some time after the last container that uses it.
type code struct {
	dir    string
	sum    [sha256.Size]byte
	ready  chan struct{} // closed when what follows is set
	err    error         // the developer's
	bytes  int64
	env    string   // the text of exec.env
	files  []string // what lies at the top, apart from exec.env
	users  int      // under the lock of codes
	slices []slice  // likewise
}

// get returns the code, unpacked, for one more user, who must put it back.
func (c *codes) get(content []byte) (*code, error) {
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
			c.working.Go(func() { found.unpack(content, c.mostOfOne) })
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
		c.wake(found)
	}
	c.mu.Unlock()
	<-found.ready
	if found.err != nil {
		c.put(found)
		return nil, found.err
	}
	return found, nil
}

// prepare unpacks code that will be wanted, unless others are being prepared already: whoever wants it does it then.
func (c *codes) prepare(content []byte) {
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
		// Who starts a container is told of an error.
		if k, err := c.get(content); err == nil {
			c.put(k)
		}
	})
}

// close waits for those who work; from then on no code is unpacked.
func (c *codes) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.working.Wait()
}

// wake takes a code that is used again out of the idle ones.
func (c *codes) wake(found *code) {
	for i, other := range c.idle {
		if other == found {
			c.idle = append(c.idle[:i], c.idle[i+1:]...)
			c.idleBytes -= found.bytes
			return
		}
	}
}

// put ends a use.
func (c *codes) put(k *code) {
	c.mu.Lock()
	if k.users--; k.users > 0 {
		c.mu.Unlock()
		return
	}
	c.idle = append(c.idle, k)
	c.idleBytes += k.bytes
	var gone []*code
	for len(c.idle) > 0 && (c.idleBytes > c.mostIdle || k.err != nil) {
		old := c.idle[0]
		if k.err != nil {
			old = k // it holds nothing that another could use, and the disk may have room the next time
		}
		c.wake(old)
		delete(c.byContent, old.sum)
		for _, s := range old.slices {
			delete(c.bySlice, s)
		}
		// Renamed first: the same code may be unpacked again at once.
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

// unpack fills the directory, and closes ready.
func (k *code) unpack(content []byte, most int64) {
	defer close(k.ready)
	if k.err = os.Mkdir(k.dir, 0o755); k.err != nil {
		return
	}
	if bytes.HasPrefix(content, []byte("PK")) {
		k.err = unzip(content, k.dir, most)
	} else if int64(len(content)) > most {
		k.err = fmt.Errorf("the code is larger than %d bytes", most)
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

// checkExec returns why the code has nothing to execute; nil if it has.
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

// removeAll removes a directory, also if an action took away its own rights to parts of it.
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
