package dataset

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tppfaas/tppfaas/tpp"
)

func TestListsOfOtherTools(t *testing.T) {
	two := &tpp.Dataset{MarkNames: []string{"0", "1", "2"}, Sequences: []tpp.Sequence{
		{ArrivalTimes: []float64{0, 500, 1250}, Marks: []int{2, 0, 2}}, {ArrivalTimes: []float64{0}, Marks: []int{1}},
	}}
	windowed := &tpp.Dataset{MarkNames: two.MarkNames, Sequences: []tpp.Sequence{two.Sequences[0], two.Sequences[1]}}
	for i := range windowed.Sequences {
		windowed.Sequences[i].TStart, windowed.Sequences[i].TEnd = new(0.0), new(2000.0)
	}
	unmarked := &tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{0, 500, 1250}}, {ArrivalTimes: []float64{0}}}}
	for _, c := range []struct {
		name, text string
		want       *tpp.Dataset
	}{
		{"a list at Hugging Face", `[{"dim_process": 3, "seq_idx": 0, "seq_len": 3, "time_since_last_event": [0, 0.5, 0.75], "time_since_start": [0, 0.5, 1.25], "type_event": [2, 0, 2]},
			{"dim_process": 3, "seq_idx": 1, "seq_len": 1, "time_since_last_event": [0], "time_since_start": [0], "type_event": [1]}]`, two},
		{"lines at Hugging Face", `{"time_since_start": [0, 0.5, 1.25], "type_event": [2, 0, 2], "dim_process": 3}` + "\n" + `{"time_since_start": [0], "type_event": [1], "dim_process": 3}`, two},
		{"lists of events", `[[{"time_since_start": 0, "time_since_last_event": 0, "type_event": 2}, {"time_since_start": 0.5, "type_event": 0}, {"time_since_start": 1.25, "type_event": 2}], [{"time_since_start": 0, "type_event": 1}]]`, two},
		{"a pickle of EasyTPP's as JSON", `{"dim_process": 3, "dev": [], "train": [[{"time_since_start": 0, "type_event": 2}, {"time_since_start": 0.5, "type_event": 0}, {"time_since_start": 1.25, "type_event": 2}], [{"time_since_start": 0, "type_event": 1}]], "test": [], "index": {}}`, two},
		{"events without types", `[[{"time_since_start": 0}, {"time_since_start": 0.5}, {"time_since_start": 1.25}], [{"time_since_start": 0}]]`, unmarked},
		{"arrays of ifl-tpp", `{"arrival_times": [[0, 0.5, 1.25], [0]], "marks": [[2, 0, 2], [1]], "num_marks": 3}`, two},
		{"arrays and a window", `{"t_start": 0, "arrival_times": [[0, 0.5, 1.25], [0]], "marks": [[2, 0, 2], [1]], "t_end": [2, 2.0]}`, windowed},
		{"arrays without marks", `{"arrival_times": [[0, 0.5, 1.25], [0]]}`, unmarked},
		{"sequences of ifl-tpp", `{"sequences": [{"arrival_times": [0, 0.5, 1.25], "marks": [2, 0, 2]}, {"arrival_times": [0], "marks": [1]}], "num_marks": 3}`, two},
		{"sequences of ifl-tpp, the number first", `{"num_marks": 3, "sequences": [{"arrival_times": [0, 0.5, 1.25], "marks": [2, 0, 2]}, {"arrival_times": [0], "marks": [1]}]}`, two},
		{"a list of our sequences", `[{"arrival_times": [0, 0.5, 1.25], "marks": [2, 0, 2]}, {"arrival_times": [0], "marks": [1]}]`, two},
	} {
		t.Run(c.name, func(t *testing.T) {
			for how, read := range map[string]func() (*tpp.Dataset, error){
				"whole": func() (*tpp.Dataset, error) {
					r, err := NewSequenceReader(iotest.OneByteReader(bytes.NewBufferString(c.text)), ReadOptions{Unit: "s"})
					if err != nil {
						return nil, err
					}
					return r.ReadAll(context.Background())
				},
				"streamed": func() (*tpp.Dataset, error) {
					r, err := NewSequenceReader(strings.NewReader(c.text), ReadOptions{Unit: "s"})
					if err != nil {
						return nil, err
					}
					return collect(r)
				},
			} {
				d, err := read()
				if err != nil {
					t.Errorf("%s: %v", how, err)
					continue
				}
				if len(d.MarkNames) == 0 {
					d.MarkNames = nil
				}
				if !reflect.DeepEqual(d, c.want) {
					got, _ := json.Marshal(d)
					t.Errorf("%s: read as %s", how, got)
				}
			}
			// In the numbering of a model that knows the marks by name.
			r, err := NewSequenceReader(strings.NewReader(c.text), ReadOptions{Unit: "s", MarkNames: []string{"2", "1", "0"}})
			if err != nil {
				t.Fatal(err)
			}
			if d, err := collect(r); c.want.MarkNames != nil && (err != nil || d.Sequences[0].Mark(0) != 0 || d.Sequences[0].Mark(1) != 2) {
				t.Errorf("in the model's marks: %+v, error %v", d, err)
			}
		})
	}
}

