package tpp_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/internal/modeltest"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
	"github.com/tppfaas/tppfaas/tpp/neural"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// fileModels returns a fitted model of every kind, by name.
func fileModels(t testing.TB, d *tpp.Dataset) map[string]tpp.FileModel {
	t.Helper()
	models := map[string]tpp.FileModel{}
	modeltest.EachClassical(t, d, classical.FitOptions{TimeUnit: "s", Resolution: 0.5}, func(name string, m tpp.FileModel) { models[name] = m })
	for _, v := range modeltest.Variants {
		if len(v.Covariates) > 0 {
			continue
		}
		m, err := neural.Train(t.Context(), v.Config, d, nil, neural.TrainOptions{MaxEpochs: 2, Loss: v.Loss})
		if err != nil {
			t.Fatal(err)
		}
		models[fmt.Sprint(v)] = m
	}
	models[race.Kind] = modeltest.Race(t, race.Config{Graph: modeltest.Ring()}, d)
	return models
}

// TestModelFileRoundTrip checks that models of every kind score the same after writing and reading.
func TestModelFileRoundTrip(t *testing.T) {
	d := tpptest.Chains(6, 30)
	d.Sequences[3].ArrivalTimes[0] -= 0.123456789 // no float32
	d.Sequences[4].TEnd = new(d.Sequences[4].ArrivalTimes[d.Sequences[4].Len()-1] + 100)
	d.Sequences[5].TStart = new(d.Sequences[5].ArrivalTimes[0] - 10)
	for name, m := range fileModels(t, d) {
		path := t.TempDir() + "/model.safetensors"
		if err := tpp.WriteModelFile(path, m); err != nil {
			t.Fatal(err)
		}
		again, err := tpp.ReadModelFile(path)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if fmt.Sprintf("%T %s %q", again, again.Kind(), again.MarkNames()) != fmt.Sprintf("%T %s %q", m, m.Kind(), m.MarkNames()) {
			t.Errorf("%s: read as %T %s with marks %q", name, again, again.Kind(), again.MarkNames())
		}
		want, err := eval.Evaluate(t.Context(), m, d, eval.EvaluateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := eval.Evaluate(t.Context(), again, d, eval.EvaluateOptions{})
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: the model read scores %+v, the one written %+v (error %v)", name, got, want, err)
		}
		if tpptest.Encoded(t, again.(tpp.FileModel)) != tpptest.Encoded(t, m) {
			t.Errorf("%s: a model read is not written as it was", name)
		}
		type clocked interface {
			TimeUnit() string
			Resolution() float64
		}
		a, b := again.(clocked), m.(clocked)
		if a.TimeUnit() != b.TimeUnit() || a.Resolution() != b.Resolution() {
			t.Errorf("%s: time unit %q and resolution %v, want %q and %v", name, a.TimeUnit(), a.Resolution(), b.TimeUnit(), b.Resolution())
		}
		if slices.Contains(classical.Kinds(), classical.Kind(m.Kind())) && (b.TimeUnit() != "s" || b.Resolution() != 0.5) {
			t.Errorf("%s: fitted with time unit %q and resolution %v, want s and 0.5", name, b.TimeUnit(), b.Resolution())
		}
	}
}

