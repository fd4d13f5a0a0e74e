package openwhisk

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/internal/errorfs"
	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/sampler"
)

// Journal is a file beside the output of a sampling, with which another process can continue it, and from which the dataset is
// written, so that memory does not grow with the traces. It has a line of JSON for each thing that happens (a request is sent, OpenWhisk
// has taken it, its trace is complete), and each line is on disk before the next thing happens. A nil Journal records nothing.
type Journal struct {
	disk   errorfs.FS
	path   string
	header header
	found  map[int]entry // what an earlier run has written, by request; nil for a new journal

	mu      sync.Mutex
	file    errorfs.File
	size    int64   // bytes of whole lines
	err     error   // of the first failed write; after it nothing is written
	written int     // lines
	traces  []int64 // by request: the offset of the line with its complete trace, 0 for none
	whole   int     // complete traces

	syncing sync.Mutex // held during a sync
	synced  int        // lines that are on disk
}

// ErrJournalExists reports that the journal of an earlier run exists.
var ErrJournalExists = errors.New("there is the journal of an earlier run")

// checkJournal reports early whether a journal can be created, or with resume opened.
func checkJournal(disk errorfs.FS, path string, resume bool) error {
	if path == "" {
		return nil
	}
	_, err := disk.Stat(path)
	switch {
	case resume && errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is nothing to go on with: no journal %s", path)
	case !resume && err == nil:
		return exists(disk, path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return journalError(path, err)
	}
	return nil
}

// exists returns the error of a journal that exists: it is in use, or ErrJournalExists.
func exists(disk errorfs.FS, path string) error {
	if err := inUse(disk, path); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", path, ErrJournalExists)
}

// createJournal creates a journal. If there is one already the error is ErrJournalExists.
func createJournal(disk errorfs.FS, path string, h header) (*Journal, error) {
	file, err := disk.Create(path, 0o666)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil, exists(disk, path)
	case err != nil:
		return nil, journalError(path, err)
	}
	j := &Journal{disk: disk, path: path, header: h, file: file}
	err = lock(file)
	if err == nil {
		_, err = j.append(h)
	}
	if err == nil {
		// Lines that are on disk are of no use in a file without a name.
		if err = disk.SyncDir(filepath.Dir(path)); err != nil {
			err = journalError(path, err)
		}
	}
	if err != nil {
		if left := j.Remove(); left != nil {
			err = fmt.Errorf("%w; it is left: %s", err, whisk.OneLine(left.Error()))
		}
		return nil, err
	}
	return j, nil
}

// inUse returns an error if another process is writing the journal.
func inUse(disk errorfs.FS, path string) error {
	file, err := disk.Open(path, os.O_RDONLY)
	if err != nil {
		return journalError(path, err)
	}
	defer file.Close()
	return lock(file)
}

// journalError returns an error with the name of the journal.
func journalError(path string, err error) error {
	var onPath *fs.PathError
	if errors.As(err, &onPath) {
		err = onPath.Err
	}
	return fmt.Errorf("journal %s: %w", path, err)
}

// openJournal opens the journal of an earlier run of the same sampling, whose header must be h but for the package.
func openJournal(disk errorfs.FS, path string, h header) (*Journal, error) {
	file, err := disk.Open(path, os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is nothing to go on with: no journal %s", path)
	}
	if err != nil {
		return nil, journalError(path, err)
	}
	j := &Journal{disk: disk, path: path, file: file}
	if err := j.load(h); err != nil {
		_ = file.Close() // nothing was written to it
		return nil, err
	}
	return j, nil
}

// load reads the file, and continues after its last whole line.
func (j *Journal) load(want header) error {
	if err := lock(j.file); err != nil {
		return err
	}
	var err error
	if j.header, j.found, j.size, err = parseJournal(j.file); err != nil {
		return fmt.Errorf("%s:%w", j.path, err)
	}
	if difference := j.header.differs(want); difference != "" {
		return fmt.Errorf("journal %s is of another sampling: %s", j.path, difference)
	}
	for i, e := range j.found {
		if n := want.Config.Requests; i < 0 || i >= n {
			return fmt.Errorf("journal %s: it has a request %d, of %d", j.path, i, n)
		}
		if e.complete != 0 {
			j.addTrace(i, e.complete)
		}
	}
	// What follows the last whole line was being written when the process died.
	if err := j.file.Truncate(j.size); err != nil {
		return journalError(j.path, err)
	}
	if _, err := j.file.Seek(j.size, io.SeekStart); err != nil {
		return journalError(j.path, err)
	}
	return nil
}

// send records that a request is about to be sent, with the id of its trace.
func (j *Journal) send(request int, trace string, at time.Time) error {
	_, err := j.append(line{Send: &request, Trace: trace, At: at.UnixMicro()})
	return err
}

// sent records that OpenWhisk has taken a request, as an activation of main.
func (j *Journal) sent(request int, activation string) error {
	_, err := j.append(line{Sent: &request, Activation: activation})
	return err
}

// refused records that OpenWhisk has not taken a request.
func (j *Journal) refused(request int) error {
	_, err := j.append(line{Refused: &request})
	return err
}

