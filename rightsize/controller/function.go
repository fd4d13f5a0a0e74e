package controller

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/rightsize/recommend"
)

// function is what is known of a function. It follows from the records of the journal alone.
type function struct {
	name        string
	recommender recommend.Recommender
	acts        bool             // changes are made
	last        recommend.Sample // the newest
	first       int64            // time of the first sample that is remembered
	samples     int
	want        recommend.Limits // what was recommended last
	given       recommend.Limits // what the recommender takes for set: what was found, or what it has recommended where that is not applied
	set         recommend.Limits // as they were found last
	found       int64            // when; 0 for never
	fresh       bool             // a sample has come since, so that want is about these limits
	changes     []int64          // times of changes
	pending     *record          // a change of which it is not known yet whether it was made
	killed      int64            // when a container was killed last; 0 for never
}

// take takes a record.
func (f *function) take(r record) {
	switch {
	case r.Set != nil:
		f.settle(*r.Set)
		f.set, f.given, f.found = *r.Set, *r.Set, r.Time
		f.fresh = false
	case r.Change != nil:
		f.pending = &r
	default:
		s := r.sample()
		if f.samples > 0 && s.Time <= f.last.Time {
			return
		}
		if f.samples == 0 {
			f.first = s.Time
		}
		f.last = s
		f.samples++
		if s.Killed {
			f.killed = s.Time
		}
		f.recommender.Observe(s)
		f.want, f.fresh = f.recommender.Recommend(f.given), true
		if !f.acts || s.Time < f.found {
			f.given = f.want
		}
	}
}

// settle says what has become of a change, when the limits are known that are set now.
func (f *function) settle(now recommend.Limits) {
	if f.pending != nil && same(now, merge(*f.pending.Change, now)) {
		f.changes = append(f.changes, f.pending.Time)
	}
	f.pending = nil
}

// same reports whether limits differ by no more than what comes of rounding.
func same(a, b recommend.Limits) bool {
	for _, v := range values {
		if x, y := *v.of(&a), *v.of(&b); math.Abs(x-y) > 1e-6*max(x, y) {
			return false
		}
	}
	return true
}

// merge returns limits with what is set in place of what is 0.
func merge(l, set recommend.Limits) recommend.Limits {
	for _, v := range values {
		if *v.of(&l) == 0 {
			*v.of(&l) = *v.of(&set)
		}
	}
	return l
}

// made returns how many changes were made in the 24 h before a time.
func (f *function) made(now time.Time) int {
	f.changes = slices.DeleteFunc(f.changes, func(t int64) bool { return t <= now.Add(-24*time.Hour).UnixMilli() })
	return len(f.changes)
}

