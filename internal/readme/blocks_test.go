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
