package neural

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/tpp"
)

// fingerprintOf returns the fingerprint of the training that Train would begin.
func fingerprintOf(t *testing.T, cfg Config, training, validation *tpp.Dataset, opts TrainOptions) string {
	t.Helper()
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		t.Fatal(err)
	}
	m, err := newRecurrent(cfg, training.MarkNames, training.NumMarks(), normalisation{1, 2, 3}, opts.Loss)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := newTrainer(m, training, validation, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	sum, err := tr.fingerprint(m.markNames)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func fingerprintData() *tpp.Dataset {
	return &tpp.Dataset{MarkNames: []string{"a", "b", "c"}, Sequences: []tpp.Sequence{
		{ArrivalTimes: []float64{0, 5, 10, 15}, Marks: []int{0, 1, 0, 1}, Covariates: map[string][]float64{"x": {0, 1, 0, 1}}},
		{ArrivalTimes: []float64{0, 5, 10}, Marks: []int{0, 1, 0}, Covariates: map[string][]float64{"x": {0, 1, 0}}},
	}}
}

// TestFingerprintCoversOptions checks that a change of any field of Config and TrainOptions changes the fingerprint, except for
// the fields on which the trained parameters do not depend. A new field has to be added to one of the lists.
func TestFingerprintCoversOptions(t *testing.T) {
	data := fingerprintData()
	base := TrainOptions{Workers: 1}
	want := fingerprintOf(t, Config{}, data, data, base)
	if again := fingerprintOf(t, Config{}, data, data, base); again != want {
		t.Fatalf("two equal trainings have the fingerprints %s and %s", want, again)
	}

	options := map[string]func(*TrainOptions){
		"Seed":               func(o *TrainOptions) { o.Seed = 1 },
		"Loss":               func(o *TrainOptions) { o.Loss = LossDensity },
		"BatchSize":          func(o *TrainOptions) { o.BatchSize = 63 },
		"LearningRate":       func(o *TrainOptions) { o.LearningRate = 0.011 },
		"Schedule":           func(o *TrainOptions) { o.Schedule, o.MaxEpochs, o.Patience = ScheduleConstant, 200, 200 },
		"WeightDecay":        func(o *TrainOptions) { o.WeightDecay = 2e-4 },
		"WithoutWeightDecay": func(o *TrainOptions) { o.WithoutWeightDecay = true },
		"ClipNorm":           func(o *TrainOptions) { o.ClipNorm = 6 },
		"WithoutClipping":    func(o *TrainOptions) { o.WithoutClipping = true },
		"MaxEpochs":          func(o *TrainOptions) { o.MaxEpochs, o.Patience = 201, 200 },
		"Patience":           func(o *TrainOptions) { o.Patience = 199 },
	}
	free := map[string]func(*TrainOptions){
		"Workers":         func(o *TrainOptions) { o.Workers = 2 },
		"MaxDuration":     func(o *TrainOptions) { o.MaxDuration = time.Hour },
		"Checkpoint":      func(o *TrainOptions) { o.Checkpoint = "elsewhere" },
		"CheckpointEvery": func(o *TrainOptions) { o.CheckpointEvery = time.Hour },
		"Progress":        func(o *TrainOptions) { o.Progress = func(Epoch) {} },
	}
	for field := range reflect.TypeFor[TrainOptions]().Fields() {
		o := base
		change, covered := options[field.Name]
		if !covered {
			change = free[field.Name]
		}
		if change == nil {
			t.Errorf("TrainOptions.%s: this test does not know the field", field.Name)
			continue
		}
		change(&o)
		if changed := fingerprintOf(t, Config{}, data, data, o) != want; changed != covered {
			t.Errorf("TrainOptions.%s: fingerprint changed: %t, want %t", field.Name, changed, covered)
		}
	}

	configs := map[string]Config{
		"Kind":              {Kind: TruncNorm},
		"Encoder":           {Encoder: LSTM},
		"ContextSize":       {ContextSize: 65},
		"MarkEmbeddingSize": {MarkEmbeddingSize: 33},
		"NumComponents":     {NumComponents: 65},
		"WithoutEnd":        {WithoutEnd: true},
		"Covariates":        {Covariates: []Covariate{{Name: "x", Levels: 2}}},
		"GapFloor":          {GapFloor: 0.25},
		"LogShift":          {LogShift: 1},
		"TimeUnit":          {TimeUnit: "s"},
		"Resolution":        {Resolution: 2, GapFloor: 0.5},
	}
	for field := range reflect.TypeFor[Config]().Fields() {
		if field.Name == "TimeHead" {
			if fingerprintOf(t, Config{Kind: TruncNorm}, data, data, base) == fingerprintOf(t, Config{Kind: TruncNorm, TimeHead: SoftplusHead}, data, data, base) {
				t.Error("Config.TimeHead does not change the fingerprint")
			}
			continue
		}
		cfg, ok := configs[field.Name]
		if !ok {
			t.Errorf("Config.%s: this test does not know the field", field.Name)
			continue
		}
		if fingerprintOf(t, cfg, data, data, base) == want {
			t.Errorf("Config.%s does not change the fingerprint", field.Name)
		}
	}
	covariate := Covariate{Name: "x", Mean: 1, Std: 2}
	scaled := fingerprintOf(t, Config{Covariates: []Covariate{covariate}}, data, data, base)
	for name, other := range map[string]Covariate{"Mean": {Name: "x", Mean: 2, Std: 2}, "Std": {Name: "x", Mean: 1, Std: 3}} {
		if fingerprintOf(t, Config{Covariates: []Covariate{other}}, data, data, base) == scaled {
			t.Errorf("Covariate.%s does not change the fingerprint", name)
		}
	}
}

// TestFingerprintCoversData checks that a change of anything in the data that the loss depends on changes the fingerprint.
func TestFingerprintCoversData(t *testing.T) {
	cfg := Config{Covariates: []Covariate{{Name: "x", Levels: 2}}}
	opts := TrainOptions{Workers: 1}
	want := fingerprintOf(t, cfg, fingerprintData(), fingerprintData(), opts)
	last := func(d *tpp.Dataset) *tpp.Sequence { return &d.Sequences[len(d.Sequences)-1] }
	for name, change := range map[string]func(*tpp.Dataset){
		"an arrival time":         func(d *tpp.Dataset) { last(d).ArrivalTimes[1]++ },
		"the mark in the middle":  func(d *tpp.Dataset) { last(d).Marks[1] = 2 },
		"the last mark":           func(d *tpp.Dataset) { last(d).Marks[2] = 2 },
		"a covariate":             func(d *tpp.Dataset) { last(d).Covariates["x"][1] = 0 },
		"a window's start":        func(d *tpp.Dataset) { last(d).TStart = new(-5.0) },
		"a window's end":          func(d *tpp.Dataset) { last(d).TEnd = new(15.0) },
		"the order of the names":  func(d *tpp.Dataset) { slices.Reverse(d.MarkNames) },
		"the name of a mark":      func(d *tpp.Dataset) { d.MarkNames[0] = "z" },
		"the order of sequences":  func(d *tpp.Dataset) { slices.Reverse(d.Sequences) },
		"a sequence twice":        func(d *tpp.Dataset) { d.Sequences = append(d.Sequences, *last(d)) },
		"a sequence less":         func(d *tpp.Dataset) { d.Sequences = d.Sequences[:1] },
		"an event of another one": moveLastEvent,
	} {
		for part := range 2 {
			parts := [2]*tpp.Dataset{fingerprintData(), fingerprintData()}
			change(parts[part])
			if !slices.Equal(parts[0].MarkNames, parts[1].MarkNames) {
				change(parts[1-part]) // the names are those of both parts
			}
			if fingerprintOf(t, cfg, parts[0], parts[1], opts) == want {
				t.Errorf("%s of part %d does not change the fingerprint", name, part)
			}
		}
	}
	both := &tpp.Dataset{MarkNames: fingerprintData().MarkNames, Sequences: slices.Concat(fingerprintData().Sequences, fingerprintData().Sequences)}
	for n := 1; n < len(both.Sequences); n++ {
		training, validation := *both, *both
		training.Sequences, validation.Sequences = both.Sequences[:n], both.Sequences[n:]
		if same := fingerprintOf(t, cfg, &training, &validation, opts) == want; same != (n == 2) {
			t.Errorf("%d of the 4 sequences for training: the same fingerprint as for 2: %t", n, same)
		}
	}
	if fingerprintOf(t, cfg, fingerprintData(), nil, opts) == want {
		t.Error("a training without a validation part has the same fingerprint")
	}
}

// moveLastEvent takes the last event from the first sequence and appends it to the second: all columns of the dataset, written
// one after the other, stay as they are.
func moveLastEvent(d *tpp.Dataset) {
	from, to := &d.Sequences[0], &d.Sequences[1]
	n := from.Len() - 1
	from.ArrivalTimes, from.Marks = from.ArrivalTimes[:n], from.Marks[:n]
	from.Covariates["x"] = from.Covariates["x"][:n]
	to.ArrivalTimes, to.Marks = append(to.ArrivalTimes, 15), append(to.Marks, 1)
	to.Covariates["x"] = append(to.Covariates["x"], 1)
}
