//go:build !amd64 || noasm

package simd

func detect() set { return portable }

// Without assembly no fast form exists; fast never asks for one, and the compiler removes the calls.

func gemmFast(_, _, _ int, _ []float32, _, _ int, _ []float32, _ int, _ []float32, _ int, _ bool) {}

func expFast(_, _ []float32) bool     { return false }
func logFast(_, _ []float32) bool     { return false }
func sigmoidFast(_, _ []float32) bool { return false }
func tanhFast(_, _ []float32) bool    { return false }
