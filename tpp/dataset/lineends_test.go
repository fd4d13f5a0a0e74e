package dataset

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tppfaas/tppfaas/tpp"
)

func TestLineEnds(t *testing.T) {
	const text = "sequence,time,mark\na,1,x\na,2,\"y,\nz\"\nb,3,x\n"
	want, err := Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	want.MarkNames[1] = strings.ReplaceAll(want.MarkNames[1], "\r", "\n")
	for name, end := range map[string]string{"CR": "\r", "CRLF": "\r\n"} {
		text := strings.ReplaceAll(text, "\n", end)
		for _, text := range []string{text, strings.TrimSuffix(text, end), end + text, "\xef\xbb\xbf" + text} {
			for how, read := range map[string]func() (any, error){
				"at once":          func() (any, error) { return Read(strings.NewReader(text)) },
				"byte by byte":     func() (any, error) { return Read(iotest.OneByteReader(strings.NewReader(text))) },
				"gzipped":          func() (any, error) { return Read(bytes.NewReader(zipped([]byte(text)))) },
				"with data errors": func() (any, error) { return Read(iotest.DataErrReader(strings.NewReader(text))) },
			} {
				if d, err := read(); err != nil || !reflect.DeepEqual(d, want) {
					t.Errorf("%s, %s: %q is read as %+v, error %v", name, how, text, d, err)
				}
			}
		}
	}
	// Line ends that change after the header are taken for what they are where CR ends the header.
	mixed, err := Read(strings.NewReader("sequence,time\ra,1\r\na,2\nb,3\r"))
	if err != nil || mixed.NumEvents() != 3 {
		t.Errorf("mixed line ends are read as %+v, error %v", mixed, err)
	}
	// A header that is longer than the first look at the file.
	long := "sequence,time," + strings.Repeat("x", 5000) + "\ra,1,2\ra,5,6\r"
	if d, err := Read(strings.NewReader(long)); err != nil || d.NumEvents() != 2 {
		t.Errorf("a long header is read as %+v, error %v", d, err)
	}
}

func TestNamesAreUTF8(t *testing.T) {
	for _, text := range []string{
		`{"sequences":[{"arrival_times":[1,2],"marks":["f` + "\xe9" + `","f` + "\xe8" + `"]}]}`,
		`{"sequences":[{"arrival_times":[1,2],"marks":[0,1]}],"mapping":{"f` + "\xe9" + `":0,"f` + "\xe8" + `":1}}`,
		`{"arrival_times":[1,2],"marks":["f` + "\xe9" + `","a"]}`,
		`{"arrival_times":[1,2],"covariates":{"f` + "\xe9" + `":[1,2]}}`,
	} {
		if d, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), `UTF-8: "f\xe`) {
			t.Errorf("%q is read as %+v, error %v", text, d, err)
		}
	}
	for _, mark := range []string{`\ud800`, `x\udc00`, `\ud800\ud800`, `\\\ud801`, `\ud83d\u0041`} {
		text := `{"sequences":[{"arrival_times":[1],"marks":["` + mark + `"]}]}`
		if d, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "UTF-16") {
			t.Errorf("%s is read as %+v, error %v", text, d, err)
		}
	}
	for mark, want := range map[string]string{`\ud83d\ude00`: "😀", `\\ud800`: `\ud800`, `\ufffd`: "\ufffd", "\ufffd": "\ufffd", `\n\u00e9`: "\né"} {
		text := `{"sequences":[{"arrival_times":[1],"marks":["` + mark + `"]}]}`
		if d, err := Read(strings.NewReader(text)); err != nil || d.MarkNames[0] != want {
			t.Errorf("%s is read as %+v, error %v", text, d, err)
		}
	}
}

func TestNamesThatAreNotUTF8AreNotWritten(t *testing.T) {
	s := tpp.Sequence{ArrivalTimes: []float64{1, 2}, Marks: []int{0, 1}}
	names := []string{"f\xe9", "f\xe8"}
	for _, format := range []Format{FormatJSON, FormatJSONLines, FormatCSV} {
		var b bytes.Buffer
		if err := Encode(&b, &tpp.Dataset{Sequences: []tpp.Sequence{s}, MarkNames: names}, format); err == nil || !strings.Contains(err.Error(), "UTF-8") {
			t.Errorf("%s: a dataset is written as %q, error %v", format, b.String(), err)
		}
		w, err := NewSequenceWriter(&b, format)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(&s, names); err == nil || !strings.Contains(err.Error(), "UTF-8") {
			t.Errorf("%s: a sequence is written, error %v", format, err)
		}
		covariate := tpp.Sequence{ArrivalTimes: []float64{1}, Covariates: map[string][]float64{"f\xe9": {1}}}
		if err := Encode(&b, &tpp.Dataset{Sequences: []tpp.Sequence{covariate}}, format); err == nil || !strings.Contains(err.Error(), "UTF-8") {
			t.Errorf("%s: a covariate is written, error %v", format, err)
		}
	}
}
