package main

import (
	"bytes"
	"context"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/simd"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

const (
	committedData   = "../../data"
	committedModels = "../../models"
)

// command runs the command, and returns what it says on standard error.
func command(t *testing.T, status int, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if got := run(t.Context(), args, &stdout, &stderr); got != status {
		t.Fatalf("%v: status %d, %s", args, got, stderr.String())
	}
	return stderr.String()
}

// few writes a dataset of the first traces of a committed one, with a card, and returns its folder.
func few(t *testing.T, name string, traces int) string {
	t.Helper()
	folder := t.TempDir()
	d, err := dataset.ReadFile(filepath.Join(committedData, name+dataSuffix))
	if err != nil {
		t.Fatal(err)
	}
	d.Sequences = d.Sequences[:traces]
	if err := dataset.WriteFile(filepath.Join(folder, name+dataSuffix), d); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".md"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	return folder
}

// files returns the contents of a folder's files by name.
func files(t *testing.T, folder string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(text)
	}
	return all
}

// TestSameBytes trains both kinds of models with one worker and with three: all files have the same bytes.
func TestSameBytes(t *testing.T) {
	data := few(t, "low_tree_small_det", 60)
	kernels := simd.Sets()[0]
	var made [2]map[string]string
	for i, workers := range []string{"1", "3"} {
		folder := t.TempDir()
		command(t, 0, "-data", data, "-o", folder, "-epochs", "3", "-kernels", kernels, "-workers", workers)
		made[i] = files(t, folder)
	}
	if len(made[0]) != 5 || len(made[1]) != 5 {
		t.Fatalf("%d and %d files, want two models with a card each, and the index", len(made[0]), len(made[1]))
	}
	for name, text := range made[0] {
		if text != made[1][name] {
			t.Errorf("%s has other bytes with another number of workers", name)
		}
		if strings.Contains(text, `"seconds"`) {
			t.Errorf("%s says how long the training took", name)
		}
	}
}

// TestChanged checks what is trained anew, and that the rows of other models stay in the index.
func TestChanged(t *testing.T) {
	data, folder := few(t, "low_sequence_det", 20), t.TempDir()
	args := []string{"-data", data, "-o", folder, "-epochs", "1", "-kernels", "portable", "-changed"}
	race, other := filepath.Join(folder, "low_sequence_det.race.safetensors"), filepath.Join(folder, "low_sequence_det.lognormmix.md")
	count := func(text string) int { return strings.Count(text, "low_sequence_det.race.safetensors") }
	if n := count(command(t, 0, append(args, "-kind", "race")...)); n != 1 {
		t.Errorf("a model that is not there was trained %d times", n)
	}
	if said := command(t, 0, args...); count(said) != 0 || !strings.Contains(said, "lognormmix.safetensors: ") || !strings.Contains(said, ", new") {
		t.Errorf("only the other one was missing: %s", said)
	}
	if rows := indexRows(files(t, folder)["README.md"]); len(rows) != 2 {
		t.Errorf("the index has %v", rows)
	}
	before := files(t, folder)
	if err := os.WriteFile(other, []byte("An older text. Made with portable kernels."), 0o666); err != nil {
		t.Fatal(err)
	}
	if said := command(t, 0, args...); strings.Contains(said, ".safetensors") {
		t.Errorf("no model had changed: %s", said)
	}
	if !maps.Equal(before, files(t, folder)) {
		t.Error("with nothing to train the files are not those from before")
	}
	for name, change := range map[string]func() error{
		"the model is damaged": func() error { return os.Truncate(race, 100) },
		"by other kernels": func() error {
			return os.WriteFile(strings.TrimSuffix(race, modelSuffix)+".md", []byte("Made with AVX2 kernels."), 0o666)
		},
		"the card is gone": func() error { return os.Remove(strings.TrimSuffix(race, modelSuffix) + ".md") },
		"other data": func() error {
			d, err := dataset.ReadFile(filepath.Join(data, "low_sequence_det.json.gz"))
			if err != nil {
				return err
			}
			d.Sequences = d.Sequences[1:]
			return dataset.WriteFile(filepath.Join(data, "low_sequence_det.json.gz"), d)
		},
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if n := count(command(t, 0, args...)); n != 1 {
			t.Errorf("%s: it was trained %d times", name, n)
		}
	}
	if err := os.Remove(strings.TrimSuffix(other, ".md") + modelSuffix); err != nil {
		t.Fatal(err)
	}
	command(t, 0, append(args[:len(args)-1], "-kind", "race")...)
	if rows := indexRows(files(t, folder)["README.md"]); len(rows) != 1 || rows["low_sequence_det.race"] == "" {
		t.Errorf("a model is gone, the index has %v", rows)
	}
}

// TestInterrupted checks that an interrupted training leaves no model.
func TestInterrupted(t *testing.T) {
	folder := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	if status := run(ctx, []string{"-data", few(t, "low_sequence_det", 20), "-o", folder, "-kernels", "portable"}, &stdout, &stderr); status != 1 || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("status %d, %s", status, stderr.String())
	}
	if left := files(t, folder); len(left) != 0 {
		t.Errorf("%d files are left", len(left))
	}
}

