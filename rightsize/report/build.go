package report

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/internal/htmlpage"
	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/backtest"
	"github.com/tppfaas/tppfaas/rightsize/forecast"
	"github.com/tppfaas/tppfaas/rightsize/recommend"
)

// Options say what a report is about. The zero value will do.
type Options struct {
	// Source says where the usage is from.
	Source string
	// Recommender is the one whose limits are shown; "" stands for forecast.
	Recommender string
	// Base is the one that others are compared with in the backtest; "" stands for krr.
	Base string
	// Recommenders are those of the backtest; nil stands for all.
	Recommenders []string
	// Settings are those of all recommenders.
	Settings recommend.Options
	// Runtime is what functions are written in, as recommend.HeapHint names it; "" is not known.
	Runtime string
	// Fast forecasts by the last value and the residuals of a week alone, rather than by what did best so far.
	Fast bool
	// OnProgress is told how many of the parts of the work are done; it may be nil.
	OnProgress func(done, total int)
}

const warmup = backtest.DefaultWarmup

// New forecasts and recommends for the usage of functions, one after the other, and says what recommenders would have done.
func New(ctx context.Context, usages []*rightsize.Usage, o Options) (*Report, error) {
	o.Recommender, o.Base = cmp.Or(o.Recommender, "forecast"), cmp.Or(o.Base, "krr")
	if o.Recommenders == nil {
		for _, k := range recommend.Kinds() {
			o.Recommenders = append(o.Recommenders, k[0])
		}
	}
	if !slices.Contains(o.Recommenders, o.Base) {
		o.Recommenders = append(slices.Clone(o.Recommenders), o.Base)
	}
	o.Recommenders = slices.DeleteFunc(slices.Clone(o.Recommenders), func(name string) bool { return name == o.Recommender })
	o.Recommenders = slices.Insert(o.Recommenders, 0, o.Recommender)
	r := &Report{Source: o.Source, Recommender: o.Recommender, Base: o.Base}
	done, total := 0, len(usages)*(1+len(o.Recommenders))
	progress := func() {
		if done++; o.OnProgress != nil {
			o.OnProgress(done, total)
		}
	}
	for _, u := range usages {
		f, err := o.function(ctx, u, progress)
		if err != nil {
			return nil, err
		}
		r.Functions = append(r.Functions, *f)
		if len(f.Backtest) == 0 {
			r.Notes = append(r.Notes, fmt.Sprintf("%s: a backtest needs usage of more than %s, so there is none.", f.Name, htmlpage.Seconds(warmup.Seconds())))
		}
	}
	if len(r.Functions) == 0 {
		return nil, fmt.Errorf("no usage of any function is given")
	}
	return r, nil
}

// function does the work for one function.
func (o *Options) function(ctx context.Context, u *rightsize.Usage, progress func()) (*Function, error) {
	if u.Len() < 2 {
		return nil, fmt.Errorf("usage of %s: %d samples are too few", u.Function, u.Len())
	}
	grid, step, err := forecast.Regular(u)
	if err != nil {
		return nil, err
	}
	f := &Function{
		Name: u.Function, Samples: u.Len(), From: u.Time(0), To: u.Time(u.Len() - 1), Step: Duration(step),
		Memory: newPanel(rightsize.Memory, grid), CPU: newPanel(rightsize.CPU, grid),
	}
	measured := grid.Memory
	if !f.Memory.isKnown() {
		measured = grid.CPU
	}
	for _, v := range measured {
		if math.IsNaN(v) {
			f.Missing++
		}
	}
	for _, p := range f.Panels() {
		if err := o.forecast(ctx, p, step); err != nil {
			return nil, err
		}
	}
	if err := o.recommend(ctx, f, u); err != nil {
		return nil, err
	}
	progress()
	if f.To.Sub(f.From) <= warmup {
		return f, nil
	}
	cells, err := backtest.Run(ctx, backtest.Matrix{
		Series:       []backtest.Series{{Name: u.Function, Usage: func() (*rightsize.Usage, error) { return u, nil }}},
		Recommenders: o.Recommenders, Options: backtest.Options{MaxChanges: o.Settings.MaxChanges}, Progress: func(int) { progress() },
	})
	if err != nil {
		return nil, err
	}
	for _, c := range cells {
		f.Backtest = append(f.Backtest, Run{
			Recommender: c.Recommender, Reserved: c.Reserved, Kills: c.Kills, Over: c.Over, Changes: c.Changes, CPU: c.CPU, Throttled: c.Throttled,
		})
	}
	return f, nil
}

