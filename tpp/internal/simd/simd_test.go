package simd

import (
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
)

// eachSet runs a test with every set of kernels that the machine offers.
func eachSet(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	for _, name := range Sets() {
		t.Run(name, func(t *testing.T) {
			use(t, name)
			test(t)
		})
	}
}

func use(t testing.TB, name string) {
	t.Helper()
	restore, err := Use(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(restore)
}

const (
	guard  = 40
	canary = 1234.5
)

// fataler is what *testing.T and *rapid.T share.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// guarded is a slice of n elements at an odd address of a larger one, whose other elements no kernel may write.
type guarded[T Float] struct{ all, data []T }

func newGuarded[T Float](n int) guarded[T] {
	all := make([]T, n+2*guard+1)
	for i := range all {
		all[i] = canary
	}
	return guarded[T]{all, all[guard+1 : guard+1+n : guard+1+n]}
}

func (g guarded[T]) check(t fataler, name string) {
	t.Helper()
	for i, x := range g.all {
		if inside := i >= guard+1 && i < guard+1+len(g.data); !inside && x != canary {
			t.Fatalf("%s: element %d of %d was written", name, i-guard-1, len(g.data))
		}
	}
}

func randomSlice[T Float](r *rand.Rand, n int, scale float64) []T {
	g := newGuarded[T](n)
	for i := range g.data {
		g.data[i] = T(scale * r.NormFloat64())
	}
	return g.data
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// epsilon is the distance from 1 to the next number.
func epsilon[T Float]() float64 {
	if isFloat32[T]() {
		return 0x1p-23
	}
	return 0x1p-52
}

func isFloat32[T Float]() bool { return T(1)+T(0x1p-30) == 1 }

// sameNumber is equality for which NaN is NaN and the two zeros are one.
func sameNumber(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

func TestUse(t *testing.T) {
	before := Active()
	if before != Sets()[0] {
		t.Errorf("set %q is active, want the fastest, %q", before, Sets()[0])
	}
	restore, err := Use("portable")
	if err != nil || Active() != "portable" {
		t.Fatalf("portable kernels not selected: %q, %v", Active(), err)
	}
	restore()
	if Active() != before {
		t.Errorf("restored %q, want %q", Active(), before)
	}
	if _, err := Use("abacus"); err == nil {
		t.Error("unknown set of kernels accepted")
	}
}

// TestBuildsElsewhere compiles the package and its tests for platforms that take the portable kernels.
func TestBuildsElsewhere(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the package several times")
	}
	for _, c := range []struct {
		name string
		env  []string
		args []string
	}{
		{"arm64", []string{"GOOS=linux", "GOARCH=arm64"}, nil},
		{"32 bit", []string{"GOOS=linux", "GOARCH=386"}, nil},
		{"noasm", nil, []string{"-tags", "noasm"}},
		{"windows", []string{"GOOS=windows", "GOARCH=amd64"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "go", append(append([]string{"vet"}, c.args...), ".")...)
			cmd.Env = append(os.Environ(), c.env...)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %v\n%s", cmd, err, out)
			}
		})
	}
}

// TestPortableTag runs the tests of the kernels once more as a build without assembly has them.
func TestPortableTag(t *testing.T) {
	if testing.Short() || len(Sets()) == 1 {
		t.Skip("runs the tests a second time")
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-short", "-tags", "noasm", ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %v\n%s", cmd, err, out)
	}
}
