package race

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func TestEstimateGraphFindsTheProcess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawProcess(t, false)
		p.waits = true
		d, want := p.dataset(600), p.graph()
		if len(want.Slots) < 2 {
			return
		}
		for i := range d.Sequences {
			d.Sequences[i].Parents = nil
		}
		got, report, err := EstimateGraph(d)
		if err != nil {
			t.Fatal(err)
		}
		if err := got.Validate(d.NumMarks()); err != nil {
			t.Fatal(err)
		}
		for m := range want.Slots {
			if fmt.Sprint(childMarks(got, m)) != fmt.Sprint(childMarks(want, m)) || fmt.Sprint(excluded(got, m)) != fmt.Sprint(excluded(want, m)) {
				t.Errorf("mark %d: slots %v, exclusive %v; want %v, %v; %+v", m, got.Slots[m], got.Exclusive[m], want.Slots[m], want.Exclusive[m], report.Marks)
			}
		}
	})
}