func newPanel(r rightsize.Resource, u *rightsize.Usage) Panel {
	p := Panel{Resource: r, times: u.Times, values: u.Of(r)}
	known := slices.DeleteFunc(slices.Clone(p.values), math.IsNaN)
	if len(known) == 0 {
		return p
	}
	p.Last = known[len(known)-1]
	slices.Sort(known)
	p.Median, p.Most = known[(len(known)-1)/2], known[len(known)-1]
	return p
}

// forecast fills the fan, by the forecasters that did best so far or, where that is to be fast, by the last value and its residuals.
func (o *Options) forecast(ctx context.Context, p *Panel, step time.Duration) error {
	candidates := forecast.Candidates(step, 0)
	if o.Fast {
		candidates = candidates[:2]
	}
	c, err := forecast.Choose(ctx, p.values, step, forecast.ChooseOptions{Candidates: candidates})
	if err != nil {
		return err
	}
	for j, h := range c.Horizons {
		if h.Span > 0 && 10*h.Steps > len(p.values) { // what is known of it is less than ten of it
			continue
		}
		point := Point{Ahead: Duration(time.Duration(h.Steps) * step), Quantiles: make([]float64, len(Levels)), By: c.Candidates[c.Best[j]].Name}
		c.Forecaster.Quantiles(h.Steps, Levels, point.Quantiles)
		if slices.ContainsFunc(point.Quantiles, math.IsNaN) {
			continue
		}
		if scores := c.Validation[j]; scores != nil {
			if loss := forecast.Relative(scores[c.Best[j]], scores[0]); !math.IsNaN(loss) && !math.IsInf(loss, 0) { // NaN: nothing could be scored
				point.Loss = loss
			}
		}
		p.Fan = append(p.Fan, point)
	}
	return nil
}

// recommend follows the usage with the recommender, and notes when its limits change.
func (o *Options) recommend(ctx context.Context, f *Function, u *rightsize.Usage) error {
	r, err := recommend.New(o.Recommender, o.Settings)
	if err != nil {
		return err
	}
	long := f.To.Sub(f.From)
	wait := min(warmup, long/2)
	var set recommend.Limits
	for i, now := range u.Times {
		if i%4096 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		r.Observe(recommend.Sample{Time: now, Memory: u.Memory[i], CPU: u.CPU[i]})
		if now-u.Times[0] < wait.Milliseconds() {
			continue
		}
		next := r.Recommend(set)
		note(&f.Memory.Limits, now, next.MemoryLimit)
		note(&f.Memory.Requests, now, next.MemoryRequest)
		note(&f.CPU.Limits, now, next.CPULimit)
		note(&f.CPU.Requests, now, next.CPURequest)
		set = next
	}
	f.Recommended = recommend.Round(set)
	if o.Runtime != "" && f.Recommended.MemoryLimit > 0 {
		hint, err := recommend.HeapHint(o.Runtime, f.Recommended.MemoryLimit)
		if err != nil {
			return err
		}
		f.Hints = append(f.Hints, "Tell the runtime, in the environment: "+hint)
	}
	if why, ok := r.(recommend.Reasoned); ok {
		reasons := why.Reasons()
		for _, line := range []struct{ name, text string }{{"Memory", reasons.Memory}, {"CPU", reasons.CPU}} {
			if line.text != "" {
				f.Reasons = append(f.Reasons, line.name+": "+line.text)
			}
		}
	}
	return nil
}

// note adds a step where the value differs from the last one.
func note(steps *[]Step, now int64, value float64) {
	if n := len(*steps); n == 0 && value != 0 || n > 0 && (*steps)[n-1].Value != value {
		*steps = append(*steps, Step{now, value})
	}
}
