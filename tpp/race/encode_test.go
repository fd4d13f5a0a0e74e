package race

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/safetensors"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// small is a configuration of models for tests.
var small = Config{Components: 5, ContextSize: 4}

// untrained returns a model of the data after an epoch that changes nothing, with some noise on its parameters.
func untrained(t testing.TB, cfg Config, d *tpp.Dataset) *Race {
	t.Helper()
	m, err := Train(t.Context(), cfg, d, nil, TrainOptions{Epochs: 1, LearningRate: 1e-12, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range m.params {
		m.params[i] += float32(0.1 * rng.NormFloat64())
	}
	m.net.prepare(m.params)
	return m
}

// configs are small models with every regime and feature among them.
func configs() []Config {
	told := small
	told.Regime, told.TimeUnit, told.Resolution = Starts, "s", 0.5
	informed := small
	informed.Covariates = []string{tpp.ColdStartCovariate, "load"}
	given := small
	given.Graph = &Graph{Slots: [][]Slot{{{Marks: []int{1}}, {Marks: []int{2}}}, {{Marks: []int{0, 2}}}, nil}, Exclusive: [][][2]int{{{1, 2}}, nil, nil}}
	given.Ancestors = 2
	heard := small
	heard.Regime, heard.Ancestors = OnlyStarts, 1
	return []Config{small, told, informed, given, heard}
}

// withoutStarts returns a copy of the dataset in which no sequence was observed before its first event.
func withoutStarts(d *tpp.Dataset) *tpp.Dataset {
	out := &tpp.Dataset{MarkNames: d.MarkNames, Sequences: slices.Clone(d.Sequences)}
	for i := range out.Sequences {
		out.Sequences[i].TStart = nil
	}
	return out
}

// reread returns the model after writing and reading.
func reread(t testing.TB, m *Race) *Race {
	t.Helper()
	again, err := tpp.ReadModel(strings.NewReader(tpptest.Encoded(t, m)))
	if err != nil {
		t.Fatal(err)
	}
	return again.(*Race)
}

// TestRoundTrip checks that a model predicts the same, to the last bit, after writing and reading, and is written as it was.
func TestRoundTrip(t *testing.T) {
	calls := tpptest.Calls(1, 60)
	for i, cfg := range configs() {
		for _, d := range []*tpp.Dataset{calls, withoutStarts(calls)} {
			m := untrained(t, cfg, d)
			again := reread(t, m)
			if tpptest.Encoded(t, again) != tpptest.Encoded(t, m) {
				t.Errorf("model %d: a model read is not written as it was", i)
			}
			if m.Fingerprint() != again.Fingerprint() || m.Fingerprint() == 0 {
				t.Errorf("model %d: fingerprint %x, read %x", i, m.Fingerprint(), again.Fingerprint())
			}
			if !reflect.DeepEqual(again.Slots(), m.Slots()) || !reflect.DeepEqual(again.Training(), m.Training()) || m.Training() == nil {
				t.Errorf("model %d: read with %+v and %+v", i, again.Slots(), again.Training())
			}
			want, got := m.Config(), again.Config()
			a, _ := json.Marshal(want.Graph)
			b, _ := json.Marshal(got.Graph)
			want.Graph, got.Graph = nil, nil
			if !reflect.DeepEqual(got, want) || string(a) != string(b) {
				t.Errorf("model %d: read with the configuration %+v and graph %s, want %+v and %s", i, got, b, want, a)
			}
			for j := range d.Sequences[:10] {
				s := &d.Sequences[j]
				before, after := m.NewState(s.Start()), again.NewState(s.Start())
				for k := range s.Len() {
					for _, wait := range []float64{0, 7, 2000} {
						x, y := before.Next(s.ArrivalTimes[k]-1+wait), after.Next(s.ArrivalTimes[k]-1+wait)
						if !reflect.DeepEqual(before.(tpp.ForecastingState).Arrivals(s.ArrivalTimes[k]-1+wait), after.(tpp.ForecastingState).Arrivals(s.ArrivalTimes[k]-1+wait)) {
							t.Fatalf("model %d: after event %d of sequence %d another future is expected", i, k, j)
						}
						if x.End != y.End || !slices.Equal(x.Marks, y.Marks) || x.Median() != y.Median() || x.Time.LogProb(3) != y.Time.LogProb(3) {
							t.Fatalf("model %d: event %d of sequence %d is predicted %v %v, before %v %v", i, k, j, y.Median(), y.Marks, x.Median(), x.Marks)
						}
					}
					for _, state := range []tpp.State{before, after} {
						if err := state.Observe(s.Event(k, m.CovariateNames(), nil)); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
		}
	}
}

// TestSlots checks what a model says about the calls that it was trained on.
func TestSlots(t *testing.T) {
	m := untrained(t, small, tpptest.Calls(1, 60))
	slots := m.Slots()
	if len(slots) < 4 || slots[len(slots)-1].Parent != -1 || !slices.Equal(slots[len(slots)-1].Marks, []int{0}) {
		t.Fatalf("slots %+v", slots)
	}
	for _, s := range slots {
		came := 0
		for _, n := range s.Came {
			came += n
		}
		if len(s.Came) != len(s.Marks) || came == 0 {
			t.Errorf("%+v never came", s)
		}
	}
	if first := slots[0]; first.Parent != 0 || first.Never == 0 && slots[1].Never == 0 {
		t.Errorf("%+v always came", slots[:2])
	}
}

// edit returns a model's file with a change of its description.
func edit(t testing.TB, file string, change func(d map[string]any)) string {
	t.Helper()
	f, err := safetensors.Read(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var d map[string]any
	if err := json.Unmarshal([]byte(f.Metadata["tpp"]), &d); err != nil {
		t.Fatal(err)
	}
	change(d)
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return described(t, f, text)
}

// described returns the file with another description.
func described(t testing.TB, f *safetensors.File, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := safetensors.Write(&b, &safetensors.File{Metadata: map[string]string{"tpp": string(text)}, Tensors: f.Tensors}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestReadRejects checks that a description that does not fit gives an error that says why.
func TestReadRejects(t *testing.T) {
	informed := configs()[2]
	good := tpptest.Encoded(t, untrained(t, informed, tpptest.Calls(1, 60)))
	type object = map[string]any
	type list = []any
	set := func(key string, v any) func(object) { return func(d object) { d[key] = v } }
	within := func(outer, key string, v any) func(object) {
		return func(d object) { d[outer].(object)[key] = v }
	}
	first := func(key string, v any) func(object) { return func(d object) { d[key].(list)[0] = v } }
	for _, c := range []struct {
		name   string
		change func(object)
		reason string
	}{
		{"an unknown regime", set("regime", "x"), `unknown regime "x"`},
		{"no component", set("components", 0), "0 components"},
		{"a scale of nothing", set("scales", []float64{20, 0}), "scales of [20 0]"},
		{"scales without end", set("scales", make([]float64, maxScales+1)), "33 scales"},
		{"fewer ancestors than none", set("ancestors", -1), "-1 ancestors"},
		{"ancestors without end", set("ancestors", 3), "3 ancestors"},
		{"ancestors without parameters", set("ancestors", 2), "must have"},
		{"a size beyond all", set("context_size", 1<<20), "a context of 1048576 units"},
		{"a size beyond the file", set("context_size", 4096), "the file has"},
		{"components beyond the file", set("components", 4096), "the file has"},
		{"another size", set("context_size", 3), "must have"},
		{"no graph", set("graph", nil), "no graph"},
		{"a graph of too few marks", set("graph", object{"slots": list{list{}}}), "slots of 1 marks, there are 3"},
		{"a graph with an unknown mark", set("graph", object{"slots": list{list{list{7}}, list{}, list{}}}), "mark 7"},
		{"another graph", set("graph", object{"slots": list{list{list{1}}, list{}, list{}}}), "classes of delays"},
		{"a graph beyond the file", set("graph", object{"slots": list{list{list{0, 1, 2}}, list{list{0, 1, 2}, list{0, 1, 2}, list{0, 1, 2}, list{0, 1, 2}}, list{}}}), "the file has"},
		{"a start with an unknown mark", set("start", list{list{3}}), "start: "},
		{"a start without alternatives", set("start", list{list{}}), "start: "},
		{"no start", set("start", list{}), "classes of delays"},
		{"a median that is missing", set("medians", list{1}), "1 medians"},
		{"a median below 0", first("medians", -1), "class 0 of delays has the median -1"},
		{"a limit below 0", first("stale", -1), "class 0 of delays has the limit -1"},
		{"no optional slots", set("optional", nil), "optional: slots of 0 parents"},
		{"too few optional slots", first("optional", list{}), "optional: 0 slots of parent 0"},
		{"no counts", set("came", nil), "counts of 0"},
		{"counts of no slot", first("never", list{}), "slots of parent 0"},
		{"counts of too many alternatives", first("came", list{list{1, 2, 3, 4}, list{1}}), "counts of 4 alternatives of slot 0 of parent 0"},
		{"a count below 0", first("never", list{-1, 0}), "a count of -1 of slot 0 of parent 0"},
		{"a rate of 1", within("background", "rate", 1), "rates of 1"},
		{"a rate of 0", within("background", "empty_rate", 0), "and 0"},
		{"too few background marks", within("background", "marks", list{1}), "probabilities of 1 marks"},
		{"background marks beyond 1", within("background", "marks", list{1, 1, 1}), "add up to 3"},
		{"background marks below 0", within("background", "marks", list{-1, 1, 1}), "from 0 to 1"},
		{"a background of too narrow components", within("background", "mixture", append(append(make([]float64, backgroundComponents), slices.Repeat([]float64{-100}, backgroundComponents)...), slices.Repeat([]float64{1. / backgroundComponents}, backgroundComponents)...)), "number 24 of the mixture is -100"},
		{"no background", set("background", nil), "background: rates of 0"},
		{"a background of one number", within("background", "mixture", list{1}), "a mixture of 1 numbers"},
		{"a background of no weight", within("background", "mixture", make([]int, 3*backgroundComponents)), "survival NaN at 0"},
		{"a covariate without deviation", first("covariates", object{"name": "load"}), "standard deviation 0"},
		{"a covariate twice", first("covariates", object{"name": "load", "std": 1}), `covariate "load" twice`},
		{"no descendants", set("descendants", nil), "descendants of 0 marks"},
		{"another number of descendants", first("descendants", list{}), "must have"},
		{"a descendant of nobody", first("descendants", list{object{"parent": 3}}), "not below number 3"},
		{"a descendant of an unknown slot", first("descendants", list{object{"parent": -1, "slot": 9}}), "no alternative 0 of slot 9 of mark 0"},
		{"a descendant twice", first("descendants", list{object{"parent": -1}, object{"parent": -1}}), "stands behind alternative 0 of slot 0"},
		{"a descendant of probability 2", first("descendants", list{object{"parent": -1, "probability": 2}}), "its probability is 2"},
		{"descendants beyond the file", first("descendants", make([]object, 400)), "the file has"},
		{"no siblings", set("siblings", list{}), "siblings of 0 parents"},
		{"siblings that are not there", first("siblings", list{list{0, 5}}), "siblings [0 5] of parent 0"},
		{"siblings the wrong way round", first("siblings", list{list{1, 0}}), "siblings [1 0] of parent 0"},
		{"levels of an unknown mark", set("levels", list{list{3, 0}}), "levels of mark and group [3 0]"},
		{"levels of an unknown group", set("levels", list{list{0, 6}}), "levels of mark and group [0 6]"},
		{"levels twice", set("levels", list{list{0, 1}, list{0, 1}}), "in ascending order"},
		{"more levels than the file has", set("levels", list{list{0, 0}, list{0, 1}, list{0, 2}, list{0, 3}, list{0, 4}, list{0, 5}, list{1, 0}, list{1, 1}, list{1, 2}, list{1, 3}, list{1, 4}, list{1, 5}}), "the file has"},
		{"a name too few", set("marks", list{"a", "b"}), "2 names of marks"},
		{"another type", set("components", "many"), "description"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := tpp.ReadModel(strings.NewReader(edit(t, good, c.change)))
			if m != nil || err == nil || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("got a model: %t, and error %v, want one that says %q", m != nil, err, c.reason)
			}
		})
	}
	for n := 0; n < len(good); n += 1 + n/10 {
		if _, err := tpp.ReadModel(strings.NewReader(good[:n])); err == nil {
			t.Errorf("the first %d of %d bytes are read", n, len(good))
		}
	}
}

// TestFingerprintsDiffer checks that the fingerprint changes with everything that a prediction depends on.
func TestFingerprintsDiffer(t *testing.T) {
	seen := map[uint64]string{}
	calls := tpptest.Calls(1, 40)
	for name, change := range map[string]func(m *Race){
		"the model":              func(*Race) {},
		"another parameter":      func(m *Race) { m.params[0]++ },
		"another mark":           func(m *Race) { m.markNames[2] = "g" },
		"another median":         func(m *Race) { m.encoder.classes[3].median++ },
		"another limit":          func(m *Race) { m.encoder.classes[3].stale = 77 },
		"another optional slot":  func(m *Race) { m.encoder.skipped[0][0] = !m.encoder.skipped[0][0] },
		"another rate":           func(m *Race) { m.background.rate /= 2 },
		"another background":     func(m *Race) { m.background.mixture[0]++ },
		"another level":          func(m *Race) { m.recalibration.levels[1][3] /= 2 },
		"another offset":         func(m *Race) { m.offsets.descendants[0][0].offsets[255]++ },
		"another descendant":     func(m *Race) { m.offsets.descendants[0][0].probability /= 2 },
		"another covariate mean": func(m *Race) { m.encoder.mean[1]++ },
	} {
		m := untrained(t, configs()[2], calls)
		change(m)
		if other, ok := seen[m.Fingerprint()]; ok {
			t.Errorf("%s and %s have the same fingerprint", name, other)
		}
		seen[m.Fingerprint()] = name
	}
	m := untrained(t, configs()[2], calls)
	m.summary.Seconds++
	if seen[m.Fingerprint()] != "the model" {
		t.Error("the same model has another fingerprint after another training")
	}
}

// checkArrivals checks that the expected events of a state have probabilities and times.
func checkArrivals(t *testing.T, s tpp.State, now float64) {
	t.Helper()
	for _, a := range s.(tpp.ForecastingState).Arrivals(now) {
		if !(a.Probability >= 0 && a.Probability <= 1+1e-6) || !slices.IsSorted(a.Times) || math.IsNaN(a.Times[0]) || math.IsNaN(a.Within(30)) {
			t.Fatalf("expected is %+v", a)
		}
	}
}

// FuzzDescription checks that a model with any description is refused, or predicts and can be written and read again.
func FuzzDescription(f *testing.F) {
	var files []*safetensors.File
	for _, cfg := range configs()[1:3] {
		file, err := safetensors.Read(strings.NewReader(tpptest.Encoded(f, untrained(f, cfg, tpptest.Calls(1, 30)))))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(len(files)), []byte(file.Metadata["tpp"]))
		files = append(files, file)
	}
	f.Fuzz(func(t *testing.T, which byte, text []byte) {
		m, err := tpp.ReadModel(strings.NewReader(described(t, files[int(which)%len(files)], text)))
		if err != nil || m.Kind() != Kind {
			return
		}
		s := m.NewState(0)
		for i := range 5 {
			next := s.Next(float64(10*i) + 5)
			if p := next.Time.CDF(7); !(p >= 0 && p <= 1) || !(next.End >= 0 && next.End <= 1) || math.IsNaN(next.Median()) {
				t.Fatalf("it predicts %v, the end %v and the median %v", p, next.End, next.Median())
			}
			checkArrivals(t, s, float64(10*i)+5)
			e := tpp.Event{Time: float64(10 * (i + 1)), Mark: i % max(len(m.MarkNames()), 1), Covariates: s.(tpp.TypicalState).TypicalCovariates(nil)}
			if err := s.Observe(e); err != nil {
				t.Fatal(err)
			}
		}
		if again := reread(t, m.(*Race)); again.Fingerprint() != m.(*Race).Fingerprint() {
			t.Fatal("a model that was read has another fingerprint once it is written")
		}
	})
}

// TestStateFieldsAreMarshalled checks that this file and state_binary.go know every field of a state. A new one has to be encoded there
// and read with its bounds checked, or to be computed from others.
func TestStateFieldsAreMarshalled(t *testing.T) {
	for _, c := range []struct {
		of   reflect.Type
		want string
	}{
		{reflect.TypeFor[state](), "[m work hidden recent tracker]"},
		{reflect.TypeFor[tracker](), "[structure due covariates width events unexplained begun forgotten excluded start last late explained]"},
		{reflect.TypeFor[due](), "[parent slot event alive kind anchor excess placed late before]"},
		{reflect.TypeFor[Race](), "[cfg markNames numMarks encoder background offsets recalibration summary net params seen hash]"}, // from here on: encode.go
		{reflect.TypeFor[offsets](), "[descendants siblings]"},
		{reflect.TypeFor[descendant](), "[parent slot alternative depth mark probability offsets]"},
		{reflect.TypeFor[recalibration](), "[levels]"},
		{reflect.TypeFor[structure](), "[graph numMarks scale tick classes first skipped]"},
		{reflect.TypeFor[class](), "[mark median stale]"},
		{reflect.TypeFor[background](), "[structure mixture marks rate emptyRate products precisions weights densities]"},
		{reflect.TypeFor[encoder](), "[structure regime covariates mean std scales ancestors stepColumns rowColumns]"},
	} {
		var names []string
		for field := range c.of.Fields() {
			names = append(names, field.Name)
		}
		if got := fmt.Sprint(names); got != c.want {
			t.Errorf("%s has the fields %s, the binary form is of %s", c.of, got, c.want)
		}
	}
}

// TestDefaults trains with the zero values of all options but those of the time that it takes.
func TestDefaults(t *testing.T) {
	m, err := Train(t.Context(), Config{}, tpptest.Calls(1, 20), nil, TrainOptions{Epochs: 1})
	if err != nil {
		t.Fatal(err)
	}
	if c := m.Config(); c.Regime != Arrivals || c.Components < 1 || c.ContextSize < 1 || c.TimeUnit != "ms" || c.Resolution != 1 || c.Graph == nil {
		t.Errorf("the defaults are %+v", c)
	}
}
