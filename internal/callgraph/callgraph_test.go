package callgraph

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// TestReadGraphOfSampledData compares the graph of each application with what the parents in its sampled traces say.
func TestReadGraphOfSampledData(t *testing.T) {
	for _, app := range apps.Embedded() {
		path := filepath.Join("../../data", "low_"+app+"_det.json.gz")
		if _, err := os.Stat(path); os.IsNotExist(err) {
			continue // the template is not sampled
		}
		d, err := dataset.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := race.GraphFromParents(d)
		if err != nil {
			t.Fatal(err)
		}
		folder := filepath.Join("../../apps", app)
		for _, path := range []string{app, folder, filepath.Join(folder, "graph.yaml")} {
			got, err := Read(path, d.MarkNames)
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range []*race.Graph{got, want} {
				for _, slots := range g.Slots {
					for _, s := range slots {
						slices.Sort(s.Marks) // the order of alternatives means nothing
					}
				}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %+v, its traces say %+v", path, got, want)
			}
		}
	}
}

// yamlOf returns a graph.yaml in which the functions have the given invokes, separated by spaces.
func yamlOf(functions ...string) string {
	var b strings.Builder
	b.WriteString("functions:\n")
	for _, f := range functions {
		name, invokes, _ := strings.Cut(f, ":")
		values := ""
		if name != apps.Main {
			values = "duration: 1, gamma: {shape: 1, rate: 1}, "
		}
		fmt.Fprintf(&b, "  %s: {%sinvokes: [%s]}\n", name, values, invokes)
	}
	return b.String()
}

func TestReadGraph(t *testing.T) {
	many := func(format string, n int) []string {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf(format, i))
		}
		return names
	}
	loop := yamlOf("main:{loop: {a: 0.5, max: 3}}", "a:b,c", "b:", "c:")
	for _, c := range []struct {
		name, text string
		marks      []string
		slots      string
		exclusive  string
	}{
		{"twice", yamlOf("main:a, a", "a:"), []string{"main", "a"}, "[[[1] [1]] []]", "[[] []]"},
		{"loop", loop, []string{"main", "a", "b", "c"}, "[[[1]] [[1 2] [3]] [] []]", "[[] [[1 3]] [] []]"},
		{"loop of a leaf", yamlOf("main:{loop: {a: 1, max: 2}}", "a:"), []string{"main", "a"}, "[[[1]] [[1]]]", "[[] []]"},
		{"no loop", yamlOf("main:{loop: {a: 0.5, max: 1}}", "a:b", "b:"), []string{"main", "a", "b"}, "[[[1]] [[2]] []]", "[[] [] []]"},
		{"loop before a choice", yamlOf("main:{loop: {a: 0.5, max: 3}}", "a:{choice: {b: 0.5, c: 0.3, none: 0.2}}", "b:", "c:"),
			[]string{"c", "b", "a", "main"}, "[[] [] [[2 1 0]] [[2]]]", "[[] [] [] []]"},
		{"choices that share a function", yamlOf("main:a, {choice: {a: 0.5, b: 0.5}}", "a:", "b:"), []string{"main", "a", "b"},
			"[[[1] [1 2]] [] []]", "[[] [] []]"},
		{"a function that was never seen", loop, []string{"x/main", "x/a", "x/c"}, "[[[1]] [[1] [2]] []]", "[[] [[1 2]] []]"},
		{"names that end in others", yamlOf("main:a-main", "a-main:"), []string{"p-a-main", "p-main"}, "[[] [[0]]]", "[[] []]"},
		{"the plain names first", yamlOf("main:x-main", "x-main:"), []string{"x-main"}, "[[]]", "[[]]"},
		{"deployed names first", yamlOf("main:graph-dev-main", "graph-dev-main:"), []string{"graph-dev-main"}, "[[]]", "[[]]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "graph", "any.yaml")
			if err := os.Mkdir(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(c.text), 0o666); err != nil {
				t.Fatal(err)
			}
			g, err := Read(path, c.marks)
			if err != nil {
				t.Fatal(err)
			}
			var slots [][][]int
			for _, of := range g.Slots {
				var marks [][]int
				for _, s := range of {
					marks = append(marks, s.Marks)
				}
				slots = append(slots, marks)
			}
			if got := fmt.Sprint(slots); got != c.slots {
				t.Errorf("slots %s, want %s", got, c.slots)
			}
			if got := fmt.Sprint(g.Exclusive); got != c.exclusive {
				t.Errorf("exclusive %s, want %s", got, c.exclusive)
			}
		})
	}
	t.Run("a choice of many", func(t *testing.T) {
		names := many("f%d", race.MaxAlternatives+2)
		functions := []string{"main:{choice: {" + strings.Join(names, ": 0.0151515151515, ") + ": 0.0151515151515}}"}
		path := write(t, "graph.yaml", yamlOf(append(functions, names...)...))
		g, err := Read(path, append([]string{"main"}, names...))
		if err != nil {
			t.Fatal(err)
		}
		if len(g.Slots[0]) != 2 || len(g.Slots[0][0].Marks) != race.MaxAlternatives || len(g.Slots[0][1].Marks) != 2 ||
			len(g.Exclusive[0]) != 2*race.MaxAlternatives {
			t.Errorf("%d slots, %d exclusive pairs", len(g.Slots[0]), len(g.Exclusive[0]))
		}
	})
}

