package container

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// killTrees kills processes that are not our children, and their descendants, and waits for their end for at most 10 s. It stops them all before
// it kills any: a stopped process starts no more processes, and while it exists, its descendants can be found.
func killTrees(roots []procStat) {
	found := map[int]uint64{}
	for foundMore := true; foundMore; {
		foundMore = false
		var list []int
		for _, r := range roots {
			if s, err := readStat(r.pid); err == nil && s.start == r.start && !s.gone() {
				list = append(append(list, r.pid), descendants(r.pid)...)
			}
		}
		for _, pid := range list {
			s, err := readStat(pid)
			if err != nil || s.gone() || found[pid] == s.start {
				continue
			}
			found[pid] = s.start
			_ = syscall.Kill(pid, syscall.SIGSTOP)
			foundMore = true
		}
	}
	var pidfds []unix.PollFd
	for pid, start := range found {
		fd, err := unix.PidfdOpen(pid, 0)
		if s, e := readStat(pid); e == nil && s.start == start {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			if err == nil {
				pidfds = append(pidfds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
				continue
			}
		}
		if err == nil {
			unix.Close(fd)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); len(pidfds) > 0; {
		for i := range pidfds {
			pidfds[i].Revents = 0
		}
		_, _ = unix.Poll(pidfds, int(max(0, time.Until(deadline)).Milliseconds()))
		expired := !time.Now().Before(deadline)
		rest := pidfds[:0]
		for _, w := range pidfds {
			if w.Revents != 0 || expired {
				unix.Close(int(w.Fd))
			} else {
				rest = append(rest, w)
			}
		}
		pidfds = rest
	}
}
