package dataset

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/tpp"
)

// explicit returns the dataset with its marks written out, in the given order of names: what every format keeps.
func explicit(t interface{ Fatal(...any) }, d *tpp.Dataset, names []string) *tpp.Dataset {
	if len(d.Sequences) == 0 {
		return &tpp.Dataset{MarkNames: names}
	}
	d, err := d.WithMarks(names)
	if err != nil {
		t.Fatal(err)
	}
	out := &tpp.Dataset{MarkNames: d.MarkNames}
	for _, s := range d.Sequences {
		if s.Len() == 0 {
			s.Marks = nil
		} else if s.Marks == nil {
			s.Marks = make([]int, s.Len())
		}
		out.Sequences = append(out.Sequences, s)
	}
	return out
}

func collect(r *SequenceReader) (*tpp.Dataset, error) {
	var d tpp.Dataset
	for s, err := range r.All(context.Background()) {
		if err != nil {
			return nil, err
		}
		d.Sequences = append(d.Sequences, *s)
	}
	d.MarkNames = r.MarkNames()
	return &d, nil
}

func zipped(text []byte) []byte {
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	zw.Write(text)
	zw.Close()
	return b.Bytes()
}

func TestEveryFormatSurvives(t *testing.T) {
	for _, format := range []Format{FormatJSON, FormatJSONLines, FormatCSV} {
		t.Run(string(format), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				d := genDataset(t)
				var b bytes.Buffer
				if err := Encode(&b, d, format); err != nil {
					t.Fatal(err)
				}
				text := b.Bytes()
				if rapid.Bool().Draw(t, "zipped") {
					text = zipped(text)
				}
				want := explicit(t, d, d.MarkNames)
				for name, read := range map[string]func() (*tpp.Dataset, error){
					"whole": func() (*tpp.Dataset, error) { return Read(bytes.NewReader(text)) },
					"from a pipe": func() (*tpp.Dataset, error) {
						return Read(iotest.OneByteReader(bytes.NewBuffer(text)))
					},
					"streamed": func() (*tpp.Dataset, error) {
						r, err := NewSequenceReader(bytes.NewReader(text), ReadOptions{})
						if err != nil {
							return nil, err
						}
						if r.Format() != format {
							t.Fatalf("taken for %s", r.Format())
						}
						return collect(r)
					},
					"in the names of a model": func() (*tpp.Dataset, error) {
						r, err := NewSequenceReader(bytes.NewReader(text), ReadOptions{MarkNames: d.MarkNames})
						if err != nil {
							return nil, err
						}
						return collect(r)
					},
				} {
					got, err := read()
					if err != nil {
						t.Fatalf("%s: %v\n%s", name, err, b.Bytes())
					}
					if got = explicit(t, got, d.MarkNames); !reflect.DeepEqual(got, want) {
						t.Fatalf("%s: got %+v\nwant %+v\n%s", name, got, want, b.Bytes())
					}
				}
			})
		})
	}
}

func TestWriteFileGoesByTheEnding(t *testing.T) {
	d := &tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1, 2.5}, Marks: []int{0, 1}, TEnd: new(4.0)}}, MarkNames: []string{"x", "y"}}
	for name, want := range map[string]string{
		"a.json":   "{\"sequences\": [\n{\"arrival_times\": [1, 2.5], \"marks\": [0, 1], \"t_end\": 4}\n], \"mapping\": {\"x\": 0, \"y\": 1}}\n",
		"a.jsonl":  "{\"mapping\": {\"x\": 0, \"y\": 1}}\n{\"arrival_times\": [1, 2.5], \"marks\": [\"x\", \"y\"], \"t_end\": 4}\n",
		"a.ndjson": "{\"mapping\": {\"x\": 0, \"y\": 1}}\n{\"arrival_times\": [1, 2.5], \"marks\": [\"x\", \"y\"], \"t_end\": 4}\n",
		"a.csv":    "sequence,time,mark,t_end\n0,1,x,4\n0,2.5,y,4\n",
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := WriteFile(path, d); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != want {
			t.Errorf("%s holds (error %v)\n%swant\n%s", name, err, text, want)
		}
		if err := WriteFile(path+".gz", d); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(path + ".gz"); err != nil || text[0] != 0x1f {
			t.Errorf("%s.gz is not gzipped (error %v)", name, err)
		}
		if got, err := ReadFile(path + ".gz"); err != nil || !reflect.DeepEqual(got, d) {
			t.Errorf("%s.gz: got %+v, error %v", name, got, err)
		}
	}
}