// look takes what a function used, and changes its limits if they should be others. The error is one of the journal alone.
func (c *Controller) look(ctx context.Context, f *function) (Event, error) {
	o := &c.options
	now := time.Now()
	e := Event{Time: now, Function: f.name}
	failed := func(err error) (Event, error) {
		e.Kind, e.Text = Failed, err.Error()
		return e, nil
	}
	// What is set comes first: the recommender is asked with it after each sample.
	set, err := within(ctx, o.Timeout, func(ctx context.Context) (recommend.Limits, error) { return o.Applier.Limits(ctx, f.name) })
	if err != nil {
		return failed(err)
	}
	e.From, e.To = set, set
	if f.found == 0 || f.pending != nil || !same(set, f.set) {
		if err := c.note(f, record{Time: now.UnixMilli(), Set: &set}); err != nil {
			return e, err
		}
	}
	after := now.Add(-o.History)
	if f.samples > 0 && f.last.Time > after.UnixMilli() {
		after = time.UnixMilli(f.last.Time)
	}
	batch, err := within(ctx, o.Timeout, func(ctx context.Context) (Batch, error) { return o.Source.Samples(ctx, f.name, after) })
	f.findKill(&batch, set)
	for _, s := range batch.Samples {
		if f.samples > 0 && s.Time <= f.last.Time || s.Time > now.Add(furthest).UnixMilli() || !possible(s) {
			continue
		}
		if err := c.note(f, sampleRecord(s)); err != nil {
			return e, err
		}
		e.Samples++
		if s.Killed {
			e.Kills++
		}
	}
	if err != nil {
		return failed(err)
	}
	if reason := f.isStale(now, o.MaxAge); reason != "" {
		e.Kind, e.Text = Waiting, reason
		return e, nil
	}
	if !f.fresh {
		e.Kind, e.Text = Kept, "there is no usage yet since they were set"
		return e, nil
	}
	to, text := c.bounded(f, set, now)
	e.To, e.Text = to, text
	if same(to, set) {
		e.To, e.Kind = set, Kept
		if text != "" {
			e.Kind, e.To = Held, o.Round(merge(f.want, set))
			for _, v := range values {
				if x := v.of(&e.To); math.IsNaN(*x) || math.IsInf(*x, 0) { // which JSON cannot say
					*x = *v.of(&set)
				}
			}
		}
		return e, nil
	}
	if isSmall(set, to, o.MinChange) {
		e.To, e.Kind, e.Text = set, Kept, "what is recommended is nearly that"
		return e, nil
	}
	if reason := c.mayNot(f, set, to, now); reason != "" {
		e.Kind, e.Text = Held, reason
		return e, nil
	}
	if e.Text == "" {
		e.Text = reasons(f.recommender)
	}
	if !o.Act {
		e.Kind = Would
		return e, nil
	}
	// Noted before it is made: whatever happens now, it counts if it was made.
	if err := c.note(f, record{Time: now.UnixMilli(), Change: &to}); err != nil {
		return e, err
	}
	if _, err := within(ctx, o.Timeout, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, o.Applier.Apply(ctx, f.name, changed(set, to))
	}); err != nil {
		return failed(err)
	}
	if err := c.note(f, record{Time: now.UnixMilli(), Set: &to}); err != nil {
		return e, err
	}
	e.Kind = Changed
	return e, nil
}

// within calls something with a bound on its time.
func within[T any](ctx context.Context, timeout time.Duration, do func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return do(ctx)
}

// killShare is how much of the limit must have been used before a restart for it to be taken for a kill.
const killShare = 0.9

// findKill marks the last sample of a batch as one after a kill where the source tells of one, or of a restart, and memory was near its limit. Of a batch that
// goes back before all samples it is not known when the restart was, nor what the limit was then.
func (f *function) findKill(b *Batch, set recommend.Limits) {
	if b.Restarts == 0 || len(b.Samples) == 0 || f.samples == 0 || set.MemoryLimit == 0 {
		return
	}
	near := b.Kills > 0 || f.last.Memory >= killShare*set.MemoryLimit
	for _, s := range b.Samples {
		if s.Killed {
			return
		}
		near = near || s.Memory >= killShare*set.MemoryLimit
	}
	b.Samples[len(b.Samples)-1].Killed = near
}

// furthest is how far in the future a sample may be, of another clock.
const furthest = time.Minute

// possible reports whether a sample can be one.
func possible(s recommend.Sample) bool {
	amount := func(v float64) bool { return math.IsNaN(v) || v >= 0 && v < 1<<63 } // as of rightsize.NewUsage
	return s.Time > 0 && amount(s.Memory) && amount(s.CPU)
}

// isStale says why nothing can be said of now; "" if it can.
func (f *function) isStale(now time.Time, maxAge time.Duration) string {
	switch age := now.Sub(time.UnixMilli(f.last.Time)); {
	case f.samples == 0:
		return "no usage is known"
	case age > maxAge:
		return "the newest usage is " + short(age) + " old"
	case age < -furthest:
		return "the newest usage is of a time to come, in " + short(-age) + ": was the clock set back?"
	case math.IsNaN(f.last.Memory) && math.IsNaN(f.last.CPU):
		return "the newest usage is not known"
	}
	return ""
}

