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

func (c Config) withDefaults() Config {
	c.Kind = cmp.Or(c.Kind, LogNormMix)
	c.Encoder = cmp.Or(c.Encoder, GRU)
	c.ContextSize = cmp.Or(c.ContextSize, 64)
	c.MarkEmbeddingSize = cmp.Or(c.MarkEmbeddingSize, 32)
	if f, ok := families[c.Kind]; ok {
		f.setDefaults(&c)
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

func (c *Config) validate() error {
	f, ok := families[c.Kind]
	if !ok {
		return fmt.Errorf("unknown kind of model %q, it is one of %q", c.Kind, Kinds())
	}
	if err := f.validate(c); err != nil {
		return err
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
	case SSM:
		return nn.SSM, nil
	}
	return 0, fmt.Errorf("unknown encoder %q, it is RNN, GRU, LSTM or SSM", c.Encoder)
}

// PaperConfig returns the published configuration of a kind (TppFaaS, section V, and its code): without end class, with constants in
// place of the clock's resolution, and the softplus head for TruncNorm.
func PaperConfig(kind Kind) Config {
	c := Config{Kind: kind, WithoutEnd: true, GapFloor: 1e-10, LogShift: 1e-8}
	if kind == TruncNorm {
		c.TimeHead = SoftplusHead
	}
	return c
}

// ColdStart returns the paper's cold-start covariate (TppFaaS, section III-C), with an embedding of 32 columns.
func ColdStart() Covariate { return Covariate{Name: tpp.ColdStartCovariate, Levels: 2, Size: 32} }
