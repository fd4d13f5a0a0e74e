package readme

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestQuotesOfFiles checks that the documents quote what the files contain.
func TestQuotesOfFiles(t *testing.T) {
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	quoted := map[string]int{} // number of quotes, by document
	for _, document := range documents {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		quotes, err := Quotes(string(text))
		if err != nil {
			t.Fatalf("%s: %v", document, err)
		}
		quoted[filepath.Base(document)] = len(quotes)
		for _, q := range quotes {
			content, err := os.ReadFile(filepath.Join(root, q.File))
			if err != nil {
				t.Errorf("%s:%d: %v", document, q.Line, err)
				continue
			}
			if missing := q.Missing(string(content)); missing != "" {
				t.Errorf("%s:%d: %s does not contain, in this order:\n%s", document, q.Line, q.File, missing)
			}
		}
	}
	// In this one no code stands that is not tried.
	const name = "instrument.md"
	text, err := os.ReadFile(filepath.Join(root, "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for _, language := range []string{"js", "python", "go"} {
		blocks += strings.Count(string(text), "```"+language+"\n")
	}
	if blocks == 0 || blocks != quoted[name] {
		t.Errorf("%s has %d blocks of code, of which %d quote a file", name, blocks, quoted[name])
	}
}
