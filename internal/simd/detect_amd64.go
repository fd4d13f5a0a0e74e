//go:build amd64 && !noasm

package simd

import "golang.org/x/sys/cpu"

// detect returns the fastest set that the processor supports and whose registers the operating system saves.
func detect() set {
	switch {
	case cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && hasAVX2():
		return avx512
	case hasAVX2():
		return avx2
	}
	return portable
}

// hasAVX2 reports whether AVX2, FMA and BMI2 are available; BMI2 makes the masks of tails.
func hasAVX2() bool { return cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasBMI2 }
