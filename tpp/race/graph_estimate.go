package race

import (
	"errors"
	"fmt"

	"github.com/tppfaas/tppfaas/tpp"
)

// GraphReport says what an estimated graph rests on, and where it is not sure.
type GraphReport struct {
	// Waits says that all sequences have wait times, so that a delay could be counted from the start of a parent's run. Without them an
	// event that comes shortly after another one is taken for its child, though it may be its sibling.
	Waits bool
	// Events is the number of events that need a parent, of the sequences that were looked at; Unexplained is how many were given none.
	Events, Unexplained int
	// Marks has for each mark where its events come from.
	Marks []MarkReport
}

// MarkReport says where the events of a mark come from.
type MarkReport struct {
	// Events is the number of events that need a parent: all but the first ones of sequences. Unexplained is how many were given none.
	Events, Unexplained int
	// Parents are the marks that were taken as parents, the one with most children first.
	Parents []int
	// Ambiguous are marks that explain the events as well as the only one of Parents, or nearly so.
	Ambiguous []int
}

// EstimateGraph estimates the graph of a dataset from its sequences alone, whatever their Parents say, and reports what it is not sure of.
//
// The parent of an event is an earlier one after which its delay can be told best, in the sense of the shortest code: a parent mark costs
// the entropy of its delays, and that of which of its events have a child. Where all sequences have wait times, delays are counted from
// the end of the parent's wait and initialisation, and a mark whose waits the children do not wait for is no parent. Parents are added
// as long as the code becomes shorter. GraphFromParents explains what becomes of the parents.
//
// It is an error if the dataset is not valid, if no sequence has two events, or if half of the events or more have no parent that
// explains them. A dataset of many sequences is estimated from some of them, spread over all.
func EstimateGraph(d *tpp.Dataset) (*Graph, GraphReport, error) {
	if err := d.Validate(); err != nil {
		return nil, GraphReport{}, fmt.Errorf("graph: %w", err)
	}
	e := newEstimator(d, maxEstimated)
	if len(e.sequences) == 0 {
		return nil, GraphReport{}, errors.New("graph: no sequence has two events or more")
	}
	report := GraphReport{Waits: e.waits, Marks: make([]MarkReport, e.numMarks)}
	for c, found := range e.allParents() {
		r := &report.Marks[c]
		r.Events, r.Parents, r.Ambiguous = e.children(c), found.parents(), found.ambiguous
		r.Unexplained = r.Events - len(found.links)
		report.Events += r.Events
		report.Unexplained += r.Unexplained
		for _, l := range found.links {
			e.sequences[l.sequence].parents[l.child] = l.parent
		}
	}
	if report.Events == 0 || 2*report.Unexplained >= report.Events {
		return nil, report, fmt.Errorf("graph: it cannot be estimated: of %d events that need a cause, %d have none that explains when they come",
			report.Events, report.Unexplained)
	}
	counter := newChildCounter(e.numMarks)
	for i := range e.sequences {
		s := &e.sequences[i]
		counter.add(s.Sequence, s.parents)
	}
	return counter.graph(mistaken), report, nil
}

const (
	// maxEstimated is how many events are looked at.
	maxEstimated = 40_000
	// maxBack is how many earlier events of one mark are tried as the parent of an event.
	maxBack = 16
	// maxCandidates is how many marks are tried together as parents of a mark, and maxParents how many of them may be.
	maxCandidates, maxParents = 12, 8
	// maxRounds is how often delays are estimated anew from the parents that they find.
	maxRounds = 5
	// mistaken is how often exclusive children may seem to be together, of the times that were to be expected if they were not, since
	// some events are given a wrong parent.
	mistaken = 0.1
)
