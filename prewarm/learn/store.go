package learn

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/errorfs"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
	"github.com/tppfaas/tppfaas/tpp"
)

// fileName is the name of the file in the folder. It is one, so that what belongs together is replaced together.
const fileName = "learned.json.gz"

// unread is the end of the name of a file that could not be read.
const unread = ".unread"

// saved is what the file has. Functions have their names.
type saved struct {
	Format       int                `json:"format"`
	Applications []savedApplication `json:"applications"`
	// Starts are start times by function: how many others were being created, and seconds.
	Starts map[string][][2]float64 `json:"starts"`
	// Gaps are the seconds between requests, by the function that they begin with.
	Gaps map[string][]float64 `json:"gaps"`
}

const format = 1

// savedApplication is an application. A table is made anew of its requests.
type savedApplication struct {
	Functions []string `json:"functions"`
	// Calls are the requests, the oldest first, each as its calls: function, caller, arrival, start, end and initialisation in seconds, and 1 if
	// the container was fresh.
	Calls [][][7]float64 `json:"calls"`
	Seen  int            `json:"seen"`
	// Kind is that of the model, "" if there was none, and Model its file, which a table has not. Marks are the functions of its marks.
	Kind  string   `json:"kind,omitempty"`
	Model []byte   `json:"model,omitempty"`
	Marks []string `json:"marks,omitempty"`
	// Given is the name of the model that was trained elsewhere, if that is in use.
	Given string `json:"given,omitempty"`
	// Unseen is how many of the newest requests the model was not trained on.
	Unseen    int     `json:"unseen"`
	Reference moments `json:"reference"`
}

// Snapshot is what was learned up to some time. It does not change, and may be used by another goroutine than its policy.
type Snapshot struct{ saved *saved }

// Snapshot returns what was learned so far.
func (p *Policy) Snapshot() (*Snapshot, error) {
	s, err := p.content()
	if err != nil {
		return nil, fmt.Errorf("learn: %w", err)
	}
	return &Snapshot{s}, nil
}

// Save writes what was learned into a folder, as Snapshot.Save does.
func (p *Policy) Save(folder string) error {
	s, err := p.Snapshot()
	if err != nil {
		return err
	}
	return s.Save(folder)
}

// Save writes what was learned into a folder, which is created if there is none. After an error what was there is there still.
func (s *Snapshot) Save(folder string) error { return s.save(errorfs.OS{}, folder) }

func (s *Snapshot) save(disk errorfs.FS, folder string) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return fmt.Errorf("learn: %w", err)
	}
	if err := atomicfile.WriteOn(disk, filepath.Join(folder, fileName), func(w io.Writer) error { return json.NewEncoder(w).Encode(s.saved) }); err != nil {
		return fmt.Errorf("learn: %w", err)
	}
	return nil
}

func (p *Policy) namesOf(functions []int) []string {
	var names []string
	for _, f := range functions {
		names = append(names, p.functions[f].Name)
	}
	return names
}

// content returns what is to be saved.
func (p *Policy) content() (*saved, error) {
	s := &saved{Format: format, Starts: map[string][][2]float64{}, Gaps: map[string][]float64{}}
	for f := range p.functions {
		name := p.functions[f].Name
		p.newsvendor.EachStart(f, func(load int, took time.Duration) {
			s.Starts[name] = append(s.Starts[name], [2]float64{float64(load), took.Seconds()})
		})
		if f < len(p.recorder.arrivals) && p.recorder.arrivals[f] != nil {
			s.Gaps[name] = p.recorder.arrivals[f].inOrder()
		}
	}
	for _, a := range p.library.apps {
		app := savedApplication{Functions: p.namesOf(a.functions), Seen: a.seen, Reference: a.reference}
		place := map[int]int{}
		for i, f := range a.functions {
			place[f] = i
		}
		for _, t := range a.all() {
			if t.number >= a.unseen {
				app.Unseen++
			}
			var calls [][7]float64
			for i := range t.trace {
				v := &t.trace[i]
				fresh := 0.0
				if v.Fresh {
					fresh = 1
				}
				calls = append(calls, [7]float64{float64(place[v.Function]), float64(v.Parent), v.Arrival, v.Start, v.End, v.Init, fresh})
			}
			app.Calls = append(app.Calls, calls)
		}
		if a.present != nil {
			app.Kind, app.Marks = a.present.Kind(), p.namesOf(a.present.Functions())
			switch m := a.present.Model().(type) {
			case nil:
			case tpp.FileModel:
				if a.given != nil && a.given.Model == tpp.Model(m) {
					app.Given = a.given.Name
					break
				}
				var b bytes.Buffer
				if err := m.Encode(&b); err != nil {
					return nil, err
				}
				app.Model = b.Bytes()
			}
		}
		s.Applications = append(s.Applications, app)
	}
	for _, a := range p.loaded { // which wait for their functions
		s.Applications = append(s.Applications, *a)
	}
	return s, nil
}

