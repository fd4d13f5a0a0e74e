package race

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

func marshalled(t testing.TB, s tpp.State) []byte {
	t.Helper()
	data, err := s.(tpp.BinaryState).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestStatesAreReadStrictly checks that impossible states are refused with a reason, and leave the state unchanged.
func TestStatesAreReadStrictly(t *testing.T) {
	m := untrained(t, configs()[2], tpptest.Calls(1, 60))
	due := stateHead + 4*len(m.NewState(0).(*state).hidden) // the first entry
	float := func(v float64) string { return string(binary.LittleEndian.AppendUint64(nil, math.Float64bits(v))) }
	nan := float(math.NaN())
	for _, c := range []struct {
		events, at int
		bytes      string
		reason     string
	}{
		{2, 4, "\x01", "4294967298 events"},
		{2, 8, "\x03", "2 events, of which nothing explains 3"},
		{2, 16, nan, "a start at NaN"},
		{2, 24, nan, "last event at NaN"},
		{2, 24, float(1), "last event at 1"},
		{2, 24, float(math.Inf(1)), "last event at +Inf"},
		{2, 16, float(math.Inf(-1)), "a start at -Inf"},
		{2, 32, "\x03", "3 events that something explains"},
		{2, 40, nan, "late by NaN"},
		{2, 40, float(3), "late by 3"},
		{2, 48, "\x02", "of which 2 events are due"},
		{2, 49, "\x10", "events are due"},
		{2, stateHead, "\x00\x00\x80\x7f", "unit 0 is +Inf"},
		{2, stateHead, "\x00\x00\x00\x40", "unit 0 is 2"},
		{2, due, "\x07", "the graph has no slot"},
		{2, due, "\xff\xff\xff\xff", "the graph has no slot"},
		{2, due + 4, "\xff\xff\xff\xff", "the graph has no slot"},
		{2, due + 8, "\x07", "its parent is event 7, there are 2"},
		{2, due + 8, "\xff\xff\xff\xff\xff\xff\xff\xff", "its parent is event -1"},
		{0, due + 8, "\x00\x00\x00\x00\x00\x00\x00\x00", "its parent is event 0, there are 0"},
		{2, due + 16, "\x00", "the alternatives 0"},
		{2, due + 16, "\xf0", "the alternatives 11110000"},
		{2, due + 24, "\x05", "kind 5 of a delay"},
		{2, due + 25, nan, "its delay began at NaN"},
		{2, due + 25, float(1e9), "its delay began at 1e+09"},
		{2, due + 33, float(math.Inf(1)), "late by +Inf"},
		{2, due + 41, float(-1), "its parent waited -1"},
		{2, due + 49, nan, "initialised NaN"},
		{2, due + 57, float(1e300), "a covariate of 1e+300 standard deviations"},
	} {
		s := tpptest.Observed(t, m, c.events).(tpp.BinaryState)
		data := marshalled(t, s)
		copy(data[c.at:], c.bytes)
		before := s.Clone()
		if err := s.UnmarshalBinary(data); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%q at %d: got error %v, want one that says %q", c.bytes, c.at, err, c.reason)
		}
		if !tpptest.SameNext(s, before, 200) {
			t.Errorf("%q at %d: a state that could not be read changed the one there was", c.bytes, c.at)
		}
	}
}

// TestToldStatesTravel checks that a state that was told starts goes on as before once it was written and read, however many events it had.
func TestToldStatesTravel(t *testing.T) {
	m := untrained(t, configs()[1], tpptest.Calls(1, 60))
	for _, events := range []int{0, 1, 3, 600} {
		s := m.NewState(50).(*state)
		for j := range events {
			if err := s.Observe(tpp.Event{Time: 60 + 30*float64(j), Mark: j % 3}); err != nil {
				t.Fatal(err)
			}
			if j%2 == 1 {
				if err := s.ObserveStart(65+30*float64(j), j, 5, 0); err != nil {
					t.Fatal(err)
				}
			}
		}
		again := m.NewState(0).(*state)
		if err := again.UnmarshalBinary(marshalled(t, s)); err != nil {
			t.Fatalf("after %d events: %v", events, err)
		}
		for _, s := range []*state{s, again} {
			if events > 2 {
				if err := s.ObserveStart(1e6, events-3, 5, 2); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !tpptest.SameNext(s, again, 1e6+20) {
			t.Errorf("a state of %d events predicts otherwise when it has travelled", events)
		}
		data := marshalled(t, again)
		if events > 0 {
			copy(data[len(data)-4:], "\x03\x00\x00\x00")
			if err := again.UnmarshalBinary(data); err == nil || !strings.Contains(err.Error(), "mark 3: the model knows 3 marks") {
				t.Errorf("got error %v", err)
			}
		}
	}
}

// FuzzUnmarshalBinary checks that any bytes give an error, or a state that works and is written as it was read.
func FuzzUnmarshalBinary(f *testing.F) {
	var models []*Race
	for i, cfg := range configs()[:3] {
		d := tpptest.Calls(1, 40)
		if i == 0 {
			d = withoutStarts(d)
		}
		models = append(models, untrained(f, cfg, d))
		for _, events := range []int{0, 1, 4} {
			f.Add(byte(i), marshalled(f, tpptest.Observed(f, models[i], events)))
		}
	}
	f.Fuzz(func(t *testing.T, which byte, content []byte) {
		s := models[int(which)%len(models)].NewState(0).(tpp.BinaryState)
		if s.UnmarshalBinary(content) != nil {
			return
		}
		if again := marshalled(t, s); !bytes.Equal(again, content) {
			t.Fatalf("read %x, wrote %x", content, again)
		}
		last := s.(*state).last
		for _, at := range []float64{0, last + 10} {
			next := s.Next(at)
			checkArrivals(t, s, at)
			if p := next.Time.CDF(100); !(p >= 0 && p <= 1) || !(next.End >= 0 && next.End <= 1) {
				t.Fatalf("a state that was read predicts %v and the end %v at %v", p, next.End, at)
			}
		}
		if err := s.Observe(tpp.Event{Time: last, Mark: 2, Covariates: s.(tpp.TypicalState).TypicalCovariates(nil)}); err != nil {
			t.Fatal(err)
		}
		if events := s.(*state).events; events > 0 {
			if err := s.(*state).ObserveStart(last+1, events/2, 1, 0); err != nil {
				t.Fatal(err)
			}
		}
		s.Next(last + 1).Median()
	})
}
