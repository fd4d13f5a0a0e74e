package main

import (
	"context"
	"fmt"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/eval"
)

// survey is what must be known of a dataset before it is scored.
type survey struct {
	fingerprint string
	horizon     float64 // of forecasts, 0 if it was not asked for
}

// survey goes through a dataset once: through whole, or if that is nil through the file as a stream.
func (e *evaluation) survey(ctx context.Context, f *inputFile, whole *tpp.Dataset, withHorizon bool) (survey, error) {
	var markNames func() []string
	sequences := sequencesIn(whole)
	if whole != nil {
		markNames = func() []string { return whole.MarkNames }
	} else {
		if err := f.rewind(); err != nil {
			return survey{}, err
		}
		r, err := e.in.reader(f, nil)
		if err != nil {
			return survey{}, err
		}
		sequences, markNames = r.All(ctx), r.MarkNames
	}
	var h tpp.DatasetHash
	var readErr error
	horizon, err := eval.DefaultHorizon(func(yield func(*tpp.Sequence, error) bool) {
		for s, err := range sequences {
			if err != nil {
				readErr = err
				return
			}
			h.Add(s, markNames())
			if !yield(s, nil) {
				return
			}
		}
	})
	switch {
	case readErr != nil:
		return survey{}, readErr
	case !withHorizon:
		return survey{fingerprint: h.Fingerprint()}, nil
	case err != nil:
		return survey{}, fmt.Errorf("%s: -horizon %s: %w", f.path, autoHorizon, err)
	}
	return survey{h.Fingerprint(), horizon}, nil
}
