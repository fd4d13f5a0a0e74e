package openwhisk

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/apps/action"
	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/sampler"
)

// Journal is a file beside the output of a sampling, a line of JSON for each thing that happens, on disk before the next does:
// what was sent, as which activation, and the traces that came. With it a sampling goes on where the process died, and needs
// not keep the traces in memory.
type Journal struct {
	path   string
	header header
	found  map[int]entry // what an earlier run has written, by request

	mu      sync.Mutex
	file    *os.File
	size    int64
	err     error   // of the first failed write; after it nothing is written
	written int     // lines
	traces  []int64 // where the line of each request's complete trace begins, 0 for none
	whole   int     // complete traces
	syncing sync.Mutex
	synced  int // lines that are on disk
}

// ErrJournalExists says that there is the journal of an earlier run.
var ErrJournalExists = errors.New("there is the journal of an earlier run")

// header is the first line: of which sampling the journal is.
type header struct {
	Journal     int             `json:"journal"` // version
	Application string          `json:"application"`
	Graph       json.RawMessage `json:"graph"`
	Config      sampler.Config  `json:"config"`
	APIHost     string          `json:"apihost"`
	Package     string          `json:"package"`
}

// entry is what is known of a request.
type entry struct {
	trace      string // its trace id
	at         time.Time
	activation string // "" if no answer was recorded
	complete   int64  // where the line of its complete trace begins; 0 if there is none
}

// line is any line but the first; one of the numbers is there.
type line struct {
	Send     *int `json:"send,omitempty"`     // it is about to be sent
	Sent     *int `json:"sent,omitempty"`     // OpenWhisk has taken it
	Refused  *int `json:"refused,omitempty"`  // it has not
	Complete *int `json:"complete,omitempty"` // its trace is there

	Trace       string             `json:"trace,omitempty"`
	At          int64              `json:"at,omitempty"` // µs since 1970
	Activation  string             `json:"activation,omitempty"`
	Activations []activationOfLine `json:"activations,omitempty"`
}

// activationOfLine has times in µs.
type activationOfLine struct {
	ID      string `json:"id"`
	Cause   string `json:"cause,omitempty"`
	Name    string `json:"name"`
	Arrival int64  `json:"arrival"`
	End     int64  `json:"end"`
	Wait    int64  `json:"wait"`
	Init    int64  `json:"init"`
}

func newHeader(app *apps.Application, config sampler.Config, apiHost, pack string) (header, error) {
	graph, err := json.Marshal(action.Graph(app))
	return header{1, app.Name, graph, config, apiHost, pack}, err
}

// differs says in which way a header is of another sampling, "" if it is of the same.
func (h header) differs(want header) string {
	seconds := func(d time.Duration) string { return fmt.Sprintf("%v s", d.Seconds()) }
	a, b := h.Config, want.Config
	for _, v := range []struct {
		name      string
		here, now string
	}{
		{"application", h.Application, want.Application},
		{"API host", h.APIHost, want.APIHost},
		{"-n", fmt.Sprint(a.Requests), fmt.Sprint(b.Requests)},
		{"-l", seconds(a.MinInterval), seconds(b.MinInterval)},
		{"-u", seconds(a.MaxInterval), seconds(b.MaxInterval)},
		{"-b", fmt.Sprint(a.BatchSize), fmt.Sprint(b.BatchSize)},
		{"-w", seconds(a.BatchPause), seconds(b.BatchPause)},
		{"-e", fmt.Sprint(a.Anomalies), fmt.Sprint(b.Anomalies)},
		{"-m", fmt.Sprint(a.Missing), fmt.Sprint(b.Missing)},
		{"-r", fmt.Sprint(a.RandomDurations), fmt.Sprint(b.RandomDurations)},
		{"-seed", fmt.Sprint(a.Seed), fmt.Sprint(b.Seed)},
	} {
		if v.here != v.now {
			return fmt.Sprintf("%s was %s, and is %s now", v.name, v.here, v.now)
		}
	}
	if !bytes.Equal(h.Graph, want.Graph) {
		return "the graph of " + h.Application + " has changed"
	}
	return ""
}

// checkJournal reports early what Begin would stumble over late.
func checkJournal(path string, resume bool) error {
	if path == "" {
		return nil
	}
	_, err := os.Stat(path)
	switch {
	case resume && errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is nothing to go on with: no journal %s", path)
	case !resume && err == nil:
		return exists(path)
	}
	return nil
}

// exists is the error of a journal that is there.
func exists(path string) error {
	if err := inUse(path); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", path, ErrJournalExists)
}

// createJournal begins a journal; if there is one already the error is ErrJournalExists.
func createJournal(path string, h header) (*Journal, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil, exists(path)
	case err != nil:
		return nil, journalError(path, err)
	}
	j := &Journal{path: path, header: h, file: file}
	err = lock(file)
	if err == nil {
		_, err = j.append(h)
	}
	if err != nil {
		return nil, errors.Join(err, j.Remove())
	}
	return j, nil
}

// inUse reports that another process is writing the journal.
func inUse(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return journalError(path, err)
	}
	defer file.Close()
	return lock(file)
}

