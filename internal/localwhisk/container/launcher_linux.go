package container

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// These names as argument 0 tell a program that imports this package to be a supervisor or a launcher.
const (
	supervisorName = "tppfaas-supervisor"
	launcherName   = "tppfaas-container"
)

// init is the main function of supervisors and launchers. It runs before main and before the init functions of other packages, so that they
// start fast.
func init() {
	if len(os.Args) == 0 {
		return
	}
	switch os.Args[0] {
	case supervisorName:
		syscall.Exit(supervisorMain()) // not os.Exit: under the race detector that takes a second
	case launcherName:
		err := launcherMain()
		fmt.Fprintf(os.Stderr, "The action cannot be started: %v\n", err)
		syscall.Exit(126)
	}
}

// execRequest tells a launcher what to execute. A container is at first a launcher, a process that is started before it is known for which action.
type execRequest struct {
	file, dir string
	args, env []string
	memoryMB  int
	limitData bool // limit memory by RLIMIT_DATA
	uid, gid  int  // 0: the same as the platform
	results   bool // leave descriptor 3 open, for the answers of the action loop
}

const maxExecRequest = 4 << 20

// encode returns the request as the launcher reads it from standard input: four bytes of length, then the fields, separated by zero bytes.
func (r *execRequest) encode() ([]byte, error) {
	flag := func(b bool) string { return strconv.Itoa(map[bool]int{true: 1}[b]) }
	parts := []string{
		r.file, r.dir, strconv.Itoa(r.memoryMB), flag(r.limitData), strconv.Itoa(r.uid), strconv.Itoa(r.gid), flag(r.results), strconv.Itoa(len(r.args)),
	}
	parts = append(append(parts, r.args...), r.env...)
	for _, p := range parts {
		if strings.IndexByte(p, 0) >= 0 {
			return nil, errors.New("a parameter of the initialisation has a zero byte, which no environment can have")
		}
	}
	text := strings.Join(parts, "\x00")
	if len(text) > maxExecRequest {
		return nil, fmt.Errorf("arguments and environment are larger than %d bytes", maxExecRequest)
	}
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(text))), text...), nil
}

func (r *execRequest) decode(text string) error {
	parts := strings.Split(text, "\x00")
	if len(parts) < 8 {
		return errors.New("the exec request is too short")
	}
	var numbers [6]int
	for i := range numbers {
		var err error
		if numbers[i], err = strconv.Atoi(parts[2+i]); err != nil {
			return err
		}
	}
	n := numbers[5]
	if rest := parts[8:]; n >= 0 && n <= len(rest) {
		*r = execRequest{
			file: parts[0], dir: parts[1], memoryMB: numbers[0], limitData: numbers[1] == 1, uid: numbers[2], gid: numbers[3],
			results: numbers[4] == 1, args: rest[:n], env: rest[n:],
		}
		return nil
	}
	return errors.New("the exec request has too few arguments")
}

// launcherMain reads an execRequest from standard input and executes it. It returns only if that fails.
func launcherMain() error {
	var length [4]byte
	if _, err := io.ReadFull(stdin{}, length[:]); err != nil {
		syscall.Exit(0) // the container was removed before it got an action
	}
	n := binary.LittleEndian.Uint32(length[:])
	if n > maxExecRequest {
		return errors.New("the exec request is too long")
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(stdin{}, text); err != nil {
		return err
	}
	var r execRequest
	if err := r.decode(string(text)); err != nil {
		return err
	}
	return r.execute()
}

// stdin reads standard input without buffering: what follows the request is for the action.
type stdin struct{}

func (stdin) Read(p []byte) (int, error) {
	for {
		n, err := syscall.Read(0, p)
		if err == syscall.EINTR {
			continue
		}
		if n == 0 && err == nil {
			return 0, io.EOF
		}
		return max(n, 0), err
	}
}

// execute replaces this process by the action. It returns only if that fails.
func (r *execRequest) execute() error {
	// As a subreaper, the action stays the ancestor of all its descendants, even if processes in between die: they can all be found and killed.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	// An unprivileged platform could not kill a process that has become another user.
	_ = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	// When the system runs out of memory, the kernel should kill actions first.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0)
	if r.limitData {
		// This coarse limit only stops fast growth; the supervisor checks the memory that is really used.
		limit := uint64(2*r.memoryMB+256) << 20
		_ = unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: limit, Max: limit})
	}
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	if !r.results {
		syscall.CloseOnExec(3)
	}
	if r.gid != 0 {
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(r.gid)); err != nil {
			return fmt.Errorf("becoming group %d: %w", r.gid, err)
		}
	}
	if r.uid != 0 {
		if err := syscall.Setuid(r.uid); err != nil {
			return fmt.Errorf("becoming user %d: %w", r.uid, err)
		}
	}
	if err := os.Chdir(r.dir); err != nil {
		return err
	}
	err := syscall.Exec(r.file, r.args, r.env)
	// Another process between fork and exec may still hold a descriptor with which we have written the file.
	for i := 0; err == syscall.ETXTBSY && i < 100; i++ {
		time.Sleep(time.Millisecond)
		err = syscall.Exec(r.file, r.args, r.env)
	}
	switch err {
	case syscall.E2BIG:
		return fmt.Errorf("its arguments and environment are too large: %w", err)
	case syscall.ENOEXEC:
		return fmt.Errorf("exec is no program for this system: %w", err)
	case syscall.ENOENT:
		return fmt.Errorf("exec, or the interpreter that it needs, is not there: %w", err)
	}
	return err
}
