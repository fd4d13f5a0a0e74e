package activations

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// chunk is how many observations a sink is told at once.
const chunk = 1000

// errTooMany says that records were left out.
var errTooMany = errors.New("there are more records than are asked for at once; the oldest are not observed")

// poller is the state between questions.
type poller struct {
	options Options
	counter *source.Counter
	known   *known
	latest  time.Time // the latest start of a record, by OpenWhisk's clock, of which this machine's is independent
	begun   bool      // the first question has been answered
	n       int       // questions
	page    int       // how many records a list has at most
}

// poll asks once, and tells the sink what is new. What was there at the first time is not: it happened before.
func (p *poller) poll(ctx context.Context) error {
	recent := p.options.Recent
	if p.n%p.options.Often == 0 || !p.begun {
		recent = p.options.Longest
	}
	p.n++
	if p.latest.IsZero() { // what is the time there?
		records, _, err := p.options.Client.ListActivations(ctx, whisk.ListOptions{Limit: 1})
		switch {
		case err != nil:
			return err
		case len(records) == 0:
			p.begun = true // whatever comes is new
			return nil
		}
		p.latest = records[0].Start
	}
	records, err := p.list(ctx, p.latest.Add(-recent))
	if err != nil && !errors.Is(err, errTooMany) {
		return err
	}
	if p.begun {
		if told := p.tell(ctx, records); told != nil {
			return told
		}
	} else {
		for _, r := range records {
			p.known.add(r.ID, r.Start, "")
		}
		p.begun = true
	}
	for _, r := range records {
		if r.Start.After(p.latest) {
			p.latest = r.Start
		}
	}
	p.known.forget(p.latest.Add(-p.options.Longest - time.Minute))
	return err
}

// list returns the records since a time that are not known, the first to end first.
func (p *poller) list(ctx context.Context, since time.Time) ([]whisk.Listed, error) {
	var records []whisk.Listed
	listed := map[string]bool{} // while pages are asked for records become readable, and what is on one page may be on the next too
	docs := true
	var short error
	for skip, asked := 0, 0; ; {
		if asked >= p.options.MaxRecords/2 {
			short = errTooMany
			break
		}
		limit := min(p.page, whisk.MaxList)
		some, malformed, err := p.options.Client.ListActivations(ctx, whisk.ListOptions{Since: since, Limit: limit, Skip: skip, Docs: docs})
		switch {
		case errors.Is(err, whisk.ErrTooLong) && limit > 1:
			p.page = limit / 2
			continue
		case errors.Is(err, whisk.ErrTooLong) && docs: // one record alone: it is taken without result and logs
			docs = false
			continue
		case err != nil:
			return nil, err
		}
		if malformed > 0 {
			p.counter.Reject(malformed, errors.New("OpenWhisk lists what are no records of activations"))
		}
		for _, r := range some {
			if !listed[r.ID] && !p.known.has(r.ID) {
				listed[r.ID] = true
				records = append(records, r)
			}
		}
		n := len(some) + malformed
		skip, asked = skip+n, asked+n
		docs = true
		if p.page < whisk.MaxList {
			p.page = min(2*p.page, whisk.MaxList)
		}
		if n < limit {
			break
		}
	}
	slices.SortStableFunc(records, func(a, b whisk.Listed) int { return cmp.Or(a.End.Compare(b.End), a.Start.Compare(b.Start)) })
	return records, short
}

// tell tells the sink of new records, and remembers those that it has taken.
func (p *poller) tell(ctx context.Context, records []whisk.Listed) error {
	causes := map[string]string{} // of these records, for a part is readable before what it is a part of
	for _, r := range records {
		if r.Cause != "" {
			causes[r.ID] = r.Cause
		}
	}
	for len(records) > 0 {
		n := min(chunk, len(records))
		observations := make([]source.Observation, 0, n)
		for i := range records[:n] {
			r := &records[i]
			o, is, err := observation(r)
			switch {
			case err != nil:
				p.counter.Reject(1, fmt.Errorf("activation %s: %w", r.ID, err))
			case is:
				o.Trace = p.top(r.ID, causes)
				observations = append(observations, o)
			}
		}
		if err := p.counter.Observe(ctx, observations); err != nil {
			return err
		}
		for _, r := range records[:n] {
			p.known.add(r.ID, r.Start, r.Cause)
		}
		records = records[n:]
	}
	return nil
}

// top returns the activation that an activation is a part of in the end.
func (p *poller) top(id string, causes map[string]string) string {
	for range 100 { // sequences are in sequences to a depth of some; a ring of causes has no end
		cause := causes[id]
		if cause == "" {
			cause = p.known.cause(id)
		}
		if cause == "" {
			break
		}
		id = cause
	}
	return id
}

// observation returns what a record says, and reports whether it is of a run in a container that is to be observed: not of a trigger, of a sequence as a
// whole, or of a warm-up.
func observation(r *whisk.Listed) (o source.Observation, is bool, err error) {
	if r.Kind == "" || r.Kind == "sequence" || r.Prewarmed || r.End.IsZero() {
		return o, false, nil
	}
	o = source.Observation{
		Kind: source.Ended, Function: source.FunctionName(r.Name), Version: r.Version, Call: r.ID, ParentCall: r.Cause, Activation: r.ID,
		Clock: source.OpenWhiskClock, Time: r.End, Begin: r.Start.Add(r.Init), Wait: -1, Init: r.Init, Temperature: source.Warm, Failed: r.Failed,
	}
	if r.HasWait {
		o.Wait = r.Wait
	}
	if r.Cold {
		o.Temperature = source.Cold
	}
	if o.Begin.After(o.Time) {
		o.Begin = o.Time
	}
	switch {
	case len(o.Function) > source.MaxText || len(o.Version) > source.MaxText:
		return o, false, fmt.Errorf("its name or version has more than %d bytes", source.MaxText)
	case o.Begin.Before(source.FirstTime):
		return o, false, errors.New("it has no time")
	}
	return o, true, nil
}
