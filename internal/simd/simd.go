package simd

import (
	"fmt"
	"slices"
	"strings"
	"unsafe"
)

// Float is the constraint of the number types that the kernels support.
type Float interface{ ~float32 | ~float64 }

// set is a set of kernels, in the order of preference.
type set int

const (
	portable set = iota
	avx2         // AVX2 and FMA
	avx512       // AVX-512 F, BW, DQ and VL
)

var setNames = []string{portable: "portable", avx2: "avx2", avx512: "avx512"}

// best is the fastest set that this machine and build offer, and active the one in use.
var (
	best   = detect()
	active = best
)

// Sets returns the names of the sets of kernels available here, fastest first: of "avx512", "avx2" and "portable".
func Sets() []string {
	names := slices.Clone(setNames[:best+1])
	slices.Reverse(names)
	return names
}

// Active returns the name of the set of kernels in use.
func Active() string { return setNames[active] }

// Use selects a set of kernels by its name and returns a function that restores the former choice. It is for tests and
// benchmarks: no kernel may run concurrently.
func Use(name string) (restore func(), err error) {
	i := slices.Index(setNames, name)
	if i < 0 || set(i) > best {
		return nil, fmt.Errorf("kernels %q are not available here: want one of %s", name, strings.Join(Sets(), ", "))
	}
	former := active
	active = set(i)
	return func() { active = former }, nil
}

// fast reports whether kernels in assembly may serve T.
func fast[T Float]() bool { return unsafe.Sizeof(T(0)) == 4 && active != portable }

// f32 returns x as a []float32 in the same memory; T must be of four bytes.
func f32[T Float](x []T) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}

// first returns the first n elements of x. Unlike x[:n] it panics if they are not within the length of x, whatever its
// capacity: assembly must not write past the length.
func first[T any](x []T, n int) []T { return x[:len(x):len(x)][:n] }