func TestReadGraphRefuses(t *testing.T) {
	chain := write(t, "chain.yaml", yamlOf("main:a", "a:b", "b:"))
	ambiguous := write(t, "two.yaml", yamlOf("main:a-b, b", "a-b:", "b:"))
	for _, c := range []struct {
		name, path string
		marks      []string
		says       string
	}{
		{"no marks", chain, nil, "chain.yaml: the events of the dataset have no marks"},
		{"a mark that is no function", chain, []string{"x-main", "x-a", "x-c"}, `chain.yaml: the dataset's mark "x-c" is none of the functions main, a, b of the graph`},
		{"two applications", chain, []string{"x-main", "y-a"}, `mark "y-a" is none of`},
		{"another application", chain, []string{"f1", "f2"}, `mark "f1" is none of`},
		{"two ways", ambiguous, []string{"x-a-b"}, `mark "x-a-b" may be more than one function of the graph`},
		{"the same mark twice", chain, []string{"a", "a"}, `marks 0 and 1 are both called "a"`},
		{"not YAML", write(t, "broken.yaml", "functions: ["), []string{"a"}, "broken.yaml:1: not YAML"},
		{"no file", "nowhere.yaml", []string{"a"}, "nowhere.yaml: no such folder"},
		{"no graph in the folder", filepath.Dir(t.TempDir()), []string{"a"}, "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := Read(c.path, c.marks)
			if err == nil {
				t.Fatalf("got %+v", g)
			}
			if text := err.Error(); !strings.Contains(text, c.says) || strings.Contains(text, "\n") {
				t.Errorf("%q, want it to say %q", text, c.says)
			}
		})
	}
}

func FuzzReadGraph(f *testing.F) {
	for _, name := range apps.Embedded() {
		app, err := apps.Load(name)
		if err != nil {
			f.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join("../../apps", name, apps.GraphFile))
		if err != nil {
			f.Fatal(err)
		}
		var marks []string
		for _, function := range app.Functions {
			marks = append(marks, app.DeployedName(function.Name))
		}
		f.Add(text, strings.Join(marks, " "))
	}
	f.Add([]byte(yamlOf("main:a, a, {choice: {a: 0.5, b: 0.5}}, {loop: {b: 0.5, max: 2}}", "a:b", "b:")), "main a b")
	f.Fuzz(func(t *testing.T, text []byte, names string) {
		path := filepath.Join(t.TempDir(), "graph.yaml")
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
		marks := strings.Fields(names)
		g, err := Read(path, marks)
		if err != nil {
			if !strings.HasPrefix(err.Error(), path+":") || strings.Contains(err.Error(), "\n") {
				t.Errorf("not one line that names the file: %q", err)
			}
			return
		}
		if err := g.Validate(len(marks)); err != nil {
			t.Error(err)
		}
		encoded, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		var again race.Graph
		if err := json.Unmarshal(encoded, &again); err != nil || !reflect.DeepEqual(&again, g) {
			t.Errorf("%s is read back as %+v, %v", encoded, again, err)
		}
	})
}

// write writes a file into a folder of its own and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestEmbedded checks that an embedded application is known by the names of its deployed functions, all or some of them.
func TestEmbedded(t *testing.T) {
	for _, c := range []struct {
		marks string
		slots string // of the first mark
	}{
		{"tree_small-dev-main tree_small-dev-f11 tree_small-dev-f12", "[{[1]} {[2]}]"},
		{"tree_small-dev-f11 tree_large-dev-main", ""},
		{"tree_small-dev-f11 tree_small-dev-other", ""},
		{"main f11 f12", ""},
		{"", ""},
	} {
		g, err := Embedded(strings.Fields(c.marks))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case g == nil:
			if c.slots != "" {
				t.Errorf("%s: no graph", c.marks)
			}
		case fmt.Sprint(g.Slots[0]) != c.slots:
			t.Errorf("%s: slots %v, want %s", c.marks, g.Slots[0], c.slots)
		}
	}
}