func journalError(path string, err error) error {
	var onPath *fs.PathError
	if errors.As(err, &onPath) {
		err = onPath.Err
	}
	return fmt.Errorf("journal %s: %w", path, err)
}

// openJournal goes on with a journal, of which h says what it must be of; the package is the journal's own.
func openJournal(path string, h header) (*Journal, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is nothing to go on with: no journal %s", path)
	}
	if err != nil {
		return nil, journalError(path, err)
	}
	j := &Journal{path: path, file: file}
	if err := j.load(h); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return j, nil
}

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
			j.note(i, e.complete)
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

// parseJournal reads a journal, and returns how many of its bytes are whole lines. The last line may be torn; a line before it that
// cannot be read is an error, which begins with its number.
func parseJournal(r io.Reader) (h header, found map[int]entry, whole int64, err error) {
	found = map[int]entry{}
	lines := bufio.NewReaderSize(r, 1<<16)
	for n := 1; ; n++ {
		one, err := lines.ReadBytes('\n')
		switch {
		case err == io.EOF && n == 1:
			return h, nil, 0, errors.New("1: it has no beginning; nothing was sent")
		case err == io.EOF:
			return h, found, whole, nil
		case err != nil:
			return h, nil, 0, fmt.Errorf("%d: %w", n, err)
		}
		if n == 1 {
			if err = json.Unmarshal(one, &h); err == nil && h.Journal != 1 {
				err = errors.New("this is no journal of a sampling, or of another version")
			}
		} else if err = apply(one, whole, found); err != nil {
			if _, none := lines.Peek(1); none == io.EOF {
				return h, found, whole, nil
			}
		}
		if err != nil {
			return h, nil, 0, fmt.Errorf("%d: %s", n, whisk.OneLine(err.Error()))
		}
		whole += int64(len(one))
	}
}

// apply reads a line, which begins at an offset, into what is known.
func apply(text []byte, offset int64, found map[int]entry) error {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return err
	}
	switch {
	case l.Send != nil && len(l.Trace) == 32:
		found[*l.Send] = entry{trace: l.Trace, at: time.UnixMicro(l.At)}
	case l.Sent != nil && l.Activation != "":
		e := found[*l.Sent]
		e.activation = l.Activation
		found[*l.Sent] = e
	case l.Refused != nil:
		delete(found, *l.Refused)
	case l.Complete != nil && len(l.Activations) > 0:
		e := found[*l.Complete]
		// Nothing else is needed of it any more, and there may be many.
		found[*l.Complete] = entry{at: e.at, complete: offset}
	default:
		return errors.New("it says nothing that a journal says")
	}
	return nil
}

func (j *Journal) send(request int, trace string, at time.Time) error {
	_, err := j.append(line{Send: &request, Trace: trace, At: at.UnixMicro()})
	return err
}

func (j *Journal) sent(request int, activation string) error {
	_, err := j.append(line{Sent: &request, Activation: activation})
	return err
}

func (j *Journal) refused(request int) error {
	_, err := j.append(line{Refused: &request})
	return err
}

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
		j.note(request, offset)
		j.mu.Unlock()
	}
	return err
}

// note notes where the line of a complete trace begins.
func (j *Journal) note(request int, offset int64) {
	for len(j.traces) <= request {
		j.traces = append(j.traces, 0)
	}
	if j.traces[request] == 0 {
		j.whole++
	}
	j.traces[request] = offset
}

// completed counts the complete traces, and tells up to which request there may be some.
func (j *Journal) completed() (traces, end int) {
	if j == nil {
		return 0, 0
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.whole, len(j.traces)
}

// has tells whether the trace of a request is complete.
func (j *Journal) has(request int) bool {
	if j == nil {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return request < len(j.traces) && j.traces[request] != 0
}

// trace reads a complete trace.
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

// append writes a line and returns where it begins when it is on disk. On a nil Journal it does nothing.
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

	// Whoever comes first syncs for all whose lines are written by then.
	j.syncing.Lock()
	defer j.syncing.Unlock()
	if j.synced >= own {
		return offset, nil
	}
	j.mu.Lock()
	now := j.written
	j.mu.Unlock()
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

// Path is the name of the file.
func (j *Journal) Path() string { return j.path }

// Close leaves the file to a later run.
func (j *Journal) Close() error { return j.file.Close() }

// Remove removes the file: nothing is left to do.
func (j *Journal) Remove() error {
	return errors.Join(os.Remove(j.path), j.file.Close())
}

// DiscardJournal removes the journal of an earlier run, and returns the name of the package that it had deployed, "" if the
// journal does not tell. One that another process is writing is an error.
func DiscardJournal(path string) (pack string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", journalError(path, err)
	}
	err = lock(file)
	if err == nil {
		if h, _, _, err := parseJournal(file); err == nil && strings.HasPrefix(h.Package, packagePrefix) {
			pack = h.Package
		}
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return "", err
	}
	if err := os.Remove(path); err != nil {
		return "", journalError(path, err)
	}
	return pack, nil
}
