package newsvendor

import (
	"math"

	"github.com/tppfaas/tppfaas/tpp"
)

// forecasts predicts with a model whose states know all that is to come.
type forecasts struct {
	model     tpp.Model
	workspace tpp.Workspace // nil if the model has none
	begin     tpp.State     // a state without events
	means     []spread      // of the trace under way
}

func newForecasts(m tpp.Model) *forecasts {
	f := &forecasts{model: m}
	if w, ok := m.(tpp.WorkspaceModel); ok {
		f.workspace = w.NewWorkspace()
	}
	f.begin = f.newState()
	return f
}

func (f *forecasts) newState() tpp.State {
	if f.workspace != nil {
		return f.workspace.NewState(0)
	}
	return f.model.NewState(0)
}

func (f *forecasts) newFollower() follower { return &forecastFollower{f: f, state: f.newState()} }

// forecastFollower is a trace followed by such a model.
type forecastFollower struct {
	f     *forecasts
	state tpp.State
	times []float64 // of the events, in milliseconds
}

// spread are the mean and the standard deviation of the time of an expected event, in milliseconds from now.
type spread struct{ mean, sd float64 }

func (f *forecastFollower) reset() {
	if c, ok := f.state.(tpp.StateCopier); !ok || !c.CopyFrom(f.f.begin) {
		f.state = f.f.newState()
	}
	f.times = f.times[:0]
}

func (f *forecastFollower) observe(mark, _ int, time float64) error {
	at := time * milliseconds
	if err := f.state.Observe(tpp.Event{Time: at, Mark: mark}); err != nil {
		return err
	}
	f.times = append(f.times, at)
	return nil
}

func (f *forecastFollower) expect(list []expected) []expected {
	if len(f.times) == 0 {
		return list
	}
	now := f.times[len(f.times)-1]
	arrivals := f.state.(tpp.ForecastingState).Arrivals(now)
	arrivals = arrivals[:min(len(arrivals), maxExpected)]
	first := len(list)
	means := f.f.means[:0]
	for i := range arrivals {
		a := &arrivals[i]
		s := spreadOf(a.Times)
		means = append(means, s)
		e := expected{mark: int32(a.Mark), cause: int32(a.Cause), parent: -1, slot: int32(a.Slot), order: int32(a.Slot), probability: min(a.Probability, 1)}
		if a.Parent < 0 {
			from := now
			if a.Cause >= 0 && a.Cause < len(f.times) {
				from = f.times[a.Cause]
			} else {
				e.cause = -1
			}
			resample(&e.gap, a.Times, now-from, 1)
			list = append(list, e)
			continue
		}
		above := &arrivals[a.Parent]
		e.cause, e.parent = -1, int32(first+a.Parent)
		if above.Probability > 0 {
			e.probability = min(a.Probability/above.Probability, 1)
		}
		// What is known is when each comes, not how long after its caller: the difference is taken to be independent of when that
		// comes, which leaves the distribution of the sum as it is.
		p := means[a.Parent]
		sd := math.Sqrt(max(s.sd*s.sd-p.sd*p.sd, 0))
		scale := 0.0
		if s.sd > 0 {
			scale = sd / s.sd
		}
		resample(&e.gap, a.Times, s.mean*(1-scale)-p.mean, scale)
		list = append(list, e)
	}
	f.f.means = means
	return list
}

func spreadOf(times []float64) (s spread) {
	for _, t := range times {
		s.mean += t
	}
	s.mean /= float64(len(times))
	for _, t := range times {
		s.sd += (t - s.mean) * (t - s.mean)
	}
	s.sd = math.Sqrt(s.sd / float64(len(times)))
	return s
}

// resample sets dst, in seconds, to a sample of quantiles in milliseconds, times scale and shifted.
func resample(dst *Times, times []float64, shift, scale float64) {
	n := len(times)
	if n%Quantiles == 0 {
		share := n / Quantiles
		for i := range dst {
			sum := 0.0
			for _, t := range times[i*share : (i+1)*share] {
				sum += t
			}
			dst[i] = max((sum/float64(share)*scale+shift)/milliseconds, 0)
		}
		return
	}
	for i := range dst {
		x := (float64(i)+0.5)/Quantiles*float64(n) - 0.5
		j := min(max(int(x), 0), n-1)
		k := min(j+1, n-1)
		t := times[j] + min(max(x-float64(j), 0), 1)*(times[k]-times[j])
		dst[i] = max((t*scale+shift)/milliseconds, 0)
	}
}
