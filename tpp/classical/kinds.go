package classical

import (
	"context"
	"fmt"

	"github.com/tppfaas/tppfaas/tpp"
)

// kind is a kind of classical model.
type kind struct {
	name Kind
	fit  func(ctx context.Context, d *tpp.Dataset, opts FitOptions) (tpp.FileModel, error)
	read tpp.ModelReader
}

// kinds returns all of them: a new one takes a row here.
func kinds() []kind {
	return []kind{
		{KindPoisson, asFileModel(FitPoisson), readPoisson},
		{KindRenewal, asFileModel(FitRenewal), readRenewal},
		{KindMarkovRenewal, asFileModel(FitMarkovRenewal), readMarkovRenewal},
		{KindHawkes, asFileModel(FitHawkes), readHawkes},
		{KindLookupMark, fitLookupBy(LastMark), readLookup},
		{KindLookupMarks3, fitLookupBy(LastThreeMarks), readLookup},
		{KindLookupSet, fitLookupBy(LastMarkAndSet), readLookup},
	}
}

func init() {
	for _, k := range kinds() {
		tpp.Register(string(k.name), k.read)
	}
}

// asFileModel returns a fit whose model, nil or not, is returned as a FileModel.
func asFileModel[M tpp.FileModel](fit func(context.Context, *tpp.Dataset, FitOptions) (M, error)) func(context.Context, *tpp.Dataset, FitOptions) (tpp.FileModel, error) {
	return func(ctx context.Context, d *tpp.Dataset, opts FitOptions) (tpp.FileModel, error) {
		m, err := fit(ctx, d, opts)
		if err != nil {
			return nil, err
		}
		return m, nil
	}
}

// Kinds returns the kinds that Fit knows.
func Kinds() []Kind {
	var names []Kind
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

// Fit fits the classical model of a kind. Done sooner than a recurrent model is trained, and content with less data, they
// are what that has to beat. When ctx is done Fit returns its error.
func Fit(ctx context.Context, kind Kind, d *tpp.Dataset, opts FitOptions) (tpp.FileModel, error) {
	for _, k := range kinds() {
		if k.name == kind {
			return k.fit(ctx, d, opts)
		}
	}
	return nil, fmt.Errorf("unknown kind of classical model %q, it is one of %q", kind, Kinds())
}

// fitLookupBy returns the fit of a table with the key.
func fitLookupBy(key LookupKey) func(context.Context, *tpp.Dataset, FitOptions) (tpp.FileModel, error) {
	return asFileModel(func(ctx context.Context, d *tpp.Dataset, opts FitOptions) (*Lookup, error) {
		return FitLookup(ctx, key, d, opts)
	})
}
