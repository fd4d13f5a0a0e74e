package race

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// show returns the graph as text, with the names without the given prefix.
func show(g *Graph, names []string, prefix string) string {
	var b strings.Builder
	name := func(m int) string { return strings.TrimPrefix(names[m], prefix) }
	for p, slots := range g.Slots {
		if len(slots) == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s:", name(p))
		for _, s := range slots {
			var marks []string
			for _, m := range s.Marks {
				marks = append(marks, name(m))
			}
			fmt.Fprintf(&b, " %s", strings.Join(marks, "|"))
		}
		for _, e := range g.Exclusive[p] {
			fmt.Fprintf(&b, " (%s≠%s)", name(e[0]), name(e[1]))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

var update = flag.Bool("update", false, "write the golden files")

// sampled returns the datasets of this repository by name.
func sampled(t *testing.T) map[string]*tpp.Dataset {
	t.Helper()
	files, err := filepath.Glob("../../data/*.json.gz")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	datasets := map[string]*tpp.Dataset{}
	for _, f := range files {
		d, err := dataset.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		datasets[strings.TrimSuffix(filepath.Base(f), ".json.gz")] = d
	}
	return datasets
}

// application returns the name of the application in the name of a dataset.
func application(name string) string {
	parts := strings.Split(name, "_")
	return strings.Join(parts[1:len(parts)-1], "_")
}

// TestGraphFromParentsOfSampledData compares the graphs of all datasets of an application, whatever the load and the durations, with one
// golden file of the graphs that the applications have.
func TestGraphFromParentsOfSampledData(t *testing.T) {
	graphs := map[string]string{}
	for name, d := range sampled(t) {
		g, err := GraphFromParents(d)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Validate(d.NumMarks()); err != nil {
			t.Fatal(err)
		}
		app := application(name)
		text := show(g, d.MarkNames, app+"-dev-")
		if other, ok := graphs[app]; ok && other != text {
			t.Errorf("%s:\n%sof another dataset:\n%s", name, text, other)
		}
		graphs[app] = text
	}
	var b strings.Builder
	for _, app := range slices.Sorted(maps.Keys(graphs)) {
		fmt.Fprintf(&b, "# %s\n%s", app, graphs[app])
	}
	const golden = "testdata/graphs.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("graphs\n%swant\n%s", b.String(), want)
	}
}

// TestWhatReplacesAnEvent checks that a few traces in which a function was left out are enough to tell that what it would have caused
// comes in its place, and that marks which are apart by chance are not taken for that.
func TestWhatReplacesAnEvent(t *testing.T) {
	for name, c := range map[string]struct {
		rare func(c *traces)
		want string
	}{
		"left out":               {func(c *traces) { c.event("g", c.event("main", -1, 0), 2000) }, "main: f g (f≠g)\nf: g\ng: h\n"},
		"left out with the next": {func(c *traces) { c.event("h", c.event("main", -1, 0), 2000) }, "main: f h (f≠h)\nf: g\ng: h\n"},
		"beside it": {func(c *traces) {
			m := c.event("main", -1, 0)
			c.event("f", m, 10)
			c.event("g", m, 2000)
		}, "main: f g\nf: g\ng: h\n"},
		"another mark": {func(c *traces) { c.event("x", c.event("main", -1, 0), 2000) }, "main: f x\nf: g\ng: h\n"},
	} {
		d := newTraces(8, "main", "f", "g", "h", "x")
		for i := range 32 {
			if i < 2 {
				c.rare(d)
			} else {
				d.event("h", d.event("g", d.event("f", d.event("main", -1, 0), 10), 200), 100)
			}
			d.end(0)
		}
		g, err := GraphFromParents(&d.data)
		if err != nil {
			t.Fatal(err)
		}
		if got := show(g, d.data.MarkNames, ""); got != c.want {
			t.Errorf("%s:\n%swant\n%s", name, got, c.want)
		}
	}
}
