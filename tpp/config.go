package tpp

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp/internal/nn"
)

// The kinds of recurrent models.
const (
	// LogNormMix predicts a mixture of log-normals for the inter time (Shchur et al. 2020, section 3.2; TppFaaS, III-B).
	LogNormMix = "lognormmix"
)

// Covariate is an input of every event beside its mark and the gap before it.
type Covariate struct {
	Name string `json:"name"`
	// Levels is the number of categories of a categorical covariate, which takes the values 0…Levels−1; 0 says that the
	// covariate is a real number.
	Levels int `json:"levels,omitempty"`
	// Size is the number of columns of a categorical covariate's embedding.
	Size int `json:"size,omitempty"`
}

// Config is the shape of a recurrent model. The zero value is the paper's LogNormMix: every field left zero takes the
// default that its comment gives.
type Config struct {
	// Kind is LogNormMix (the default).
	Kind string `json:"kind"`
	// Encoder is RNN, GRU or LSTM (default GRU).
	Encoder string `json:"rnn_type"`
	// ContextSize is the number of units D of the encoder (default 64).
	ContextSize int `json:"context_size"`
	// MarkEmbeddingSize is the number of columns of the mark embedding (default 32).
	MarkEmbeddingSize int `json:"mark_embedding_size"`
	// NumComponents is the number of components K of the mixture (default 64).
	NumComponents int `json:"num_mix_components,omitempty"`
	// Covariates are further inputs. The paper's cold-start feature is ColdStart().
	Covariates []Covariate `json:"covariates,omitempty"`
	// GapFloor is the smallest gap: shorter ones count as this long (default 1e-10, the published constant).
	GapFloor float64 `json:"gap_floor"`
	// LogShift is added to a gap before the logarithm that the encoder sees (default 1e-8, the published constant).
	LogShift float64 `json:"log_shift"`
	// TimeUnit names the unit of all times (default ms).
	TimeUnit string `json:"time_unit"`
	// Resolution is the tick of the clock that took the times (default 1).
	Resolution float64 `json:"resolution"`
}

// ColdStart is the paper's cold-start feature (TppFaaS, section III-C), an embedding of 32 columns.
func ColdStart() Covariate { return Covariate{Name: ColdStartCovariate, Levels: 2, Size: 32} }

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c Config) withDefaults() Config {
	setDefault(&c.Kind, LogNormMix)
	setDefault(&c.Encoder, "GRU")
	setDefault(&c.ContextSize, 64)
	setDefault(&c.MarkEmbeddingSize, 32)
	setDefault(&c.NumComponents, 64)
	setDefault(&c.GapFloor, 1e-10)
	setDefault(&c.LogShift, 1e-8)
	setDefault(&c.TimeUnit, "ms")
	setDefault(&c.Resolution, 1)
	c.Covariates = slices.Clone(c.Covariates)
	return c
}

// The largest sizes a configuration may have: a file that asks for more is broken rather than ambitious.
const maxSize = 1 << 16

func (c *Config) validate() error {
	if c.Kind != LogNormMix {
		return fmt.Errorf("unknown kind of model %q, it is %s", c.Kind, LogNormMix)
	}
	if _, err := c.cell(); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		size int
	}{
		{"context size", c.ContextSize},
		{"mark embedding size", c.MarkEmbeddingSize},
		{"number of components", c.NumComponents},
	} {
		if f.size < 1 || f.size > maxSize {
			return fmt.Errorf("the %s is %d, it must be from 1 to %d", f.name, f.size, maxSize)
		}
	}
	for _, f := range []struct {
		name  string
		value float64
	}{{"gap floor", c.GapFloor}, {"log shift", c.LogShift}, {"resolution", c.Resolution}} {
		if !(f.value > 0) || math.IsInf(f.value, 0) {
			return fmt.Errorf("the %s is %v, it must be above 0", f.name, f.value)
		}
	}
	seen := map[string]bool{"mark": true}
	for _, v := range c.Covariates {
		switch {
		case v.Name == "":
			return errors.New("a covariate has no name")
		case seen[v.Name]:
			return fmt.Errorf("covariate %q: the name is taken", v.Name)
		case v.Levels < 0 || v.Levels > maxSize:
			return fmt.Errorf("covariate %q has %d levels", v.Name, v.Levels)
		case v.Levels > 0 && (v.Size < 1 || v.Size > maxSize):
			return fmt.Errorf("covariate %q has an embedding of %d columns", v.Name, v.Size)
		}
		seen[v.Name] = true
	}
	return nil
}

func (c *Config) cell() (nn.Cell, error) {
	switch c.Encoder {
	case "RNN":
		return nn.RNN, nil
	case "GRU":
		return nn.GRU, nil
	case "LSTM":
		return nn.LSTM, nil
	}
	return 0, fmt.Errorf("unknown encoder %q, it is RNN, GRU or LSTM", c.Encoder)
}

// logGapStatistics are the mean and the standard deviation (unbiased) of the logarithms of the positive gaps that
// are scored. Where there is nothing to take them from they are 0 and 1.
func logGapStatistics(d *Dataset) (mean, std float64) {
	// Welford's update: one pass, and exact enough for any number of gaps.
	var n, m, ss float64
	for i := range d.Sequences {
		s := &d.Sequences[i]
		for j := range s.Len() {
			gap, ok := s.gapBefore(j)
			if !ok || gap <= 0 {
				continue
			}
			n++
			delta := math.Log(gap) - m
			m += delta / n
			ss += delta * (math.Log(gap) - m)
		}
	}
	std = math.Sqrt(ss / (n - 1))
	// All gaps equal leaves rounding errors only, and no scale to divide by.
	if !(std > 1e-6) {
		std = 1
	}
	return m, std
}

// gapBefore is the gap that ends with event i, and whether it is known: that before the first event is, from TStart.
func (s *Sequence) gapBefore(i int) (gap float64, ok bool) {
	if i > 0 {
		return s.ArrivalTimes[i] - s.ArrivalTimes[i-1], true
	}
	if s.TStart != nil {
		return s.ArrivalTimes[0] - *s.TStart, true
	}
	return 0, false
}
