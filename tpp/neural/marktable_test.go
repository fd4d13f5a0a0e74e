package neural

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/internal/safetensors"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// manyMarks returns sequences of a Markov chain of many marks, each of which has four successors that are equally likely.
func manyMarks(seed uint64, sequences int) *tpp.Dataset {
	const marks = 60
	rng := rand.New(rand.NewPCG(seed, 4))
	d := &tpp.Dataset{}
	for m := range marks {
		d.MarkNames = append(d.MarkNames, string(rune('A'+m)))
	}
	for range sequences {
		var s tpp.Sequence
		at, mark := 0.0, rng.IntN(marks)
		for range 12 {
			s.ArrivalTimes, s.Marks = append(s.ArrivalTimes, at), append(s.Marks, mark)
			at += math.Ceil(20 * rng.ExpFloat64())
			mark = (mark*mark*7 + 13*rng.IntN(4)) % marks
		}
		d.Sequences = append(d.Sequences, s)
	}
	return d
}

// trainTable trains a small network with a table for a few epochs.
func trainTable(t *testing.T, training, validation *tpp.Dataset, workers int) *Recurrent {
	t.Helper()
	cfg := Config{ContextSize: 8, MarkEmbeddingSize: 4, NumComponents: 4, MarkTimeSize: 2, MarkTable: true}
	m, err := Train(t.Context(), cfg, training, validation, TrainOptions{Seed: 1, MaxEpochs: 3, Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// lossOf returns what the states of a model give as the loss of an event, with the logarithm of the probability of the mark alone beside it.
func lossOf(t *testing.T, m *Recurrent, d *tpp.Dataset) (loss, marks float64) {
	t.Helper()
	events := 0.0
	for i := range d.Sequences {
		q := &d.Sequences[i]
		state, last := m.NewState(0), 0.0
		for j, at := range q.ArrivalTimes {
			if j > 0 {
				next, gap := state.Next(last), at-last
				loss -= math.Log(1-next.End) + next.Joint.LogIntervalMark(gap-0.5, gap+0.5, q.Mark(j))
				marks += math.Log(next.Marks[q.Mark(j)])
				events++
			}
			if err := state.Observe(tpp.Event{Time: at, Mark: q.Mark(j)}); err != nil {
				t.Fatal(err)
			}
			last = at
		}
		loss -= math.Log(state.Next(last).End)
	}
	return loss / events, marks / events
}

// TestMarkTableHelpsWithManyMarks checks that a table has a share where a network learns the successors of the marks too slowly, that the loss of the
// training is that of the model's states, which have the share by another way, and that sequences in a stream and the number of workers change nothing.
func TestMarkTableHelpsWithManyMarks(t *testing.T) {
	training, validation := manyMarks(1, 300), manyMarks(2, 40)
	m := trainTable(t, training, validation, 1)
	if m.table == nil || m.table.weight < 0.5 {
		t.Fatalf("the table has no great share: %+v", m.table.description())
	}
	loss, marks := lossOf(t, m, validation)
	if got := m.Training().ValidationLoss; math.Abs(got-loss) > 1e-4 {
		t.Errorf("the training says a loss of %v, the states have %v", got, loss)
	}
	alone := *m
	alone.table = nil
	if _, network := lossOf(t, &alone, validation); marks < network+1 || marks < -2 {
		t.Errorf("marks have %v nats with the table and %v without", marks, network)
	}
	if other := trainTable(t, training, validation, 3); other.Fingerprint() != m.Fingerprint() {
		t.Error("with three workers the model is another one")
	}
	streamed, err := TrainStream(t.Context(), m.cfg, StreamOf(training), StreamOf(validation), TrainOptions{Seed: 1, MaxEpochs: 3})
	if err != nil {
		t.Fatal(err)
	}
	if streamed.Fingerprint() != m.Fingerprint() {
		t.Error("from a stream the model is another one")
	}
	if alone.hash = new(lazyFingerprint); alone.Fingerprint() == m.Fingerprint() {
		t.Error("the table is not in the fingerprint")
	}
}

// TestMarkTableMustGain checks that there is no table where the network knows all that it does.
func TestMarkTableMustGain(t *testing.T) {
	d := &tpp.Dataset{MarkNames: []string{"a"}}
	for range 20 {
		d.Sequences = append(d.Sequences, tpp.Sequence{ArrivalTimes: []float64{0, 5, 9}, Marks: []int{0, 0, 0}})
	}
	if m := trainTable(t, d, d, 1); m.table != nil {
		t.Errorf("a table of one mark: %+v", m.table.description())
	}
}

// TestMarkTableOfTheTrainingPart checks that without a validation part no pair speaks for itself: marks without any order give the table no great share.
func TestMarkTableOfTheTrainingPart(t *testing.T) {
	d := manyMarks(1, 100)
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range d.Sequences {
		for j := range d.Sequences[i].Marks {
			d.Sequences[i].Marks[j] = rng.IntN(len(d.MarkNames))
		}
	}
	m := trainTable(t, d, nil, 1)
	fresh := manyMarks(9, 40)
	for i := range fresh.Sequences {
		for j := range fresh.Sequences[i].Marks {
			fresh.Sequences[i].Marks[j] = rng.IntN(len(d.MarkNames))
		}
	}
	if _, marks := lossOf(t, m, fresh); marks < -math.Log(60)-0.15 {
		t.Errorf("marks that are drawn from 60 evenly have %v nats with %+v", marks, m.table.description())
	}
}

// TestMixByDefinition checks the share of a table against its formula, and that the end and marks after which nothing is known keep their probability.
func TestMixByDefinition(t *testing.T) {
	table := newMarkTable(map[markPair]int{{0, 1}: 3, {0, 2}: 1, {1, 0}: 2}, 4)
	table.weight, table.discount = 0.6, 0.5
	rapid.Check(t, func(rt *rapid.T) {
		logits := rapid.SliceOfN(rapid.Float32Range(-20, 20), 5, 5).Draw(rt, "logits")
		last := rapid.IntRange(-1, 3).Draw(rt, "last")
		before, after := make([]float64, 4), make([]float64, 4)
		endBefore := softmax(before, logits)
		table.mix(logits, last)
		if end := softmax(after, logits); !tpptest.Near(end, endBefore, 1e-4) {
			rt.Fatalf("the end had %v, and has %v", endBefore, end)
		}
		all := []float64{2.5 / 8, 3.5 / 8, 1.5 / 8, 0.5 / 8}
		for m := range after {
			want := before[m]
			switch last {
			case 0:
				count := []float64{0, 2.5, 0.5, 0}[m]
				want = 0.4*want + 0.6*(count+0.5*2*all[m])/4
			case 1:
				count := []float64{1.5, 0, 0, 0}[m]
				want = 0.4*want + 0.6*(count+0.5*all[m])/2
			}
			if math.Abs(after[m]-want) > 1e-5 {
				rt.Fatalf("mark %d after %d has %v, want %v", m, last, after[m], want)
			}
		}
	})
}

// TestMarkTableOfAllMarks checks the last of as many marks as a model may have.
func TestMarkTableOfAllMarks(t *testing.T) {
	const last = tpp.MaxMarks - 1
	table := newMarkTable(map[markPair]int{{last, last}: 3, {last, 0}: 1}, tpp.MaxMarks)
	if p, known := table.probability(last, last, 0.1, false); !known || math.Abs(p-2.9/4) > 1e-3 {
		t.Errorf("the last mark follows itself with %v", p)
	}
}

// TestProbabilityWithoutThePairItself checks that leaving a pair out gives what the table without it does, but for the frequencies of the marks.
func TestProbabilityWithoutThePairItself(t *testing.T) {
	whole := newMarkTable(map[markPair]int{{0, 1}: 3, {0, 2}: 1, {1, 0}: 1}, 4)
	for _, pair := range []markPair{{0, 1}, {0, 2}, {1, 0}} {
		counts := map[markPair]int{{0, 1}: 3, {0, 2}: 1, {1, 0}: 1}
		if counts[pair]--; counts[pair] == 0 {
			delete(counts, pair)
		}
		rest := newMarkTable(counts, 4)
		rest.all = whole.all
		want, known := rest.probability(int(pair.last), int(pair.mark), 0.3, false)
		got, knownToo := whole.probability(int(pair.last), int(pair.mark), 0.3, true)
		if known != knownToo || math.Abs(got-want) > 1e-12 {
			t.Errorf("%v: %v (%v), want %v (%v)", pair, got, knownToo, want, known)
		}
	}
}

// TestMarkTableInFiles checks that a table is read as it was written, and that a broken one is refused.
func TestMarkTableInFiles(t *testing.T) {
	m := trainTable(t, manyMarks(1, 100), manyMarks(2, 20), 1)
	if m.table == nil {
		t.Fatal("there is no table")
	}
	var whole bytes.Buffer
	if err := m.Encode(&whole); err != nil {
		t.Fatal(err)
	}
	again, err := tpp.ReadModel(bytes.NewReader(whole.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if again.(*Recurrent).Fingerprint() != m.Fingerprint() {
		t.Error("the model that was read is another one")
	}
	for want, change := range map[string]func(f *safetensors.File){
		"marks follow mark 0":  func(f *safetensors.File) { f.Tensors[tableFollowed].Data[0] = 1e6 },
		"are dealt out":        func(f *safetensors.File) { f.Tensors[tableFollowed].Data[59]-- },
		"must be in order":     func(f *safetensors.File) { f.Tensors[tableMarks].Data[0] = 60 },
		"0 times":              func(f *safetensors.File) { f.Tensors[tableCounts].Data[0] = 0 },
		"is missing":           func(f *safetensors.File) { delete(f.Tensors, tableCounts) },
		"a weight of 2":        describe(`"weight":`, `"weight":2,"former":`),
		"a discount of 0":      describe(`"discount":`, `"discount":0,"former":`),
		"-3 pairs":             describe(`"pairs":`, `"pairs":-3,"former":`),
		"has tensors that the": describe(`"mark_table_share":`, `"former":`),
	} {
		f, err := safetensors.Read(bytes.NewReader(whole.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		change(f)
		var b bytes.Buffer
		if err := safetensors.Write(&b, f); err != nil {
			t.Fatal(err)
		}
		if _, err := tpp.ReadModel(&b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is refused with %v", want, err)
		}
	}
}

// describe returns a change of the description of a model.
func describe(from, to string) func(*safetensors.File) {
	return func(f *safetensors.File) {
		for key, text := range f.Metadata {
			f.Metadata[key] = strings.Replace(text, from, to, 1)
		}
	}
}
