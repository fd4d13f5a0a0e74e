package live

import (
	"fmt"
	"math"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/modeltest"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
	"github.com/tppfaas/tppfaas/tpp/neural"
	"github.com/tppfaas/tppfaas/tpp/race"
)

func TestStatesRefuseBadEvents(t *testing.T) {
	d := tpptest.Chains(8, 20)
	recurrent := modeltest.Train(t, d, neural.TrainOptions{MaxEpochs: 1})
	table, err := classical.FitLookup(t.Context(), classical.LastMarkAndSet, d, classical.FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []tpp.Model{recurrent, table, modeltest.Race(t, race.Config{Graph: modeltest.Ring()}, d)} {
		state := m.NewState(0)
		if err := state.Observe(tpp.Event{Time: 100, Mark: 1}); err != nil {
			t.Fatal(err)
		}
		before := fmt.Sprint(dist.Median(state.Next(0).Time), state.Next(0).Marks)
		for _, e := range []tpp.Event{{Time: 99, Mark: 0}, {Time: 101, Mark: 3}, {Time: 101, Mark: -1}, {Time: math.NaN(), Mark: 0}} {
			if err := state.Observe(e); err == nil {
				t.Errorf("%s: event %+v was observed", m.Kind(), e)
			}
		}
		if after := fmt.Sprint(dist.Median(state.Next(0).Time), state.Next(0).Marks); after != before {
			t.Errorf("%s: refused events changed the state from %s to %s", m.Kind(), before, after)
		}
		clone := state.Clone()
		if err := state.Observe(tpp.Event{Time: 101, Mark: 2}); err != nil {
			t.Fatal(err)
		}
		if after := fmt.Sprint(dist.Median(clone.Next(0).Time), clone.Next(0).Marks); after != before {
			t.Errorf("%s: a clone changed with the state it was taken from", m.Kind())
		}
	}
}
