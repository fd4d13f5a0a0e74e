package readme

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

const root = "../.."

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// TestLinks checks that every relative link of the documents leads to a file that is there, and to a heading in it.
func TestLinks(t *testing.T) {
	documents, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"docs/*.md", "data/*.md", "models/*.md", "prewarm/*.md", "collector/*.md", "collector/*/*.md", "tpp/*/*.md"} {
		more, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, more...)
	}
	if len(documents) < 8 {
		t.Fatalf("only %d documents", len(documents))
	}
	for _, document := range documents {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target := document
			if path != "" {
				target = filepath.Join(filepath.Dir(document), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", document, m[1])
				continue
			}
			if anchor != "" && !hasAnchor(t, target, anchor) {
				t.Errorf("%s links to %s, which has no such heading", document, m[1])
			}
		}
	}
}

// hasAnchor reports whether a Markdown file has a heading with the anchor that GitHub gives it.
func hasAnchor(t *testing.T, path, anchor string) bool {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range heading.FindAllStringSubmatch(string(text), -1) {
		var id strings.Builder
		for _, r := range strings.ToLower(m[1]) {
			switch {
			case r == ' ':
				id.WriteByte('-')
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				id.WriteRune(r)
			}
		}
		if id.String() == anchor {
			return true
		}
	}
	return false
}
