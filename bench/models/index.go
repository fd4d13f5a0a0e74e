package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const indexHead = `# Models

Trained models of every dataset in [data](../data), ready to use: a race and a LogNormMix for each
([kinds of models](../docs/modelling.md#kinds-of-models)). Each file is the whole model, and knows which part of its dataset it has not
seen. The card beside it says what it was trained on, and what it was never shown.

    tpp predict models/low_tree_small_det.race.safetensors data/low_tree_small_det.json.gz -sequence 5

Scores are those on the test parts; lower is better for nll_resolution and mae, and coverages should be 0.5 and 0.9
([Scores](../docs/modelling.md#scores)). ` + "`make models`" + ` trains all of them anew, with the same bytes on processors with the instruction set that
the cards name; other processors read and use them too.

`

// updateIndex sets a model's row in the index, and drops the rows of models that are no longer there.
func updateIndex(folder, key, row string) error {
	path := filepath.Join(folder, "README.md")
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	rows := indexRows(string(text))
	rows[key] = row
	keys := make([]string, 0, len(rows))
	for key := range rows {
		if _, err := os.Stat(filepath.Join(folder, key+modelSuffix)); err == nil {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	var b strings.Builder
	fmt.Fprintf(&b, "%s| model | size | %s |\n|---|%s\n", indexHead, strings.Join(scoreNames, " | "), strings.Repeat("--:|", 1+len(scoreNames)))
	for _, key := range keys {
		b.WriteString(rows[key] + "\n")
	}
	return writeText(path, b.String())
}

// indexRows returns the rows of an index by the model's name.
func indexRows(text string) map[string]string {
	rows := map[string]string{}
	for line := range strings.Lines(text) {
		name, ok := strings.CutPrefix(line, "| [")
		if key, _, found := strings.Cut(name, "]("); ok && found {
			rows[key] = strings.TrimSuffix(line, "\n")
		}
	}
	return rows
}
