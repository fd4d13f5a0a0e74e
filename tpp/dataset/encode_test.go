package dataset

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/tpp"
)

func TestReadDataset(t *testing.T) {
	const doc = `{"version": 3, "sequences": [
		{"arrival_times": [1000, 1250.5, 1250.5], "marks": [4, 2, 4], "wait_times": [1, 2, 3], "init_times": [0, 7, 0],
		 "parents": [-1, 0, 1], "t_end": 2e3, "note": {"any": ["thing"]}},
		{"arrival_times": [5], "marks": [2], "t_start": 0, "wait_times": null}
	], "mapping": {"b": 4, "a": 2}}`
	got, err := Read(strings.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	want := &tpp.Dataset{
		MarkNames: []string{"a", "b"},
		Sequences: []tpp.Sequence{
			{
				ArrivalTimes: []float64{1000, 1250.5, 1250.5}, Marks: []int{1, 0, 1}, WaitTimes: []float64{1, 2, 3},
				InitTimes: []float64{0, 7, 0}, Parents: []int{-1, 0, 1}, TEnd: new(2000.0),
			},
			{ArrivalTimes: []float64{5}, Marks: []int{0}, TStart: new(0.0)},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestReadDatasetRejects(t *testing.T) {
	const mapping = `, "mapping": {"a": 0, "b": 1}}`
	seq := func(s string) string {
		return `{"sequences": [{"arrival_times": [1], "marks": [0]}, ` + s + `]` + mapping
	}
	for _, c := range []struct{ name, doc, reason string }{
		{"empty", ``, "it is empty"},
		{"an array", `[1]`, "not a JSON object"},
		{"another document", `{"a": 1}`, `no "sequences"`},
		{"cut off", `{"sequences": [{"arrival_times": [1`, "sequence 0: the file ends in the middle"},
		{"cut off between sequences", `{"sequences": [{"arrival_times": [1]}`, "the file ends in the middle"},
		{"not JSON", `{"sequences": [}`, "not JSON at byte 15"},
		{"two documents", seq(`{"arrival_times": [1], "marks": [0]}`) + "{}", "more follows"},
		{"sequences twice", `{"sequences": [], "sequences": []}`, "twice"},
		{"sequences an object", `{"sequences": {}}`, "not an array"},
		{"mapping twice", `{"sequences": [], "mapping": {}, "mapping": {}}`, "twice"},
		{"mapping an array", `{"sequences": [], "mapping": []}`, "not an object"},
		{"mapping of words", `{"sequences": [], "mapping": {"a": "b"}}`, `mapping: "a"`},
		{"mapping of null", `{"sequences": [], "mapping": {"a": null}}`, `mapping: "a"`},
		{"mapping below zero", `{"sequences": [], "mapping": {"a": -1}}`, `mapping: "a"`},
		{"a name twice", `{"sequences": [], "mapping": {"a": 0, "a": 1}}`, `"a" stands there twice`},
		{"a number twice", `{"sequences": [], "mapping": {"a": 1, "b": 1}}`, `"a" and "b" are both 1`},
		{"no events", seq(`{"arrival_times": [], "marks": []}`), "sequence 1: it has no events"},
		{"no arrival times", seq(`{"marks": []}`), "sequence 1: it has no events"},
		{"a null time", seq(`{"arrival_times": [1, null], "marks": [0, 0]}`), "sequence 1: null is not a number"},
		{"a nested array", seq(`{"arrival_times": [[1]], "marks": [0]}`), "sequence 1: [1] is not a number"},
		{"times are an object", seq(`{"arrival_times": {"a": 1}, "marks": [0]}`), "is not an array of numbers"},
		{"a time too large", seq(`{"arrival_times": [1e999], "marks": [0]}`), "1e999 is not a number"},
		{"lengths differ", seq(`{"arrival_times": [1, 2], "marks": [0]}`), "sequence 1: 2 arrival_times but 1 marks"},
		{"waits differ", seq(`{"arrival_times": [1], "marks": [0], "wait_times": [1, 2]}`), "1 arrival_times but 2 wait_times"},
		{"backwards", seq(`{"arrival_times": [2, 1], "marks": [0, 0]}`), "arrival_times[1] = 1 is before"},
		{"mark unknown", seq(`{"arrival_times": [1], "marks": [2]}`), "marks[0] = 2 is not in the mapping"},
		{"mark below zero", seq(`{"arrival_times": [1], "marks": [-1]}`), "marks[0] = -1 is not in the mapping"},
		{"mark a fraction", seq(`{"arrival_times": [1], "marks": [0.5]}`), "0.5 is not an integer"},
		{"mark unmapped", `{"sequences": [{"arrival_times": [1], "marks": [1]}]}`, "sequence 0: marks[0] = 1"},
		{"negative wait", seq(`{"arrival_times": [1], "marks": [0], "wait_times": [-1]}`), "wait_times[0] = -1"},
		{"its own parent", seq(`{"arrival_times": [1], "marks": [0], "parents": [0]}`), "parents[0] = 0"},
		{"window starts late", seq(`{"arrival_times": [1], "marks": [0], "t_start": 2}`), "t_start 2"},
		{"window ends early", seq(`{"arrival_times": [1], "marks": [0], "t_end": 0}`), "t_end 0"},
		{"window of words", seq(`{"arrival_times": [1], "marks": [0], "t_end": "x"}`), "sequence 1: t_end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bad.json")
			if err := os.WriteFile(path, []byte(c.doc), 0o666); err != nil {
				t.Fatal(err)
			}
			_, err := ReadFile(path)
			if err == nil || !strings.Contains(err.Error(), c.reason) || !strings.HasPrefix(err.Error(), path+": ") {
				t.Errorf("got error %q, want one that names the file and says %q", err, c.reason)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has several lines: %q", err)
			}
		})
	}
}

func TestGzipIsToldByContent(t *testing.T) {
	d := &tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1, 2}, Marks: []int{0, 1}}}, MarkNames: []string{"x", "y"}}
	dir := t.TempDir()
	for _, name := range []string{"plain.json", "packed.json.gz"} {
		path := filepath.Join(dir, name)
		if err := WriteFile(path, d); err != nil {
			t.Fatal(err)
		}
		// The name must not matter: each is read under the other's kind of name too.
		other := filepath.Join(dir, "renamed-"+strings.TrimSuffix(name, ".gz"))
		if err := os.Rename(path, other); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(other)
		if err != nil {
			t.Fatal(err)
		}
		if zipped := raw[0] == 0x1f; zipped != strings.HasSuffix(name, ".gz") {
			t.Errorf("%s: gzipped is %v", name, zipped)
		}
		got, err := ReadFile(other)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, d) {
			t.Errorf("%s: got %+v, want %+v", name, got, d)
		}
	}
	var cut bytes.Buffer
	zw := gzip.NewWriter(&cut)
	Encode(zw, d, FormatJSON)
	zw.Close()
	cut.Truncate(cut.Len() - 10)
	if _, err := Read(&cut); err == nil {
		t.Error("a gzip stream that ends early was accepted")
	}
}

