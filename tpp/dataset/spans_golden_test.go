package dataset

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// TestSpansGolden reads the files of spans in testdata/spans by every rule that their names ask for, and compares the sequences, the choices
// and the warnings with the golden files beside them.
func TestSpansGolden(t *testing.T) {
	cases := []struct {
		file string
		opts ReadOptions
	}{
		{"openwhisk.zipkin.json", ReadOptions{}},
		{"openwhisk.zipkin.json", ReadOptions{Spans: SpansAll}},
		{"functions.otlp.jsonl", ReadOptions{}},
		{"functions.otlp.jsonl", ReadOptions{MarkColumn: "service.name", Resolution: 1}},
		{"functions.otlp.jsonl", ReadOptions{Spans: SpansServer, MarkColumn: "faas.trigger"}},
		{"shop.zipkin.json", ReadOptions{}},
		{"shop.zipkin.json", ReadOptions{MarkColumn: "service"}},
		{"shop.zipkin.json", ReadOptions{Spans: SpansAll, MarkColumn: "name"}},
		{"internal.zipkin.jsonl", ReadOptions{}},
	}
	for _, c := range cases {
		name := fmt.Sprintf("%s,%s,%s.golden", c.file, c.opts.Spans, strings.ReplaceAll(c.opts.MarkColumn, "/", "-"))
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", "spans", c.file)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := describeSpans(t, text, c.opts)
			golden := filepath.Join("testdata", "spans", name)
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			// From a pipe, which is read once, and gzipped.
			if piped := describeSpans(t, text, c.opts, "pipe"); !bytes.Equal(piped, want) {
				t.Errorf("from a pipe\n%s\nwant\n%s", piped, want)
			}
			if unzipped := describeSpans(t, zipped(text), c.opts); !bytes.Equal(unzipped, want) {
				t.Errorf("gzipped\n%s\nwant\n%s", unzipped, want)
			}
		})
	}
}

// describeSpans reads spans and writes the dataset as JSON lines, what was chosen, and what looks wrong.
func describeSpans(t *testing.T, text []byte, opts ReadOptions, pipe ...string) []byte {
	t.Helper()
	var r *SequenceReader
	var err error
	if pipe != nil {
		r, err = NewSequenceReader(bytes.NewBuffer(text), opts)
	} else {
		r, err = NewSequenceReader(bytes.NewReader(text), opts)
	}
	if err != nil {
		t.Fatal(err)
	}
	d, err := r.ReadAll(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Encode(&b, d, FormatJSONLines); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "%s: %s\n", r.Format(), r.Choices())
	for _, w := range r.Warnings() {
		fmt.Fprintf(&b, "%s: %s\n", w.Kind, w.Text)
	}
	return b.Bytes()
}
