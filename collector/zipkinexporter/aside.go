package zipkinexporter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tppfaas/tppfaas/internal/errorfs"
)

// folder keeps spans that cannot be exported in files, of which it removes the oldest when there are too many. Each file is a message in
// OTLP's JSON encoding, which can be sent to a collector again, with the members reason, error, spans and time before it. Files are named
// TIME-NUMBER-SPANS-REASON.json, so that their names sort by age.
type folder struct {
	fs     errorfs.FS
	config SetAsideConfig

	mu     sync.Mutex
	opened bool
	number int
}

// temporary is the beginning of the names of files that are not whole yet.
const temporary = ".writing-"

// openFolder opens a folder. After an error keep tries again: a volume may be full, or not there, only for a while.
func openFolder(disk errorfs.FS, config SetAsideConfig) (*folder, error) {
	f := &folder{fs: disk, config: config}
	return f, f.open()
}

// open creates the folder, if there is none, and removes files that a process did not finish.
func (f *folder) open() error {
	f.opened = false
	if err := f.fs.MkdirAll(f.config.Directory, 0o700); err != nil {
		return err
	}
	entries, err := f.fs.ReadDir(f.config.Directory)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), temporary) {
			_ = f.fs.Remove(filepath.Join(f.config.Directory, entry.Name()))
		}
	}
	f.opened = true
	return nil
}

// keep writes a message to a file and returns its name, and the number of spans in older files that were removed to make room. After an
// error there is no such file.
func (f *folder) keep(reason, detail string, traces ptrace.Traces) (file string, removed int, err error) {
	now := time.Now().UTC()
	text, err := new(ptrace.JSONMarshaler).MarshalTraces(traces)
	if err != nil {
		return "", 0, fmt.Errorf("encoding spans: %w", err)
	}
	header, err := json.Marshal(map[string]any{"time": now, "reason": reason, "error": detail, "spans": traces.SpanCount()})
	if err != nil {
		return "", 0, err
	}
	text = append(append(bytes.TrimSuffix(header, []byte("}")), ','), bytes.TrimPrefix(text, []byte("{"))...)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.number++
	name := fmt.Sprintf("%s-%06d-%d-%s.json", now.Format("20060102T150405.000000000"), f.number, traces.SpanCount(), reason)
	file = filepath.Join(f.config.Directory, name)
	if !f.opened {
		if err := f.open(); err != nil {
			return "", 0, err
		}
	}
	write := func() error {
		return f.write(file, filepath.Join(f.config.Directory, temporary+name), append(text, '\n'))
	}
	err = write()
	if errors.Is(err, fs.ErrNotExist) { // somebody has removed the folder
		if err = f.open(); err == nil {
			err = write()
		}
	}
	if err != nil {
		return "", 0, err
	}
	return file, f.prune(name), nil
}

// write writes a file by way of a temporary one.
func (f *folder) write(file, temporary string, text []byte) (err error) {
	w, err := f.fs.Create(temporary, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.fs.Remove(temporary)
		}
	}()
	if _, err := w.Write(text); err != nil {
		return errors.Join(err, w.Close())
	}
	if err := w.Sync(); err != nil {
		return errors.Join(err, w.Close())
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := f.fs.Rename(temporary, file); err != nil {
		return err
	}
	_ = f.fs.SyncDir(f.config.Directory) // the file is there; not every file system can do more
	return nil
}

// prune removes the oldest files until the limits are kept, but not the newest, and returns the number of spans in them.
func (f *folder) prune(newest string) (spans int) {
	entries, err := f.fs.ReadDir(f.config.Directory)
	if err != nil {
		return 0 // the next call tries again
	}
	type kept struct {
		name string
		size int64
	}
	var files []kept
	total := int64(0)
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && spansIn(entry.Name()) > 0 && info.Mode().IsRegular() {
			files = append(files, kept{entry.Name(), info.Size()})
			total += info.Size()
		}
	}
	left := len(files)
	for _, file := range files {
		if left <= f.config.MaxFiles && total <= f.config.MaxBytes {
			break
		}
		if file.name == newest {
			continue
		}
		if err := f.fs.Remove(filepath.Join(f.config.Directory, file.name)); err != nil {
			continue
		}
		left--
		total -= file.size
		spans += spansIn(file.name)
	}
	return spans
}

// spansIn returns the number of spans that a file's name says, 0 if it is not one of the folder's files.
func spansIn(name string) int {
	fields := strings.Split(name, "-")
	if len(fields) != 4 || strings.HasPrefix(name, ".") || !strings.HasSuffix(name, ".json") {
		return 0
	}
	n, err := strconv.Atoi(fields[2])
	if err != nil {
		return 0
	}
	return n
}