func TestRefuses(t *testing.T) {
	for says, args := range map[string][]string{
		"treesmall is no dataset":          {"treesmall"},
		`-kind is "hawkes"`:                {"-kind", "hawkes"},
		`kernels "sse" are not available`:  {"-kernels", "sse"},
		"-workers and -epochs must not be": {"-workers", "-1"},
	} {
		if said := command(t, 2, append([]string{"-kernels", "portable", "-data", committedData, "-o", t.TempDir()}, args...)...); !strings.Contains(said, says) {
			t.Errorf("%v: %s", args, said)
		}
	}
	if said := command(t, 1, "-kernels", "portable", "-data", t.TempDir(), "-o", t.TempDir()); !strings.Contains(said, "no dataset with a card") {
		t.Errorf("without data: %s", said)
	}
}

// TestEveryDatasetHasModels checks that there is a model of each kind for each dataset, trained on the dataset as it is, with a card and a
// row in the index, and no other.
func TestEveryDatasetHasModels(t *testing.T) {
	names, err := datasets(committedData)
	if err != nil {
		t.Fatal(err)
	}
	all := files(t, committedModels)
	rows := indexRows(all["README.md"])
	want := map[string]bool{"README.md": true}
	for _, name := range names {
		data, err := dataset.ReadFile(filepath.Join(committedData, name+dataSuffix))
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range kinds {
			key := name + "." + k.name
			want[key+modelSuffix], want[key+".md"] = true, true
			if all[key+modelSuffix] == "" {
				t.Errorf("%s is not there: make models writes it", key)
				continue
			}
			m, from, err := tpp.ReadTrainedModel(strings.NewReader(all[key+modelSuffix]))
			if err != nil || from == nil {
				t.Errorf("%s: %+v, %v", key, from, err)
				continue
			}
			if m.Kind() != k.name || from.Name != name+dataSuffix || from.Fingerprint != data.Fingerprint() || !from.Split || from.Seed != seed {
				t.Errorf("%s is a %s and was trained on %+v", key, m.Kind(), *from)
			}
			if !strings.Contains(all[key+".md"], "`"+from.Fingerprint+"`") {
				t.Errorf("the card of %s does not have the fingerprint %s", key, from.Fingerprint)
			}
			_, _, test := data.Split(seed)
			like := &card{name: name, kind: k, model: m.(model), from: *from, data: data, test: test, scores: make([]score, len(scoreNames))}
			if got, want := withoutNumbers(all[key+".md"]), withoutNumbers(like.text()); got != want {
				t.Errorf("the card of %s says\n%s\nwhere this is expected, without numbers:\n%s", key, got, want)
			}
			cells := strings.Split(rows[key], " | ")
			if scores := strings.Join(cells[min(2, len(cells)):], " | "); scores == "" || !strings.Contains(all[key+".md"], "\n| "+scores+"\n") {
				t.Errorf("the index has %q, which is not in the card of %s", scores, key)
			}
		}
	}
	for name := range all {
		if !want[name] {
			t.Errorf("models/%s is of no dataset", name)
		}
	}
	if len(rows) != len(kinds)*len(names) {
		t.Errorf("the index has %d rows for %d datasets", len(rows), len(names))
	}
}

var number = regexp.MustCompile(`[0-9]+(\.[0-9]+)?`)

// withoutNumbers returns what a card says beside its numbers, and beside the kernels.
func withoutNumbers(text string) string {
	for _, name := range kernelNames {
		text = strings.Replace(text, "with "+name+" kernels", "with these kernels", 1)
	}
	return number.ReplaceAllString(text, "#")
}

var figure = regexp.MustCompile(`\b\d+\.\d+\b`)

// TestCardsAreTrue scores some of the models anew: their cards are what is committed. With other kernels than those of the card figures may
// differ a little.
func TestCardsAreTrue(t *testing.T) {
	if restore, err := simd.Use(defaultKernels); err == nil {
		defer restore()
	}
	for _, name := range []string{"low_tree_small_det", "high_sequence_rand", "low_checkout_rand"} {
		data, err := dataset.ReadFile(filepath.Join(committedData, name+dataSuffix))
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range kinds {
			base := filepath.Join(committedModels, name+"."+k.name)
			m, from, err := tpp.ReadTrainedModelFile(base + modelSuffix)
			if err != nil {
				t.Fatal(err)
			}
			_, _, test := data.Split(from.Seed)
			c, err := newCard(t.Context(), name, k, m.(model), *from, data, test)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(base + ".md")
			if err != nil {
				t.Fatal(err)
			}
			got, want := c.text(), string(text)
			if simd.Active() != defaultKernels {
				got = strings.Replace(got, kernelNames[simd.Active()]+" kernels", kernelNames[defaultKernels]+" kernels", 1)
			}
			if figure.ReplaceAllString(got, "#") != figure.ReplaceAllString(want, "#") || !near(got, want) {
				t.Errorf("the card of %s says\n%s\nit should say\n%s", base, want, got)
			}
		}
	}
}

// near reports whether the figures in two texts differ by a thousandth at most, or by one in the last place.
func near(a, b string) bool {
	x, y := figure.FindAllString(a, -1), figure.FindAllString(b, -1)
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		p, _ := strconv.ParseFloat(x[i], 64)
		q, _ := strconv.ParseFloat(y[i], 64)
		places := len(x[i]) - strings.Index(x[i], ".") - 1
		if math.Abs(p-q) > max(1.01*math.Pow10(-places), 1e-3*math.Abs(q)) {
			return false
		}
	}
	return true
}

func TestCompositionOfADataset(t *testing.T) {
	for name, want := range map[string]composition{
		"low_tree_small_det": {"tree_small", "low", "high", "fixed", "random"},
		"high_checkout_rand": {"checkout", "high", "low", "random", "fixed"},
		"monday":             {},
		"low_tree":           {},
	} {
		if got := (&card{name: name}).composition(); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}
