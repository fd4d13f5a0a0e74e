package eval

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"runtime"
	"strconv"

	"github.com/tppfaas/tppfaas/tpp"
)

// Scores are the scores of a model on a dataset. Likelihoods are natural logarithms; times are in the dataset's unit. A
// score that a model does not have, or that no event gives, is NaN: a model that predicts a single time (TruncNorm) has
// no likelihood of the time and no intervals, one without an end class no NLLEnd.
type Scores struct {
	// Sequences and Events count what was scored: of each sequence all events but the first, which is scored only where
	// the sequence has a TStart.
	Sequences, Events int
	// NLLTime is the mean negative log density of the inter times, NLLMark the mean negative log probability of the
	// marks, and NLL their sum minus the sum of the final log survivals: all per event.
	NLLTime, NLLMark, NLL float64
	// NLLResolution is the mean negative log probability of mark and inter time at the clock's resolution per event,
	// without survival: unlike NLLTime it cannot be driven down without bound on data of whole ticks.
	NLLResolution float64
	// NLLSequence is what NLL is the mean of, per sequence instead of per event.
	NLLSequence float64
	// NLLEnd is the mean negative log probability of what became of a sequence after each event: that it went on, or that
	// it was over. The end of a sequence that was still running when observation stopped is not scored.
	NLLEnd float64
	// MAE and RMSE are the mean absolute and the root mean squared error of the median.
	MAE, RMSE float64
	// CRPS is the mean continuous ranked probability score of the inter time up to EvaluateOptions.Horizon (see the
	// function CRPS), in the unit of time.
	CRPS float64
	// Accuracy is the share of events whose mark was the likeliest.
	Accuracy float64
	// MacroF1 is the unweighted mean over marks of F1 = 2 TP / (2 TP + FP + FN), over the marks that came or were the
	// likeliest at least once.
	MacroF1 float64
	// ECE is the expected calibration error of the likeliest mark (Guo et al. 2017, equation 3).
	ECE float64
	// Coverage50 and Coverage90 are the shares of inter times within the central 50 and 90 % intervals. Of a gap whose
	// tick of the clock an interval cuts, the share that the model puts inside counts (see the histogram in Diagnostics), so that a right
	// model has 0.5 and 0.9 also on gaps of few ticks.
	Coverage50, Coverage90 float64
	// KS is the Kolmogorov-Smirnov distance of the rescaled times from a uniform distribution (Brown et al. 2002, The
	// Time-Rescaling Theorem), KSPValue the probability of one as large if the model were right.
	KS, KSPValue float64
	// TMAP is the temporal mean average precision of forecasts up to a horizon (see the function TMAP), OTD the mean distance
	// between the next events as forecast and as they came (see Distance), in the unit of time. They are NaN unless
	// EvaluateOptions.Forecasts asks for them.
	TMAP, OTD float64
}

// All returns the scores with their usual names, in the order of the fields.
func (s Scores) All() iter.Seq2[string, float64] {
	return func(yield func(string, float64) bool) {
		for _, score := range [...]struct {
			name  string
			value float64
		}{
			{"nll_time", s.NLLTime}, {"nll_mark", s.NLLMark}, {"nll", s.NLL}, {"nll_resolution", s.NLLResolution},
			{"nll_sequence", s.NLLSequence}, {"nll_end", s.NLLEnd},
			{"mae", s.MAE}, {"rmse", s.RMSE}, {"crps", s.CRPS},
			{"accuracy", s.Accuracy}, {"macro_f1", s.MacroF1}, {"ece", s.ECE},
			{"coverage_50", s.Coverage50}, {"coverage_90", s.Coverage90},
			{"ks", s.KS}, {"ks_pvalue", s.KSPValue}, {"t_map", s.TMAP}, {"otd", s.OTD},
		} {
			if !yield(score.name, score.value) {
				return
			}
		}
	}
}

// MarshalJSON writes the counts and the scores under the names of All, NaN and infinities as null. TMAP and OTD
// are left out where they were not asked for.
func (s Scores) MarshalJSON() ([]byte, error) {
	out := fmt.Appendf(nil, `{"sequences":%d,"events":%d`, s.Sequences, s.Events)
	for name, value := range s.All() {
		if (name == "t_map" || name == "otd") && math.IsNaN(value) {
			continue
		}
		text, err := jsonNumber(value).MarshalJSON()
		if err != nil {
			return nil, err
		}
		out = append(append(strconv.AppendQuote(append(out, ','), name), ':'), text...)
	}
	return append(out, '}'), nil
}

// jsonNumber is a number that JSON may not have.
type jsonNumber float64

func (n jsonNumber) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// EvaluateOptions says how scores are computed.
type EvaluateOptions struct {
	// Resolution is the tick of the clock that took the times, in the dataset's unit (default: the model's own, if it has a
	// method Resolution as those of this package have, else 1).
	Resolution float64
	// Workers is the number of goroutines that compute (default: GOMAXPROCS). The scores do not depend on it.
	Workers int
	// Horizon is how far the CRPS looks (default: 3.6 million ticks, an hour of milliseconds; +Inf: as far as there is
	// mass). It should be longer than any gap.
	Horizon float64
	// Forecasts says which forecasts of several events are scored (default: none, as they cost more than all other scores).
	Forecasts ForecastOptions
}

func (o *EvaluateOptions) withDefaults(m tpp.Model) error {
	if own, ok := m.(interface{ Resolution() float64 }); ok {
		o.Resolution = cmp.Or(o.Resolution, own.Resolution())
	}
	o.Resolution = cmp.Or(o.Resolution, 1)
	o.Horizon = cmp.Or(o.Horizon, 3.6e6*o.Resolution)
	o.Workers = cmp.Or(o.Workers, runtime.GOMAXPROCS(0))
	switch {
	case !(o.Resolution > 0) || math.IsInf(o.Resolution, 0):
		return fmt.Errorf("evaluation: the resolution is %v, it must be above 0", o.Resolution)
	case !(o.Horizon > 0):
		return fmt.Errorf("evaluation: the horizon is %v, it must be above 0", o.Horizon)
	case o.Workers < 1:
		return fmt.Errorf("evaluation: %d workers", o.Workers)
	}
	if err := o.Forecasts.withDefaults(); err != nil {
		return fmt.Errorf("evaluation: %w", err)
	}
	return nil
}

// Diagnostics are what scores summarise, for tables and pictures.
type Diagnostics struct {
	Scores Scores
	// PIT is the histogram of the probability integral transform over PITBins equal parts of [0, 1]: the share of events
	// in each, 1/PITBins for a right model. Nil for a model that predicts a single time, and without events.
	PIT []float64
	// Calibration are CalibrationBins bins of the predicted probability of the likeliest mark.
	Calibration []CalibrationBin
	// Confusion counts which mark came where which was the likeliest.
	Confusion *Confusion
	// Forecasts are the options by which forecasts were scored, with the defaults in place of what was not set.
	Forecasts ForecastOptions
}
