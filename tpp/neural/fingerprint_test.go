package neural

import (
	"crypto/sha256"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/tpp"
)

// fingerprintOf returns the fingerprint of the training that Train would begin.
func fingerprintOf(t *testing.T, cfg Config, training, validation *tpp.Dataset, opts TrainOptions) string {
	t.Helper()
	tr, names := fingerprintTrainer(t, cfg, training, validation, opts)
	sum, err := tr.fingerprint(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func fingerprintTrainer(t *testing.T, cfg Config, training, validation *tpp.Dataset, opts TrainOptions) (tr *trainer, markNames []string) {
	t.Helper()
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		t.Fatal(err)
	}
	m, err := newRecurrent(cfg, training.MarkNames, training.NumMarks(), normalisation{1, 2, 3}, opts.Loss)
	if err != nil {
		t.Fatal(err)
	}
	if tr, err = newTrainer(m, training, validation, opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.close)
	return tr, m.markNames
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
	// What would follow from another option is set, so that only one changes at a time.
	base := TrainOptions{Workers: 1, MaxEpochs: 200, Patience: 100}
	want := fingerprintOf(t, Config{}, data, data, base)
	if again := fingerprintOf(t, Config{}, data, data, base); again != want {
		t.Fatalf("two equal trainings have the fingerprints %s and %s", want, again)
	}

	options := map[string]func(*TrainOptions){
		"Seed":               func(o *TrainOptions) { o.Seed = 1 },
		"Loss":               func(o *TrainOptions) { o.Loss = LossDensity },
		"BatchSize":          func(o *TrainOptions) { o.BatchSize = 63 },
		"LearningRate":       func(o *TrainOptions) { o.LearningRate = 0.011 },
		"Schedule":           func(o *TrainOptions) { o.Schedule = ScheduleConstant },
		"WeightDecay":        func(o *TrainOptions) { o.WeightDecay = 2e-4 },
		"WithoutWeightDecay": func(o *TrainOptions) { o.WithoutWeightDecay = true },
		"ClipNorm":           func(o *TrainOptions) { o.ClipNorm = 6 },
		"WithoutClipping":    func(o *TrainOptions) { o.WithoutClipping = true },
		"MaxEpochs":          func(o *TrainOptions) { o.MaxEpochs = 201 },
		"Patience":           func(o *TrainOptions) { o.Patience = 199 },
		"ShuffleWindow":      func(o *TrainOptions) { o.ShuffleWindow = 5 },
	}
	free := map[string]func(*TrainOptions){
		"Workers":            func(o *TrainOptions) { o.Workers = 2 },
		"WithoutCalibration": func(o *TrainOptions) { o.WithoutCalibration = true }, // comes after the training
		"MaxDuration":        func(o *TrainOptions) { o.MaxDuration = time.Hour },
		"Checkpoint":         func(o *TrainOptions) { o.Checkpoint = "elsewhere" },
		"CheckpointEvery":    func(o *TrainOptions) { o.CheckpointEvery = time.Hour },
		"Progress":           func(o *TrainOptions) { o.Progress = func(Epoch) {} },
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
		"MarkTimeSize":      {MarkTimeSize: 4},
		"MarkTable":         {MarkTable: true},
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

// TestFingerprintCoversEachField changes each thing that the fingerprint is made of by itself, also those that cannot change alone.
func TestFingerprintCoversEachField(t *testing.T) {
	changes := map[string]func(*trainer, *[]string){
		"Version":             nil, // a constant
		"Model":               func(tr *trainer, _ *[]string) { tr.net.cfg.ContextSize++ },
		"Marks":               func(_ *trainer, names *[]string) { *names = []string{"a", "b", "d"} },
		"NumMarks":            func(tr *trainer, _ *[]string) { tr.net.numMarks++ },
		"Normalisation":       func(tr *trainer, _ *[]string) { tr.net.norm.MAE++ },
		"Seed":                func(tr *trainer, _ *[]string) { tr.opts.Seed++ },
		"Loss":                func(tr *trainer, _ *[]string) { tr.opts.Loss = LossDensity },
		"Schedule":            func(tr *trainer, _ *[]string) { tr.opts.Schedule = SchedulePlateau },
		"BatchSize":           func(tr *trainer, _ *[]string) { tr.opts.BatchSize++ },
		"MaxEpochs":           func(tr *trainer, _ *[]string) { tr.opts.MaxEpochs++ },
		"ShuffleWindow":       func(tr *trainer, _ *[]string) { tr.opts.ShuffleWindow++ },
		"Patience":            func(tr *trainer, _ *[]string) { tr.opts.Patience++ },
		"LearningRate":        func(tr *trainer, _ *[]string) { tr.opts.LearningRate *= 2 },
		"WeightDecay":         func(tr *trainer, _ *[]string) { tr.opts.WeightDecay *= 2 },
		"ClipNorm":            func(tr *trainer, _ *[]string) { tr.opts.ClipNorm *= 2 },
		"WithoutWeightDecay":  func(tr *trainer, _ *[]string) { tr.opts.WithoutWeightDecay = true },
		"WithoutClipping":     func(tr *trainer, _ *[]string) { tr.opts.WithoutClipping = true },
		"TrainingSequences":   func(tr *trainer, _ *[]string) { tr.summary.TrainingSequences++ },
		"ValidationSequences": func(tr *trainer, _ *[]string) { tr.summary.ValidationSequences++ },
	}
	for field := range reflect.TypeFor[fingerprinted]().Fields() {
		if _, known := changes[field.Name]; !known {
			t.Errorf("this test does not know the field %s", field.Name)
		}
	}
	changes["the part of a sequence"] = func(tr *trainer, _ *[]string) {
		training, validation := tr.training.(inMemory).all, tr.validation.(inMemory).all
		n := len(training) - 1
		tr.training, tr.validation = inMemory{training[:n]}, inMemory{slices.Concat(training[n:], validation)}
	}
	sums := map[string]string{}
	for name, change := range changes {
		data := fingerprintData()
		tr, names := fingerprintTrainer(t, Config{}, data, data, TrainOptions{Workers: 1})
		if change != nil {
			change(tr, &names)
		}
		sum, err := tr.fingerprint(t.Context(), names)
		if err != nil {
			t.Fatal(err)
		}
		if other, same := sums[sum]; same {
			t.Errorf("a change of %s gives the same fingerprint as one of %s", name, other)
		}
		sums[sum] = name
	}
	data := fingerprintData()
	tr, names := fingerprintTrainer(t, Config{}, data, data, TrainOptions{Workers: 1})
	tr.opts.LearningRate = math.NaN()
	if _, err := tr.fingerprint(t.Context(), names); err == nil {
		t.Error("options that cannot be written have a fingerprint")
	}
}

// TestExampleHashTellsColumnsApart moves values from one column to the next, and takes values away or changes them: each has another hash.
func TestExampleHashTellsColumnsApart(t *testing.T) {
	of := func(kinds, marks int, gap, x []float32) func(*exampleHash) {
		return func(h *exampleHash) {
			h.targets(&targets[float32]{kind: make([]targetKind, kinds), mark: make([]int, marks), gap: gap, x: x})
		}
	}
	sums := map[string]string{}
	for name, write := range map[string]func(*exampleHash){
		"nothing":        func(*exampleHash) {},
		"a length":       func(h *exampleHash) { h.length(1) },
		"another length": func(h *exampleHash) { h.length(2) },
		"a large length": func(h *exampleHash) { h.length(1 << 40) },
		"1 2, 3":         func(h *exampleHash) { h.floats([]float32{1, 2}); h.floats([]float32{3}) },
		"1, 2 3":         func(h *exampleHash) { h.floats([]float32{1}); h.floats([]float32{2, 3}) },
		"1 2 3":          func(h *exampleHash) { h.floats([]float32{1, 2, 3}) },
		"1 2":            func(h *exampleHash) { h.floats([]float32{1, 2}) },
		"no event":       of(0, 0, nil, nil),
		"two events":     of(2, 2, []float32{1, 2}, nil),
		"gap and x":      of(2, 2, []float32{1}, []float32{2}),
		"x":              of(2, 2, nil, []float32{1, 2}),
		"another kind": func(h *exampleHash) {
			h.targets(&targets[float32]{kind: []targetKind{0, 1}, mark: []int{0, 0}, gap: []float32{1, 2}})
		},
		"another mark": func(h *exampleHash) {
			h.targets(&targets[float32]{kind: []targetKind{0, 0}, mark: []int{0, 1}, gap: []float32{1, 2}})
		},
		"other ticks": func(h *exampleHash) {
			h.targets(&targets[float32]{kind: []targetKind{0, 0}, mark: []int{0, 0}, tick: []float32{1, 2}})
		},
		"other widths": func(h *exampleHash) {
			h.targets(&targets[float32]{kind: []targetKind{0, 0}, mark: []int{0, 0}, width: []float32{1, 2}})
		},
		"two after one":   func(h *exampleHash) { of(1, 1, nil, nil)(h); of(2, 2, nil, nil)(h) },
		"one after two":   func(h *exampleHash) { of(2, 2, nil, nil)(h); of(1, 1, nil, nil)(h) },
		"three at a time": of(3, 3, nil, nil),
	} {
		h := exampleHash{Hash: sha256.New()}
		write(&h)
		sum := string(h.Sum(nil))
		if other, same := sums[sum]; same {
			t.Errorf("%s and %s have the same hash", name, other)
		}
		sums[sum] = name
	}
}
