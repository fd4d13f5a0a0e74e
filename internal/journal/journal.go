// Package journal appends lines to a file that another run takes up, so that nothing that was done is lost when a process is ended or killed.
//
//	j, err := journal.Open(errorfs.OS{}, "usage.csv.journal", `{"function":"qrcode"}`, func(line []byte) error { … })
//	…
//	err = j.Append([]byte("1672557210000,5144576,0.0016"))
package journal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tppfaas/tppfaas/internal/errorfs"
)

// maxLine is the length of the longest line, in bytes.
const maxLine = 1 << 20

// syncEvery is the time between two syncs: what the machine may lose when it crashes. What a process may lose when it is killed is the line at work.
const syncEvery = time.Second

// Journal is a file of lines that is open. It is for one goroutine.
type Journal struct {
	file   errorfs.File
	path   string
	size   int64 // of whole lines
	synced time.Time
	err    error // of the first write that failed; nothing is written after it
}

// OtherError says that a journal is of other work.
type OtherError struct{ Path, Found, Want string }

func (e *OtherError) Error() string {
	return fmt.Sprintf("journal %s is of other work (%.200s, this is %.200s): move it away, or call for the same again", e.Path, e.Found, e.Want)
}

// Open opens the journal at path, or creates it. Its first line is the header, which says of what work it is; another one is an *OtherError. Each line after
// it is handed to each. A last line that is not whole is cut off. The file is locked for this process where the system can do that.
func Open(disk errorfs.FS, path, header string, each func(line []byte) error) (_ *Journal, err error) {
	file, err := disk.Open(path, os.O_RDWR)
	created := errors.Is(err, fs.ErrNotExist)
	if created {
		file, err = disk.Create(path, 0o666)
	}
	if err != nil {
		return nil, failure(path, err)
	}
	j := &Journal{file: file, path: path}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	if err := lock(file, path); err != nil {
		return nil, err
	}
	lines, err := j.read(header, each)
	if err != nil {
		return nil, err
	}
	if err := file.Truncate(j.size); err != nil {
		return nil, failure(path, err)
	}
	if _, err := file.Seek(j.size, io.SeekStart); err != nil {
		return nil, failure(path, err)
	}
	if lines == 0 {
		if err := j.Append([]byte(header)); err != nil {
			return nil, err
		}
	}
	if created {
		if err := disk.SyncDir(filepath.Dir(path)); err != nil {
			return nil, failure(path, err)
		}
	}
	return j, nil
}

// read hands out the whole lines, and returns their number.
func (j *Journal) read(header string, each func([]byte) error) (lines int, err error) {
	in := bufio.NewReaderSize(j.file, 1<<16)
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull) && len(line) <= maxLine:
			continue
		case errors.Is(err, bufio.ErrBufferFull):
			return 0, fmt.Errorf("journal %s:%d: the line is longer than %d bytes", j.path, lines+1, maxLine)
		case errors.Is(err, io.EOF):
			return lines, nil
		case err != nil:
			return 0, failure(j.path, err)
		}
		lines++
		text := bytes.TrimSuffix(line, []byte("\n"))
		if lines == 1 && string(text) != header {
			return 0, &OtherError{j.path, string(text), header}
		}
		if lines > 1 {
			if err := each(text); err != nil {
				return 0, fmt.Errorf("journal %s:%d: %w", j.path, lines, err)
			}
		}
		j.size += int64(len(line))
		line = line[:0]
	}
}

// Append writes a line. After an error nothing more is written, and what was whole stays.
func (j *Journal) Append(line []byte) error {
	if j.err != nil {
		return j.err
	}
	text := append(bytes.Clone(line), '\n')
	if len(text) > maxLine {
		return fmt.Errorf("journal %s: a line of %d bytes is too long", j.path, len(line))
	}
	_, err := j.file.Write(text)
	if now := time.Now(); err == nil && now.Sub(j.synced) >= syncEvery {
		j.synced = now
		err = j.file.Sync()
	}
	if err != nil {
		j.err = failure(j.path, err)
		_ = j.file.Truncate(j.size) // what is left of the line is cut off when it is opened again, too
		return j.err
	}
	j.size += int64(len(text))
	return nil
}

// Close makes all lines durable, and closes the file.
func (j *Journal) Close() error {
	err := j.file.Sync()
	if cerr := j.file.Close(); err == nil {
		err = cerr
	}
	if err == nil || j.err != nil {
		return j.err
	}
	return failure(j.path, err)
}

// failure returns an error that names the journal once.
func failure(path string, err error) error {
	var onPath *fs.PathError
	if errors.As(err, &onPath) {
		err = onPath.Err
	}
	return fmt.Errorf("journal %s: %w", path, err)
}
