package dataset

import (
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
)

func TestWindowsWithoutEvents(t *testing.T) {
	for name, text := range map[string]string{
		"document":     `{"sequences": [{"arrival_times": [], "marks": [], "t_start": 10, "t_end": 20}, {"arrival_times": [12], "marks": [0], "t_start": 10, "t_end": 20}], "mapping": {"a": 0}}`,
		"without keys": `{"sequences": [{"t_start": 10, "t_end": 20}, {"arrival_times": [12], "marks": ["a"], "t_start": 10, "t_end": 20}]}`,
		"lines":        "{\"t_start\": 10, \"t_end\": 20}\n{\"arrival_times\": [12], \"marks\": [\"a\"], \"t_start\": 10, \"t_end\": 20}\n",
		"CSV":          "sequence,time,mark,t_start,t_end\na,,,10,20\nb,12,a,10,20\n",
	} {
		d, err := Read(strings.NewReader(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(d.Sequences) != 2 || d.Sequences[0].Len() != 0 || *d.Sequences[0].TStart != 10 || *d.Sequences[0].TEnd != 20 || d.Sequences[1].Len() != 1 {
			t.Errorf("%s is read as %+v", name, d)
		}
		var m Summary
		for i := range d.Sequences {
			m.Add(&d.Sequences[i])
		}
		if m.Sequences != 2 || m.Events != 1 || m.First != 12 || m.Last != 12 || m.ShortestSequence != 0 || m.WithTEnd != 2 {
			t.Errorf("%s: summary %+v", name, m)
		}
	}
	for text, want := range map[string]string{
		`{"sequences": [{"arrival_times": []}]}`:                                               "no events",
		`{"sequences": [{"arrival_times": [], "t_end": 20}]}`:                                  "t_start",
		`{"sequences": [{"t_start": 20, "t_end": 10}]}`:                                        "not a time at or after",
		`{"sequences": [{"arrival_times": [], "init_times": [1], "t_start": 1, "t_end": 10}]}`: "init_times",
		"sequence,time,t_start,t_end\na,,10,20\na,12,10,20\n":                                  "without time",
		"sequence,time,t_start,t_end\na,12,10,20\na,,10,20\n":                                  "other lines",
		"sequence,time,mark,t_start,t_end\na,,x,10,20\n":                                       "no time",
		"sequence,time,t_start,t_end\na,,10,\n":                                                "no time",
	} {
		if d, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is read as %+v, error %v, want one that says %q", text, d, err, want)
		}
	}
}

func TestWaited(t *testing.T) {
	for _, c := range []struct {
		s    tpp.Sequence
		want float64
		open bool
	}{
		{tpp.Sequence{ArrivalTimes: []float64{1, 3}}, 0, false},
		{tpp.Sequence{ArrivalTimes: []float64{1, 3}, TEnd: new(7.0)}, 4, true},
		{tpp.Sequence{TStart: new(1.0), TEnd: new(7.0)}, 6, true},
	} {
		if got, open := c.s.Waited(); got != c.want || open != c.open {
			t.Errorf("%+v waited %v, %v; want %v, %v", c.s, got, open, c.want, c.open)
		}
	}
}
