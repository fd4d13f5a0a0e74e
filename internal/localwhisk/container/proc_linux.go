package container

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
)

// procStat is the part of /proc/PID/stat that is used here.
type procStat struct {
	pid, parent, group int
	state              byte
	threads            int
	start              uint64 // in clock ticks since boot; together with pid it identifies a process uniquely
}

// gone reports whether the process has ended. The state is that of the first thread, which may end long before the others; as long as one of
// them exists, the process has its open files and their locks.
func (s procStat) gone() bool { return s.state == 'X' || s.state == 'Z' && s.threads <= 1 }

// readStat reads /proc/PID/stat.
func readStat(pid int) (procStat, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return procStat{}, err
	}
	// The second field is the name in parentheses, which may contain any character.
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return procStat{}, fmt.Errorf("process %d: its stat cannot be read", pid)
	}
	fields := bytes.Fields(b[i+1:])
	if len(fields) < 20 {
		return procStat{}, fmt.Errorf("process %d: its stat cannot be read", pid)
	}
	s := procStat{pid: pid, state: fields[0][0]}
	parent, err1 := strconv.Atoi(string(fields[1]))
	group, err2 := strconv.Atoi(string(fields[2]))
	threads, err3 := strconv.Atoi(string(fields[17]))
	start, err4 := strconv.ParseUint(string(fields[19]), 10, 64)
	s.parent, s.group, s.threads, s.start = parent, group, threads, start
	return s, errors.Join(err1, err2, err3, err4)
}

// pids returns the ids of all processes.
func pids() ([]int, error) {
	d, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	var list []int
	for _, n := range names {
		if pid, err := strconv.Atoi(n); err == nil {
			list = append(list, pid)
		}
	}
	return list, err
}

// children returns the child processes of all threads of a process.
func children(pid int) []int {
	dir := "/proc/" + strconv.Itoa(pid) + "/task"
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	threads, _ := d.Readdirnames(-1)
	d.Close()
	var list []int
	for _, t := range threads {
		b, err := os.ReadFile(dir + "/" + t + "/children")
		if errors.Is(err, os.ErrNotExist) {
			if _, err := os.Stat(dir + "/" + t); err == nil {
				return childrenByParent(pid) // a kernel without CONFIG_PROC_CHILDREN
			}
		}
		for _, f := range bytes.Fields(b) {
			if child, err := strconv.Atoi(string(f)); err == nil {
				list = append(list, child)
			}
		}
	}
	return list
}

// childrenByParent returns the children of a process, found by the parent of every process.
func childrenByParent(pid int) []int {
	all, _ := pids()
	var list []int
	for _, p := range all {
		if s, err := readStat(p); err == nil && s.parent == pid {
			list = append(list, p)
		}
	}
	return list
}

// descendants returns the children of a process, their children, and so on.
func descendants(pid int) []int {
	list := children(pid)
	for i := 0; i < len(list); i++ {
		list = append(list, children(list[i])...)
	}
	return list
}

// residentBytes returns the resident memory of a process in bytes, without what it shares with others.
func residentBytes(pid int) int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	f := bytes.Fields(b)
	if len(f) < 3 {
		return 0
	}
	resident, err1 := strconv.ParseInt(string(f[1]), 10, 64)
	shared, err2 := strconv.ParseInt(string(f[2]), 10, 64)
	if err1 != nil || err2 != nil {
		return 0
	}
	return (resident - shared) * int64(os.Getpagesize())
}