func TestJSONLines(t *testing.T) {
	one := func(times []float64, marks ...int) tpp.Sequence {
		return tpp.Sequence{ArrivalTimes: times, Marks: marks}
	}
	for _, c := range []struct {
		name, text string
		want       *tpp.Dataset
	}{
		{"names", `{"arrival_times": [1, 2], "marks": ["b", "a"]}` + "\n" + `{"arrival_times": [3], "marks": ["c"]}`,
			&tpp.Dataset{Sequences: []tpp.Sequence{one([]float64{1, 2}, 0, 1), one([]float64{3}, 2)}, MarkNames: []string{"b", "a", "c"}}},
		{"a mapping first", "{\"mapping\": {\"b\": 7, \"a\": 3}}\n" + `{"arrival_times": [1, 2], "marks": [7, 3]}`,
			&tpp.Dataset{Sequences: []tpp.Sequence{one([]float64{1, 2}, 1, 0)}, MarkNames: []string{"a", "b"}}},
		{"a mapping, and names", "{\"mapping\": {\"b\": 7, \"a\": 3}}\n" + `{"arrival_times": [1, 2], "marks": ["b", "c"]}`,
			&tpp.Dataset{Sequences: []tpp.Sequence{one([]float64{1, 2}, 1, 2)}, MarkNames: []string{"a", "b", "c"}}},
		{"two files in one", "{\"mapping\": {\"a\": 0, \"b\": 1}}\n{\"arrival_times\": [1], \"marks\": [1]}\n" +
			"{\"mapping\": {\"b\": 0, \"c\": 1}}\n{\"arrival_times\": [1, 2], \"marks\": [0, 1]}\n",
			&tpp.Dataset{Sequences: []tpp.Sequence{one([]float64{1}, 1), one([]float64{1, 2}, 1, 2)}, MarkNames: []string{"a", "b", "c"}}},
		{"CRLF, blank lines and a byte order mark", "\ufeff\r\n{\"arrival_times\": [1]}\r\n\r\n{\"arrival_times\": [2], \"marks\": [0]}\r\n",
			&tpp.Dataset{Sequences: []tpp.Sequence{one([]float64{1}), one([]float64{2}, 0)}}},
		{"unknown keys", `{"id": {"deep": [[1]]}, "marks": ["a"], "arrival_times": [1], "x": "é\u00e9\"}"}`,
			&tpp.Dataset{Sequences: []tpp.Sequence{one([]float64{1}, 0)}, MarkNames: []string{"a"}}},
		{"nothing but a mapping", `{"mapping": {"a": 0}}`, &tpp.Dataset{MarkNames: []string{"a"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, text := range [][]byte{[]byte(c.text), zipped([]byte(c.text))} {
				got, err := Read(bytes.NewReader(text))
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, c.want) {
					t.Errorf("got %+v, want %+v", got, c.want)
				}
			}
		})
	}
}

