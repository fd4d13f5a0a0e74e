package main

import (
	"testing"

	"github.com/tppfaas/tppfaas/internal/pngtest"
)

// TestCommittedPictureIsDrawnByTheProgram checks that the picture in the documentation shows the parts as they stand in the code.
func TestCommittedPictureIsDrawnByTheProgram(t *testing.T) {
	pngtest.Same(t, "../architecture.png", write)
}

// TestLabelsStandClear checks that no label reaches over an edge of the picture or of a box, or is crossed by an arrow.
func TestLabelsStandClear(t *testing.T) {
	pngtest.Legible(t, pngtest.Record(width, height, paint))
}
