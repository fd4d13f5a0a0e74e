// Package resultfile keeps results of long work in files of a JSON object a line, from which the work goes on after it was interrupted.
//
//	format := resultfile.Format[string, result]{Begin: `{"name":"`, Key: func(r *result) string { return r.Name }, Check: check}
//	f, err := format.Open("results.jsonl", warn)
//	if err != nil {
//		return err
//	}
//	defer f.Close()
//	if f.Find("first") == nil {
//		err = f.Add(measure("first"))
//	}
package resultfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
)

// Format says what the lines of a file are: objects R, told apart by their keys K.
type Format[K comparable, R any] struct {
	// Begin is what every line begins with.
	Begin string
	// Key returns what tells results apart.
	Key func(*R) K
	// Check returns why an object is no result, nil if it is one.
	Check func(*R) error
}

// Parse returns the results in a text; of several of one key the last, at the place of the first. It calls warn for each line that is none: one
// that was cut off does not make the others useless.
func (f Format[K, R]) Parse(text []byte, name string, warn func(string)) []R {
	var out []R
	place := map[K]int{}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var r R
		err := json.Unmarshal(line, &r)
		if err == nil {
			err = f.Check(&r)
		}
		if err != nil {
			warn(fmt.Sprintf("%s:%d: no result, left out: %v", name, number, err))
			continue
		}
		if i, twice := place[f.Key(&r)]; twice {
			out[i] = r
			continue
		}
		place[f.Key(&r)] = len(out)
		out = append(out, r)
	}
	return out
}

// File is a file of results that grows. Each is appended by one write, so that several processes can write to the same file, and what was
// there before is never at risk. It may be used by several goroutines. A nil file keeps nothing.
type File[K comparable, R any] struct {
	format Format[K, R]
	name   string

	mu      sync.Mutex
	file    disk
	cut     bool // the file does not end with the end of a line
	results []*R
	place   map[K]int // in results
}

// disk is what a File needs of an *os.File.
type disk interface {
	Write(p []byte) (int, error)
	Sync() error
	Close() error
}

// mostWarnings is how many lines that are no results are told one by one.
const mostWarnings = 5

// Open opens a file, a new one if there is none, with the results that it has. It calls warn for lines that are no results. A file that has
// nothing else is an error: it is somebody's, and not one of results.
func (f Format[K, R]) Open(path string, warn func(string)) (*File[K, R], error) {
	var text []byte
	info, err := os.Stat(path)
	regular := err != nil || info.Mode().IsRegular()
	switch {
	case err == nil && regular:
		if text, err = os.ReadFile(path); err != nil {
			return nil, err
		}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	var warnings []string
	results := f.Parse(text, path, func(message string) { warnings = append(warnings, message) })
	if len(results) == 0 && len(bytes.TrimSpace(text)) > 0 && !f.cutOff(text) {
		return nil, fmt.Errorf("%s: it has no results; choose another file", path)
	}
	for i, message := range warnings {
		if i == mostWarnings {
			warn(fmt.Sprintf("%s: %d more lines are no results, left out", path, len(warnings)-i))
			break
		}
		warn(message)
	}
	opened, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, err
	}
	out := &File[K, R]{format: f, name: path, file: opened, cut: len(text) > 0 && text[len(text)-1] != '\n', place: map[K]int{}}
	if !regular {
		out.file = unsynced{opened}
	}
	for i := range results {
		out.keep(&results[i])
	}
	return out, nil
}

// cutOff reports whether a text is the beginning of the first line of a file of results: that of a run which was killed as it wrote it.
func (f Format[K, R]) cutOff(text []byte) bool {
	n := min(len(f.Begin), len(text))
	return string(text[:n]) == f.Begin[:n] && !bytes.ContainsRune(text, '\n')
}

// unsynced is a pipe or a device, which cannot be synchronised.
type unsynced struct{ *os.File }

// Sync does nothing.
func (unsynced) Sync() error { return nil }

// keep adds a result to those that are there.
func (f *File[K, R]) keep(r *R) {
	key := f.format.Key(r)
	if i, twice := f.place[key]; twice {
		f.results[i] = r
		return
	}
	f.place[key] = len(f.results)
	f.results = append(f.results, r)
}

// Results returns the results that the file had or has got.
func (f *File[K, R]) Results() []*R {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.results)
}

// Find returns the result of a key, nil if there is none.
func (f *File[K, R]) Find(key K) *R {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if i, ok := f.place[key]; ok {
		return f.results[i]
	}
	return nil
}

// Add appends a result, and returns when it is on the disk.
func (f *File[K, R]) Add(r *R) error {
	if f == nil {
		return nil
	}
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	line = append(line, '\n')
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cut {
		line = slices.Insert(line, 0, '\n') // or this result would be lost with the one that was cut off
	}
	n, err := f.file.Write(line)
	if err != nil {
		f.cut = f.cut || n > 0
		return fmt.Errorf("%s: %w", f.name, cause(err))
	}
	f.cut = false
	if err := f.file.Sync(); err != nil {
		return fmt.Errorf("%s: %w", f.name, cause(err))
	}
	f.keep(r)
	return nil
}

// Close closes the file.
func (f *File[K, R]) Close() error {
	if f == nil {
		return nil
	}
	if err := f.file.Close(); err != nil {
		return fmt.Errorf("%s: %w", f.name, cause(err))
	}
	return nil
}

// cause returns the reason in an error that names the file already.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