// TestListsSayHowManyMarks checks that marks that no event has are known, wherever the file says how many there are.
func TestListsSayHowManyMarks(t *testing.T) {
	for _, text := range []string{
		`{"dim_process": 3, "train": [[{"time_since_start": 0, "type_event": 1}]]}`,
		`{"train": [[{"time_since_start": 0, "type_event": 1}]], "dim_process": 3}`,
		`{"dim_process": 3, "train": [{"time_since_start": [0], "type_event": [1]}]}`,
		`{"train": [{"time_since_start": [0], "type_event": [1]}], "dim_process": 3}`,
		`[{"time_since_start": [0], "type_event": [1], "dim_process": 3}]`,
	} {
		if d, err := Read(strings.NewReader(text)); err != nil || len(d.MarkNames) != 3 || d.Sequences[0].Mark(0) != 1 {
			t.Errorf("%s is read as %+v, error %v", text, d, err)
		}
	}
}

func TestListsThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		`[{"time_since_start": [0, 1], "type_event": [3, 0], "dim_process": 3}]`: "sequence 0: event 0 has the mark 3, there are 3",
		`[{"time_since_start": [0, 1], "type_event": [-1, 0]}]`:                  "has the mark -1",
		`[{"time_since_start": [0], "type_event": [99999999]}]`:                  "has the mark 99999999",
		`[{"time_since_start": [1, 0]}]`:                                         "is before the one ahead",
		`[[{"type_event": 1}]]`:                                                  "event 0 has no time_since_start",
		`[[{"time_since_start": 1, "type_event": 1}, {"time_since_start": 2}]]`:  "have no type_event",
		`[[5]]`: "5 is not an event",
		`{"train": [[{"time_since_start": 1}]], "test": [[{"time_since_start": 1}]]}`: `several parts, of which "test" is one`,
		`{"arrival_times": [[1]], "marks": [[0], [0]]}`:                               "1 arrays of arrival_times but 2 of marks",
		`{"arrival_times": [[1]], "t_end": [2, 3]}`:                                   "2 numbers t_end",
		`{"arrival_times": [[1]]} x`:                                                  "more follows",
		`[] x`:                                                                        "more follows",
		`{"arrival_times": [[1, 2], [3, 4]], "marks": [[0, 1], [0, null]]}`:           "sequence 1: the mark of event 1 is null",
		`{"arrival_times": [[1, 2], [3, 4]], "marks": [[0, 1], null]}`:                "sequence 1: 2 arrival_times but 0 marks",
		`{"dim_process": 2, "train": [{"time_since_start": [0], "type_event": [2]}]}`: `sequence 0: dim_process is 2, but there is an event with the mark "2"`,
		`{"train": [{"time_since_start": [0], "type_event": [2]}], "dim_process": 2}`: `dim_process is 2, but there is an event with the mark "2"`,
		`[{"time_since_start": [0]}`:                                                  "ends in the middle",
		"\x80\x04\x95\x00\x00":                                                        "pickle",
		"PK\x03\x04\x00\x00":                                                          "zip archive",
		`{"sequences": [{"arrival_times": [1], "marks": [4]}], "num_marks": 3}`:       "marks[0] = 4 is not in the mapping of 3",
	} {
		if d, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is read as %+v, error %v, want %q", text, d, err, want)
		}
	}
}
