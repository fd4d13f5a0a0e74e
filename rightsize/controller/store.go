package controller

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
)

// store is the journal: a file of records, a line each, that grows by single writes. It is locked for this process where the system can do that.
// What a process that is killed may lose is the line at work.
type store struct {
	file *os.File
	path string
	size int64 // of whole lines
	err  error // of the first write that failed; nothing is written after it
}

// maxLine is the length of the longest line, in bytes.
const maxLine = 1 << 16

// openStore opens a journal, or creates it, and hands each of its records to take. A last line that is not whole is cut off.
func openStore(path string, take func(record) error) (_ *store, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	s := &store{file: file, path: path}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	if err := lock(file); err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 0, 1<<12), maxLine)
	lines.Split(wholeLines)
	for number := 1; lines.Scan(); number++ {
		line := lines.Bytes()
		if number == 1 {
			if string(line) != header {
				return nil, fmt.Errorf("journal %s: it is another file: it begins with %.60q", path, line)
			}
		} else {
			r, err := parseRecord(line)
			if err == nil {
				err = take(r)
			}
			if err != nil {
				return nil, fmt.Errorf("journal %s:%d: %w", path, number, err)
			}
		}
		s.size += int64(len(line)) + 1
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	if s.size == 0 { // nothing, or the beginning of a header
		begin := make([]byte, len(header)+1)
		n, err := file.ReadAt(begin, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("journal: %w", err)
		}
		if !strings.HasPrefix(header, string(begin[:n])) {
			return nil, fmt.Errorf("journal %s: it is another file: it begins with %.60q", path, begin[:n])
		}
	}
	if err := file.Truncate(s.size); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if _, err := file.Seek(s.size, io.SeekStart); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if s.size == 0 {
		if err := s.write([]byte(header), true); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// wholeLines splits a text into lines without the last one if it has no end.
func wholeLines(data []byte, _ bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	return 0, nil, nil
}

// write appends a line; durable makes it outlive the machine as well as the process.
func (s *store) write(line []byte, durable bool) error {
	if s.err != nil {
		return s.err
	}
	text := append(bytes.Clone(line), '\n')
	_, err := s.file.Write(text)
	if err == nil && durable {
		err = s.file.Sync()
	}
	if err != nil {
		s.err = fmt.Errorf("journal: %w", err)
		return s.err
	}
	s.size += int64(len(text))
	return nil
}

func (s *store) close() error {
	if err := errors.Join(s.file.Sync(), s.file.Close()); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// compact writes a journal anew without what is older than a time, where that is at least half of it. The newest limits of each function stay.
func compact(path string, before time.Time) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var all, kept []record
	last := map[string]int{} // in all
	s, err := openStore(path, func(r record) error {
		if r.Set != nil {
			last[r.Function] = len(all)
		}
		all = append(all, r)
		return nil
	})
	if err != nil {
		return err
	}
	defer s.close()
	for i, r := range all {
		if r.Time >= before.UnixMilli() || r.Set != nil && last[r.Function] == i {
			kept = append(kept, r)
		}
	}
	if len(kept) > len(all)/2 || len(all) == 0 {
		return nil
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		if _, err := io.WriteString(w, header+"\n"); err != nil {
			return err
		}
		for _, r := range kept {
			line, err := r.line()
			if err != nil {
				return err
			}
			if _, err := w.Write(append(line, '\n')); err != nil {
				return err
			}
		}
		return nil
	})
}
