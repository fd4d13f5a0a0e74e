package newsvendor

import (
	"math"
	"slices"
	"testing"
)

// fixedModel says the same of every trace: after function 0 comes 1 or 2, with shares, or nothing; after function 1 comes 3.
type fixedModel struct{ one, two float64 }

func (m fixedModel) newFollower() follower { return &fixedFollower{m: m} }

type fixedFollower struct {
	m     fixedModel
	marks []int
}

func (f *fixedFollower) reset() { f.marks = f.marks[:0] }

func (f *fixedFollower) observe(mark, _ int, _ float64) error {
	f.marks = append(f.marks, mark)
	return nil
}

func (f *fixedFollower) expect(list []expected) []expected {
	last := len(f.marks) - 1
	switch f.marks[last] {
	case 0:
		at := int32(len(list))
		list = append(list, expected{mark: 1, cause: int32(last), parent: -1, probability: f.m.one}, expected{mark: 2, cause: int32(last), parent: -1, probability: f.m.two})
		return append(list, expected{mark: 3, cause: -1, parent: at, probability: 1})
	case 1:
		return append(list, expected{mark: 3, cause: int32(last), parent: -1, probability: 1})
	}
	return list
}

// branches returns a history in which function 0 calls 1 so many times, 2 so many, and nothing so many; 1 calls 3.
func branches(one, two, nothing int) *history {
	h := &history{}
	for range one {
		h.traces = append(h.traces, past{[]int{0, 1, 3}, []int{-1, 0, 1}, []float64{0, 1, 2}})
	}
	for range two {
		h.traces = append(h.traces, past{[]int{0, 2}, []int{-1, 0}, []float64{0, 1}})
	}
	for range nothing {
		h.traces = append(h.traces, past{[]int{0}, []int{-1}, []float64{0}})
	}
	return h
}

// TestSharesAreThoseThatWereRecorded: what a model takes to be rarer than it was recorded to be is expected as often as that.
func TestSharesAreThoseThatWereRecorded(t *testing.T) {
	for _, c := range []struct {
		name              string
		model             fixedModel
		one, two, nothing int
		want              []float64
	}{
		{"a rare branch", fixedModel{0.86, 0.14}, 280, 120, 0, []float64{0.7, 0.3, 1}},
		{"right already", fixedModel{0.7, 0.3}, 280, 120, 0, []float64{0.7, 0.3, 1}},
		{"sometimes nothing comes", fixedModel{0.5, 0.4}, 100, 100, 200, []float64{0.25, 0.25, 1}},
		{"never seen", fixedModel{0.9, 0.1}, 400, 0, 0, []float64{1, 0, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newShares(c.model, branches(c.one, c.two, c.nothing)).newFollower()
			for range 2 {
				f.reset()
				if err := f.observe(0, -1, 0); err != nil {
					t.Fatal(err)
				}
				got := f.expect(nil)
				if len(got) != len(c.want) {
					t.Fatalf("%d are expected, want %d", len(got), len(c.want))
				}
				for i, want := range c.want {
					if math.Abs(got[i].probability-want) > 0.01 {
						t.Errorf("function %d is expected with probability %.3f, want %.3f", got[i].mark, got[i].probability, want)
					}
				}
			}
		})
	}
}

// TestSharesKeepWhatAModelKnows: the odds of a trace are corrected, not replaced.
func TestSharesKeepWhatAModelKnows(t *testing.T) {
	s := newShares(fixedModel{0.86, 0.14}, branches(280, 120, 0))
	f := &sharesFollower{follower: &fixedFollower{m: fixedModel{0.995, 0.005}}, s: s}
	if err := f.observe(0, -1, 0); err != nil {
		t.Fatal(err)
	}
	list := f.expect(nil)
	if i := slices.IndexFunc(list, func(e expected) bool { return e.mark == 2 }); !(list[i].probability > 0.005 && list[i].probability < 0.03) {
		t.Errorf("what is known not to come is expected with probability %v", list[i].probability)
	}
}

// TestSharesOfWhatComesLater: the shares of a call are those that were recorded also as long as its caller is only expected.
func TestSharesOfWhatComesLater(t *testing.T) {
	model := laterModel{}
	h := &history{}
	for i := range 400 {
		if i < 280 {
			h.traces = append(h.traces, past{[]int{0, 1, 2}, []int{-1, 0, 1}, []float64{0, 1, 2}})
		} else {
			h.traces = append(h.traces, past{[]int{0, 1, 3}, []int{-1, 0, 1}, []float64{0, 1, 2}})
		}
	}
	f := newShares(model, h).newFollower()
	f.reset()
	if err := f.observe(0, -1, 0); err != nil {
		t.Fatal(err)
	}
	list := f.expect([]expected{{mark: 7}}) // of another trace
	for i, want := range []float64{1, 0.7, 0.3} {
		if got := list[i+1].probability; math.Abs(got-want) > 0.01 {
			t.Errorf("function %d is expected with probability %.3f, want %.3f", list[i+1].mark, got, want)
		}
	}
}

// laterModel says that 0 calls 1, and that 1 calls 2 nine times in ten, and else 3.
type laterModel struct{}

func (laterModel) newFollower() follower { return &laterFollower{} }

type laterFollower struct{ marks []int }

func (f *laterFollower) reset() { f.marks = f.marks[:0] }

func (f *laterFollower) observe(mark, _ int, _ float64) error {
	f.marks = append(f.marks, mark)
	return nil
}

func (f *laterFollower) expect(list []expected) []expected {
	at, last := int32(len(list)), int32(len(f.marks)-1)
	switch f.marks[last] {
	case 0:
		return append(list, expected{mark: 1, cause: last, parent: -1, probability: 1},
			expected{mark: 2, cause: -1, parent: at, probability: 0.9}, expected{mark: 3, cause: -1, parent: at, probability: 0.1})
	case 1:
		return append(list, expected{mark: 2, cause: last, parent: -1, probability: 0.9}, expected{mark: 3, cause: last, parent: -1, probability: 0.1})
	}
	return list
}
