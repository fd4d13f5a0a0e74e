package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/cli"
)

const golden = "../dashboard.json"

// TestDashboard checks that the file beside the manifests is what the command writes.
func TestDashboard(t *testing.T) {
	file := filepath.Join(t.TempDir(), "dashboard.json")
	var stdout bytes.Buffer
	require.NoError(t, run([]string{"-o", file}, &stdout))
	require.Empty(t, stdout.String())
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "go generate ./prewarm/deploy writes it")
}

// TestPanels checks that every panel says what it shows, asks the chosen data source for the chosen controllers, and that the grid has no overlap.
func TestPanels(t *testing.T) {
	d, err := build()
	require.NoError(t, err)
	text, err := json.Marshal(d.Panels)
	require.NoError(t, err)
	var panels []struct {
		Type, Title, Description string
		GridPos                  struct{ X, Y, W, H int }
		Targets                  []struct {
			Expr, RefID string
			Datasource  struct{ UID string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &panels))
	taken := map[[2]int]string{}
	titles := map[string]bool{}
	curves := 0
	for _, p := range panels {
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				require.Empty(t, taken[[2]int{x, y}], "%s lies on another panel", p.Title)
				taken[[2]int{x, y}] = p.Title
			}
		}
		require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24)
		if p.Type == "row" {
			continue
		}
		curves++
		require.NotEmpty(t, p.Description, p.Title)
		require.False(t, titles[p.Type+p.Title], p.Title)
		titles[p.Type+p.Title] = true
		require.NotEmpty(t, p.Targets, p.Title)
		refs := map[string]bool{}
		for _, target := range p.Targets {
			require.False(t, refs[target.RefID], p.Title)
			refs[target.RefID] = true
			require.Equal(t, "${source}", target.Datasource.UID, p.Title)
			require.Contains(t, target.Expr, `instance=~"$instance"`, p.Title)
			require.NotContains(t, target.Expr, "#")
		}
	}
	require.Greater(t, curves, 15)
}

// TestCalls checks the ways to call the command.
func TestCalls(t *testing.T) {
	for _, args := range [][]string{{}, {"-o", "x", "y"}, {"-z"}} {
		var stdout bytes.Buffer
		err := run(args, &stdout)
		var wrong *cli.UsageError
		require.ErrorAs(t, err, &wrong, "%v", args)
	}
	require.ErrorContains(t, run([]string{"-o", filepath.Join(t.TempDir(), "no", "file")}, new(bytes.Buffer)), "does not exist")
}
