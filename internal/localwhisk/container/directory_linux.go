package container

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const directoryPrefix = "tppfaas-containers-"

// newDirectory creates a platform's directory and locks it. The lock is held until the platform and its supervisor have ended.
func newDirectory(parent string) (dir string, lock *os.File, err error) {
	if dir, err = os.MkdirTemp(parent, directoryPrefix); err != nil {
		return "", nil, err
	}
	// Other platforms find the directory by the file lock, and remove it if that is not locked: it gets this name when it is locked.
	aside := filepath.Join(dir, "new")
	lock, err = os.OpenFile(aside, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		if err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
			err = os.Rename(aside, filepath.Join(dir, "lock"))
		}
		if err != nil {
			lock.Close()
		}
	}
	if err != nil {
		_ = removeAll(dir)
		return "", nil, err
	}
	return dir, lock, nil
}

// sweep removes what earlier platforms have left that were killed together with their supervisors or ended by a crash of the system:
// directories, and processes that work in them or run their code.
func sweep(parent string, log *slog.Logger) {
	locks, _ := filepath.Glob(filepath.Join(parent, directoryPrefix+"*", "lock"))
	for _, file := range locks {
		var info unix.Stat_t
		if unix.Lstat(filepath.Dir(file), &info) != nil || int(info.Uid) != os.Geteuid() {
			continue
		}
		lock, err := os.OpenFile(file, os.O_RDWR|unix.O_NOFOLLOW, 0)
		if err != nil {
			continue
		}
		if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			dir := filepath.Dir(file)
			killed := killUsers(dir)
			err := removeAll(dir)
			log.Info("removed what an earlier platform left", "directory", dir, "processes", killed, "error", err)
		}
		lock.Close()
	}
}

// killUsers kills the processes that work in a directory or run a program from it, and their descendants, and returns the number of the former.
// It spares processes that may gain privileges, such as somebody's shell in this directory: actions may not.
func killUsers(dir string) int {
	all, _ := pids()
	var users []procStat
	for _, pid := range all {
		for _, what := range []string{"cwd", "exe"} {
			path, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/" + what)
			if err != nil || !strings.HasPrefix(path, dir+"/") {
				continue
			}
			status, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
			if s, err := readStat(pid); err == nil && bytes.Contains(status, []byte("\nNoNewPrivs:\t1\n")) {
				users = append(users, s)
			}
			break
		}
	}
	killTrees(users)
	return len(users)
}
