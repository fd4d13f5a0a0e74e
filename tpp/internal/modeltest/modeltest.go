// Package modeltest provides small models of every kind for the tests of packages that use models.
package modeltest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/safetensors"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
	"github.com/tppfaas/tppfaas/tpp/neural"
)

// Variant is a configuration of a recurrent model with a loss.
type Variant struct {
	neural.Config
	Loss neural.Loss
}

// String returns a name of the variant for test messages.
func (v Variant) String() string {
	return fmt.Sprint(v.Kind, v.Encoder, v.TimeHead, v.Loss, len(v.Covariates), !v.WithoutEnd, v.MarkTimeSize, v.MarkTable)
}

// Variants are small models of every kind, with every encoder, head, loss and feature among them, from variants.json.
// The tests inside package neural read the same file, since they cannot import this package.
var Variants = decodeVariants()

//go:embed variants.json
var variantsJSON []byte

func decodeVariants() []Variant {
	var variants []Variant
	d := json.NewDecoder(bytes.NewReader(variantsJSON))
	d.DisallowUnknownFields()
	if err := d.Decode(&variants); err != nil {
		panic("modeltest: variants.json: " + err.Error())
	}
	return variants
}

// Small is the configuration of models that are trained within a test.
var Small = neural.Config{ContextSize: 16, MarkEmbeddingSize: 4, NumComponents: 8}

// Train trains a Small model on a part of the dataset.
func Train(t testing.TB, d *tpp.Dataset, opts neural.TrainOptions) *neural.Recurrent {
	t.Helper()
	training, validation, _ := d.Split(1)
	m, err := neural.Train(t.Context(), Small, training, validation, opts)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Random returns a model of the variant for three marks whose parameters, the initial context included, are random.
func Random(t testing.TB, v Variant, seed uint64) *neural.Recurrent {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 12))
	m := untrained(t, v.Config, v.Loss, tpptest.RandomDataset(rng, 30, 3), seed)
	return altered(t, m, func(name string, values []float64) {
		if strings.HasPrefix(name, "mark_table.") { // counts
			return
		}
		for i := range values {
			values[i] += 0.2 * rng.NormFloat64()
		}
	})
}

// Paper returns an untrained model of the paper's shape (GRU 64, 64 components, 22 marks) whose end class is so unlikely
// that simulated paths go on.
func Paper(t testing.TB) *neural.Recurrent {
	t.Helper()
	m := untrained(t, neural.Config{}, "", tpptest.RandomDataset(rand.New(rand.NewPCG(1, 1)), 50, 22), 1)
	return altered(t, m, func(name string, values []float64) {
		if name == "mark_linear.bias" {
			values[22] = -8
		}
	})
}

// untrained returns a model with its initial parameters: it trains for one epoch at a learning rate of 1e-12.
func untrained(t testing.TB, cfg neural.Config, loss neural.Loss, d *tpp.Dataset, seed uint64) *neural.Recurrent {
	t.Helper()
	cfg.Covariates = slices.Clone(cfg.Covariates)
	m, err := neural.Train(t.Context(), cfg, d, nil, neural.TrainOptions{Seed: seed, Loss: loss, MaxEpochs: 1, LearningRate: 1e-12})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// altered returns a copy of the model with changed parameters, by editing its file. It calls change for each tensor, in
// the order of their names.
func altered(t testing.TB, m *neural.Recurrent, change func(name string, values []float64)) *neural.Recurrent {
	t.Helper()
	f, err := safetensors.Read(bytes.NewReader([]byte(tpptest.Encoded(t, m))))
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(f.Tensors))
	for name := range f.Tensors {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		change(name, f.Tensors[name].Data)
	}
	var b bytes.Buffer
	if err := safetensors.Write(&b, f); err != nil {
		t.Fatal(err)
	}
	again, err := tpp.ReadModel(&b)
	if err != nil {
		t.Fatal(err)
	}
	return again.(*neural.Recurrent)
}

// Classics returns the classical models that can be simulated, fitted to a few sequences.
func Classics(t testing.TB) []tpp.Model {
	return fitted(t, func(k classical.Kind) bool { return !isTable(k) })
}

// Carriers returns models whose states can be marshalled: a Random one of each of the Variants, lookup tables, and races.
func Carriers(t testing.TB) []tpp.Model {
	var models []tpp.Model
	for i, v := range Variants {
		models = append(models, Random(t, v, uint64(i)))
	}
	models = append(models, fitted(t, isTable)...)
	for _, m := range Races(t) {
		models = append(models, m)
	}
	return models
}

// isTable reports whether models of a kind predict empirical distributions.
func isTable(k classical.Kind) bool {
	return strings.HasPrefix(string(k), "lookup-") || k == classical.KindContinuation
}

// fitted returns a model of each of the classical kinds that want accepts.
func fitted(t testing.TB, want func(classical.Kind) bool) []tpp.Model {
	t.Helper()
	var models []tpp.Model
	for _, kind := range classical.Kinds() {
		if !want(kind) {
			continue
		}
		m, err := classical.Fit(t.Context(), kind, tpptest.Chains(3, 40), classical.FitOptions{})
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, m)
	}
	return models
}

// EachClassical fits every classical model, including Hawkes processes with a decay for each pair and with two kernels, and calls f with it.
func EachClassical(t testing.TB, d *tpp.Dataset, opts classical.FitOptions, f func(name string, m tpp.FileModel)) {
	t.Helper()
	for _, kind := range append(classical.Kinds(), "hawkes, a decay for each pair", "hawkes, two kernels") {
		name := string(kind)
		opts := opts
		if strings.HasPrefix(name, "hawkes, ") {
			kind = classical.KindHawkes
			if opts.DecayPerPair = strings.HasSuffix(name, "pair"); !opts.DecayPerPair {
				opts.Kernels = 2
			}
		}
		m, err := classical.Fit(t.Context(), kind, d, opts)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if m.Kind() != string(kind) {
			t.Errorf("fitting a %s gives a %s", kind, m.Kind())
		}
		f(name, m)
	}
}
