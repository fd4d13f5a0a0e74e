package dataset

import (
	"context"
	"slices"
	"strings"
	"testing"
)

func TestKnownColumnNames(t *testing.T) {
	for _, header := range []string{
		"user,ts,action", "user_id,timestamp,event", "session,datetime,item", "User ID,TS,Item ID", "session-id,event_time,action", "id,date,label",
	} {
		r, err := NewSequenceReader(strings.NewReader(header+"\na,1,x\na,5,y\nb,2,x\nb,9,x\n"), ReadOptions{})
		if err != nil {
			t.Errorf("%s: %v", header, err)
			continue
		}
		d, err := r.ReadAll(context.Background())
		if err != nil || len(d.Sequences) != 2 || !slices.Equal(d.MarkNames, []string{"x", "y"}) {
			t.Errorf("%s: read as %+v, error %v", header, d, err)
		}
		if w := r.Warnings(); len(w) > 0 {
			t.Errorf("%s: warnings %+v", header, w)
		}
	}
	// A number of the line must not be taken for a sequence where there is a user.
	d, err := Read(strings.NewReader("id,user_id,ts\n1,a,1\n2,a,5\n"))
	if err != nil || len(d.Sequences) != 1 {
		t.Errorf("the lines of a user are read as %+v, error %v", d, err)
	}
}

func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		name, text string
		opts       ReadOptions
		want       []WarningKind
		unit, says string
	}{
		{name: "epoch seconds as milliseconds", text: "user,ts\na,1620831914\na,1620831920\nb,1620831921\n", want: []WarningKind{WarningUnit}, unit: "s", says: "seconds since 1970"},
		{name: "epoch seconds with fractions", text: "user,ts\na,1620831914.25\na,1620831914.5\n", want: []WarningKind{WarningUnit}, unit: "s"},
		{name: "epoch microseconds", text: `{"sequences": [{"arrival_times": [1620831914000000, 1620831914000400]}]}`, want: []WarningKind{WarningUnit}, unit: "us"},
		{name: "epoch nanoseconds as seconds", text: "user,ts\na,1620831914000000000\na,1620831915000000000\n", opts: ReadOptions{Unit: "s"}, want: []WarningKind{WarningUnit}, unit: "ns"},
		{name: "epoch milliseconds", text: "user,ts\na,1620831914000\na,1620831914500\n"},
		{name: "epoch seconds as seconds", text: "user,ts\na,1620831914\na,1620831920\n", opts: ReadOptions{Unit: "s"}},
		{name: "time stamps", text: "user,ts\na,1970-01-20 00:00:00\na,1970-01-20 00:00:05\n"},
		{name: "relative times", text: "user,ts\na,0\na,1620831920\n"},
		{name: "gaps below a tick", text: "user,ts\na,0.25\na,0.5\na,0.5\na,2\na,2.125\n", want: []WarningKind{WarningTick}, says: "2 of 4 gaps"},
		{name: "gaps below a coarser tick", text: "user,ts\na,1\na,4\n", opts: ReadOptions{Tick: 10}, want: []WarningKind{WarningTick}, says: "10 ms"},
		{name: "a clock that is finer", text: "user,ts\na,0.25\na,0.5\n", opts: ReadOptions{Tick: 0.001}},
		{name: "gaps of one tick", text: "user,ts\na,1\na,2\na,2\na,2\n"},
		{name: "half of the gaps", text: "user,ts\na,0.5\na,1\na,2\n"},
		{name: "rounded away", text: "user,ts\na,0.25\na,0.3\na,5\na,5.1\n", opts: ReadOptions{Resolution: 1}, want: []WarningKind{WarningTick}, says: "2 of 3 gaps that become 0"},
		{name: "no column of sequences", text: "who,ts\na,1\nb,5\n", want: []WarningKind{WarningNoSequences}, says: `"who", "ts"`},
		{name: "an id of the line", text: "id,ts,who\n1,1,a\n2,5,a\n", want: []WarningKind{WarningSingleEvents}, says: `column "id"`},
		{name: "one sequence of one event", text: "id,ts\n1,1\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := NewSequenceReader(strings.NewReader(c.text), c.opts)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.ReadAll(context.Background()); err != nil {
				t.Fatal(err)
			}
			var kinds []WarningKind
			for _, w := range r.Warnings() {
				kinds = append(kinds, w.Kind)
				if w.Unit != c.unit || !strings.Contains(w.Text, c.says) {
					t.Errorf("warns %+v", w)
				}
			}
			if !slices.Equal(kinds, c.want) {
				t.Errorf("warnings %v, want %v", r.Warnings(), c.want)
			}
		})
	}
}

func TestUnitsInWords(t *testing.T) {
	for unit, want := range map[string]float64{"d": 2 * 86400e3, "days": 2 * 86400e3, "day": 2 * 86400e3, "hours": 7200e3, "minute": 120e3, "seconds": 2e3, "ns": 2e-6} {
		r, err := NewSequenceReader(strings.NewReader("time\n2\n"), ReadOptions{Unit: unit})
		if err != nil {
			t.Errorf("%s: %v", unit, err)
			continue
		}
		if d, err := r.ReadAll(context.Background()); err != nil || d.Sequences[0].ArrivalTimes[0] != want {
			t.Errorf("2 %s are %+v, error %v", unit, d, err)
		}
	}
}

func TestEmptyFilesAreSaid(t *testing.T) {
	for text, want := range map[string]string{
		"sequence,time\n":      `the names of columns, "sequence", "time", and no event`,
		"sequence,time\r\r":    "no event below it",
		`{"sequences": []}`:    "no sequence",
		`{"mapping": {}}`:      "no sequence",
		"time\n\n\n":           "no event below it",
		"\r\n\r\ntime\r\n\r\n": "no event below it",
	} {
		r, err := NewSequenceReader(strings.NewReader(text), ReadOptions{})
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if d, err := r.ReadAll(context.Background()); err != nil || len(d.Sequences) > 0 {
			t.Errorf("%q is read as %+v, error %v", text, d, err)
		}
		if w := r.Warnings(); len(w) != 1 || w[0].Kind != WarningEmpty || !strings.Contains(w[0].Text, want) {
			t.Errorf("%q: warnings %+v, want one that says %s", text, w, want)
		}
	}
}