func TestDocumentWithNames(t *testing.T) {
	const sequences = `"sequences": [{"arrival_times": [1, 2], "marks": ["b", "a"]}]`
	for text, want := range map[string][]string{
		`{` + sequences + `}`: {"b", "a"},
		`{` + sequences + `, "mapping": {"a": 0, "c": 1, "b": 2}}`: {"a", "c", "b"},
		`{"mapping": {"a": 0, "c": 1, "b": 2}, ` + sequences + `}`: {"a", "c", "b"},
		`{"t_start": "of another kind", ` + sequences + `}`:        {"b", "a"},
	} {
		whole, err := Read(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewSequenceReader(strings.NewReader(text), ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		streamed, err := collect(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []*tpp.Dataset{whole, streamed} {
			if !reflect.DeepEqual(d.MarkNames, want) || d.MarkNames[d.Sequences[0].Marks[0]] != "b" || d.MarkNames[d.Sequences[0].Marks[1]] != "a" {
				t.Errorf("%s: got %+v", text, d)
			}
		}
	}
}

func TestReadingInTheNamesOfAModel(t *testing.T) {
	model := []string{"a", "b"}
	for _, c := range []struct{ text, reason string }{
		{`{"arrival_times": [1, 2], "marks": ["b", "a"]}`, ""},
		{`{"mapping": {"b": 0, "a": 1, "unused": 2}} {"arrival_times": [1, 2], "marks": [0, 1]}`, ""},
		{`{"sequences": [{"arrival_times": [1, 2], "marks": [0, 1]}], "mapping": {"b": 0, "a": 1, "unused": 2}}`, ""},
		{"time,mark\n1,b\n2,a\n", ""},
		{`{"arrival_times": [1, 2], "marks": ["b", "x"]}`, `line 1: event 1 has mark "x", which the model does not know`},
		{`{"mapping": {"b": 0, "x": 1}} {"arrival_times": [1, 2], "marks": [0, 1]}`, `line 1: event 1 has mark "x", which the model`},
		{`{"sequences": [{"arrival_times": [1, 2], "marks": [0, 1]}], "mapping": {"b": 0, "x": 1}}`, `sequence 0: event 1 has mark "x"`},
		{"time,mark\n1,b\n2,x\n", `line 3: event 1 has mark "x", which the model does not know`},
		{`{"arrival_times": [1, 2]}`, "line 1: it has no names of marks, the model has 2"},
		{"time\n1\n2\n", "no column of marks, the model has 2"},
	} {
		for _, whole := range []bool{false, true} {
			r, err := NewSequenceReader(strings.NewReader(c.text), ReadOptions{MarkNames: model})
			if err != nil {
				t.Fatal(err)
			}
			var d *tpp.Dataset
			if whole {
				d, err = r.ReadAll(t.Context())
			} else {
				d, err = collect(r)
			}
			switch {
			case c.reason == "" && err != nil:
				t.Errorf("%s: %v", c.text, err)
			case c.reason == "" && (!reflect.DeepEqual(d.MarkNames, model) || !reflect.DeepEqual(d.Sequences[0].Marks, []int{1, 0})):
				t.Errorf("%s: got %+v", c.text, d)
			case c.reason != "" && (err == nil || !strings.Contains(err.Error(), c.reason)):
				t.Errorf("%s: error %v, want %q", c.text, err, c.reason)
			}
		}
	}
}

// TestErrorsNameTheLine reads broken JSON lines and CSV files, whole and streamed.
func TestErrorsNameTheLine(t *testing.T) {
	const good = `{"arrival_times": [1, 2], "marks": ["a", "b"]}` + "\n"
	for _, c := range []struct{ name, text, reason string }{
		{"backwards", good + good + `{"arrival_times": [2, 1], "marks": ["a", "a"]}`, "line 3: arrival_times[1] = 1 is before"},
		{"behind blank lines", good + "\r\n\n" + `{"arrival_times": []}`, "line 4: it has no"},
		{"not JSON", good + `{"arrival_times": [1,]}`, "line 2: not JSON at byte "},
		{"cut off", good + `{"arrival_times": [1`, "line 2: the file ends in the middle"},
		{"no sequence", good + "5\n", "line 2: 5 is not a sequence"},
		{"a document behind lines", good + `{"sequences": []}`, "line 2: it has no"},
		{"numbers without mapping", `{"arrival_times": [1], "marks": [3]}`, "line 1: marks[0] = 3, and no mapping names it"},
		{"names and numbers", `{"arrival_times": [1, 2], "marks": ["a", 3]}`, "line 1: some of its marks are names"},
		{"names, then none", good + `{"arrival_times": [1]}`, "line 2: it does not name its marks"},
		{"none, then names", `{"arrival_times": [1]}` + "\n" + good, "line 2: it names its marks"},
		{"a mapping and a sequence", good + `{"mapping": {}, "arrival_times": [1]}`, "line 2: a mapping and a sequence"},
		{"a mapping and a sequence first", `{"mapping": {}, "arrival_times": [1]}`, "line 1: a mapping and a sequence"},
		{"a key twice", `{"arrival_times": [1], "arrival_times": [1]}`, `line 1: "arrival_times" stands there twice`},
		{"a covariate twice", `{"arrival_times": [1], "covariates": {"x": [1], "x": [1]}}`, `covariate "x" stands there twice`},
		{"covariates differ", `{"arrival_times": [1], "covariates": {"x": [1, 2]}}`, `2 values of covariate "x"`},
		{"a covariate of words", `{"arrival_times": [1], "covariates": {"x": ["y"]}}`, `covariate "x": "y" is not a number`},
		{"covariates an array", `{"arrival_times": [1], "covariates": [1]}`, "[1] is not an object of covariates"},
		{"a broken mapping", good + `{"mapping": {"a": 0, "b": 0}}`, "line 2: mapping is not one to one"},

		{"CSV: no time", "sequence,mark\n1,a\n", `a column of times: its first line is "sequence", "mark"`},
		{"CSV: a word", "sequence,time\n1,noon\n", `line 2: sequence "1": "noon" is neither a number nor a time stamp`},
		{"CSV: infinite", "time\n1\ninf\n", `line 3: "inf" is neither`},
		{"CSV: too large", "time\n1\n1e999\n", `line 3: its time "1e999" is not a number`},
		{"CSV: an empty time", "sequence,time\n1,\n", `line 2: sequence "1": it has no time`},
		{"CSV: an empty mark", "time,mark\n1,a\n2,\n", "line 3: it has no mark"},
		{"CSV: an empty sequence", "sequence,time\n,2\n", "line 2: "},
		{"CSV: a short line", "sequence,time\n1,2\n1\n", "line 3: the number of its fields differs from the first line's, 2"},
		{"CSV: a bare quote", "sequence,time\n1,2\n1\"2,3\n", "line 3, column 2: bare"},
		{"CSV: an open quote", "sequence,time\n1,2\n\"1,3\n", "line 3"},
		{"CSV: backwards", "sequence,time\n1,2\n\n1,1\n", `line 4: sequence "1": its time "1" is before`},
		{"CSV: numbers and stamps", "time\n1\n2021-05-12T15:05:14Z\n", "line 3: its time is"},
		{"CSV: half a wait", "time,wait_time\n1,1\n2,\n", "line 3: its wait_time is empty"},
		{"CSV: another half", "time,wait_time\n1,\n2,3\n", "line 3: it has a wait_time"},
		{"CSV: a negative wait", "time,wait_time\n1,-1\n", "wait_times[0] = -1"},
		{"CSV: a parent", "sequence,time,parent\n7,1,x\n", `line 2: sequence "7": its parent "x"`},
		{"CSV: a far parent", "sequence,time,parent\n7,1,5\n", `sequence "7" from line 2 on: parents[0] = 5`},
		{"CSV: two windows", "time,t_end\n1,5\n2,6\n", `line 3: its t_end "6" differs`},
		{"CSV: a column twice", "time,time\n1,5\n", `two columns are called "time"`},
		{"CSV: a covariate twice", "time,covariate:x,covariate:x\n1,5,6\n", `covariates called "x"`},
		{"CSV: no UTF-8", "time,mark\n1,a\xff\n", `line 2: its mark "a\xff" is not UTF-8`},
		{"UTF-16", "\xff\xfet\x00i\x00", "UTF-16"},
		{"binary", "PK\x03\x04\x00\x00", "it is no text"},
		{"blank", " \n\r\n", "it is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "broken")
			for _, text := range [][]byte{[]byte(c.text), zipped([]byte(c.text))} {
				if err := os.WriteFile(path, text, 0o666); err != nil {
					t.Fatal(err)
				}
				_, whole := ReadFile(path)
				r, streamed := OpenSequences(path, ReadOptions{})
				if streamed == nil {
					_, streamed = collect(r)
					r.Close()
				}
				for _, err := range []error{whole, streamed} {
					if err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), c.reason) || strings.Contains(err.Error(), "\n") {
						t.Errorf("error %v, want one line that names the file and says %q", err, c.reason)
					}
				}
			}
		})
	}
}

