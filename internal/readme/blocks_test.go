package readme

import (
	"reflect"
	"strings"
	"testing"
)

func TestBlocks(t *testing.T) {
	text := strings.Join([]string{
		"# Title", "", "```sh", "make build", "ls", "```", "text", "```go", "func main() {}", "```",
		"<!-- background: ready -->", "```sh", "serve", "```", "<!-- not run: it takes an hour -->", "", "```sh", "soak", "```",
	}, "\n")
	got, err := Blocks(text)
	want := []Block{
		{Line: 3, Script: "make build\nls\n"},
		{Line: 12, Script: "serve\n", Background: true, Ready: "ready"},
		{Line: 17, Script: "soak\n", NotRun: "it takes an hour"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for name, test := range map[string][2]string{
		"no end":             {"```sh\nls\n", "line 1: the block has no end"},
		"remark at the end":  {"<!-- not run: no -->", "line 1: the remark is not followed"},
		"remark before text": {"<!-- not run: no -->\nhello", "line 1: the remark is not followed"},
		"remark before go":   {"<!-- not run: no -->\n```go\n```", "line 1: the remark stands before"},
		"two remarks":        {"<!-- not run: no -->\n<!-- not run: no -->\n", "line 2: a second remark"},
	} {
		if _, err := Blocks(test[0]); err == nil || !strings.Contains(err.Error(), test[1]) {
			t.Errorf("%s: %v, want %q", name, err, test[1])
		}
	}
}

func TestQuotes(t *testing.T) {
	text := strings.Join([]string{"# Title", "<!-- from: a/b.go -->", "```go", "one", "  // …", "  three", "```", "```go", "other", "```"}, "\n")
	got, err := Quotes(text)
	want := []Quote{{Line: 3, File: "a/b.go", Parts: []string{"one\n", "  three\n"}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, %v; want %+v", got, err, want)
	}
	for content, missing := range map[string]string{
		"one\ntwo\n  three\n":  "",
		"one\n  three\n":       "",
		"zero\none\n  three\n": "",
		"  three\none\n":       "  three\n\n",
		"one\nthree\n":         "  three\n\n",
		"one two\n  three\n":   "one\n\n",
		"zone\n  three\n":      "one\n\n",
	} {
		if got := want[0].Missing(content); got != missing {
			t.Errorf("%q: %q is missing, want %q", content, got, missing)
		}
	}
	for name, test := range map[string][2]string{
		"no end":            {"<!-- from: a -->\n```go\n", "line 2: the block has no end"},
		"remark at the end": {"<!-- from: a -->", "line 1: the remark is not followed"},
		"remark and text":   {"<!-- from: a -->\n\n```go\n```", "line 1: the remark is not followed"},
	} {
		if _, err := Quotes(test[0]); err == nil || !strings.Contains(err.Error(), test[1]) {
			t.Errorf("%s: %v, want %q", name, err, test[1])
		}
	}
}
