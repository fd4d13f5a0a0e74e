package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const document = "# Results\n\ntext\n\n## One\n\n```sh\nprewarm lab\n```\n\n<!-- printed -->\n\n| a |\n\n<!-- end -->\n\n```go\nx\n```\n\n## Two\n```sh\nls \\\n  -l\n```\nmore\n"

// TestDocument checks that a document is divided into commands with what they have printed, and put together again.
func TestDocument(t *testing.T) {
	blocks, err := parse(document)
	require.NoError(t, err)
	require.Len(t, blocks, 2)
	require.Equal(t, "One", blocks[0].heading)
	require.Equal(t, "prewarm lab\n", blocks[0].command)
	require.True(t, blocks[0].printed)
	require.Equal(t, "\n| a |\n\n", blocks[0].output)
	require.False(t, blocks[1].printed)
	require.Equal(t, "ls \\\n  -l\n", blocks[1].command)
	require.Equal(t, document, join(blocks))
	blocks[0].output = "| b |\n"
	require.Equal(t, strings.ReplaceAll(document, "| a |", "| b |"), join(blocks))
}

// TestWrongDocuments checks the messages for documents whose parts have no end.
func TestWrongDocuments(t *testing.T) {
	for text, message := range map[string]string{
		"```sh\nls\n":                           "line 1: the block has no end",
		"<!-- printed -->\n":                    "line 1: there is no command above",
		"```sh\nls\n```\n<!-- printed -->\na\n": "line 4: <!-- end --> is missing",
	} {
		_, err := parse(text)
		require.ErrorContains(t, err, message)
	}
}

// TestExecute checks that a command finds the program and is given the results file.
func TestExecute(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "prewarm"), []byte("#!/bin/sh\necho \"$@\"\n"), 0o755))
	out, err := execute(context.Background(), dir, "it's.jsonl", "prewarm lab \\\n  -n 3\n", os.Stderr)
	require.NoError(t, err)
	require.Equal(t, "lab -n 3 -o it's.jsonl\n", out)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rightsize"), []byte("#!/bin/sh\necho \"$@\"\n"), 0o755))
	out, err = execute(context.Background(), dir, "r", "rightsize backtest -markdown\n", os.Stderr)
	require.NoError(t, err)
	require.Equal(t, "backtest -markdown\n", out)
	_, err = execute(context.Background(), dir, "r", "false", os.Stderr)
	require.Error(t, err)
}

// TestResultsDocument checks that the documents of the repository can be divided, and that what they have stays.
func TestResultsDocument(t *testing.T) {
	for document, begin := range map[string]string{"../../prewarm/RESULTS.md": "prewarm lab ", "../../rightsize/RESULTS.md": "rightsize backtest "} {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		blocks, err := parse(string(text))
		require.NoError(t, err)
		require.Equal(t, string(text), join(blocks))
		commands := 0
		for _, b := range blocks {
			if b.printed {
				commands++
				require.True(t, strings.HasPrefix(b.command, begin), b.command)
				require.Contains(t, b.command, "-markdown")
			}
		}
		require.Positive(t, commands)
	}
}
