package eval

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

func someConfusion() *Confusion {
	c := newConfusion([]string{"a", "b", "unused", "c"})
	for _, x := range []ConfusionCell{{0, 0, 5}, {0, 1, 1}, {1, 1, 2}, {3, 0, 2}} {
		for range x.Count {
			c.add(x.Mark, x.Predicted)
		}
	}
	return c
}

func TestConfusionScores(t *testing.T) {
	c := someConfusion()
	if got, want := c.Accuracy(), 0.7; !tpptest.Near(got, want, 1e-12) {
		t.Errorf("accuracy is %v, want %v", got, want)
	}
	// a: 5 right, 1 missed, 2 too many; b: 2 right, 1 too many; c: never right; unused does not count.
	if got, want := c.MacroF1(), (10./13+4./5+0)/3; !tpptest.Near(got, want, 1e-12) {
		t.Errorf("macro-F1 is %v, want %v", got, want)
	}
	if !math.IsNaN(c.F1(2)) {
		t.Errorf("F1 of an unused mark is %v", c.F1(2))
	}
	if want := []ConfusionCell{{0, 0, 5}, {0, 1, 1}, {1, 1, 2}, {3, 0, 2}}; !slices.Equal(c.Cells(), want) {
		t.Errorf("cells are %v", c.Cells())
	}
	if empty := newConfusion(nil); !math.IsNaN(empty.Accuracy()) || !math.IsNaN(empty.MacroF1()) {
		t.Error("no events have an accuracy")
	}
}

func TestConfusionAsJSON(t *testing.T) {
	got, err := json.Marshal(someConfusion())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"marks":["a","b","c"],"counts":[{"mark":"a","predicted":"a","count":5},{"mark":"a","predicted":"b","count":1},` +
		`{"mark":"b","predicted":"b","count":2},{"mark":"c","predicted":"a","count":2}]}`
	if string(got) != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got, err := json.Marshal(newConfusion(nil)); string(got) != `{"marks":[],"counts":[]}` || err != nil {
		t.Errorf("of no events: %s, %v", got, err)
	}
}

func TestConfusionAsText(t *testing.T) {
	var b strings.Builder
	if err := someConfusion().WriteText(&b); err != nil {
		t.Fatal(err)
	}
	want := `
came \ predicted  a       b       c  recall
a                 5       1       ·  83.3 %
b                 ·       2       ·  100.0 %
c                 2       ·       ·  0.0 %
precision         71.4 %  66.7 %  –  70.0 %
`
	if got := "\n" + b.String(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}

	many := newConfusion(nil)
	for i := range 20 {
		many.markNames = append(many.markNames, fmt.Sprintf("f%d", i))
	}
	many.came, many.predicted, many.right = make([]int, 20), make([]int, 20), make([]int, 20)
	for i := range 20 {
		many.add(i, i)
		many.add(i, max(i-1, 0))
	}
	b.Reset()
	if err := many.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); strings.Count(got, "\n") != 21 || !strings.Contains(got, "f7    2       50.0 %   50.0 %     f6 (1)") {
		t.Errorf("many marks are listed as\n%s", got)
	}
}
