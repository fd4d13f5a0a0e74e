package container

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// memoryCgroups limits the memory of processes by one memory control group per process. Creating control groups takes root, and is not
// possible everywhere; a nil *memoryCgroups limits nothing.
type memoryCgroups struct {
	dir       string // the supervisor's own group, the parent of the others
	n         int    // number of groups named so far
	limitFile string
	eventFile string // counts, after the word oom_kill, the processes that the kernel killed for lack of memory
}

// newMemoryCgroups returns nil if no memory control groups can be created.
func newMemoryCgroups() *memoryCgroups {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, g := range []memoryCgroups{
		{dir: "/sys/fs/cgroup/memory", limitFile: "memory.limit_in_bytes", eventFile: "memory.oom_control"}, // version 1
		{dir: "/sys/fs/cgroup", limitFile: "memory.max", eventFile: "memory.events"},                        // version 2
	} {
		g.sweep()
		own := filepath.Join(g.dir, "tppfaas-"+strconv.Itoa(os.Getpid()))
		if os.Mkdir(own, 0o755) != nil {
			continue
		}
		// In version 2 a group has a controller only if its parent enables it.
		_ = os.WriteFile(filepath.Join(own, "cgroup.subtree_control"), []byte("+memory"), 0)
		g.dir = own
		probe := filepath.Join(own, "probe")
		err := os.Mkdir(probe, 0o755)
		if err == nil {
			err = os.WriteFile(filepath.Join(probe, g.limitFile), []byte("1073741824"), 0)
			_ = os.Remove(probe)
		}
		if err == nil {
			return &g
		}
		_ = os.Remove(own)
	}
	return nil
}

// sweep removes the groups of supervisors that were killed before they could.
func (g *memoryCgroups) sweep() {
	left, _ := filepath.Glob(filepath.Join(g.dir, "tppfaas-*"))
	for _, dir := range left {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), "tppfaas-"))
		if err != nil {
			continue
		}
		if _, err := os.Stat("/proc/" + strconv.Itoa(pid)); err == nil {
			continue
		}
		groups, _ := filepath.Glob(filepath.Join(dir, "*", "cgroup.procs"))
		for _, procs := range groups {
			_ = os.Remove(filepath.Dir(procs))
		}
		_ = os.Remove(dir)
	}
}

// nextPath returns the path of a group that does not exist yet, "" for a nil receiver.
func (g *memoryCgroups) nextPath() string {
	if g == nil {
		return ""
	}
	g.n++
	return filepath.Join(g.dir, strconv.Itoa(g.n))
}

// add creates the group at path and moves a process into it; future descendants of the process will be in it too. It returns the path, or ""
// if that fails.
func (g *memoryCgroups) add(path string, pid int, limit int64) string {
	if os.Mkdir(path, 0o755) != nil {
		return ""
	}
	if os.WriteFile(filepath.Join(path, g.limitFile), strconv.AppendInt(nil, limit, 10), 0) != nil ||
		os.WriteFile(filepath.Join(path, "cgroup.procs"), strconv.AppendInt(nil, int64(pid), 10), 0) != nil {
		_ = os.Remove(path)
		return ""
	}
	return path
}

// remove removes the group of a process that is gone, and reports whether the kernel killed a process in it for lack of memory. An
// empty path is no group.
func (g *memoryCgroups) remove(path string) (outOfMemory bool) {
	if path == "" {
		return false
	}
	if b, err := os.ReadFile(filepath.Join(path, g.eventFile)); err == nil {
		for line := range bytes.Lines(b) {
			if n, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "oom_kill "); ok && n != "0" {
				outOfMemory = true
			}
		}
	}
	_ = os.Remove(path)
	return outOfMemory
}

// close removes the supervisor's own group.
func (g *memoryCgroups) close() {
	if g != nil {
		_ = os.Remove(g.dir)
	}
}
