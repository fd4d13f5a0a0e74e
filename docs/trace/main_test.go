package main

import (
	"io"
	"testing"

	"github.com/tppfaas/tppfaas/internal/pngtest"
)

// TestCommittedPictureIsDrawnByTheProgram: the picture in the documentation shows what the platform does now.
func TestCommittedPictureIsDrawnByTheProgram(t *testing.T) {
	traces, err := sampled(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pngtest.Same(t, "../trace.png", func(w io.Writer) error { return draws(w, traces) })
}
