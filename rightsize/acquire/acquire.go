package acquire

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/rightsize"
)

// DefaultStep is the time between two samples where a Request has none.
const DefaultStep = 15 * time.Second

// Source knows what functions used.
type Source interface {
	// Acquire returns what a function used. What it got before an error, or before the context ended, it returns beside the error.
	Acquire(ctx context.Context, r Request) (*Result, error)
}

// Request says what is wanted of a Source.
type Request struct {
	Function string
	// From and To bound the times of the samples, both included. A source that looks at what is the case now does so until To, and where that is zero until
	// the context ends, which is no error then.
	From, To time.Time
	// Step is the time between two samples; 0 stands for DefaultStep, or for that of the samples that are there.
	Step time.Duration
	// Earlier are samples that a source which looks at what is the case now has taken before: those that are taken come after them.
	Earlier []Sample
	// Kills asks which containers were killed for their memory, of a source that can know.
	Kills bool
	// OnProgress is told of samples, and of how many there are to be, 0 where that is not known; it may be nil.
	OnProgress func(done, total int)
	// OnSample takes each sample of a source that looks at what is the case now, as soon as it is taken; an error ends the acquisition. It may be nil.
	OnSample func(Sample) error
	// OnlyLast has a source that looks at what is the case now keep the last sample alone, so that it can do so without end: OnSample takes them all.
	OnlyLast bool
	// OnMessage is told in a line what went wrong and is tried again; it may be nil.
	OnMessage func(text string)
}

// Sample is what a function used at a time: the most of one of its containers.
type Sample struct {
	Time        int64 // ms since 1970
	Memory, CPU float64
	Pods        int // containers of the function that there were
}

// Result is what a function used, and what has to be known of that.
type Result struct {
	Usage *rightsize.Usage
	Step  time.Duration // between two samples, where there is no gap
	Gaps  []Gap
	// Pods is the number of different pods (or processes) that were seen, PodsAtOnce the most at a time, of which the usage has the largest values.
	Pods, PodsAtOnce int
	// Restarts counts the containers that took the place of another one in the same pod, and the processes that did.
	Restarts int
	// Kills counts the pods in which a container took the place of one that was killed for its memory, where Request.Kills asks for it and the source tells.
	Kills int
	// Resets counts the counters that began anew.
	Resets int
	// Notes say in a line each what else has to be known: what was left out, and why.
	Notes []string
}

// Gap is a time without samples, between two that are there.
type Gap struct{ From, To time.Time }

// Duration returns the length of the gap.
func (g Gap) Duration() time.Duration { return g.To.Sub(g.From) }

// note adds a note, once.
func (r *Result) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(r.Notes, text) && len(r.Notes) < maxNotes {
		r.Notes = append(r.Notes, text)
	}
}

const maxNotes = 50

// complete sets usage, step and gaps of a result from its samples, whose times increase. With step 0 it is the median of the times between them.
func (r *Result) complete(function string, samples []Sample, step time.Duration) error {
	times := make([]int64, len(samples))
	memory, cpu := make([]float64, len(samples)), make([]float64, len(samples))
	for i, s := range samples {
		times[i], memory[i], cpu[i] = s.Time, s.Memory, s.CPU
		r.PodsAtOnce = max(r.PodsAtOnce, s.Pods)
	}
	var err error
	if r.Usage, err = rightsize.NewUsage(function, times, memory, cpu); err != nil {
		return err
	}
	if step == 0 {
		step = medianStep(times)
	}
	r.Step = step
	r.Gaps = nil
	for i := 1; i < len(times); i++ {
		if float64(times[i]-times[i-1]) > 1.5*float64(step.Milliseconds()) {
			r.Gaps = append(r.Gaps, Gap{time.UnixMilli(times[i-1]).UTC(), time.UnixMilli(times[i]).UTC()})
		}
	}
	return nil
}

// medianStep returns the median of the times between samples.
func medianStep(times []int64) time.Duration {
	if len(times) < 2 {
		return DefaultStep
	}
	between := make([]int64, len(times)-1)
	for i := range between {
		between[i] = times[i+1] - times[i]
	}
	slices.Sort(between)
	return time.Duration(between[len(between)/2]) * time.Millisecond
}