func TestGzipCutOff(t *testing.T) {
	var text bytes.Buffer
	for i := range 20000 {
		fmt.Fprintf(&text, "{\"arrival_times\": [%d, %d]}\n", i, i*i)
	}
	for name, text := range map[string][]byte{
		"lines": text.Bytes(),
		"CSV":   append([]byte("time\n"), bytes.Repeat([]byte("5\n"), 100000)...),
	} {
		packed := zipped(text)
		for _, keep := range []int{1, 9, 15, len(packed) / 2, len(packed) - 9, len(packed) - 1} {
			_, err := Read(bytes.NewReader(packed[:keep]))
			if err == nil || keep > 1 && !strings.Contains(err.Error(), "cut off") {
				t.Errorf("%s: %d of %d bytes: error %v", name, keep, len(packed), err)
			}
		}
	}
	broken := errors.New("the cable is out")
	for _, text := range []string{`{"arrival_times": [1]}`, `{"sequences": [{"arrival_times": [1]}`, "time\n1\n"} {
		if _, err := Read(io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken))); !errors.Is(err, broken) {
			t.Errorf("%s: error %v", text, err)
		}
	}
}

func TestReadCSV(t *testing.T) {
	for _, c := range []struct {
		name, text string
		opts       ReadOptions
		want       *tpp.Dataset
	}{
		{"as we write it", "sequence,time,mark\n0,1,b\n0,2,a\n1,5,b\n", ReadOptions{},
			&tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1, 2}, Marks: []int{0, 1}}, {ArrivalTimes: []float64{5}, Marks: []int{0}}}, MarkNames: []string{"b", "a"}}},
		{"other names, order and separator", "\ufeff\"Event-Type\";cost; Timestamp ;Case ID\r\nb;3;1;x\r\n\r\na;4;2;x\r\n", ReadOptions{},
			&tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1, 2}, Marks: []int{0, 1}}}, MarkNames: []string{"b", "a"}}},
		{"tabs, one unmarked sequence", "time\tx\n1\t\n1\t\n", ReadOptions{}, &tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1, 1}}}}},
		{"time stamps", "id,time\n1,2021-05-12T15:05:14.775Z\n1,2021-05-12 17:05:14.77625+02:00\n1,2021-05-12 15:05:15\n", ReadOptions{Unit: "s"},
			&tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1620831914775, 1620831914776.25, 1620831915000}}}}},
		{"seconds", "time,wait_time\n1620831914.775,0.003\n1.620831914776e9,3e-3\n", ReadOptions{Unit: "s"},
			&tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1620831914775, 1620831914776}, WaitTimes: []float64{3, 3}}}}},
		{"minutes", "time\n0.5\n1\n", ReadOptions{Unit: "min"}, &tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{30000, 60000}}}}},
		{"nanoseconds in whole milliseconds", "time,init_time\n1499999,0\n1500000,3\n", ReadOptions{Unit: "ns", Resolution: 1},
			&tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1, 2}, InitTimes: []float64{0, 1}}}}},
		{"named columns", "time,when,who,what,load\n9,1,x,a,0.5\n8,2,x,b,-1\n",
			ReadOptions{TimeColumn: "when", SequenceColumn: "who", MarkColumn: "what", CovariateColumns: []string{"load"}},
			&tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1, 2}, Marks: []int{0, 1}, Covariates: map[string][]float64{"load": {0.5, -1}}}}, MarkNames: []string{"a", "b"}}},
		{"sorted, with parents", "time,mark,parent\n3,c,2\n1,a,\n2,b,1\n1,d,1\n", ReadOptions{Sort: true},
			&tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1, 1, 2, 3}, Marks: []int{1, 3, 2, 0}, Parents: []int{-1, 0, 0, 2}}}, MarkNames: []string{"c", "a", "b", "d"}}},
		{"a column for some sequences", "sequence,time,wait_time,t_end,covariate:x\na,1,,,7\nb,2,5,9,\n", ReadOptions{},
			&tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1}, Covariates: map[string][]float64{"x": {7}}},
				{ArrivalTimes: []float64{2}, WaitTimes: []float64{5}, TEnd: new(9.0)}}}},
		{"a header alone", "sequence,time\n", ReadOptions{}, &tpp.Dataset{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := NewSequenceReader(strings.NewReader(c.text), c.opts)
			if err != nil {
				t.Fatal(err)
			}
			got, err := collect(r)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestScatteredLines(t *testing.T) {
	const text = "sequence,time,mark\nx,1,a\n7,1,b\nx,2,b\n7,3,a\n"
	want := []tpp.Sequence{{ArrivalTimes: []float64{1, 2}, Marks: []int{0, 1}}, {ArrivalTimes: []float64{1, 3}, Marks: []int{1, 0}}}
	if d, err := Read(strings.NewReader(text)); err != nil || !reflect.DeepEqual(d.Sequences, want) {
		t.Errorf("whole: got %+v, error %v", d, err)
	}
	r, err := NewSequenceReader(strings.NewReader(text), ReadOptions{Scattered: true})
	if err != nil {
		t.Fatal(err)
	}
	if d, err := collect(r); err != nil || !reflect.DeepEqual(d.Sequences, want) {
		t.Errorf("scattered: got %+v, error %v", d, err)
	}
	for _, text := range []string{text, "sequence,time\n7,1\n9,1\n7,2\n", "sequence,time\nx,1\ny,1\nx,2\n"} {
		r, err := NewSequenceReader(strings.NewReader(text), ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := collect(r); err == nil || !strings.Contains(err.Error(), "line 4: sequence ") || !strings.Contains(err.Error(), "goes on after another") {
			t.Errorf("%q streamed: error %v", text, err)
		}
	}
}

func TestIDSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var set idSet
		met := map[string]bool{}
		for _, id := range rapid.SliceOf(rapid.StringMatching(`0{0,2}[0-9]{0,3}|[0-9]{18,21}|[ab]{0,2}|-1|\+1`)).Draw(t, "ids") {
			if set.add(id) == met[id] {
				t.Fatalf("%q among %v", id, met)
			}
			met[id] = true
		}
	})
}

