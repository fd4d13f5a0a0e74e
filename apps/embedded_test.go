package apps

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// TestEmbedded checks that every folder with a graph.yaml is embedded, and that the published applications have their sizes.
func TestEmbedded(t *testing.T) {
	graphs, err := filepath.Glob("*/graph.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, graph := range graphs {
		want = append(want, filepath.Dir(graph))
	}
	if got := Embedded(); !slices.Equal(got, want) || len(got) < 8 {
		t.Errorf("Embedded() = %q, want %q", got, want)
	}
	for name, want := range map[string]struct{ functions, invocations int }{
		"checkout":       {10, 10}, // bank runs up to three times; of pay and backorder, and of receipt and notify, one runs
		"fanout_large":   {21, 21},
		"fanout_small":   {13, 13},
		"parallel_large": {21, 21},
		"parallel_small": {11, 11},
		"sequence":       {11, 11},
		"template":       {5, 6}, // store runs twice
		"tree_large":     {22, 22},
		"tree_small":     {10, 10},
	} {
		app, err := Load(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if app.Name != name || len(app.Functions) != want.functions || app.Invocations() != want.invocations {
			t.Errorf("%s: %d functions, %d invocations under the name %s, want %d and %d",
				name, len(app.Functions), app.Invocations(), app.Name, want.functions, want.invocations)
		}
	}
}

// TestServerlessDeploysTheGraph checks that serverless.yaml deploys the functions of graph.yaml.
func TestServerlessDeploysTheGraph(t *testing.T) {
	for _, name := range Embedded() {
		t.Run(name, func(t *testing.T) {
			app, err := Load(name)
			if err != nil {
				t.Fatal(err)
			}
			text, err := fs.ReadFile(Files(), name+"/serverless.yaml")
			if err != nil {
				t.Fatal(err)
			}
			var s struct {
				Service  string
				Provider struct {
					Name, Runtime   string
					Memory, Timeout int
				}
				Plugins   []string
				Package   struct{ Artifact string }
				Functions map[string]struct {
					Handler, Image string
					Annotations    map[string]bool
					Parameters     map[string]string
				}
			}
			if err := yaml.Unmarshal(text, &s); err != nil {
				t.Fatal(err)
			}
			if s.Service != name || s.Provider.Name != "openwhisk" || !slices.Contains(s.Plugins, "serverless-openwhisk") {
				t.Errorf("service %q, provider %q, plugins %q; want %q (the folder's name), openwhisk, and serverless-openwhisk among them", s.Service, s.Provider.Name, s.Plugins, name)
			}
			if len(s.Functions) != len(app.Functions) {
				t.Errorf("%d functions are deployed, the graph has %d", len(s.Functions), len(app.Functions))
			}
			for _, f := range app.Functions {
				d, ok := s.Functions[f.Name]
				if !ok {
					t.Errorf("%s is not deployed", f.Name)
					continue
				}
				if d.Handler != s.Package.Artifact || d.Image == "" || !d.Annotations["provide-api-key"] {
					t.Errorf("%s is deployed as %+v", f.Name, d)
				}
				if p := d.Parameters; p["function"] != f.Name || p["application"] != "${self:service}" || p["graph"] != "${file(graph.yaml)}" || p["apihost"] == "" || p["announce"] == "" {
					t.Errorf("%s is given %v", f.Name, p)
				}
				if limit := time.Duration(s.Provider.Timeout) * time.Second; f.Duration >= limit {
					t.Errorf("%s sleeps %v, and OpenWhisk ends it after %v", f.Name, f.Duration, limit)
				}
			}
		})
	}
}

func TestAgainstReference(t *testing.T) {
	text, err := os.ReadFile("../../shared/reference/applications.json")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no ../shared/reference/applications.json beside the repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	var reference struct {
		Applications map[string]map[string]struct {
			Invokes    []string
			DurationMS float64 `json:"duration_ms"`
			GammaShape float64 `json:"gamma_shape"`
			GammaRate  float64 `json:"gamma_rate"`
		}
	}
	if err := json.Unmarshal(text, &reference); err != nil {
		t.Fatal(err)
	}
	if len(reference.Applications) != 7 {
		t.Errorf("the reference has %d applications, want 7", len(reference.Applications))
	}
	for name, functions := range reference.Applications {
		app, err := Load(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(app.Functions) != len(functions) {
			t.Errorf("%s has %d functions, want %d", name, len(app.Functions), len(functions))
		}
		for _, f := range app.Functions {
			want, ok := functions[f.Name]
			got := milliseconds(f.Duration)
			if !ok || got != want.DurationMS || f.Gamma != (Gamma{want.GammaShape, want.GammaRate}) || !slices.Equal(f.Successors(), want.Invokes) {
				t.Errorf("%s: %+v, want %+v", name, f, want)
			}
		}
	}
}

func TestLoadPrefersAFolder(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("sequence/graph.yaml", "functions:\n  main: {invokes: [only]}\n  only: {duration: 1.5, gamma: {shape: 2, rate: 1}}\n")
	write("mine/graph.yaml", "functions:\n  main: {}\n")
	write("tree_small/README", "")
	write("no name/graph.yaml", "functions:\n  main: {}\n")
	write("plain.yaml", "functions:\n  main: {}\n")

	app, err := Load("sequence")
	if err != nil || len(app.Functions) != 2 || app.Functions[1].Duration != 1500*time.Microsecond {
		t.Errorf("Load(sequence) = %+v, %v; want the folder's two functions", app, err)
	}
	for _, path := range []string{"mine", "mine/", "./mine", filepath.Join(dir, "mine")} {
		if app, err := Load(path); err != nil || app.Name != "mine" {
			t.Errorf("Load(%s) = %+v, %v; want the application mine", path, app, err)
		}
	}
	t.Chdir("mine")
	if app, err := Load("."); err != nil || app.Name != "mine" {
		t.Errorf("Load(.) = %+v, %v; want the application mine", app, err)
	}
	t.Chdir(dir)

	known := strings.Join(Embedded(), ", ")
	for _, c := range []struct{ path, want string }{
		{"", "no application given (known: " + known + ", or a folder with a graph.yaml)"},
		{"tree_smal", "application tree_smal: no such folder, and not one of the embedded ones: " + known},
		{"tree_small", "tree_small/graph.yaml: no such file or directory (the folder tree_small here hides the embedded application of that name)"},
		{"plain.yaml", "application plain.yaml: is a file; give the folder that holds graph.yaml"},
		{"no name", `no name/graph.yaml: application "no name": a name starts with a letter or digit and goes on with letters, digits, - and _`},
		{"plain.yaml/x", "application plain.yaml/x: stat plain.yaml/x: not a directory"},
	} {
		if _, err := Load(c.path); err == nil || err.Error() != c.want {
			t.Errorf("Load(%q):\n got %v\nwant %s", c.path, err, c.want)
		}
	}
}
