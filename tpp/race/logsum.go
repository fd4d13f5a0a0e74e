package race

import "math"

// logSum is a sum of logarithms of probabilities, step by step. Where training only shows it, fast takes the logarithm of products.
type logSum struct {
	total, step, product float64
	fast                 bool
}

func newLogSum(fast bool) logSum { return logSum{product: 1, fast: fast} }

// begin starts a step.
func (l *logSum) begin() { l.step = 0 }

// add adds log p.
func (l *logSum) add(p float64) { l.addRatio(p, 1) }

// addRatio adds log p/q.
func (l *logSum) addRatio(p, q float64) {
	if !l.fast {
		l.step += math.Log(p) - math.Log(q)
		return
	}
	// The product neither overflows nor underflows, as the ratio is between 1e-60 and 1e60.
	l.product *= p / q
	if l.product < 1e-200 || l.product > 1e200 {
		l.step += math.Log(l.product)
		l.product = 1
	}
}

// end adds the step to the total.
func (l *logSum) end() { l.total += l.step }

// result returns the sum of all steps.
func (l *logSum) result() float64 { return l.total + math.Log(l.product) }
