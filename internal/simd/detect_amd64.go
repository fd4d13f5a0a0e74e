//go:build amd64 && !noasm

package simd

import "golang.org/x/sys/cpu"

// detect asks the processor and, through the saved register state, the operating system.
func detect() set {
	switch {
	case cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && hasAVX2():
		return avx512
	case hasAVX2():
		return avx2
	}
	return portable
}

// hasAVX2 includes BMI2, with which the masks of tails are made.
func hasAVX2() bool { return cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasBMI2 }
