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

// Names, as first argument, by which our own executable knows that it is to be something else.
const (
	wardenName = "tppfaas-warden"
	stageName  = "tppfaas-container"
)

// Both start here, before main and before packages that are initialised later: the less there is of them, the faster they start.
func init() {
	if len(os.Args) == 0 {
		return
	}
	switch os.Args[0] {
	case wardenName:
		syscall.Exit(wardenMain()) // not os.Exit: under the race detector that takes a second
	case stageName:
		err := stageMain()
		fmt.Fprintf(os.Stderr, "The action cannot be started: %v\n", err)
		syscall.Exit(126)
	}
}

// order is what a container becomes: the stage, which a container is at first, executes it.
type order struct {
	file, dir string
	args, env []string
	memoryMB  int
	limitData bool // by RLIMIT_DATA
	uid, gid  int  // 0: those of the platform
	results   bool // descriptor 3 stays open
}

const maxOrder = 4 << 20

// encode returns the order as the stage reads it from standard input: its length, then its parts.
func (o *order) encode() ([]byte, error) {
	flag := func(b bool) string { return strconv.Itoa(map[bool]int{true: 1}[b]) }
	parts := []string{
		o.file, o.dir, strconv.Itoa(o.memoryMB), flag(o.limitData), strconv.Itoa(o.uid), strconv.Itoa(o.gid), flag(o.results), strconv.Itoa(len(o.args)),
	}
	parts = append(append(parts, o.args...), o.env...)
	for _, p := range parts {
		if strings.IndexByte(p, 0) >= 0 {
			return nil, errors.New("a parameter of the initialisation has a zero byte, which no environment can have")
		}
	}
	text := strings.Join(parts, "\x00")
	if len(text) > maxOrder {
		return nil, fmt.Errorf("arguments and environment are larger than %d bytes", maxOrder)
	}
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(text))), text...), nil
}

func (o *order) decode(text string) error {
	parts := strings.Split(text, "\x00")
	if len(parts) < 8 {
		return errors.New("the order is too short")
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
		*o = order{
			file: parts[0], dir: parts[1], memoryMB: numbers[0], limitData: numbers[1] == 1, uid: numbers[2], gid: numbers[3],
			results: numbers[4] == 1, args: rest[:n], env: rest[n:],
		}
		return nil
	}
	return errors.New("the order has too few arguments")
}

// stageMain waits for an order on standard input, and becomes what it says. It returns only if that fails.
func stageMain() error {
	var length [4]byte
	if _, err := io.ReadFull(stdin{}, length[:]); err != nil {
		syscall.Exit(0) // no action came
	}
	n := binary.LittleEndian.Uint32(length[:])
	if n > maxOrder {
		return errors.New("the order is too long")
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(stdin{}, text); err != nil {
		return err
	}
	var o order
	if err := o.decode(string(text)); err != nil {
		return err
	}
	return o.execute()
}

// stdin reads no more than it is asked for: what follows the order is the action's.
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

func (o *order) execute() error {
	// What descends from the action stays its descendant, whoever dies in between: so all of it can be found and killed.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	// A program that becomes another user could not be killed by an ordinary one.
	_ = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	// When the system runs out of memory, actions go first.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0)
	if o.limitData {
		// Coarse, and only against what takes much at once: the warden watches what is really used.
		most := uint64(2*o.memoryMB+256) << 20
		_ = unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: most, Max: most})
	}
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	if !o.results {
		syscall.CloseOnExec(3)
	}
	if o.gid != 0 {
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(o.gid)); err != nil {
			return fmt.Errorf("becoming group %d: %w", o.gid, err)
		}
	}
	if o.uid != 0 {
		if err := syscall.Setuid(o.uid); err != nil {
			return fmt.Errorf("becoming user %d: %w", o.uid, err)
		}
	}
	if err := os.Chdir(o.dir); err != nil {
		return err
	}
	err := syscall.Exec(o.file, o.args, o.env)
	// Another process may just be between fork and exec, with a descriptor of the file that we have written.
	for i := 0; err == syscall.ETXTBSY && i < 100; i++ {
		time.Sleep(time.Millisecond)
		err = syscall.Exec(o.file, o.args, o.env)
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
