package live

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/internal/modeltest"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
	"github.com/tppfaas/tppfaas/tpp/neural"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// The bugs that users of libraries of this field report again and again, each as a property that rules it out for every
// recurrent variant, every lookup table, and where it is not about a network every classical model.

// drawModel returns one of the models, of three marks.
func drawModel(rt *rapid.T, models []tpp.Model) tpp.Model {
	return models[rapid.IntRange(0, len(models)-1).Draw(rt, "model")]
}

// TestPredictionsNeverLookAhead checks that later events change no earlier prediction, to the last bit.
func TestPredictionsNeverLookAhead(t *testing.T) {
	models := append(modeltest.Carriers(t), modeltest.Classics(t)...)
	rapid.Check(t, func(rt *rapid.T) {
		m := drawModel(rt, models)
		d := tpptest.DrawDataset(rt, 2)
		s, other := d.Sequences[0], d.Sequences[1]
		keep := rapid.IntRange(1, s.Len()).Draw(rt, "keep")
		changed := tpp.Sequence{
			ArrivalTimes: slices.Clone(s.ArrivalTimes[:keep]), Marks: slices.Clone(s.Marks[:keep]),
			InitTimes: slices.Clone(s.InitTimes[:keep]), Covariates: map[string][]float64{"load": slices.Clone(s.Covariates["load"][:keep])},
			TStart: s.TStart,
		}
		shift := s.ArrivalTimes[keep-1] - other.ArrivalTimes[0]
		for j := range other.Len() {
			changed.ArrivalTimes = append(changed.ArrivalTimes, other.ArrivalTimes[j]+shift)
			changed.Marks = append(changed.Marks, other.Marks[j])
			changed.InitTimes = append(changed.InitTimes, other.InitTimes[j])
			changed.Covariates["load"] = append(changed.Covariates["load"], other.Covariates["load"][j])
		}
		want, err := Predict(m, &s, 3)
		if err != nil {
			rt.Fatal(err)
		}
		got, err := Predict(m, &changed, 3)
		if err != nil {
			rt.Fatal(err)
		}
		if !reflect.DeepEqual(got[:keep], want[:keep]) {
			rt.Fatalf("%s: with other events after the first %d they are predicted %+v, before %+v", m.Kind(), keep, got[:keep], want[:keep])
		}
	})
}

// TestWaitingIsConditioning checks that after a silence the survival is S(elapsed + t)/S(elapsed), the end included, however
// long the silence was.
func TestWaitingIsConditioning(t *testing.T) {
	models := append(modeltest.Carriers(t), modeltest.Classics(t)...)
	rapid.Check(t, func(rt *rapid.T) {
		m := drawModel(rt, models)
		events := rapid.IntRange(0, 4).Draw(rt, "events")
		state := tpptest.Observed(t, m, events)
		last := state.Next(0) // a time before the last event counts as that
		elapsed := math.Exp(rapid.Float64Range(-5, 12).Draw(rt, "log elapsed"))
		ahead := math.Exp(rapid.Float64Range(-5, 12).Draw(rt, "log t"))
		reached, later := last.LogSurvival(elapsed), last.LogSurvival(elapsed+ahead)
		given := last.End
		if math.IsInf(reached, -1) {
			return // a point prediction that has passed
		}
		at := 50.0
		if events > 0 {
			at = 60 + 30*float64(events-1)
		}
		next := state.Next(at + elapsed)
		// Times are sums, so elapsed is only known to the last bit of the arrival time.
		tolerance := 1e-9*(1+math.Abs(reached)+math.Abs(later)) + 1e-6*math.Abs(later-reached)
		if m.Kind() == race.Kind { // which computes in float32
			tolerance += 1e-6 * (math.Exp(-reached) + math.Exp(-later))
		}
		if got := next.LogSurvival(ahead); math.Abs(got-(later-reached)) > tolerance && !(math.IsInf(later, -1) && got < -700) {
			rt.Fatalf("%s: after %v the log survival to %v is %v, want %v", m.Kind(), elapsed, ahead, got, later-reached)
		}
		if want := given / math.Exp(reached); math.Abs(next.End-want) > 1e-6*want {
			rt.Fatalf("%s: after %v the end has probability %v, want %v", m.Kind(), elapsed, next.End, want)
		}
		total := 0.0
		for _, p := range next.Marks {
			total += p
		}
		if math.Abs(total-1) > 1e-6 {
			rt.Fatalf("%s: after %v the marks have the probability %v", m.Kind(), elapsed, total)
		}
	})
}