// complete records the complete trace of a request.
func (j *Journal) complete(request int, trace sampler.Trace) error {
	l := line{Complete: &request}
	for _, a := range trace {
		l.Activations = append(l.Activations, activationOfLine{
			a.ID, a.Cause, a.Name, a.Arrival.UnixMicro(), a.End.UnixMicro(), a.Wait.Microseconds(), a.Init.Microseconds(),
		})
	}
	offset, err := j.append(l)
	if err == nil && j != nil {
		j.mu.Lock()
		j.addTrace(request, offset)
		j.mu.Unlock()
	}
	return err
}

// addTrace notes the offset at which the line of a complete trace begins. The lock is held, or the journal not yet shared.
func (j *Journal) addTrace(request int, offset int64) {
	for len(j.traces) <= request {
		j.traces = append(j.traces, 0)
	}
	if j.traces[request] == 0 {
		j.whole++
	}
	j.traces[request] = offset
}

// completed returns the number of complete traces, and an index that is above those of all of them.
func (j *Journal) completed() (traces, end int) {
	if j == nil {
		return 0, 0
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.whole, len(j.traces)
}

// has reports whether the trace of a request is complete.
func (j *Journal) has(request int) bool {
	if j == nil {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return request < len(j.traces) && j.traces[request] != 0
}

// trace reads a complete trace from the file.
func (j *Journal) trace(request int) (sampler.Trace, error) {
	j.mu.Lock()
	begin, end := j.traces[request], j.size
	j.mu.Unlock()
	text, err := bufio.NewReader(io.NewSectionReader(j.file, begin, end-begin)).ReadBytes('\n')
	if err != nil {
		return nil, journalError(j.path, err)
	}
	var l line
	if err := json.Unmarshal(text, &l); err != nil || l.Complete == nil || *l.Complete != request {
		return nil, fmt.Errorf("journal %s: somebody has changed it: the trace of request %d is not where it was", j.path, request)
	}
	trace := make(sampler.Trace, len(l.Activations))
	for i, a := range l.Activations {
		trace[i] = sampler.Activation{
			ID: a.ID, Cause: a.Cause, Name: a.Name, Arrival: time.UnixMicro(a.Arrival), End: time.UnixMicro(a.End),
			Wait: time.Duration(a.Wait) * time.Microsecond, Init: time.Duration(a.Init) * time.Microsecond,
		}
	}
	return trace, nil
}

// append writes a line, and returns the offset at which it begins once it is on disk. On a nil Journal it does nothing.
func (j *Journal) append(v any) (offset int64, err error) {
	if j == nil {
		return 0, nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return 0, journalError(j.path, err)
	}
	j.mu.Lock()
	if j.err != nil {
		j.mu.Unlock()
		return 0, j.err
	}
	if _, err := j.file.Write(append(text, '\n')); err != nil {
		// Half a line must not stand before others.
		_ = j.file.Truncate(j.size)
		j.err = journalError(j.path, err)
		j.mu.Unlock()
		return 0, j.err
	}
	offset = j.size
	j.size += int64(len(text)) + 1
	j.written++
	own := j.written
	j.mu.Unlock()

	// One sync serves all lines that are written by then.
	j.syncing.Lock()
	defer j.syncing.Unlock()
	if j.synced >= own {
		return offset, nil
	}
	j.mu.Lock()
	now, err := j.written, j.err
	j.mu.Unlock()
	if err != nil {
		// A sync that fails drops what it was to write, and the next one knows nothing of it.
		return 0, err
	}
	if err := j.file.Sync(); err != nil {
		err = journalError(j.path, err)
		j.mu.Lock()
		j.err = err
		j.mu.Unlock()
		return 0, err
	}
	j.synced = now
	return offset, nil
}

// Path returns the name of the file.
func (j *Journal) Path() string { return j.path }

// Close closes the file, which stays for a later run.
func (j *Journal) Close() error {
	if err := j.file.Close(); err != nil {
		return journalError(j.path, err)
	}
	return nil
}

// Remove closes and removes the file.
func (j *Journal) Remove() error {
	removed, closed := j.disk.Remove(j.path), j.Close()
	if removed != nil {
		return journalError(j.path, removed)
	}
	return closed
}

// DiscardJournal removes the journal of an earlier run. Before, it calls remove with the name of the package that that run has deployed,
// unless the journal does not say; on an error of remove the journal stays, for nothing else names the package. A journal that another
// process is writing is an error.
func DiscardJournal(path string, remove func(pack string) error) error {
	return discardJournal(errorfs.OS{}, path, remove)
}

func discardJournal(disk errorfs.FS, path string, remove func(pack string) error) error {
	file, err := disk.Open(path, os.O_RDONLY)
	if err != nil {
		return journalError(path, err)
	}
	err = lock(file)
	if err == nil {
		if h, _, _, err2 := parseJournal(file); err2 == nil && strings.HasPrefix(h.Package, packagePrefix) {
			err = remove(h.Package)
		}
	}
	_ = file.Close() // nothing was written to it
	if err != nil {
		return err
	}
	if err := disk.Remove(path); err != nil {
		return journalError(path, err)
	}
	return nil
}
