package neural

import "github.com/tppfaas/tppfaas/internal/nn"

// targetKind is what is scored given a context.
type targetKind uint8

const (
	targetEvent    targetKind = iota // the next event: its gap and its mark
	targetSurvival                   // that nothing came until the end of the window
	targetEnd                        // that nothing came because the sequence was over
)

// targets holds what is scored given contexts, one entry per context.
type targets[F nn.Float] struct {
	kind  []targetKind
	mark  []int
	gap   []F // in the time unit
	x     []F // (log gap − mean)/std
	tick  []F // the same of the middle of the gap's tick
	width []F // the tick's width there; +Inf if it takes all below, and tick is its upper end
}

func (t *targets[F]) len() int { return len(t.kind) }

func (t *targets[F]) resize(n int) {
	t.kind, t.mark = nn.Resize(t.kind, n), nn.Resize(t.mark, n)
	for _, c := range t.columns() {
		*c = nn.Resize(*c, n)
	}
}

func (t *targets[F]) columns() [4]*[]F { return [4]*[]F{&t.gap, &t.x, &t.tick, &t.width} }

func (t *targets[F]) slice(a, b int) targets[F] {
	return targets[F]{t.kind[a:b], t.mark[a:b], t.gap[a:b], t.x[a:b], t.tick[a:b], t.width[a:b]}
}

// set copies entry j of src to entry i.
func (t *targets[F]) set(i int, src *targets[F], j int) {
	t.kind[i], t.mark[i] = src.kind[j], src.mark[j]
	t.gap[i], t.x[i], t.tick[i], t.width[i] = src.gap[j], src.x[j], src.tick[j], src.width[j]
}

// lossSum holds sums of log likelihoods over examples. For a head without likelihood, time is minus its loss.
type lossSum struct {
	time, mark, survival float64
	events               int
}

func (l *lossSum) add(o lossSum) {
	l.time += o.time
	l.mark += o.mark
	l.survival += o.survival
	l.events += o.events
}

// perEvent returns the negative log likelihood per scored event, or 0 without events.
func (l lossSum) perEvent() float64 {
	if l.events == 0 {
		return 0
	}
	return -(l.time + l.mark + l.survival) / float64(l.events)
}