// inUnit returns a copy of the dataset with all times multiplied by factor.
func inUnit(d *tpp.Dataset, factor float64) *tpp.Dataset {
	out := &tpp.Dataset{MarkNames: d.MarkNames, Sequences: slices.Clone(d.Sequences)}
	for i := range out.Sequences {
		s := &out.Sequences[i]
		s.ArrivalTimes = slices.Clone(s.ArrivalTimes)
		for j := range s.ArrivalTimes {
			s.ArrivalTimes[j] *= factor
		}
		if s.TStart != nil {
			s.TStart = new(*s.TStart * factor)
		}
		if s.TEnd != nil {
			s.TEnd = new(*s.TEnd * factor)
		}
	}
	return out
}

// TestUnitsOnlyScale checks that in another unit, with gaps from 1e-3 to 1e9, the same training gives the same model: densities differ
// by the factor, predictions scale with it, everything else stays. The published softplus head, which works in the unit
// itself, is left out.
func TestUnitsOnlyScale(t *testing.T) {
	d := tpptest.Chains(11, 40)
	for i := range d.Sequences {
		// Counted from near the start, so that the factor does not eat up the digits of the gaps.
		times := d.Sequences[i].ArrivalTimes
		first := times[0]
		for j := range times {
			times[j] -= first - 7
		}
	}
	fits := map[string]func(d *tpp.Dataset, unit float64) tpp.Model{}
	var names []string
	for _, v := range modeltest.Variants {
		if v.TimeHead == neural.SoftplusHead || len(v.Covariates) > 0 {
			continue
		}
		names = append(names, v.String())
		fits[v.String()] = func(d *tpp.Dataset, unit float64) tpp.Model {
			cfg := v.Config
			cfg.Resolution = unit
			m, err := neural.Train(t.Context(), cfg, d, nil, neural.TrainOptions{MaxEpochs: 2, Loss: v.Loss, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
	}
	for _, key := range []classical.LookupKey{classical.LastMark, classical.LastMarkAndSet} {
		name := "table " + key.String()
		names = append(names, name)
		fits[name] = func(d *tpp.Dataset, unit float64) tpp.Model {
			m, err := classical.FitLookup(t.Context(), key, d, classical.FitOptions{Resolution: unit})
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
	}
	names = append(names, race.Kind)
	fits[race.Kind] = func(d *tpp.Dataset, unit float64) tpp.Model {
		return modeltest.Race(t, race.Config{Graph: modeltest.Ring(), Resolution: unit}, d)
	}
	for _, name := range names {
		base := fits[name](d, 1)
		want, err := eval.Evaluate(t.Context(), base, d, eval.EvaluateOptions{Resolution: 1})
		if err != nil {
			t.Fatal(err)
		}
		wantPredictions, err := Predict(base, &d.Sequences[0], 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, factor := range []float64{1e-3 / 20, 1e9 / 60, 1. / 1024} {
			t.Run(fmt.Sprint(name, " in units of ", factor), func(t *testing.T) {
				scaled := inUnit(d, factor)
				m := fits[name](scaled, factor)
				got, err := eval.Evaluate(t.Context(), m, scaled, eval.EvaluateOptions{Resolution: factor})
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range []struct {
					name      string
					got, want float64
				}{
					{"nll_time", got.NLLTime, want.NLLTime + math.Log(factor)},
					{"nll_mark", got.NLLMark, want.NLLMark},
					{"nll_resolution", got.NLLResolution, want.NLLResolution},
					{"mae", got.MAE / factor, want.MAE},
					{"accuracy", got.Accuracy, want.Accuracy},
				} {
					if !tpptest.Near(c.got, c.want, 1e-3) && !(math.IsNaN(c.got) && math.IsNaN(c.want)) {
						t.Errorf("%s is %v, want %v", c.name, c.got, c.want)
					}
				}
				predictions, err := Predict(m, &scaled.Sequences[0], 2)
				if err != nil {
					t.Fatal(err)
				}
				for i, p := range predictions {
					if w := wantPredictions[i]; math.Abs(p.Median/factor-w.Median) > 1e-3*w.Median {
						t.Errorf("event %d: median %v, want %v", i, p.Median, w.Median*factor)
					}
				}
			})
		}
	}
}
