package acquire

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// process is a process as /proc has it.
type process struct {
	identity
	parent int
	name   string  // of its program
	cpu    float64 // seconds, with those of its children that have ended and for which it waited
	rss    float64 // bytes
	ended  bool    // its parent has not yet asked how
}

// ticks is the number of clock ticks a second in /proc: Linux shows 100 on all processors for which there is Go.
const ticks = 100

// readProcesses reads the processes that there are. One that ends meanwhile is left out.
func readProcesses(root string) (map[int]process, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("the processes of this machine: %w", err)
	}
	all := make(map[int]process, len(entries))
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		folder := filepath.Join(root, e.Name())
		text, err := os.ReadFile(filepath.Join(folder, "stat"))
		if hasEnded(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("process %d: %w", pid, err)
		}
		p, err := parseStat(text)
		if err != nil {
			return nil, fmt.Errorf("process %d: %s: %w", pid, filepath.Join(folder, "stat"), err)
		}
		p.pid = pid
		// The kernel's name of a process is cut after 15 bytes, and may be set; the line with which it was started has the program's.
		if line, err := os.ReadFile(filepath.Join(folder, "cmdline")); err == nil {
			program, _, _ := bytes.Cut(line, []byte{0})
			if name := filepath.Base(string(program)); len(program) > 0 && strings.HasPrefix(name, p.name) {
				p.name = name
			}
		}
		all[pid] = p
	}
	return all, nil
}

// hasEnded reports whether an error of reading about a process says that it has ended.
func hasEnded(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}

// parseStat reads a /proc/PID/stat, all but the number.
func parseStat(text []byte) (p process, err error) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')') // the name may have parentheses of its own
	if open < 0 || end < open {
		return p, errors.New("it has no name in parentheses")
	}
	p.name = string(text[open+1 : end])
	fields := strings.Fields(string(text[end+1:]))
	number := func(field int) uint64 { // counted as in proc(5), from 1
		i := field - 3
		if i >= len(fields) {
			err = fmt.Errorf("it has no field %d", field)
			return 0
		}
		n, wrong := strconv.ParseInt(fields[i], 10, 64)
		if wrong != nil || n < 0 {
			err = fmt.Errorf("its field %d is %.40q", field, fields[i])
		}
		return uint64(max(n, 0)) //nolint:gosec // it is not negative
	}
	p.ended = len(fields) > 0 && (fields[0] == "Z" || fields[0] == "X")
	p.parent = int(number(4)) //nolint:gosec // a number of a process
	for field := 14; field <= 17; field++ {
		p.cpu += float64(number(field)) / ticks
	}
	p.start = number(22)
	p.rss = float64(number(24)) * float64(os.Getpagesize())
	return p, err
}

// memory returns the memory of a process in bytes.
func (m *processMeter) memory(p process) (float64, error) {
	if !m.o.Proportional {
		return p.rss, nil
	}
	path := filepath.Join(m.o.root, strconv.Itoa(p.pid), "smaps_rollup")
	text, err := os.ReadFile(path)
	if hasEnded(err) {
		return 0, nil
	}
	if err != nil {
		return 0, &finalError{fmt.Errorf("process %d: %w (PSS needs the right to look)", p.pid, err)}
	}
	v, err := parsePSS(text)
	if err != nil {
		return 0, &finalError{fmt.Errorf("process %d: %s: %w", p.pid, path, err)}
	}
	return v, nil
}

// parsePSS reads the line Pss of a /proc/PID/smaps_rollup, in bytes.
func parsePSS(text []byte) (float64, error) {
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kB, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 53)
			if err != nil {
				return 0, fmt.Errorf("its line Pss: %w", err)
			}
			return float64(kB) * 1024, nil
		}
	}
	return 0, errors.New("it has no line Pss")
}
