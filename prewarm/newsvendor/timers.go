package newsvendor

// timers are times at which something is to be looked at, each for an owner that keeps its place, −1 for none, in an int of its own.
type timers struct {
	heap []timer
}

type timer struct {
	at    float64
	owner uint64
	place *int
}

// next returns the earliest time, +Inf if there is none.
func (t *timers) next() float64 {
	if len(t.heap) == 0 {
		return never
	}
	return t.heap[0].at
}

// set sets, moves or, at +Inf, removes the timer of an owner.
func (t *timers) set(place *int, owner uint64, at float64) {
	i := *place
	switch {
	case i < 0 && at == never:
		return
	case i < 0:
		*place = len(t.heap)
		t.heap = append(t.heap, timer{at, owner, place})
		t.up(*place)
	case at == never:
		last := len(t.heap) - 1
		t.swap(i, last)
		t.heap[last] = timer{}
		t.heap = t.heap[:last]
		*place = -1
		if i < last {
			t.down(t.up(i))
		}
	default:
		t.heap[i].at, t.heap[i].owner = at, owner
		t.down(t.up(i))
	}
}

func (t *timers) swap(i, j int) {
	t.heap[i], t.heap[j] = t.heap[j], t.heap[i]
	*t.heap[i].place, *t.heap[j].place = i, j
}

func (t *timers) less(i, j int) bool {
	a, b := &t.heap[i], &t.heap[j]
	return a.at < b.at || a.at == b.at && a.owner < b.owner
}

func (t *timers) up(i int) int {
	for i > 0 && t.less(i, (i-1)/2) {
		t.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
	return i
}

func (t *timers) down(i int) {
	for {
		least := i
		for _, k := range [2]int{2*i + 1, 2*i + 2} {
			if k < len(t.heap) && t.less(k, least) {
				least = k
			}
		}
		if least == i {
			return
		}
		t.swap(i, least)
		i = least
	}
}
