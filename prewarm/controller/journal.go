package controller

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/errorfs"
)

// Journal is a folder with what a controller must not forget when it is killed: a file with what was, in its first line, and what has happened since,
// a line each. Each line has a checksum; what follows a line that is not whole was being written when the process died, and is left out. The file is
// replaced by a shorter one now and then.
type Journal struct {
	disk errorfs.FS
	path string
	lock errorfs.File
	file errorfs.File // nil after a failure, until the next Compact
	size int64
	err  error
}

const (
	journalName = "state.journal"
	lockName    = "lock"
	// journalFormat is the number of the form that lines have.
	journalFormat = 1
	// mostJournal bounds what is read of a file.
	mostJournal = 256 << 20
	// mostLines is after how many bytes of lines the journal wants to be compacted.
	mostLines = 1 << 20
)

// journalLine is a line: what was, or what has happened.
type journalLine struct {
	Saved  *Saved  `json:"saved,omitempty"`
	Record *Record `json:"record,omitempty"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// OpenJournal opens the journal in a folder, which is created if there is none, and returns what an earlier process has left in it; nil if none has.
// While it is open no other process can open it.
func OpenJournal(folder string) (*Journal, *Saved, error) { return openJournal(errorfs.OS{}, folder) }

func openJournal(disk errorfs.FS, folder string) (j *Journal, saved *Saved, err error) {
	fail := func(err error) (*Journal, *Saved, error) {
		var onPath *fs.PathError
		if errors.As(err, &onPath) {
			err = fmt.Errorf("%s %s: %w", onPath.Op, onPath.Path, onPath.Err)
		}
		if j != nil && j.lock != nil {
			_ = j.lock.Close() // nothing was written to it
		}
		return nil, nil, fmt.Errorf("state in %s: %w", folder, err)
	}
	if err := disk.MkdirAll(folder, 0o777); err != nil {
		return fail(err)
	}
	j = &Journal{disk: disk, path: filepath.Join(folder, journalName)}
	lockPath := filepath.Join(folder, lockName)
	j.lock, err = disk.Create(lockPath, 0o666)
	if errors.Is(err, fs.ErrExist) {
		j.lock, err = disk.Open(lockPath, os.O_RDWR)
	}
	if err != nil {
		return fail(err)
	}
	if err := lockFile(j.lock); err != nil {
		return fail(err)
	}
	saved, err = readJournal(disk, j.path)
	if err != nil {
		return fail(err)
	}
	return j, saved, nil
}

// readJournal returns what a file has, nil if there is none.
func readJournal(disk errorfs.FS, path string) (*Saved, error) {
	f, err := disk.Open(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostJournal+1))
	if err != nil {
		return nil, err
	}
	if len(text) > mostJournal {
		return nil, fmt.Errorf("%s has more than %d MiB", path, mostJournal>>20)
	}
	saved := parseJournal(text)
	switch {
	case saved == nil && len(text) > 0:
		// No end of a process leaves this. It is not for this one to throw away.
		return nil, fmt.Errorf("%s is damaged, or is no such file: nothing in it can be used (without it the controller begins anew)", filepath.Base(path))
	case saved != nil && saved.Format > journalFormat:
		return nil, fmt.Errorf("%s is of a later version (its format is %d, this program has %d)", filepath.Base(path), saved.Format, journalFormat)
	}
	return saved, nil
}

// parseJournal returns what the lines say, up to the first that is not whole; nil if not even the first is.
func parseJournal(text []byte) *Saved {
	var saved *Saved
	for len(text) > 0 {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			break
		}
		l, ok := parseLine(text[:end])
		if !ok {
			break
		}
		switch {
		case l.Saved != nil && saved == nil:
			saved = l.Saved
		case l.Record != nil && saved != nil:
			saved.Add(l.Record)
		default:
			return saved
		}
		text = text[end+1:]
	}
	return saved
}

// parseLine returns what a line has, and whether it is whole.
func parseLine(line []byte) (l journalLine, ok bool) {
	sum, text, found := bytes.Cut(line, []byte{' '})
	want, err := strconv.ParseUint(string(sum), 16, 32)
	if !found || len(sum) != 8 || err != nil || uint32(want) != crc32.Checksum(text, castagnoli) {
		return l, false
	}
	return l, json.Unmarshal(text, &l) == nil
}

// appendLine appends a line to text.
func appendLine(text []byte, l journalLine) ([]byte, error) {
	data, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	text = fmt.Appendf(text, "%08x ", crc32.Checksum(data, castagnoli))
	return append(append(text, data...), '\n'), nil
}

// Compact replaces the file by one with what is. After it lines can be appended, also where they could not be before.
func (j *Journal) Compact(s *Saved) error {
	j.close()
	text, err := appendLine(nil, journalLine{Saved: s})
	if err == nil {
		err = atomicfile.WriteOn(j.disk, j.path, func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		})
	}
	if err == nil {
		j.file, err = j.disk.Open(j.path, os.O_RDWR)
	}
	if err == nil {
		j.size, err = j.file.Seek(0, io.SeekEnd)
	}
	if err != nil {
		j.close()
		j.err = fmt.Errorf("the state cannot be written: %w", err)
		return j.err
	}
	j.err = nil
	return nil
}

// Append writes down what has happened. It is then safe from the end of the process, and after Sync from that of the machine. After an error nothing is
// written until Compact has succeeded.
func (j *Journal) Append(records []Record) error {
	if j.err != nil || len(records) == 0 {
		return j.err
	}
	if j.file == nil {
		return errors.New("the state cannot be written: the journal was not begun")
	}
	var text []byte
	var err error
	for i := range records {
		if text, err = appendLine(text, journalLine{Record: &records[i]}); err != nil {
			break
		}
	}
	if err == nil {
		_, err = j.file.Write(text)
	}
	if err != nil {
		j.close()
		j.err = fmt.Errorf("the state cannot be written: %w", err)
		return j.err
	}
	j.size += int64(len(text))
	return nil
}

// Sync makes what was appended safe from the end of the machine.
func (j *Journal) Sync() error {
	if j.file == nil {
		return j.err
	}
	if err := j.file.Sync(); err != nil {
		j.close()
		j.err = fmt.Errorf("the state cannot be written: %w", err)
	}
	return j.err
}

// Full reports whether the journal wants to be compacted.
func (j *Journal) Full() bool { return j.err != nil || j.size > mostLines }

// close closes the file. What it has is read again by whoever opens the journal.
func (j *Journal) close() {
	if j.file != nil {
		_ = j.file.Close() // an error of a write was reported by the write, or by Sync
		j.file = nil
	}
}

// Close ends the use of the journal.
func (j *Journal) Close() error {
	err := j.Sync()
	j.close()
	if closed := j.lock.Close(); err == nil && closed != nil {
		err = fmt.Errorf("the state's lock: %w", closed)
	}
	return err
}
