package main

import (
	"testing"

	"github.com/tppfaas/tppfaas/internal/pngtest"
)

// TestCommittedPictureIsDrawnByTheProgram: the picture in the documentation shows the parts as they stand in the code.
func TestCommittedPictureIsDrawnByTheProgram(t *testing.T) {
	pngtest.Same(t, "../architecture.png", draws)
}
