package race

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestGraphAsJSON(t *testing.T) {
	for _, c := range []struct {
		name string
		g    Graph
		want string
	}{
		{"no marks", Graph{}, `{"slots":[]}`},
		{"chain", Graph{Slots: [][]Slot{{{Marks: []int{1}}}, nil}}, `{"slots":[[[1]],[]]}`},
		{"exclusive", Graph{
			Slots:     [][]Slot{{{Marks: []int{0, 1}}, {Marks: []int{2}}}, nil, nil},
			Exclusive: [][][2]int{{{2, 0}, {1, 2}, {0, 2}}, nil, nil},
		}, `{"slots":[[[0,1],[2]],[],[]],"exclusive":[[[0,2],[1,2]],[],[]]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, err := json.Marshal(&c.g)
			if err != nil || string(text) != c.want {
				t.Fatalf("%s, %v, want %s", text, err, c.want)
			}
			var read Graph
			if err := json.Unmarshal(text, &read); err != nil {
				t.Fatal(err)
			}
			if again, err := json.Marshal(&read); err != nil || string(again) != c.want {
				t.Errorf("read back as %s, %v", again, err)
			}
		})
	}
}

var brokenGraphs = map[string]string{
	`{}`:                                   "no slots",
	`null`:                                 "no slots",
	`{"slots":null}`:                       "no slots",
	`[]`:                                   "cannot unmarshal",
	`{"slots":[[[1]]]}`:                    "has mark 1",
	`{"slots":[[[-1]]]}`:                   "has mark -1",
	`{"slots":[[[0,0]]]}`:                  "mark 0 twice",
	`{"slots":[[[]]]}`:                     "has 0 alternatives",
	`{"slots":[[[0.5]]]}`:                  "cannot unmarshal",
	`{"slots":[[]],"exclusive":[]}`:        "exclusive pairs of 0 marks",
	`{"slots":[[]],"more":1}`:              `unknown field "more"`,
	`{"slots":[[]],"exclusive":[[[0,0]]]}`: "cannot be exclusive",
	`{"slots":[[],[]],"exclusive":[[[0]],[]]}`:     "1 exclusive marks in a pair",
	`{"slots":[[],[]],"exclusive":[[[0,1,1]],[]]}`: "3 exclusive marks in a pair",
}

func TestGraphFromJSONRefuses(t *testing.T) {
	for text, says := range brokenGraphs {
		g := Graph{Slots: make([][]Slot, 3)}
		err := g.UnmarshalJSON([]byte(text))
		if err == nil || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "graph: ") {
			t.Errorf("%s: %v, want it to say %q", text, err, says)
		}
		if len(g.Slots) != 3 {
			t.Errorf("%s: the graph is changed", text)
		}
	}
}

func FuzzGraphFromJSON(f *testing.F) {
	for text := range brokenGraphs {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"slots":[[[0,1],[2]],[],[]],"exclusive":[[[0,2],[1,2]],[],[]]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var g, again Graph
		if g.UnmarshalJSON(text) != nil {
			return
		}
		if err := g.Validate(len(g.Slots)); err != nil {
			t.Fatal(err)
		}
		encoded, err := json.Marshal(&g)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(encoded, &again); err != nil || !reflect.DeepEqual(g, again) {
			t.Errorf("%s is read back as %+v, %v, want %+v", encoded, again, err, g)
		}
	})
}
