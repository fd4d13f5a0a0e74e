package main

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/tppfaas/tppfaas/internal/testbin"
)

var update = flag.Bool("update", false, "rewrite docs/reference.md")

func TestMain(m *testing.M) { os.Exit(testbin.Main(m)) }

// TestReference checks that docs/reference.md is what the commands say now.
func TestReference(t *testing.T) {
	text, err := reference(t.Context(), testbin.Path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"## tpp\n", "### tpp train\n", "### sampler platform\n", "## collector\n", "| `-kind string` |"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("the reference lacks %q", want)
		}
	}
	const file = "../reference.md"
	if *update {
		if err := os.WriteFile(file, text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, text) {
		t.Errorf("docs/reference.md is not what the commands say: run make generate, or this test with -update")
	}
}