// TestLookupFileIsCompact checks that each gap takes 4 bytes in the file.
func TestLookupFileIsCompact(t *testing.T) {
	size := func(sequences int) int {
		l, err := classical.FitLookup(t.Context(), classical.LastMarkAndSet, tpptest.Chains(6, sequences), classical.FitOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return len(tpptest.Encoded(t, l))
	}
	gaps := func(sequences int) int { d := tpptest.Chains(6, sequences); return d.NumEvents() - sequences }
	if got, want := size(4000)-size(2000), 4*(gaps(4000)-gaps(2000)); got > want+64 {
		t.Errorf("%d gaps more take %d bytes more, want %d", gaps(4000)-gaps(2000), got, want)
	}
}

// replacer returns a function that replaces a part of the file by text of the same length.
func replacer(t *testing.T, file string) func(old, new string) string {
	return func(old, new string) string {
		t.Helper()
		if len(old) != len(new) || !strings.Contains(file, old) {
			t.Fatalf("%q cannot stand in for %q", new, old)
		}
		return strings.Replace(file, old, new, 1)
	}
}

// TestReadModelRejects checks that corrupt files give errors that name the file and the reason.
func TestReadModelRejects(t *testing.T) {
	d := tpptest.Chains(6, 30)
	good := tpptest.Encoded(t, modeltest.Train(t, d, neural.TrainOptions{MaxEpochs: 1}))
	in := replacer(t, good)
	files := map[string]string{}
	modeltest.EachClassical(t, d, classical.FitOptions{}, func(name string, m tpp.FileModel) { files[name] = tpptest.Encoded(t, m) })
	renewal, hawkes := replacer(t, files[string(classical.KindRenewal)]), replacer(t, files[string(classical.KindHawkes)])
	set := replacer(t, files[string(classical.KindLookupSet)])
	// The tensors lie in the order of their names.
	last := func(file string, v float32) string {
		b := math.Float32bits(v)
		return file[:len(file)-4] + string([]byte{byte(b), byte(b >> 8), byte(b >> 16), byte(b >> 24)})
	}
	for _, c := range []struct{ name, file, reason string }{
		{"a dataset", `{"sequences": []}`, "not a safetensors file"},
		{"cut off", good[:len(good)-1], "ends within its data"},
		{"another program's", in(`"tpp":`, `"abc":`), `metadata has no "tpp"`},
		{"another kind", in(`lognormmix`, `lognormmax`), "unknown kind"},
		{"another format", in(`\"format\":1`, `\"format\":2`), "format 2"},
		{"another shape", in(`\"context_size\":16`, `\"context_size\":15`), "must have"},
		{"a size beyond the file", in(`\"context_size\":16`, `\"context_size\":99`), "it asks for 9801 parameters"},
		{"a tensor of another name", in(`"linear.bias"`, `"linear.bios"`), `"linear.bias" is missing`},
		{"a name of two marks", in(`\"a\",\"b\"`, `\"a\",\"a\"`), `two marks are called "a"`},
		{"a value that is none", last(good, float32(math.NaN())), "has a value NaN"},
		{"no resolution", renewal(`\"resolution\":1`, `\"resolution\":0`), "the resolution is 0"},
		{"another number of components", replacer(t, files[string(classical.KindMarkovRenewal)])(`\"components\":5`, `\"components\":6`), "must have [4 3 6]"},
		{"a weight below 0", last(files[string(classical.KindRenewal)], -1), "a component has the weight -1"},
		{"another classical kind", hawkes(`hawkes`, `markov`), `"transition" is missing`},
		{"a rate of 0", last(files[string(classical.KindPoisson)], 0), "rate is 0"},
		{"decays for each pair that are not there", strings.Replace(files["hawkes, a decay for each pair"], `\"decay_per_pair\":true`, `\"decay_per_pair\":null`, 1), `"decay" has the shape [3 3], it must have [1]`},
		{"an excitation below 0", last(files[string(classical.KindHawkes)], -2), "excitation -2"},
		{"a cell of an unknown mark", set(`\"marks\":[0]`, `\"marks\":[7]`), "cell 0: marks [7]"},
		{"a cell twice", set(`\"set\":[0,1]`, `\"set\":[0,2]`), "cell"},
		{"a count that is none", last(files[string(classical.KindLookupSet)], 0.5), "a count of 0.5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := t.TempDir() + "/bad.safetensors"
			if err := os.WriteFile(path, []byte(c.file), 0o666); err != nil {
				t.Fatal(err)
			}
			m, err := tpp.ReadModelFile(path)
			if m != nil || err == nil || !strings.Contains(err.Error(), c.reason) || !strings.HasPrefix(err.Error(), path) {
				t.Errorf("got a model: %t, and error %v, want one that names the file and says %q", m != nil, err, c.reason)
			}
		})
	}
}

// TestRegister checks that a kind can be registered once, with a reader, and that its files are then read: strictly, however
// often the reader asks for a tensor.
func TestRegister(t *testing.T) {
	kind := fmt.Sprintf("of a test %p", t) // a registration lasts for the process
	description := tpp.ModelHeader{Format: tpp.ModelFormat, Kind: kind, NumMarks: 1, Resolution: 1}
	file := func(names ...string) *bytes.Buffer {
		tensors := map[string]tpp.Tensor{}
		for _, name := range names {
			tensors[name] = tpp.Tensor{Shape: []int{1}, Data: []float64{1}}
		}
		var b bytes.Buffer
		if err := tpp.EncodeModel(&b, description, tensors); err != nil {
			t.Fatal(err)
		}
		return &b
	}
	if _, err := tpp.ReadModel(file("a")); err == nil || !strings.Contains(err.Error(), "whose packages it imports") {
		t.Errorf("a kind that is not registered: %v", err)
	}
	read := func(f *tpp.ModelFile) (tpp.Model, error) {
		for range 2 {
			if f.Number("a") != 1 {
				t.Error("a tensor does not have its value, or not the second time")
			}
		}
		return tpptest.Clockwork{}, f.Finish()
	}
	tpp.Register(kind, read)
	if m, err := tpp.ReadModel(file("a")); err != nil || m == nil {
		t.Errorf("a registered kind: %v", err)
	}
	if _, err := tpp.ReadModel(file("a", "b")); err == nil {
		t.Error("a tensor that the model does not have was accepted")
	}
	for name, f := range map[string]func(){"twice": func() { tpp.Register(kind, read) }, "without a reader": func() { tpp.Register("no reader", nil) }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a kind can be registered %s", name)
				}
			}()
			f()
		}()
	}
}

// FuzzReadModel checks that every file that is read gives a model that predicts, and that can be written and read
// again.
func FuzzReadModel(f *testing.F) {
	for _, m := range fileModels(f, tpptest.Chains(6, 8)) {
		f.Add([]byte(tpptest.Encoded(f, m)))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		m, err := tpp.ReadModel(bytes.NewReader(file))
		if err != nil {
			return
		}
		state := m.NewState(0)
		for i := range 3 {
			next := state.Next(float64(10*i) + 5)
			if p := next.LogSurvival(7); math.IsNaN(p) || math.IsNaN(next.Time.Quantile(0.5)) {
				t.Errorf("%s: log survival %v, median %v", m.Kind(), p, next.Time.Quantile(0.5))
			}
			if err := state.Observe(tpp.Event{Time: float64(10 * (i + 1)), Covariates: make([]float64, len(m.CovariateNames()))}); err != nil {
				t.Errorf("%s: %v", m.Kind(), err)
			}
		}
		again, err := tpp.ReadModel(strings.NewReader(tpptest.Encoded(t, m.(tpp.FileModel))))
		if err != nil || again.Kind() != m.Kind() {
			t.Errorf("%s: written and read again: %v", m.Kind(), err)
		}
	})
}
