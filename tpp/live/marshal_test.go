package live

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/internal/modeltest"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
	"github.com/tppfaas/tppfaas/tpp/neural"
)

func TestStatesTravel(t *testing.T) {
	models := modeltest.Carriers(t)
	for i, m := range models {
		for _, events := range []int{0, 1, 2, 5} {
			s := tpptest.Observed(t, m, events)
			data, err := MarshalState(m, s)
			if err != nil {
				t.Fatal(err)
			}
			again, err := UnmarshalState(m, data)
			if err != nil {
				t.Fatalf("%s after %d events: %v", m.Kind(), events, err)
			}
			if !tpptest.SameNext(s, again, 200) {
				t.Errorf("%s: after %d events a state predicts otherwise when it has travelled", m.Kind(), events)
			}
			if written, err := MarshalState(m, again); err != nil || !bytes.Equal(written, data) {
				t.Errorf("%s: a state that has travelled is written otherwise (error %v)", m.Kind(), err)
			}
			if err := again.Observe(tpp.Event{Time: 49}); err == nil {
				t.Errorf("%s: a state forgot on its way when it was", m.Kind())
			}
			for j, other := range models {
				if _, err := UnmarshalState(other, data); i != j && (err == nil || !strings.Contains(err.Error(), "another model")) {
					t.Errorf("a %s took the state of a %s: %v", other.Kind(), m.Kind(), err)
				}
			}
			// Every damaged byte and every missing end is noticed.
			for k := range data {
				bad := bytes.Clone(data)
				bad[k] ^= 4
				if _, err := UnmarshalState(m, bad); err == nil {
					t.Fatalf("%s: damage at byte %d went unnoticed", m.Kind(), k)
				}
				if _, err := UnmarshalState(m, data[:k]); err == nil {
					t.Fatalf("%s: a state of %d bytes was read from its first %d", m.Kind(), len(data), k)
				}
			}
		}
	}
}

// TestFingerprintOutlivesTheFile checks that a model that was written and read takes the states of the one before.
func TestFingerprintOutlivesTheFile(t *testing.T) {
	m := modeltest.Train(t, tpptest.Chains(6, 30), neural.TrainOptions{MaxEpochs: 1})
	data, err := MarshalState(m, tpptest.Observed(t, m, 3))
	if err != nil {
		t.Fatal(err)
	}
	again, err := tpp.ReadModel(bytes.NewReader([]byte(tpptest.Encoded(t, m))))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := UnmarshalState(again, data); err != nil {
		t.Error(err)
	}
}

func TestStatesThatCannotTravel(t *testing.T) {
	m := poisson{rate: 1}
	if _, err := MarshalState(m, m.NewState(0)); err == nil || !strings.Contains(err.Error(), "it has no binary form") {
		t.Errorf("got error %v", err)
	}
	a, b := modeltest.Random(t, modeltest.Variants[0], 1), modeltest.Random(t, modeltest.Variants[0], 2)
	if _, err := MarshalState(a, b.NewState(0)); err == nil || !strings.Contains(err.Error(), "belongs to another model") {
		t.Errorf("got error %v", err)
	}
}

// TestStatesAreReadStrictly checks that impossible states are refused with a reason, and leave the state unchanged.
func TestStatesAreReadStrictly(t *testing.T) {
	m := modeltest.Random(t, modeltest.Variants[1], 1)
	table, err := classical.FitLookup(t.Context(), classical.LastThreeMarks, tpptest.Chains(3, 40), classical.FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		m      tpp.Model
		events int
		at     int // from where on the bytes are replaced
		bytes  string
		reason string
	}{
		{m, 2, 8, "\x00\x00\x00\x00\x00\x00\xf8\x7f", "the last event at NaN"},
		{m, 2, 0, "\x00\x00\x00\x00\x00\x00\x00\x01", "72057594037927936 events"},
		{m, 2, 20, "\x00\x00\x80\x7f", "unit 1 is +Inf"},
		{m, 0, 16, "\x00\x00\x80\x3f", "unit 0 is 1 before the first event"},
		{table, 2, 0, "\x00\x00\x00\x00\x00\x00\xf0\xff", "the last event at -Inf"},
		{table, 2, 15, "\x01", "events"},
		{table, 2, 16, "\x01", "mark 1, 1 events ago"},
		{table, 2, 24, "\x01", "mark 1, 3 events ago"},
		{table, 2, 28, "\x0d", "mark 3 was seen: the model knows 3 marks"},
		{table, 2, 28, "\x07", "3 marks seen in 2 events"},
	} {
		s := tpptest.Observed(t, c.m, c.events).(tpp.BinaryState)
		data, err := s.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		copy(data[c.at:], c.bytes)
		before := s.Clone()
		if err := s.UnmarshalBinary(data); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: got error %v, want one that says %q", c.m.Kind(), err, c.reason)
		}
		if !tpptest.SameNext(s, before, 200) {
			t.Errorf("%s: a state that could not be read changed the one there was", c.m.Kind())
		}
	}
}

// FuzzUnmarshalState checks that any bytes give an error, or a state that works and is written as it was read.
func FuzzUnmarshalState(f *testing.F) {
	models := modeltest.Carriers(f)
	models = append(models[:3], models[len(modeltest.Variants):]...)
	for i, m := range models {
		for _, events := range []int{0, 4} {
			content, err := tpptest.Observed(f, m, events).(tpp.BinaryState).MarshalBinary()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(byte(i), content)
		}
	}
	f.Fuzz(func(t *testing.T, which byte, content []byte) {
		m := models[int(which)%len(models)]
		_, _ = UnmarshalState(m, content)
		s := m.NewState(0).(tpp.BinaryState)
		if s.UnmarshalBinary(content) != nil {
			return
		}
		again, err := s.MarshalBinary()
		if err != nil || !bytes.Equal(again, content) {
			t.Fatalf("%s: read %x, wrote %x (error %v)", m.Kind(), content, again, err)
		}
		next := s.Next(0)
		if p := next.Time.CDF(100); !(p >= 0 && p <= 1) || !(next.End >= 0 && next.End <= 1) {
			t.Fatalf("%s: a state that was read predicts %v and the end %v", m.Kind(), p, next.End)
		}
	})
}
