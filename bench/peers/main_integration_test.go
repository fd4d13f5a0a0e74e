//go:build integration

package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/integration"
)

// TestIntegrationPeers trains the paper's model here and with JAX, from the same weights on the same batches. Both must have the same
// validation loss after each epoch, which the command checks.
func TestIntegrationPeers(t *testing.T) {
	t.Chdir("../..")
	python := integration.File(t, filepath.Join("build", "peers", "bin", "python"), "JAX", "make fetch-python")
	var stdout, stderr bytes.Buffer
	if status := command(t.Context(), []string{"-python", python, "-rounds", "1", "-epochs", "4"}, &stdout, &stderr); status != cli.OK {
		t.Fatalf("status %d: %s%s", status, &stdout, &stderr)
	}
	if !strings.Contains(stdout.String(), "jax") || strings.Contains(stderr.String(), "jax_lean: left out") {
		t.Errorf("JAX was left out: %s%s", &stdout, &stderr)
	}
	t.Logf("%s", &stdout)
}
