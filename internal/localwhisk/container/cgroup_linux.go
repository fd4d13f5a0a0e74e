package container

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// jail bounds the memory of processes by a memory control group for each, where we may make some, which takes root; nil where not.
type jail struct {
	dir       string
	n         int
	limitFile string
	eventFile string // that counts what was killed for want of memory, after the word oom_kill
}

// newJail finds out what there is.
func newJail() *jail {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, j := range []jail{
		{dir: "/sys/fs/cgroup/memory", limitFile: "memory.limit_in_bytes", eventFile: "memory.oom_control"},
		{dir: "/sys/fs/cgroup", limitFile: "memory.max", eventFile: "memory.events"},
	} {
		j.sweep()
		own := filepath.Join(j.dir, "tppfaas-"+strconv.Itoa(os.Getpid()))
		if os.Mkdir(own, 0o755) != nil {
			continue
		}
		// Version 2 hands a controller down only where it is told to.
		_ = os.WriteFile(filepath.Join(own, "cgroup.subtree_control"), []byte("+memory"), 0)
		j.dir = own
		probe := filepath.Join(own, "probe")
		err := os.Mkdir(probe, 0o755)
		if err == nil {
			err = os.WriteFile(filepath.Join(probe, j.limitFile), []byte("1073741824"), 0)
			_ = os.Remove(probe)
		}
		if err == nil {
			return &j
		}
		_ = os.Remove(own)
	}
	return nil
}

// sweep removes the groups of wardens that could not.
func (j *jail) sweep() {
	left, _ := filepath.Glob(filepath.Join(j.dir, "tppfaas-*"))
	for _, dir := range left {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), "tppfaas-"))
		if err != nil {
			continue
		}
		if _, err := os.Stat("/proc/" + strconv.Itoa(pid)); err == nil {
			continue
		}
		cells, _ := filepath.Glob(filepath.Join(dir, "*", "cgroup.procs"))
		for _, c := range cells {
			_ = os.Remove(filepath.Dir(c))
		}
		_ = os.Remove(dir)
	}
}

// next names a cell; "" where there are none.
func (j *jail) next() string {
	if j == nil {
		return ""
	}
	j.n++
	return filepath.Join(j.dir, strconv.Itoa(j.n))
}

// enclose makes a cell and puts a process, and what will descend from it, into it; "" if that fails.
func (j *jail) enclose(cell string, pid int, limit int64) string {
	if os.Mkdir(cell, 0o755) != nil {
		return ""
	}
	if os.WriteFile(filepath.Join(cell, j.limitFile), strconv.AppendInt(nil, limit, 10), 0) != nil ||
		os.WriteFile(filepath.Join(cell, "cgroup.procs"), strconv.AppendInt(nil, int64(pid), 10), 0) != nil {
		_ = os.Remove(cell)
		return ""
	}
	return cell
}

// release removes the cell of a process that is gone, and tells whether the system killed something in it.
func (j *jail) release(cell string) (exhausted bool) {
	if cell == "" {
		return false
	}
	if b, err := os.ReadFile(filepath.Join(cell, j.eventFile)); err == nil {
		for line := range bytes.Lines(b) {
			if n, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "oom_kill "); ok && n != "0" {
				exhausted = true
			}
		}
	}
	_ = os.Remove(cell)
	return exhausted
}

func (j *jail) close() {
	if j != nil {
		_ = os.Remove(j.dir)
	}
}