// Load takes what Save has written into a folder; it is called before the first event. That nothing is there is no error. An error says which file
// cannot be read, and the policy then begins anew, as if there were none. That file is renamed, so that what is saved from then on does not take its place: it may be of a later version, or
// of another user.
func (p *Policy) Load(folder string) error {
	path := filepath.Join(folder, fileName)
	s, err := readSaved(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		kept := ""
		if os.Rename(path, path+unread) == nil {
			kept = ", and it is kept as " + fileName + unread
		}
		return fmt.Errorf("learn: %s: %w; everything is learned anew%s", path, err, kept)
	}
	for f, function := range p.functions {
		p.starts(s, f, function.Name)
	}
	p.savedStarts = s
	p.library.grow(len(p.functions))
	for i := range s.Applications {
		a := &s.Applications[i]
		if !p.knows(a) {
			p.loaded = append(p.loaded, a)
			continue
		}
		if err := p.restore(a, true); err != nil {
			p.warn(fmt.Sprintf("%s: application %s is learned anew: %v", path, a.Functions[0], err))
		}
	}
	return nil
}

// mostSaved bounds what a file may have, in bytes.
const mostSaved = 1 << 30

func readSaved(path string) (*saved, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return decode(f)
}

// decode reads a file and checks it.
func decode(r io.Reader) (*saved, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("not what was learned: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(z, mostSaved+1))
	if err != nil {
		return nil, fmt.Errorf("damaged: %w", err)
	}
	if len(text) > mostSaved {
		return nil, fmt.Errorf("more than %d bytes", mostSaved)
	}
	s := new(saved)
	switch err := json.Unmarshal(text, s); {
	case s.Format != format && (err == nil || s.Format != 0): // whose form is another one
		return nil, fmt.Errorf("format %d, this program reads %d", s.Format, format)
	case err != nil:
		return nil, fmt.Errorf("damaged: %w", err)
	}
	for i := range s.Applications {
		if err := s.Applications[i].check(); err != nil {
			return nil, fmt.Errorf("application %d: %w", i+1, err)
		}
	}
	for name, gaps := range s.Gaps {
		for _, g := range gaps {
			if !(g >= 0) || g > prewarm.Never.Seconds()/2/mostGaps {
				return nil, fmt.Errorf("function %s: a gap of %v s", name, g)
			}
		}
	}
	for name, starts := range s.Starts {
		for _, t := range starts {
			if !(t[0] >= 0 && t[0] < 1e9 && t[1] > 0 && t[1] < 1e9) {
				return nil, fmt.Errorf("function %s: a start time of %v s", name, t[1])
			}
		}
	}
	return s, nil
}

func (a *savedApplication) check() error {
	if len(a.Functions) == 0 {
		return errors.New("no functions")
	}
	for _, list := range [2][]string{a.Functions, a.Marks} {
		if sorted := slices.Sorted(slices.Values(list)); len(slices.Compact(sorted)) < len(list) {
			return errors.New("a function is named twice")
		}
	}
	for _, name := range a.Marks {
		if !slices.Contains(a.Functions, name) {
			return fmt.Errorf("a model of %s, which is not of it", name)
		}
	}
	if a.Seen < 0 || a.Unseen < 0 || a.Unseen > len(a.Calls) {
		return fmt.Errorf("%d requests, of which %d are new", len(a.Calls), a.Unseen)
	}
	for i, calls := range a.Calls {
		if len(calls) == 0 || len(calls) > mostCalls {
			return fmt.Errorf("request %d has %d calls", i+1, len(calls))
		}
		for k, c := range calls {
			f, caller := c[0], c[1]
			ok := f == math.Trunc(f) && f >= 0 && f < float64(len(a.Functions)) && caller == math.Trunc(caller) && caller < float64(k) && (caller >= 0) == (k > 0) && caller >= -1
			for _, t := range c[2:] {
				ok = ok && t >= 0 && t < 1e12
			}
			if !ok || c[3] < c[2] || c[4] < c[3] {
				return fmt.Errorf("request %d: call %d is %v", i+1, k+1, c)
			}
		}
	}
	return nil
}

// function returns the index of a function, −1 if the fleet does not have it.
func (p *Policy) function(name string) int {
	return slices.IndexFunc(p.functions, func(f prewarm.Function) bool { return f.Name == name })
}

// knows reports whether the fleet has all functions of an application.
func (p *Policy) knows(a *savedApplication) bool {
	return !slices.ContainsFunc(a.Functions, func(name string) bool { return p.function(name) < 0 })
}

// starts takes the start times and the gaps that were saved of a function.
func (p *Policy) starts(s *saved, function int, name string) {
	for _, t := range s.Starts[name] {
		p.newsvendor.AddStart(function, int(t[0]), time.Duration(t[1]*float64(time.Second)))
	}
	if gaps := s.Gaps[name]; len(gaps) > 0 {
		a := p.recorder.arrivalsOf(function)
		for _, g := range gaps[max(len(gaps)-mostGaps, 0):] {
			a.addGap(g)
		}
	}
}

// arrivedFunctions takes what was saved of functions that were added to the fleet.
func (p *Policy) arrivedFunctions(functions []prewarm.Function) {
	before := len(p.functions)
	p.functions = functions
	p.library.grow(len(functions))
	p.newsvendor.Grow(functions)
	if p.savedStarts == nil {
		return
	}
	for f := before; f < len(functions); f++ {
		p.starts(p.savedStarts, f, functions[f].Name)
	}
	p.loaded = slices.DeleteFunc(p.loaded, func(a *savedApplication) bool {
		if !p.knows(a) {
			return false
		}
		if err := p.restore(a, false); err != nil {
			p.warn(fmt.Sprintf("application %s is learned anew: %v", a.Functions[0], err))
		}
		return true
	})
}

// restore adds an application that was saved. With its model where that is wanted, which takes a moment; otherwise one is trained when it is due.
func (p *Policy) restore(s *savedApplication, withModel bool) error {
	var functions []int
	var a *application
	for _, name := range s.Functions {
		f := p.function(name)
		functions = append(functions, f)
		if other := p.library.of[f]; other != nil && other != a {
			if a != nil || other.given == nil || other.given.Name != s.Given {
				return fmt.Errorf("%s is of another one now", name)
			}
			a = other // which the same model was given as before
		}
	}
	known := a != nil
	if !known {
		a = &application{}
	}
	a.functions = append(a.functions[:0], functions...)
	slices.Sort(a.functions)
	for _, calls := range s.Calls {
		t := make(prewarm.Trace, len(calls))
		for i, c := range calls {
			t[i] = prewarm.Invocation{Function: functions[int(c[0])], Parent: int(c[1]), Arrival: c[2], Start: c[3], End: c[4], Init: c[5], Fresh: c[6] != 0}
		}
		p.library.keep(a, t)
	}
	a.seen, a.due, a.checked = s.Seen, s.Seen, a.count
	if !known && withModel && len(s.Calls) >= firstTraining {
		if err := p.model(a, s); err != nil {
			p.library.charge(a, -a.bytes)
			return err
		}
	}
	if known || a.present != nil {
		a.unseen = a.count - uint64(min(s.Unseen, int(a.count)))
		a.reference, a.due = s.Reference, nextTraining(a.seen)
	}
	if known {
		a.due = a.seen // what the model does not say itself is learned from the requests
		for _, f := range functions {
			p.library.of[f] = a
		}
	} else if err := p.begin(a); err != nil {
		p.library.charge(a, -a.bytes)
		return err
	}
	if a.seen >= a.due {
		a.training, p.waiting = true, true
	}
	return nil
}

// model reads the model of an application that was saved.
func (p *Policy) model(a *application, s *savedApplication) error {
	j := p.job(a)
	o := newsvendor.TrainOptions{Model: newsvendor.Table, Functions: len(p.functions), Seed: p.options.Seed}
	functions := a.functions
	traces := j.traces
	if len(s.Model) > 0 {
		m, err := tpp.ReadModel(bytes.NewReader(s.Model))
		if err != nil {
			return err
		}
		functions = nil
		for _, name := range s.Marks {
			functions = append(functions, p.function(name))
		}
		if len(m.MarkNames()) != len(functions) {
			return fmt.Errorf("a model of %d marks for %d functions", len(m.MarkNames()), len(functions))
		}
		o.Given = m
		traces = nil
		for _, t := range j.traces {
			if kept := restrict(t.trace, functions); len(kept) > 0 {
				traces = append(traces, stored{kept, t.number})
			}
		}
	}
	if len(traces) == 0 || s.Kind == "" || s.Given != "" {
		return nil // it is trained when it is due
	}
	var err error
	a.present, err = newsvendor.Train(p.ctx, j.recording(functions, traces), o)
	return err
}
