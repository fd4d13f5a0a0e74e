package race

import "math"

// logSum is a sum of logarithms of probabilities, step by step. Where training only shows it, fast has a step take one logarithm of a product.
type logSum struct {
	total, step, product float64
	fast                 bool
}

// begin starts a step.
func (l *logSum) begin() { l.step, l.product = 0, 1 }

// add adds log p.
func (l *logSum) add(p float64) {
	if l.fast {
		l.multiply(p)
	} else {
		l.step += math.Log(p)
	}
}

// addRatio adds log p/q.
func (l *logSum) addRatio(p, q float64) {
	if l.fast {
		l.multiply(p / q)
	} else {
		l.step += math.Log(p) - math.Log(q)
	}
}

// multiply multiplies the product, which neither overflows nor underflows: p is between 1e-300 and 1e50.
func (l *logSum) multiply(p float64) {
	if l.product < 1e-200 || l.product > 1e200 {
		l.flush()
	}
	l.product *= p
}

func (l *logSum) flush() {
	l.step += math.Log(l.product)
	l.product = 1
}

// end adds the step to the total.
func (l *logSum) end() {
	if l.fast {
		l.flush()
	}
	l.total += l.step
}
