package neural

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/tpp"
)

// Kind is a kind of recurrent model: what it predicts for the time to the next event.
type Kind string

// The kinds of recurrent models.
const (
	// LogNormMix predicts a mixture of log-normals for the inter time (Shchur et al. 2020, section 3.2; TppFaaS, III-B).
	LogNormMix Kind = "lognormmix"
	// TruncNorm predicts one value for the inter time, trained on its absolute error (TppFaaS, III-B). It has no density.
	TruncNorm Kind = "truncnorm"
)

// Encoder is a recurrent layer that turns the history into a context.
type Encoder string

// The encoders: a plain recurrent layer with tanh, gated recurrent units (Cho et al. 2014), long short-term memory (Hochreiter
// and Schmidhuber 1997). Weights are laid out as PyTorch's.
const (
	RNN  Encoder = "RNN"
	GRU  Encoder = "GRU"
	LSTM Encoder = "LSTM"
)

// TimeHead is how a TruncNorm turns its output into a time.
type TimeHead string

// The time heads of a TruncNorm.
const (
	// LogHead predicts exp(mean + std·(w·h + b)), a standardised log time: it trains at any scale.
	LogHead TimeHead = "log"
	// SoftplusHead predicts softplus(w·h + b) in the time unit, as published.
	SoftplusHead TimeHead = "softplus"
)

// Covariate is an input of every event beside its mark and the gap before it.
type Covariate struct {
	Name string
	// Levels is the number of categories of a categorical covariate, which takes the values 0…Levels−1; 0 says that the
	// covariate is a real number.
	Levels int
	// Size is the number of columns of a categorical covariate's embedding (default 8).
	Size int
	// Mean and Std standardise a real covariate. Where Std is 0 training takes both from the training part.
	Mean float64
	Std  float64
}

// Config is the shape of a recurrent model. The zero value is a good LogNormMix: every field left zero takes the default
// that its comment gives. PaperConfig is the published one.
type Config struct {
	// Kind is LogNormMix (the default) or TruncNorm.
	Kind Kind
	// Encoder is RNN, GRU or LSTM (default GRU).
	Encoder Encoder
	// ContextSize is the number of units D of the encoder (default 64).
	ContextSize int
	// MarkEmbeddingSize is the number of columns of the mark embedding (default 32).
	MarkEmbeddingSize int
	// NumComponents is the number of components K of the mixture (default 64).
	NumComponents int
	// TimeHead of a TruncNorm is LogHead (the default) or SoftplusHead.
	TimeHead TimeHead
	// WithoutEnd leaves out the end class of the mark head. With it the model learns after which event a complete
	// sequence is over, and whatever predicts live stops there.
	WithoutEnd bool
	// Covariates are further inputs. The paper's cold-start feature is ColdStart().
	Covariates []Covariate
	// GapFloor is the smallest gap: shorter ones count as this long (default: half the resolution).
	GapFloor float64
	// LogShift is added to a gap before the logarithm that the encoder sees (default 0).
	LogShift float64
	// TimeUnit names the unit of all times (default ms).
	TimeUnit string
	// Resolution is the tick of the clock that took the times (default 1).
	Resolution float64
}

// PaperConfig is the published model of a kind (TppFaaS, section V, and its code): without end class, with constants in
// place of the clock's resolution, and the softplus head for TruncNorm.
func PaperConfig(kind Kind) Config {
	c := Config{Kind: kind, WithoutEnd: true, GapFloor: 1e-10, LogShift: 1e-8}
	if kind == TruncNorm {
		c.TimeHead = SoftplusHead
	}
	return c
}

// ColdStart is the paper's cold-start feature (TppFaaS, section III-C), an embedding of 32 columns.
func ColdStart() Covariate { return Covariate{Name: tpp.ColdStartCovariate, Levels: 2, Size: 32} }

func (c Config) withDefaults() Config {
	c.Kind = cmp.Or(c.Kind, LogNormMix)
	c.Encoder = cmp.Or(c.Encoder, GRU)
	c.ContextSize = cmp.Or(c.ContextSize, 64)
	c.MarkEmbeddingSize = cmp.Or(c.MarkEmbeddingSize, 32)
	if c.Kind == TruncNorm {
		c.TimeHead = cmp.Or(c.TimeHead, LogHead)
	} else {
		c.NumComponents = cmp.Or(c.NumComponents, 64)
	}
	c.TimeUnit = cmp.Or(c.TimeUnit, "ms")
	c.Resolution = cmp.Or(c.Resolution, 1)
	c.GapFloor = cmp.Or(c.GapFloor, c.Resolution/2)
	c.Covariates = slices.Clone(c.Covariates)
	for i := range c.Covariates {
		if v := &c.Covariates[i]; v.Levels > 0 {
			v.Size = cmp.Or(v.Size, 8)
		} else {
			v.Std = cmp.Or(v.Std, 1)
		}
	}
	return c
}

// The largest sizes a configuration may have: a file that asks for more is broken rather than ambitious.
const maxSize = 1 << 16

func (c *Config) validate() error {
	switch c.Kind {
	case LogNormMix:
		if c.NumComponents < 1 || c.NumComponents > maxSize {
			return fmt.Errorf("the number of components is %d, it must be from 1 to %d", c.NumComponents, maxSize)
		}
		if c.TimeHead != "" {
			return fmt.Errorf("a %s has no time head %q", c.Kind, c.TimeHead)
		}
	case TruncNorm:
		if c.TimeHead != LogHead && c.TimeHead != SoftplusHead {
			return fmt.Errorf("unknown time head %q, it is %s or %s", c.TimeHead, LogHead, SoftplusHead)
		}
		if c.NumComponents != 0 {
			return fmt.Errorf("a %s has no components", c.Kind)
		}
	default:
		return fmt.Errorf("unknown kind of model %q, it is %s or %s", c.Kind, LogNormMix, TruncNorm)
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
	} {
		if f.size < 1 || f.size > maxSize {
			return fmt.Errorf("the %s is %d, it must be from 1 to %d", f.name, f.size, maxSize)
		}
	}
	for _, f := range []struct {
		name  string
		value float64
	}{{"gap floor", c.GapFloor}, {"resolution", c.Resolution}} {
		if !(f.value > 0) || math.IsInf(f.value, 0) {
			return fmt.Errorf("the %s is %v, it must be above 0", f.name, f.value)
		}
	}
	if !(c.LogShift >= 0) || math.IsInf(c.LogShift, 0) {
		return fmt.Errorf("the log shift is %v, it must not be negative", c.LogShift)
	}
	seen := map[string]bool{"mark": true, "time": true}
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
		case v.Levels == 0 && (!(v.Std > 0) || math.IsInf(v.Std, 0) || math.IsNaN(v.Mean) || math.IsInf(v.Mean, 0)):
			return fmt.Errorf("covariate %q has the mean %v and the standard deviation %v", v.Name, v.Mean, v.Std)
		}
		seen[v.Name] = true
	}
	return nil
}

func (c *Config) cell() (nn.Cell, error) {
	switch c.Encoder {
	case RNN:
		return nn.RNN, nil
	case GRU:
		return nn.GRU, nil
	case LSTM:
		return nn.LSTM, nil
	}
	return 0, fmt.Errorf("unknown encoder %q, it is RNN, GRU or LSTM", c.Encoder)
}
