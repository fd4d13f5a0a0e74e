package race

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/tpp"
)

// world is a small random graph with an untrained model of it, whose parameters are random too, and sequences that the graph explains
// in part.
type world struct {
	model *Race
	data  *tpp.Dataset
}

// randomGraph returns a graph of the marks in which slots have alternatives, marks that several slots share, and exclusive pairs.
func randomGraph(rng *rand.Rand, marks int) *Graph {
	g := &Graph{Slots: make([][]Slot, marks), Exclusive: make([][][2]int, marks)}
	for m := range marks {
		for range rng.IntN(4) {
			order := rng.Perm(marks)
			g.Slots[m] = append(g.Slots[m], Slot{Marks: order[:1+rng.IntN(3)]})
		}
		if slots := g.Slots[m]; len(slots) > 1 {
			if a, b := slots[0].Marks[0], slots[1].Marks[0]; a != b {
				g.Exclusive[m] = append(g.Exclusive[m], [2]int{a, b})
			}
		}
	}
	return g
}

// randomSequence returns a sequence of whole ticks in which most events are children of earlier ones.
func randomSequence(rng *rand.Rand, g *Graph, events int) tpp.Sequence {
	s := tpp.Sequence{Covariates: map[string][]float64{}}
	now := 1000.0
	if rng.IntN(2) == 0 {
		s.TStart = new(float64)
		*s.TStart = now
	}
	for i := range events {
		if i > 0 || s.TStart != nil {
			now += math.Floor(math.Exp(7*rng.Float64())) - 1
		}
		mark := rng.IntN(len(g.Slots))
		if i > 0 && rng.IntN(5) > 0 {
			if slots := g.Slots[s.Marks[rng.IntN(i)]]; len(slots) > 0 {
				marks := slots[rng.IntN(len(slots))].Marks
				mark = marks[rng.IntN(len(marks))]
			}
		}
		initialisation := 0.0
		if rng.IntN(2) == 0 {
			initialisation = 1 + float64(rng.IntN(200))
		}
		s.ArrivalTimes, s.Marks = append(s.ArrivalTimes, now), append(s.Marks, mark)
		s.WaitTimes = append(s.WaitTimes, initialisation+float64(rng.IntN(300)))
		s.InitTimes = append(s.InitTimes, initialisation)
		s.Covariates["x"] = append(s.Covariates["x"], rng.NormFloat64())
	}
	if rng.IntN(2) == 0 {
		s.TEnd = new(float64)
		*s.TEnd = now + float64(rng.IntN(500))
	}
	return s
}

// Whether the sequences of a world have a TStart.
const (
	someBegun = iota
	allBegun
	noneBegun
)

// randomWorld returns a world with the given number of sequences, of which some, all or none have a TStart.
func randomWorld(rng *rand.Rand, regime Regime, sequences, begun int) *world {
	return worldOf(rng, Config{Regime: regime}, sequences, begun)
}

// worldOf returns a world like those of randomWorld, whose model has also the rest of a configuration.
func worldOf(rng *rand.Rand, cfg Config, sequences, begun int) *world {
	marks := 3 + rng.IntN(3)
	names := make([]string, marks)
	for i := range names {
		names[i] = fmt.Sprint("m", i)
	}
	g := randomGraph(rng, marks)
	w := &world{data: &tpp.Dataset{MarkNames: names}}
	for range sequences {
		s := randomSequence(rng, g, 1+rng.IntN(8))
		switch {
		case begun == allBegun && s.TStart == nil:
			s.TStart = &s.ArrivalTimes[0]
		case begun == noneBegun:
			s.TStart = nil
		}
		w.data.Sequences = append(w.data.Sequences, s)
	}
	cfg.Graph, cfg.Components, cfg.ContextSize, cfg.Covariates = g, 5, 4, []string{"x"}
	cfg = cfg.withDefaults()
	m := newRace(cfg, names, marks, rootSlots(w.data))
	m.encoder.measure(w.data)
	m.encoder.settle(m.encoder.count(w.data))
	counts := m.encoder.count(w.data)
	m.encoder.settle(counts)
	*m.background = *counts.background(m.encoder.structure)
	for _, skipped := range m.encoder.skipped {
		for k := range skipped {
			skipped[k] = rng.IntN(2) == 0
		}
	}
	randomParameters(rng, m.net, m.params)
	m.net.prepare(m.params)
	w.model = m
	return w
}

// randomParameters sets the parameters so that every part of the network matters and delays are between a tick and some thousand.
func randomParameters[F nn.Float](rng *rand.Rand, n *network[F], params []F) {
	for i := range params {
		params[i] = F(0.6 * rng.NormFloat64())
	}
	table := nn.Of(n.table, params)
	k := n.components
	for c := range n.classes {
		row := table[c*n.size : (c+1)*n.size]
		for j := range k {
			row[j], row[k+j], row[2*k+j] = F(6*rng.Float64()), F(-4*rng.Float64()), F(rng.NormFloat64())
		}
		row[3*k] = F(1 + rng.NormFloat64())
	}
	for _, t := range n.layout.Tensors() {
		if t.Name == "slot.out.weight" || t.Name == "slot.out.bias" {
			for i := range nn.Of(t.Span, params) {
				nn.Of(t.Span, params)[i] *= 0.2
			}
		}
	}
}

// network64 returns the network of the model in float64, with its parameters.
func (w *world) network64() (*network[float64], []float64) {
	m := w.model
	n := newNetwork[float64](&m.cfg, m.encoder.levels(), m.encoder.stepFeatures(), len(m.encoder.classes), m.encoder.rowColumns)
	params := make([]float64, len(m.params))
	for i, v := range m.params {
		params[i] = float64(v)
	}
	n.prepare(params)
	return n, params
}

// examplesOf returns the examples of the sequences, longest first as run wants them.
func examplesOf[F nn.Float](w *world) []*example[F] {
	var out []*example[F]
	for i := range w.data.Sequences {
		x, err := newExample[F](w.model.encoder, w.model.background, &w.data.Sequences[i])
		if err != nil {
			panic(err)
		}
		out = append(out, x)
	}
	slices.SortStableFunc(out, longerFirst[F])
	return out
}
