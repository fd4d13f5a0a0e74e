package localwhisk

import (
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"
)

// sharedFolder is the folder of the real traces, beside the repository.
const sharedFolder = "../../../shared"

// dataset is a recording of one application on the real cluster.
type dataset struct {
	name   string
	traces []trace
	// starts and ends are the sorted starts and ends of the creations of containers.
	starts, ends []int64
}

// trace has one event per function, in milliseconds.
type trace map[string]event4

type event4 struct{ arrival, wait, init int64 }

func (e event4) start() int64 { return e.arrival + e.wait }

// fromStemCell is the maximum wait for a stem cell; no creation took less than a second.
const fromStemCell = 500

// creating returns how many containers were being created at the time t, without the one whose creation begins then.
func (d *dataset) creating(t int64) int {
	after := func(x []int64) int { return sort.Search(len(x), func(i int) bool { return x[i] > t }) }
	before := sort.Search(len(d.starts), func(i int) bool { return d.starts[i] >= t })
	return max(before-after(d.ends), 0)
}

// readDatasets returns the named datasets of the real traces. It skips the test if they are not there.
func readDatasets(t *testing.T, names ...string) []*dataset {
	t.Helper()
	var all []*dataset
	for _, name := range names {
		path := filepath.Join(sharedFolder, "data", name+".json.gz")
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			t.Skipf("the real traces are not here: no %s", path)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Sequences []struct {
				Arrivals []int64 `json:"arrival_times"`
				Marks    []int   `json:"marks"`
				Waits    []int64 `json:"wait_times"`
				Inits    []int64 `json:"init_times"`
			} `json:"sequences"`
			Mapping map[string]int `json:"mapping"`
		}
		if err := json.NewDecoder(z).Decode(&doc); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		function := map[int]string{}
		for name, mark := range doc.Mapping {
			function[mark] = name[strings.LastIndex(name, "-")+1:]
		}
		d := &dataset{name: name}
		for _, s := range doc.Sequences {
			tr := trace{}
			for i, mark := range s.Marks {
				e := event4{s.Arrivals[i], s.Waits[i], s.Inits[i]}
				tr[function[mark]] = e
				if e.init > 0 && e.wait > fromStemCell {
					d.starts = append(d.starts, e.arrival)
					d.ends = append(d.ends, e.start())
				}
			}
			d.traces = append(d.traces, tr)
		}
		slices.Sort(d.starts)
		slices.Sort(d.ends)
		all = append(all, d)
	}
	return all
}

// graph has what the functions of an application invoke and how long they sleep, in milliseconds.
type graph map[string]struct {
	Invokes  []string `json:"invokes"`
	Duration int64    `json:"duration_ms"`
}

// readGraphs returns the graphs of the compositions by name. It skips the test if they are not there.
func readGraphs(t *testing.T) map[string]graph {
	t.Helper()
	path := filepath.Join(sharedFolder, "reference", "applications.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the real compositions are not here: no %s", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Applications map[string]graph }
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return doc.Applications
}

// single reports whether exactly one function invokes the named one, exactly once: only then is the caller of its events known.
func (g graph) single(name string) bool {
	n := 0
	for _, f := range g {
		for _, invoked := range f.Invokes {
			if invoked == name {
				n++
			}
		}
	}
	return n == 1
}

// sample has the number of occurrences of each measured time.
type sample map[observation]int

// observation is a time in whole milliseconds, with the number of containers that were being created when it began.
type observation struct {
	ms       int64
	creating int
}

// quantile returns the p-quantile of the times.
func (s sample) quantile(p float64) time.Duration {
	var all []int64
	for o, n := range s {
		for range n {
			all = append(all, o.ms)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return time.Duration(all[min(int(p*float64(len(all))), len(all)-1)]) * time.Millisecond
}

// mean returns the mean time in milliseconds.
func (s sample) mean() float64 {
	sum := 0.0
	for _, o := range s.sorted() {
		sum += float64(o.ms) * float64(s[o])
	}
	return sum / float64(s.size())
}

func (s sample) size() int {
	n := 0
	for _, times := range s {
		n += times
	}
	return n
}

// sorted returns the observations in order.
func (s sample) sorted() []observation {
	return slices.SortedFunc(maps.Keys(s), func(a, b observation) int {
		return cmp.Or(cmp.Compare(a.ms, b.ms), cmp.Compare(a.creating, b.creating))
	})
}
