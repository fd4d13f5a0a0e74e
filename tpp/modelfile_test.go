package tpp

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

func encodedModel(t testing.TB, m interface{ Encode(io.Writer) error }) string {
	t.Helper()
	var b bytes.Buffer
	if err := m.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// fileModels are models of every kind, by a name.
func fileModels(t testing.TB, d *Dataset) map[string]FileModel {
	t.Helper()
	models := map[string]FileModel{}
	fitEach(t, d, FitOptions{TimeUnit: "s", Resolution: 0.5}, func(name string, m FileModel) { models[name] = m })
	for _, v := range variants {
		if len(v.cfg.Covariates) > 0 {
			continue
		}
		m, err := Train(t.Context(), v.cfg, d, nil, TrainOptions{MaxEpochs: 2, Loss: v.loss})
		if err != nil {
			t.Fatal(err)
		}
		models[fmt.Sprint(v)] = m
	}
	return models
}

func TestModelSurvivesTheFile(t *testing.T) {
	d := chains(6, 30)
	d.Sequences[3].ArrivalTimes[0] -= 0.123456789 // no float32
	d.Sequences[4].TEnd = new(d.Sequences[4].ArrivalTimes[d.Sequences[4].Len()-1] + 100)
	d.Sequences[5].TStart = new(d.Sequences[5].ArrivalTimes[0] - 10)
	for name, m := range fileModels(t, d) {
		path := t.TempDir() + "/model.safetensors"
		if err := WriteModelFile(path, m); err != nil {
			t.Fatal(err)
		}
		again, err := ReadModelFile(path)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if fmt.Sprintf("%T %s %q", again, again.Kind(), again.MarkNames()) != fmt.Sprintf("%T %s %q", m, m.Kind(), m.MarkNames()) {
			t.Errorf("%s: read as %T %s with marks %q", name, again, again.Kind(), again.MarkNames())
		}
		want, err := Evaluate(t.Context(), m, d, EvaluateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Evaluate(t.Context(), again, d, EvaluateOptions{})
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: the model read scores %+v, the one written %+v (error %v)", name, got, want, err)
		}
		if encodedModel(t, again.(FileModel)) != encodedModel(t, m) {
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
		if slices.Contains(ClassicalKinds(), m.Kind()) && (b.TimeUnit() != "s" || b.Resolution() != 0.5) {
			t.Errorf("%s: fitted with time unit %q and resolution %v, want s and 0.5", name, b.TimeUnit(), b.Resolution())
		}
	}
}

// TestLookupFileIsCompact: each gap stands there once, in 4 bytes.
func TestLookupFileIsCompact(t *testing.T) {
	size := func(sequences int) int {
		l, err := FitLookup(LastMarkAndSet, chains(6, sequences), 1)
		if err != nil {
			t.Fatal(err)
		}
		return len(encodedModel(t, l))
	}
	gaps := func(sequences int) int { d := chains(6, sequences); return d.NumEvents() - sequences }
	if got, want := size(4000)-size(2000), 4*(gaps(4000)-gaps(2000)); got > want+64 {
		t.Errorf("%d gaps more take %d bytes more, want %d", gaps(4000)-gaps(2000), got, want)
	}
}

// replacer stands other text of the same length in for a part of a file.
func replacer(t *testing.T, file string) func(old, new string) string {
	return func(old, new string) string {
		t.Helper()
		if len(old) != len(new) || !strings.Contains(file, old) {
			t.Fatalf("%q cannot stand in for %q", new, old)
		}
		return strings.Replace(file, old, new, 1)
	}
}

func TestReadModelRejects(t *testing.T) {
	d := chains(6, 30)
	good := encodedModel(t, train(t, d, TrainOptions{MaxEpochs: 1}))
	in := replacer(t, good)
	classical := map[string]string{}
	fitEach(t, d, FitOptions{}, func(name string, m FileModel) { classical[name] = encodedModel(t, m) })
	renewal, hawkes := replacer(t, classical[KindRenewal]), replacer(t, classical[KindHawkes])
	set := replacer(t, classical[KindLookupSet])
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
		{"another number of components", replacer(t, classical[KindMarkRenewal])(`\"components\":5`, `\"components\":6`), "must have [4 3 6]"},
		{"a weight below 0", last(classical[KindRenewal], -1), "a component has the weight -1"},
		{"another classical kind", hawkes(`hawkes`, `markov`), `"transition" is missing`},
		{"a rate of 0", last(classical[KindPoisson], 0), "rate is 0"},
		{"decays for each pair that are not there", strings.Replace(classical["hawkes, a decay for each pair"], `\"decay_per_pair\":true`, `\"decay_per_pair\":null`, 1), `"decay" has the shape [3 3], it must have [1]`},
		{"an excitation below 0", last(classical[KindHawkes], -2), "excitation -2"},
		{"a cell of an unknown mark", set(`\"marks\":[0]`, `\"marks\":[7]`), "cell 0: marks [7]"},
		{"a cell twice", set(`\"set\":[0,1]`, `\"set\":[0,2]`), "cell"},
		{"a count that is none", last(classical[KindLookupSet], 0.5), "a count of 0.5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := t.TempDir() + "/bad.safetensors"
			if err := os.WriteFile(path, []byte(c.file), 0o666); err != nil {
				t.Fatal(err)
			}
			m, err := ReadModelFile(path)
			if m != nil || err == nil || !strings.Contains(err.Error(), c.reason) || !strings.HasPrefix(err.Error(), path) {
				t.Errorf("got a model: %t, and error %v, want one that names the file and says %q", m != nil, err, c.reason)
			}
		})
	}
}

// FuzzReadModel: whatever is read as a model can be asked and is written as it was read.
func FuzzReadModel(f *testing.F) {
	for _, m := range fileModels(f, chains(6, 8)) {
		f.Add([]byte(encodedModel(f, m)))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		m, err := ReadModel(bytes.NewReader(file))
		if err != nil {
			return
		}
		state := m.NewState(0)
		for i := range 3 {
			next := state.Next(float64(10*i) + 5)
			if p := next.LogSurvival(7); math.IsNaN(p) || math.IsNaN(next.Time.Quantile(0.5)) {
				t.Errorf("%s: log survival %v, median %v", m.Kind(), p, next.Time.Quantile(0.5))
			}
			if err := state.Observe(Event{Time: float64(10 * (i + 1)), Covariates: make([]float64, len(m.CovariateNames()))}); err != nil {
				t.Errorf("%s: %v", m.Kind(), err)
			}
		}
		again, err := ReadModel(strings.NewReader(encodedModel(t, m.(FileModel))))
		if err != nil || again.Kind() != m.Kind() {
			t.Errorf("%s: written and read again: %v", m.Kind(), err)
		}
	})
}
