package eval

import (
	"math"

	"github.com/tppfaas/tppfaas/tpp"
)

// silence is what a model that is told starts said about a gap until the last of them: the log probability that no event came, and
// the same given that one comes at all. What it says then is given that none has come: the probability of the whole gap is their product.
type silence struct{ any, coming float64 }

// add adds the time until a start, for which n is the prediction.
func (l *silence) add(n *tpp.Next, t float64) {
	if n.Time == nil {
		return
	}
	l.any += n.LogSurvival(t)
	l.coming += n.Time.LogSurvival(t)
}

// ending returns the part of the log probability that is about whether an event comes at all.
func (l *silence) ending() float64 {
	if math.IsInf(l.coming, -1) {
		return 0
	}
	return l.any - l.coming
}