// chooseContainer returns the container of a function among those that its pods have: the one that is wanted, else the one that is called as the function,
// else the only one.
func chooseContainer(function, wanted string, names []string) (string, error) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	switch {
	case wanted != "" && slices.Contains(names, wanted):
		return wanted, nil
	case wanted != "":
		return "", fmt.Errorf("no container is called %s: there are %s", wanted, strings.Join(names, ", "))
	case slices.Contains(names, function):
		return function, nil
	case len(names) == 1:
		return names[0], nil
	}
	return "", fmt.Errorf("which container is that of %s? There are %s: name it", function, strings.Join(names, ", "))
}

// isName reports whether a text is the name of a function, which may stand in a query.
func isName(text string) bool {
	return text != "" && len(text) <= 253 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
}

// larger returns the larger of two values of which one may not be known.
func larger(a, b float64) float64 {
	if math.IsNaN(a) || b > a {
		return b
	}
	return a
}

// live calls take now, and at each step until r.To or the end of the context, and collects the samples. A take that fails is a message, and the next one is
// due at its time; that the first fails, or that one fails for good, ends it.
func live(ctx context.Context, r *Request, take func(now time.Time) (Sample, bool, error)) ([]Sample, error) {
	samples := slices.Clone(r.Earlier)
	total := 0
	begin := time.Now()
	if !r.To.IsZero() {
		total = len(samples) + int(r.To.Sub(begin)/r.Step) + 1
	}
	for n := 0; ; n++ {
		due := begin.Add(time.Duration(n) * r.Step)
		if late := time.Since(due); n > 0 && late > r.Step { // the machine slept; the first look is made however late it is
			n += int(late / r.Step)
			due = begin.Add(time.Duration(n) * r.Step)
		}
		if n > 0 && !r.To.IsZero() && due.After(r.To) {
			return samples, nil
		}
		timer := time.NewTimer(time.Until(due))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		if ctx.Err() != nil {
			return samples, ended(ctx, r)
		}
		s, ok, err := take(time.Now())
		var final *finalError
		switch {
		case ctx.Err() != nil && err != nil:
			return samples, ended(ctx, r)
		case errors.Is(err, errNoMore):
			return samples, nil
		case err != nil && (n == 0 || errors.As(err, &final)):
			return samples, err
		case err != nil:
			r.message("%v; the next try is in %v", err, r.Step)
		case ok && (len(samples) == 0 || s.Time > samples[len(samples)-1].Time):
			if r.OnlyLast {
				samples = samples[:0]
			}
			samples = append(samples, s)
			if r.OnSample != nil {
				if err := r.OnSample(s); err != nil {
					return samples, err
				}
			}
		}
		r.progress(len(samples), total)
	}
}

// errNoMore is the error of a take after which there is nothing more to take.
var errNoMore = errors.New("there is nothing more")

// finalError is one after which trying again is in vain.
type finalError struct{ error }

func (e *finalError) Unwrap() error { return e.error }

// ended returns the error of an acquisition whose context has ended.
func ended(ctx context.Context, r *Request) error {
	if r.To.IsZero() && errors.Is(ctx.Err(), context.Canceled) {
		return nil
	}
	return ctx.Err()
}

func (r *Request) progress(done, total int) {
	if r.OnProgress != nil {
		r.OnProgress(done, total)
	}
}

func (r *Request) message(format string, args ...any) {
	if r.OnMessage != nil {
		r.OnMessage(fmt.Sprintf(format, args...))
	}
}

// check completes a request, and says what is wrong with it.
func (r *Request) check() error {
	r.Step = cmp.Or(r.Step, DefaultStep)
	switch {
	case !isName(r.Function):
		return fmt.Errorf("%q is no name of a function", r.Function)
	case r.Step < time.Millisecond || r.Step%time.Millisecond != 0:
		return fmt.Errorf("a step of %v: it must be whole milliseconds, and at least one", r.Step)
	case !r.From.IsZero() && !r.To.IsZero() && r.To.Before(r.From):
		return fmt.Errorf("from %s until %s is no time: the end is before the beginning", show(r.From), show(r.To))
	}
	return nil
}

// show returns a time for messages.
func show(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999Z") }
