package forecast

import "math"

// horizon holds the residuals of the largest of the next steps samples.
type horizon struct {
	steps int

	first, seen int // the first sample observed, and those since
	next        trailing

	residuals []residual // ring of the last window
	oldest    int
	all       sorted
	bins      []sorted
}

// trailing finds the largest of the last samples, as they come and go.
type trailing struct {
	largest []place // those that no later one exceeds
	known   int     // samples that are not missing
}

type place struct {
	at    int
	value float64
}

// push takes sample i, which is later than all.
func (t *trailing) push(i int, value float64) {
	if math.IsNaN(value) {
		return
	}
	t.known++
	for len(t.largest) > 0 && t.largest[len(t.largest)-1].value <= value {
		t.largest = t.largest[:len(t.largest)-1]
	}
	t.largest = append(t.largest, place{i, value})
}

// pop takes out sample i, the earliest.
func (t *trailing) pop(i int, value float64) {
	if math.IsNaN(value) {
		return
	}
	t.known--
	if len(t.largest) > 0 && t.largest[0].at <= i {
		t.largest = t.largest[1:]
	}
}

// max returns the largest value, of which there must be one.
func (t *trailing) max() float64 { return t.largest[0].value }

type residual struct {
	value float64 // NaN where it is not known
	bin   uint8
}

// observe takes sample i of f, which has no later one.
func (h *horizon) observe(f *Residual, i int) {
	if h.seen == 0 {
		h.first = i
	}
	h.seen++
	h.next.push(i, f.at(i).value)
	begin := i - h.steps
	if begin < h.first {
		return
	}
	from := f.at(begin)
	h.next.pop(begin, from.value)
	r := residual{math.NaN(), from.bin}
	if !math.IsNaN(from.value) && enough(h.next.known, h.steps) {
		r.value = h.next.max() - from.base
		if f.relative {
			r.value = ratio(h.next.max(), from.base)
		}
	}
	h.put(f.window, r)
}

// put adds a residual, and takes out the one that leaves the window.
func (h *horizon) put(window int, r residual) {
	if !math.IsNaN(r.value) {
		h.all.Add(r.value)
		h.bins[r.bin].Add(r.value)
	}
	if len(h.residuals) < window {
		h.residuals = append(h.residuals, r)
		return
	}
	if old := h.residuals[h.oldest]; !math.IsNaN(old.value) {
		h.all.Remove(old.value)
		h.bins[old.bin].Remove(old.value)
	}
	h.residuals[h.oldest] = r
	h.oldest = (h.oldest + 1) % window
}

// enough reports whether of steps samples so many are known that the largest of these is taken for the largest of all.
func enough(known, steps int) bool { return 10*known >= 9*steps }

// ratio returns a/b, 1 for 0/0, NaN where there is none.
func ratio(a, b float64) float64 {
	switch {
	case b > 0:
		return a / b
	case a == 0 && b == 0:
		return 1
	}
	return math.NaN()
}