// genDataset draws any valid dataset.
func genDataset(t *rapid.T) *tpp.Dataset {
	d := &tpp.Dataset{}
	for i := range rapid.IntRange(0, 4).Draw(t, "marks") {
		d.MarkNames = append(d.MarkNames, rapid.StringMatching(`[a-z"\\é<]{0,5}`).Draw(t, "name")+string(rune('A'+i)))
	}
	for range rapid.IntRange(0, 4).Draw(t, "sequences") {
		n := rapid.IntRange(1, 6).Draw(t, "length")
		each := func(name string, lo, hi float64) []float64 {
			return rapid.SliceOfN(rapid.Float64Range(lo, hi), n, n).Draw(t, name)
		}
		if rapid.IntRange(0, 4).Draw(t, "empty") == 0 {
			start := rapid.Float64Range(-1e15, 1e15).Draw(t, "start")
			d.Sequences = append(d.Sequences, tpp.Sequence{TStart: &start, TEnd: new(start + rapid.Float64Range(0, 1e9).Draw(t, "length"))})
			continue
		}
		s := tpp.Sequence{ArrivalTimes: each("times", -1e15, 1e15)}
		slices.Sort(s.ArrivalTimes)
		s.Marks = rapid.SliceOfN(rapid.IntRange(0, d.NumMarks()-1), n, n).Draw(t, "marks")
		if rapid.Bool().Draw(t, "platform times") {
			s.WaitTimes, s.InitTimes = each("waits", 0, 1e6), each("inits", 0, 1e3)
		}
		if rapid.Bool().Draw(t, "parents") {
			for i := range n {
				s.Parents = append(s.Parents, rapid.IntRange(-1, i-1).Draw(t, "parent"))
			}
		}
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"load", "a \"quoted\" one", "é,;"}), 0, 2, rapid.ID).Draw(t, "covariates") {
			if s.Covariates == nil {
				s.Covariates = map[string][]float64{}
			}
			s.Covariates[name] = each(name, -1e300, 1e300)
		}
		if rapid.Bool().Draw(t, "window") {
			s.TStart, s.TEnd = new(s.ArrivalTimes[0]-1e3), new(s.ArrivalTimes[n-1]+rapid.Float64Range(0, 1e9).Draw(t, "rest"))
		}
		d.Sequences = append(d.Sequences, s)
	}
	return d
}

func TestDatasetSurvivesTheFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := genDataset(t)
		var b bytes.Buffer
		if err := Encode(&b, d, FormatJSON); err != nil {
			t.Fatal(err)
		}
		got, err := Read(&b)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, d) {
			t.Fatalf("got %+v\nwant %+v", got, d)
		}
	})
}

func TestEncodeRejectsWhatCannotBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.json")
	d := &tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{2, 1}}}}
	if err := WriteFile(path, d); err == nil || !strings.Contains(err.Error(), "sequence 0") {
		t.Errorf("got error %v, want one about sequence 0", err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 0 {
		t.Errorf("a failed write left %v behind", entries)
	}
}

func FuzzReadDataset(f *testing.F) {
	f.Add([]byte(`{"sequences": [{"arrival_times": [1, 2], "marks": [0, 1]}], "mapping": {"a": 0, "b": 1}}`))
	f.Add([]byte(`{"sequences": [{"arrival_times": [1e3], "t_start": 0, "t_end": 2e3}]}`))
	f.Add([]byte("\x1f\x8b"))
	f.Add([]byte(`[[{"time_since_start": 0, "type_event": 2}], {"time_since_start": [0, 1], "type_event": [1, 0], "dim_process": 3}]`))
	f.Add([]byte(`{"arrival_times": [[1], [2, 3]], "marks": [[0], [1, 0]], "num_marks": 2, "t_end": 9}`))
	f.Add([]byte(`{"dim_process": 2, "dev": [], "train": [[{"time_since_start": 0}]]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		d, err := Read(bytes.NewReader(doc))
		if err != nil {
			if strings.ContainsRune(err.Error(), '\n') {
				t.Errorf("an error of several lines: %q", err)
			}
			return
		}
		var b bytes.Buffer
		if err := Encode(&b, d, FormatJSON); err != nil {
			t.Fatalf("read but not written: %v", err)
		}
		again, err := Read(&b)
		if err != nil {
			t.Fatalf("written but not read again: %v", err)
		}
		if len(d.Sequences) != len(again.Sequences) || !slices.Equal(d.MarkNames, again.MarkNames) {
			t.Fatalf("%+v became %+v", d, again)
		}
	})
}
