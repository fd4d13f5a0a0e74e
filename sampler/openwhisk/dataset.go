package openwhisk

import (
	"fmt"
	"io"
	"iter"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/sampler"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// store stores a complete trace: in the journal, or where that fails or there is none, in memory.
func (t *Target) store(request int, trace sampler.Trace) {
	if t.journal != nil {
		err := t.journal.complete(request, trace)
		if err == nil {
			return
		}
		t.warnJournal(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unjournaled[request] = trace
}

// warnJournal tells the user once that nothing more is written to the journal.
func (t *Target) warnJournal(err error) {
	t.mu.Lock()
	first := !t.journalFailed
	t.journalFailed = true
	t.mu.Unlock()
	if first {
		t.message(fmt.Sprintf("from now on traces are kept in memory alone: %v", err))
	}
}

// WriteDataset writes all [Target.Sequences] as a dataset, in the format that the file's name asks for (see [tpp.FormatOf]), and returns
// how many there are. It keeps one sequence in memory at a time. The file is replaced only when the new one is whole. Where there are no
// sequences nothing is written.
func (t *Target) WriteDataset(path string) (sequences int, err error) {
	if t.Complete() == 0 {
		return 0, nil
	}
	names := sampler.MarkNames(t.options.App)
	err = atomicfile.Write(path, func(w io.Writer) error {
		sequences = 0
		out, err := dataset.NewSequenceWriter(w, dataset.FormatOf(path))
		if err != nil {
			return err
		}
		for s, err := range t.Sequences() {
			if err != nil {
				return err
			}
			if err := out.Write(s, names); err != nil {
				return err
			}
			sequences++
		}
		return out.Close()
	})
	return sequences, err
}

// Dataset returns all [Target.Sequences] as a dataset.
func (t *Target) Dataset() (*tpp.Dataset, error) {
	d := &tpp.Dataset{MarkNames: sampler.MarkNames(t.options.App)}
	for s, err := range t.Sequences() {
		if err != nil {
			return nil, err
		}
		d.Sequences = append(d.Sequences, *s)
	}
	return d, nil
}

// Sequences iterates over the sequences of all complete traces, of earlier runs too, in the order of the plan. Each is read from the
// journal when it is its turn. An error ends the iteration. Sequences may be called after Sample and before the journal is closed.
func (t *Target) Sequences() iter.Seq2[*tpp.Sequence, error] {
	return func(yield func(*tpp.Sequence, error) bool) {
		marks := sampler.Marks(t.options.App)
		_, end := t.journal.completed()
		t.mu.Lock()
		for request := range t.unjournaled {
			end = max(end, request+1)
		}
		t.mu.Unlock()
		for request := range end {
			t.mu.Lock()
			trace := t.unjournaled[request]
			t.mu.Unlock()
			var err error
			if trace == nil {
				if !t.journal.has(request) {
					continue
				}
				trace, err = t.journal.trace(request)
			}
			var s tpp.Sequence
			if err == nil {
				s, err = trace.Sequence(marks)
			}
			if err != nil {
				yield(nil, fmt.Errorf("request %d: %w", request, err))
				return
			}
			if !yield(&s, nil) {
				return
			}
		}
	}
}

// Complete returns the number of complete traces, of earlier runs too.
func (t *Target) Complete() int {
	n, _ := t.journal.completed()
	t.mu.Lock()
	defer t.mu.Unlock()
	return n + len(t.unjournaled)
}

// InMemory returns how many of the complete traces are in memory alone, since the journal could not be written: another process that
// continues the journal has to fetch them again.
func (t *Target) InMemory() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.unjournaled)
}
