package apps

import (
	"strings"
	"testing"
	"time"
)

// text formats the calls below call i as f1(f2 f3()), to compare.
func text(app *Application, calls []Call, i int) string {
	var below []string
	for _, j := range calls[i].Invokes {
		below = append(below, text(app, calls, j))
	}
	return app.Functions[calls[i].Function].Name + "(" + strings.Join(below, " ") + ")"
}

func TestMissingFunctionsInARow(t *testing.T) {
	sleep := Function{Duration: time.Second, Gamma: Gamma{Shape: 1, Rate: 1}}
	f := func(name string, invokes ...string) Function {
		f := sleep
		f.Name, f.Invokes = name, Always(invokes...)
		return f
	}
	app := &Application{Name: "x", Functions: []Function{
		{Name: Main, Invokes: Always("a", "e")}, f("a", "b", "d"), f("b", "c", "d"), f("c"), f("d"), f("e", "d"),
	}}
	d, err := NewDrawer(app, Variation{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ missing, want string }{
		{"", "main(a(b(c() d()) d()) e(d()))"},
		{"c", "main(a(b(d()) d()) e(d()))"},
		{"a", "main(b(c() d()) d() e(d()))"},
		{"a b", "main(c() d() d() e(d()))"},
		{"d", "main(a(b(c())) e())"},
		{"a b c", "main(d() d() e(d()))"},
		{"a e d", "main(b(c()))"},
		{"a b c d e", "main()"},
	} {
		var missing []int
		for _, name := range strings.Fields(c.missing) {
			missing = append(missing, app.Index(name))
		}
		if got := text(app, d.prune(d.tree, missing), 0); got != c.want {
			t.Errorf("without %s: %s, want %s", c.missing, got, c.want)
		}
	}
}

func TestVariationsThatCannotBe(t *testing.T) {
	app, err := Load("tree_small")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []Variation{{Anomalies: -1}, {Missing: -1}, {Anomalies: 9, Missing: 1}, {Missing: 1 << 62, Anomalies: 1 << 62}} {
		if _, err := NewDrawer(app, v, 1); err == nil {
			t.Errorf("%+v was taken", v)
		}
	}
}