func TestUnitsApplyToEveryFormat(t *testing.T) {
	d := &tpp.Dataset{Sequences: []tpp.Sequence{{
		ArrivalTimes: []float64{1.5, 2.25}, WaitTimes: []float64{0.5, 0}, InitTimes: []float64{1e-9, 0},
		Covariates: map[string][]float64{"x": {7, 8}}, TStart: new(1.0), TEnd: new(3.0),
	}}}
	for _, format := range []Format{FormatJSON, FormatJSONLines, FormatCSV} {
		var b bytes.Buffer
		if err := Encode(&b, d, format); err != nil {
			t.Fatal(err)
		}
		r, err := NewSequenceReader(&b, ReadOptions{Unit: "s", Resolution: 100})
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.ReadAll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := tpp.Sequence{
			ArrivalTimes: []float64{1500, 2300}, WaitTimes: []float64{500, 0}, InitTimes: []float64{100, 0},
			Covariates: map[string][]float64{"x": {7, 8}}, TStart: new(1000.0), TEnd: new(3000.0),
		}
		if !reflect.DeepEqual(got.Sequences[0], want) {
			t.Errorf("%s: got %+v, want %+v", format, got.Sequences[0], want)
		}
	}
	for _, opts := range []ReadOptions{{Unit: "fortnights"}, {Resolution: -1}} {
		if _, err := NewSequenceReader(strings.NewReader("time\n1\n"), opts); err == nil {
			t.Errorf("%+v was accepted", opts)
		}
	}
}

