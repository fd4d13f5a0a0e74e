package classical

import (
	"context"
	"fmt"

	"github.com/tppfaas/tppfaas/tpp"
)

// kind holds how models of one kind are fitted and read.
type kind struct {
	name Kind
	fit  func(ctx context.Context, d *tpp.Dataset, opts FitOptions) (tpp.FileModel, error)
	read tpp.ModelReader
}

// kinds returns the table of all kinds. A new kind needs a row here.
func kinds() []kind {
	return []kind{
		{KindPoisson, asFileModel(FitPoisson), readPoisson},
		{KindRenewal, asFileModel(FitRenewal), readRenewal},
		{KindMarkovRenewal, asFileModel(FitMarkovRenewal), readMarkovRenewal},
		{KindHawkes, asFileModel(FitHawkes), readHawkes},
		{KindLookupMark, fitLookupBy(LastMark), readLookup},
		{KindLookupMarks3, fitLookupBy(LastThreeMarks), readLookup},
		{KindLookupSet, fitLookupBy(LastMarkAndSet), readLookup},
		{KindContinuation, asFileModel(FitContinuation), readContinuation},
	}
}

func init() {
	for _, k := range kinds() {
		tpp.Register(string(k.name), k.read)
	}
}

// asFileModel converts a fit that returns a concrete type to one that returns a FileModel, nil in case of an error.
func asFileModel[M tpp.FileModel](fit func(context.Context, *tpp.Dataset, FitOptions) (M, error)) func(context.Context, *tpp.Dataset, FitOptions) (tpp.FileModel, error) {
	return func(ctx context.Context, d *tpp.Dataset, opts FitOptions) (tpp.FileModel, error) {
		m, err := fit(ctx, d, opts)
		if err != nil {
			return nil, err
		}
		return m, nil
	}
}

// Kinds returns all kinds that Fit accepts.
func Kinds() []Kind {
	var names []Kind
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

// Fit fits a classical model of the given kind. It returns an error for an unknown kind or a dataset that is not
// valid; when ctx is done, it returns the error of ctx.
func Fit(ctx context.Context, kind Kind, d *tpp.Dataset, opts FitOptions) (tpp.FileModel, error) {
	for _, k := range kinds() {
		if k.name == kind {
			return k.fit(ctx, d, opts)
		}
	}
	return nil, fmt.Errorf("unknown kind of classical model %q, it is one of %q", kind, Kinds())
}

// fitLookupBy returns a function that fits a lookup table with the key.
func fitLookupBy(key LookupKey) func(context.Context, *tpp.Dataset, FitOptions) (tpp.FileModel, error) {
	return asFileModel(func(ctx context.Context, d *tpp.Dataset, opts FitOptions) (*Lookup, error) {
		return FitLookup(ctx, key, d, opts)
	})
}