// bounded returns what is recommended within the bounds of one change, and says which of them held.
func (c *Controller) bounded(f *function, set recommend.Limits, now time.Time) (to recommend.Limits, text string) {
	o := &c.options
	to = merge(o.Round(f.want), set)
	sinceKill := now.Sub(time.UnixMilli(f.killed))
	for _, v := range values {
		from, x := *v.of(&set), v.of(&to)
		switch {
		case v.memory && math.IsNaN(f.last.Memory), !v.memory && math.IsNaN(f.last.CPU):
			*x = from
		case math.IsNaN(*x) || math.IsInf(*x, 0) || *x < 0:
			*x, text = from, "what is recommended is no number"
		case v.isLower(from, *x) && f.killed > 0 && sinceKill < o.Hold:
			*x, text = from, "nothing is lowered, since a container was killed for its memory "+short(sinceKill)+" ago"
		case v.isLower(from, *x) && f.last.Time-f.first < o.MinHistory.Milliseconds():
			*x, text = from, "nothing is lowered before "+short(o.MinHistory)+" of usage are known"
		case from > 0 && *x > from*o.MaxRaise:
			*x, text = from*o.MaxRaise, fmt.Sprintf("raised by no more than × %g at once", o.MaxRaise)
		case *x < from/o.MaxLower:
			*x, text = from/o.MaxLower, fmt.Sprintf("lowered by no more than / %g at once", o.MaxLower)
		}
	}
	if to.MemoryLimit > 0 && (to.MemoryLimit < set.MemoryLimit || set.MemoryLimit == 0) && to.MemoryLimit < f.last.Memory {
		to.MemoryLimit, text = set.MemoryLimit, "not lowered below what is used now"
	}
	rounded := o.Round(to)
	for _, v := range values { // what does not change stays as somebody has written it
		if *v.of(&to) != *v.of(&set) {
			*v.of(&to) = *v.of(&rounded)
		}
	}
	// What is rounded, bounded or kept must not leave a limit below its request.
	if to.MemoryLimit > 0 {
		to.MemoryRequest = min(to.MemoryRequest, to.MemoryLimit)
	}
	if to.CPULimit > 0 {
		to.CPURequest = min(to.CPURequest, to.CPULimit)
	}
	return to, text
}

// changed returns the values that change; 0 for the others.
func changed(from, to recommend.Limits) recommend.Limits {
	for _, v := range values {
		if *v.of(&to) == *v.of(&from) {
			*v.of(&to) = 0
		}
	}
	return to
}

// isSmall reports whether no value changes by more than a share.
func isSmall(from, to recommend.Limits, share float64) bool {
	return !slices.ContainsFunc(values, func(v value) bool { return math.Abs(*v.of(&to)-*v.of(&from)) > share**v.of(&from) })
}

// isHigher reports whether anything is raised.
func isHigher(from, to recommend.Limits) bool {
	return slices.ContainsFunc(values, func(v value) bool { a, b := *v.of(&from), *v.of(&to); return b > a && !v.isLower(a, b) })
}

// mayNot says why a change may not be made now; "" if it may.
func (c *Controller) mayNot(f *function, set, to recommend.Limits, now time.Time) string {
	o := &c.options
	made := f.made(now)
	switch {
	case made >= o.MaxChanges:
		return fmt.Sprintf("it was changed %s within 24 h", times(made))
	case !isHigher(set, to) && made >= o.MaxChanges-1 && o.MaxChanges > 1:
		return fmt.Sprintf("it was changed %s within 24 h, and the last change is kept for raising", times(made))
	}
	return ""
}

// short writes a time without what is 0 at its end: 3h, 2m30s.
func short(d time.Duration) string {
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// reasons returns why a recommender recommends what it does, where it can say so.
func reasons(r recommend.Recommender) string {
	why, ok := r.(recommend.Reasoned)
	if !ok {
		return ""
	}
	var parts []string
	for _, part := range []struct{ name, text string }{{"memory: ", why.Reasons().Memory}, {"CPU: ", why.Reasons().CPU}} {
		if part.text != "" {
			parts = append(parts, part.name+part.text)
		}
	}
	return strings.Join(parts, "; ")
}