// TestRoundingKeepsTheOrder also checks that a rounded time is a whole number of ticks, written as people write it.
func TestRoundingKeepsTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tick := rapid.SampledFrom([]float64{1e-6, 0.001, 0.01, 0.5, 1, 3, 10, 1000}).Draw(t, "tick")
		r := timeReader{factor: 1, tick: tick}
		a := rapid.Float64Range(-1e13, 1e13).Draw(t, "a")
		b := a + rapid.Float64Range(0, 10).Draw(t, "gap")*tick
		ra, rb := r.round(a), r.round(b)
		if ra > rb {
			t.Fatalf("%v ≤ %v became %v > %v", a, b, ra, rb)
		}
		if d := ra - a; d > tick/2+1e-2 || d < -tick/2-1e-2 {
			t.Fatalf("%v became %v", a, ra)
		}
	})
	if got := (&timeReader{factor: 1, tick: 0.001}).round(0.00312); got != 0.003 {
		t.Errorf("got %v", got)
	}
}

// TestStreamingHoldsOneSequence reads what no memory would hold.
func TestStreamingHoldsOneSequence(t *testing.T) {
	const lines = 200000
	for name, c := range map[string]struct{ head, line, tail string }{
		"lines":    {"", `{"arrival_times": [1, 2, 3], "marks": ["a", "b", "a"]}` + "\n", ""},
		"document": {`{"mapping": {"a": 0, "b": 1}, "sequences": [{"arrival_times": [1]}`, `,{"arrival_times": [1, 2, 3], "marks": [0, 1, 0]}` + "\n", "]}"},
	} {
		r, err := NewSequenceReader(io.MultiReader(strings.NewReader(c.head), &repeat{text: c.line, times: lines}, strings.NewReader(c.tail)), ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for s, err := range r.All(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			n += s.Len()
		}
		if n < 3*lines || n > 3*lines+1 {
			t.Errorf("%s: %d events", name, n)
		}
		if size := cap(r.src.(*jsonSource).lex.buf); size > 1<<17 {
			t.Errorf("%s: the window grew to %d bytes", name, size)
		}
	}
}

// repeat is a text many times over.
type repeat struct {
	text  string
	times int
	rest  string
}

func (r *repeat) Read(p []byte) (int, error) {
	if r.rest == "" {
		if r.times == 0 {
			return 0, io.EOF
		}
		r.times--
		r.rest = r.text
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func TestLongLine(t *testing.T) {
	const events = 300000
	r, err := NewSequenceReader(io.MultiReader(strings.NewReader(`{"note": "`), &repeat{text: "é", times: events},
		strings.NewReader(`", "arrival_times": [0`), &repeat{text: ", 1234567.5", times: events}, strings.NewReader("]}")), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := r.ReadAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := d.NumEvents(); n != events+1 || d.Sequences[0].ArrivalTimes[events] != 1234567.5 {
		t.Errorf("%d events", n)
	}
}

func TestDocumentFromAPipe(t *testing.T) {
	const text = `{"sequences": [{"arrival_times": [1], "marks": [0]}], "mapping": {"a": 0}}`
	r, err := NewSequenceReader(bytes.NewBufferString(text), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := collect(r); err == nil || !strings.Contains(err.Error(), "its mapping stands behind its sequences") {
		t.Errorf("error %v", err)
	}
	if d, err := Read(bytes.NewBufferString(text)); err != nil || len(d.MarkNames) != 1 {
		t.Errorf("as a whole: %+v, error %v", d, err)
	}
}

func TestIterationStopsAndGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d")
	os.WriteFile(path, []byte("{\"arrival_times\": [1]}\n{\"arrival_times\": [2]}\n{\"arrival_times\": [3]}\n"), 0o666)
	r, err := OpenSequences(path, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for s := range r.All(t.Context()) {
		if s.ArrivalTimes[0] == 2 {
			break
		}
	}
	if rest, err := r.ReadAll(t.Context()); err != nil || len(rest.Sequences) != 1 || rest.Sequences[0].ArrivalTimes[0] != 3 {
		t.Errorf("the rest is %+v, error %v", rest, err)
	}
	r.Close()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err = OpenSequences(path, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range r.All(ctx) {
		if n++; n == 1 {
			cancel()
		} else if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v after the context was cancelled", err)
		}
	}
	if n != 2 {
		t.Errorf("%d steps", n)
	}
	r.Close()
	if r, err = OpenSequences(path, ReadOptions{}); err != nil {
		t.Fatal(err)
	}
	r.Close()
	for _, err := range r.All(t.Context()) {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("error %v after Close", err)
		}
	}
}

func TestSequenceWriterRefuses(t *testing.T) {
	good := tpp.Sequence{ArrivalTimes: []float64{1}}
	for _, c := range []struct {
		name   string
		format Format
		second tpp.Sequence
		names  [2][]string
		reason string
	}{
		{"an invalid sequence", FormatJSON, tpp.Sequence{}, [2][]string{}, "sequence 1: it has no events"},
		{"other names", FormatJSONLines, good, [2][]string{{"a"}, {"b"}}, "sequence 1: the names of the marks"},
		{"names too late", FormatJSON, good, [2][]string{nil, {"b"}}, "sequence 1: its marks have names"},
		{"a new column", FormatCSV, tpp.Sequence{ArrivalTimes: []float64{1}, WaitTimes: []float64{1}}, [2][]string{}, "sequence 1: it has a wait_time, for which"},
		{"a new covariate", FormatCSV, tpp.Sequence{ArrivalTimes: []float64{1}, Covariates: map[string][]float64{"x": {1}}}, [2][]string{}, `covariate "x", for which`},
		{"a blank name", FormatCSV, tpp.Sequence{ArrivalTimes: []float64{1}, Marks: []int{1}}, [2][]string{{"a"}, {"a", " "}}, `the name " " of a mark`},
		{"a name that would come back changed", FormatCSV, tpp.Sequence{ArrivalTimes: []float64{1}, Marks: []int{1}}, [2][]string{{"a"}, {"a", "b\r\n"}}, `the name "b\r\n" of a mark`},
		{"a name that is no text", FormatCSV, tpp.Sequence{ArrivalTimes: []float64{1}, Marks: []int{1}}, [2][]string{{"a"}, {"a", "\x00"}}, `the name "\x00" of a mark`},
	} {
		w, err := NewSequenceWriter(io.Discard, c.format)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(&good, c.names[0]); err != nil {
			t.Fatal(err)
		}
		err = w.Write(&c.second, c.names[1])
		if err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.reason)
		}
		if w.Close() == nil {
			t.Errorf("%s: Close forgot the error", c.name)
		}
	}
	if _, err := NewSequenceWriter(io.Discard, "xml"); err == nil {
		t.Error("an unknown format was accepted")
	}
	if err := Encode(brokenWriter{}, &tpp.Dataset{Sequences: make([]tpp.Sequence, 0)}, FormatCSV); err == nil {
		t.Error("a full disk was not noticed")
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func FuzzReadLines(f *testing.F) {
	f.Add([]byte("{\"mapping\": {\"a\": 0, \"b\": 1}}\n{\"arrival_times\": [1, 2], \"marks\": [0, 1]}\n"))
	f.Add([]byte("{\"arrival_times\": [1, 2], \"marks\": [\"a\", \"\\u00e9\"], \"covariates\": {\"x\": [1, 2e3]}, \"parents\": [-1, 0]}\r\n\n"))
	f.Add([]byte("\ufeff{\"marks\": [\"a\"], \"t_start\": -1, \"arrival_times\": [0], \"init_times\": [null]}"))
	f.Fuzz(checkStreaming)
}

func FuzzReadCSV(f *testing.F) {
	f.Add([]byte("sequence,time,mark\n0,1,b\n0,2,a\n1,5,b\n"))
	f.Add([]byte("id;timestamp;wait_time;init_time;parent;t_start;t_end;covariate:x\n\"a\";2021-05-12T15:05:14.775Z;1;0;;2021-05-12T15:05:14Z;;3\n"))
	f.Add([]byte("\ufefftime\n1\n1e3\n"))
	f.Fuzz(checkStreaming)
}

// checkStreaming: what can be read is the same read whole and streamed, and survives every format.
func checkStreaming(t *testing.T, text []byte) {
	whole, err := Read(bytes.NewReader(text))
	r, serr := NewSequenceReader(bytes.NewReader(text), ReadOptions{Scattered: true})
	var streamed *tpp.Dataset
	if serr == nil {
		streamed, serr = collect(r)
	}
	if (err == nil) != (serr == nil) {
		t.Fatalf("whole: %v; streamed: %v", err, serr)
	}
	if err != nil {
		if strings.ContainsRune(err.Error()+serr.Error(), '\n') {
			t.Errorf("an error of several lines: %q", err)
		}
		return
	}
	want := explicit(t, whole, whole.MarkNames)
	if got := explicit(t, streamed, whole.MarkNames); !reflect.DeepEqual(got, want) {
		t.Fatalf("whole %+v\nstreamed %+v", want, got)
	}
	for _, format := range []Format{FormatJSON, FormatJSONLines, FormatCSV} {
		var b bytes.Buffer
		if err := Encode(&b, whole, format); err != nil {
			if format == FormatCSV && strings.Contains(err.Error(), "cannot stand in a CSV file") {
				continue
			}
			t.Fatalf("%s: read but not written: %v", format, err)
		}
		again, err := Read(&b)
		if err != nil {
			t.Fatalf("%s: written but not read again: %v", format, err)
		}
		if got := explicit(t, again, whole.MarkNames); !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %+v became %+v", format, want, got)
		}
	}
}

// FuzzJSONLexer compares with encoding/json: both read the same texts, and an array of numbers as the same numbers.
func FuzzJSONLexer(f *testing.F) {
	for _, text := range []string{`{"a": [1, -0.5e+3, true, null], "b\u00e9": "\\\""}`, `[1, 2e5, -0]`, `"\ud800"`, `[01]`, `-`, "[\"\x01\"]"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		l := newJSONLexer(iotest.OneByteReader(bytes.NewReader(text)))
		l.capture = -1
		err := l.skip()
		if err == nil {
			if _, more := l.peek(); more != io.EOF {
				err = errors.New("more follows")
			}
		}
		if err == nil != json.Valid(text) && len(text) < maxNumber {
			t.Fatalf("error %v, but json.Valid says %v", err, json.Valid(text))
		}
		if err != nil {
			return
		}
		var a, b any
		if json.Unmarshal(text, &a) == nil && (json.Unmarshal(l.captured, &b) != nil || !reflect.DeepEqual(a, b)) {
			t.Fatalf("captured %s", l.captured)
		}
		var numbers []float64
		if json.Unmarshal(text, &numbers) != nil || bytes.Contains(text, []byte("null")) {
			return
		}
		l = newJSONLexer(iotest.HalfReader(bytes.NewReader(text)))
		got, err := l.floats((&timeReader{factor: 1}).parse)
		if err != nil || !reflect.DeepEqual(got, numbers) {
			t.Fatalf("got %v, error %v, want %v", got, err, numbers)
		}
	})
}

func FuzzTimes(f *testing.F) {
	f.Add("1620831914.775", "s")
	f.Add("-1e-3", "ns")
	f.Add("2021-05-12T15:05:14.775Z", "h")
	f.Fuzz(func(t *testing.T, text, unit string) {
		r, err := newTimeReader(unit, 1)
		if err != nil {
			return
		}
		for _, parse := range []func([]byte) (float64, error){r.parse, r.duration, func(b []byte) (float64, error) { return r.stamp(string(b)) }} {
			if v, err := parse([]byte(text)); err == nil && v != r.round(v) {
				t.Fatalf("%q %s: %v is no whole number of ticks", text, unit, v)
			}
		}
	})
}

func BenchmarkReadLines(b *testing.B) {
	line := `{"arrival_times": [` + strings.Repeat("1620831914775, ", 20) + `1620831914775], "marks": [` + strings.Repeat(`"sequence-dev-f10", `, 20) + `"sequence-dev-f10"]}` + "\n"
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	r, err := NewSequenceReader(&repeat{text: line, times: math.MaxInt}, ReadOptions{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := r.next(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadCSV(b *testing.B) {
	line := strings.Repeat("4bf92f3577b34da6a3ce929d0e0e4736,1620831914775,sequence-dev-f10\n", 20)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	r, err := NewSequenceReader(io.MultiReader(strings.NewReader("sequence,time,mark\n"), &repeat{text: line, times: math.MaxInt}), ReadOptions{})
	if err != nil {
		b.Fatal(err)
	}
	src := r.src.(*csvSource)
	for b.Loop() {
		for range 20 {
			row, line, err := src.read()
			if err != nil {
				b.Fatal(err)
			}
			to := csvSequence{id: src.id(row)}
			if err := src.add(&to, row, line); err != nil {
				b.Fatal(err)
			}
		}
	}
}
