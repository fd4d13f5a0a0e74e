package lab

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

// Result is what a policy has reached in a run.
type Result struct {
	App    string `json:"app"`
	Load   string `json:"load"`
	Policy string `json:"policy"`
	Seed   uint64 `json:"seed"`
	Measures
}

// StoredResult is a line of a results file.
type StoredResult struct {
	// Settings has what the run depends on beside the fields of the Result, see Settings.
	Settings string `json:"settings"`
	Result
	// Functions are the measures by function.
	Functions []FunctionMeasures `json:"functions,omitempty"`
}

// id tells results apart.
type id struct {
	settings, app, load, policy string
	seed                        uint64
}

func (r *StoredResult) id() id { return id{r.Settings, r.App, r.Load, r.Policy, r.Seed} }

// parseResults returns the results in a text of a line each; of several of one id the last. It calls warn for each line that is none: one that
// was cut off does not make the others useless.
func parseResults(text []byte, name string, warn func(string)) []StoredResult {
	var out []StoredResult
	place := map[id]int{}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var r StoredResult
		err := json.Unmarshal(line, &r)
		if err == nil && (r.App == "" || r.Load == "" || r.Policy == "" || r.Requests == 0) {
			err = errors.New("no application, load, policy or requests")
		}
		if err != nil {
			warn(fmt.Sprintf("%s:%d: no result, left out: %v", name, number, err))
			continue
		}
		if i, twice := place[r.id()]; twice {
			out[i] = r
			continue
		}
		place[r.id()] = len(out)
		out = append(out, r)
	}
	return out
}

// Journal is a results file that grows. Each result is appended by one write, so that several processes can write to the same file, and
// what was there before is never at risk.
type Journal struct {
	file file
	name string
	cut  bool // the file does not end with the end of a line

	mu   sync.Mutex // of done: runs look for their results while others are added
	done map[id]*StoredResult
}

// file is what a journal needs of an *os.File.
type file interface {
	Write(p []byte) (int, error)
	Sync() error
	Close() error
}

// OpenJournal opens a results file, a new one if there is none, with the results that it has. It calls warn for each line that is no result.
func OpenJournal(path string, warn func(string)) (*Journal, error) {
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
	results := parseResults(text, path, func(message string) { warnings = append(warnings, message) })
	if len(results) == 0 && len(bytes.TrimSpace(text)) > 0 && !cutOff(text) {
		return nil, fmt.Errorf("%s: it has no results; choose another file", path)
	}
	for i, message := range warnings {
		if i == mostWarnings {
			warn(fmt.Sprintf("%s: %d more lines are no results, left out", path, len(warnings)-i))
			break
		}
		warn(message)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, err
	}
	j := &Journal{file: f, name: path, cut: len(text) > 0 && text[len(text)-1] != '\n', done: map[id]*StoredResult{}}
	if !regular {
		j.file = unsynced{f}
	}
	for i := range results {
		j.done[results[i].id()] = &results[i]
	}
	return j, nil
}

// mostWarnings is how many lines that are no results are told one by one.
const mostWarnings = 5

// cutOff reports whether a text is the beginning of the first line of a results file: that of a run which was killed as it wrote it.
func cutOff(text []byte) bool {
	const begin = `{"settings":"`
	n := min(len(begin), len(text))
	return string(text[:n]) == begin[:n] && !bytes.ContainsRune(text, '\n')
}

// unsynced is a pipe or a device, which cannot be synchronised.
type unsynced struct{ *os.File }

// Sync does nothing.
func (unsynced) Sync() error { return nil }

// Has returns how many results the file had or has got.
func (j *Journal) Has() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.done)
}

// add appends a result, and returns when it is on the disk. A nil journal keeps nothing.
func (j *Journal) add(r *StoredResult) error {
	if j == nil {
		return nil
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if j.cut {
		line = slices.Insert(line, 0, '\n') // or this result would be lost with the one that was cut off
	}
	n, err := j.file.Write(line)
	if err != nil {
		j.cut = j.cut || n > 0
		return fmt.Errorf("%s: %w", j.name, cause(err))
	}
	j.cut = false
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("%s: %w", j.name, cause(err))
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.done[r.id()] = r
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

// find returns the result of a run, nil if the file does not have it.
func (j *Journal) find(i id) *StoredResult {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.done[i]
}

// Close closes the file.
func (j *Journal) Close() error {
	if err := j.file.Close(); err != nil {
		return fmt.Errorf("%s: %w", j.name, cause(err))
	}
	return nil
}
