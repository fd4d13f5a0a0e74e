package tpp_test

import (
	"path/filepath"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
)

func TestFingerprintsOfDatasets(t *testing.T) {
	base := func() *tpp.Dataset {
		return &tpp.Dataset{MarkNames: []string{"a", "b"}, Sequences: []tpp.Sequence{
			{ArrivalTimes: []float64{1, 2}, Marks: []int{0, 1}}, {ArrivalTimes: []float64{3}, Marks: []int{1}, TStart: new(2.0), TEnd: new(9.0)},
		}}
	}
	want := base().Fingerprint()
	for name, change := range map[string]func(d *tpp.Dataset){
		"nothing": func(*tpp.Dataset) {},
		"numbering": func(d *tpp.Dataset) {
			d.MarkNames = []string{"b", "a"}
			d.Sequences[0].Marks = []int{1, 0}
			d.Sequences[1].Marks = []int{0}
		},
		"unused marks": func(d *tpp.Dataset) { d.MarkNames = append(d.MarkNames, "c") },
		"covariates":   func(d *tpp.Dataset) { d.Sequences[0].InitTimes = []float64{1, 2} },
	} {
		d := base()
		change(d)
		if got := d.Fingerprint(); got != want {
			t.Errorf("%s changes the fingerprint from %s to %s", name, want, got)
		}
	}
	seen := map[string]string{want: "the dataset"}
	for name, change := range map[string]func(d *tpp.Dataset){
		"a time":            func(d *tpp.Dataset) { d.Sequences[1].ArrivalTimes[0]++ },
		"a mark":            func(d *tpp.Dataset) { d.Sequences[1].Marks[0] = 0 },
		"a name":            func(d *tpp.Dataset) { d.MarkNames[1] = "c" },
		"the order":         func(d *tpp.Dataset) { d.Sequences[0], d.Sequences[1] = d.Sequences[1], d.Sequences[0] },
		"a sequence more":   func(d *tpp.Dataset) { d.Sequences = append(d.Sequences, d.Sequences[0]) },
		"a sequence less":   func(d *tpp.Dataset) { d.Sequences = d.Sequences[:1] },
		"none":              func(d *tpp.Dataset) { d.Sequences = nil },
		"t_end":             func(d *tpp.Dataset) { d.Sequences[1].TEnd = new(10.0) },
		"no t_end":          func(d *tpp.Dataset) { d.Sequences[1].TEnd = nil },
		"t_end for t_start": func(d *tpp.Dataset) { d.Sequences[1].TStart, d.Sequences[1].TEnd = nil, new(2.0) },
		"no t_start":        func(d *tpp.Dataset) { d.Sequences[1].TStart = nil },
		"two become one": func(d *tpp.Dataset) {
			d.Sequences = []tpp.Sequence{{ArrivalTimes: []float64{1, 2, 3}, Marks: []int{0, 1, 1}}}
		},
		"marks without name": func(d *tpp.Dataset) { d.MarkNames = nil; d.Sequences[0].Marks, d.Sequences[1].Marks = nil, nil },
	} {
		d := base()
		change(d)
		got := d.Fingerprint()
		if other, ok := seen[got]; ok {
			t.Errorf("%s and %s have the same fingerprint", name, other)
		}
		seen[got] = name
	}
}

func TestModelFilesRememberTheirData(t *testing.T) {
	d := &tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1, 2, 4}}}}
	m, err := classical.FitPoisson(t.Context(), d, classical.FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	with, without := filepath.Join(dir, "with"), filepath.Join(dir, "without")
	want := tpp.TrainingData{Name: "d.json", Fingerprint: d.Fingerprint(), Sequences: 1, Split: true, Seed: 1<<63 + 1}
	if err := tpp.WriteTrainedModelFile(with, m, want); err != nil {
		t.Fatal(err)
	}
	if err := tpp.WriteModelFile(without, m); err != nil {
		t.Fatal(err)
	}
	again, data, err := tpp.ReadTrainedModelFile(with)
	if err != nil || data == nil || *data != want {
		t.Fatalf("the file remembers %+v, error %v", data, err)
	}
	plain, data, err := tpp.ReadTrainedModelFile(without)
	if err != nil || data != nil {
		t.Fatalf("a file without training data remembers %+v, error %v", data, err)
	}
	if a, b := again.(tpp.Fingerprinter).Fingerprint(), plain.(tpp.Fingerprinter).Fingerprint(); a != b || a != m.Fingerprint() {
		t.Error("training data changes the model")
	}
	if third, err := tpp.ReadModelFile(with); err != nil || third.(tpp.Fingerprinter).Fingerprint() != m.Fingerprint() {
		t.Errorf("read without its data: error %v", err)
	}
}
