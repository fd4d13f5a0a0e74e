package simd

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
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

// epsilon returns the distance from 1 to the next number.
func epsilon[T Float]() float64 {
	if isFloat32[T]() {
		return 0x1p-23
	}
	return 0x1p-52
}

func isFloat32[T Float]() bool { return T(1)+T(0x1p-30) == 1 }

// sameNumber reports whether two numbers are equal, where NaN equals NaN and −0 equals 0.
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

// TestAllocations calls every kernel, with operands on the stack where it can: none may go to the heap.
func TestAllocations(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		kernels := func() {
			var a, b, c, d, e [64]float32
			var wide [192]float32
			var gates [256]float32
			var targets [4]int
			Gemm(8, 8, 8, a[:], 8, 1, b[:], 8, c[:], 8, false)
			GemvT(a[:8], b[:], 8, c[:8], true)
			Exp(c[:], a[:])
			LogNormalCDFGrad(c[:], d[:], a[:])
			LogSumExp(a[:])
			Softmax(c[:], a[:])
			AddScaled(c[:], a[:], Dot(a[:], b[:]), b[:])
			NormalMixtureCDF(a[:], b[:], c[:], Sum(a[:]))
			GRUForward(1, 64, a[:], gates[:], wide[:], wide[:], e[:])
			GRUBackward(1, 64, gates[:], a[:], b[:], c[:])
			GemmFrom(8, 8, 8, a[:], 8, 1, b[:], 8, c[:], 8, d[:], 0)
			GatherRows(a[:], b[:], c[:16], e[:], 2, 0, 1)
			ScatterRows(4, 16, a[:], 16, b[:], 16, e[:], 2, 0)
			AddRows(4, a[:16], b[:], 16)
			AddWeightedRows(4, a[:16], b[:], 16, e[:], 2)
			NormalMixtureLogProb(a[:1], wide[:], b[:1], 64)
			NormalMixtureGrad(a[:1], wide[:], wide[:], b[:1], 64, 1)
			NormalMixtureTick(a[:1], wide[:], b[:1], c[:1], 64)
			NormalMixtureTickGrad(a[:1], wide[:], wide[:], b[:1], c[:1], 64, 1)
			SoftmaxCrossEntropy(a[:4], b[:], targets[:], 16, 1)
			LogSoftmaxAt(a[:4], b[:], targets[:], 16)
			Adam(a[:], b[:], c[:], d[:], AdamStep{LR: 1, Beta1: 0.9, Beta2: 0.99, Eps: 1, Step: 1})
		}
		if n := testing.AllocsPerRun(10, kernels); n != 0 {
			t.Errorf("%g allocations", n)
		}
	})
}

// TestShort gives each operand of each kernel one element less than its shape says, though the memory behind it is there.
func TestShort(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		x, full, wide, targets := make([]float32, 63, 64), make([]float32, 64), make([]float32, 192), make([]int, 4)
		gates := make([]float32, 256)
		almost := wide[:191]
		step := AdamStep{LR: 1, Beta1: 0.9, Beta2: 0.99, Eps: 1, Step: 1}
		for name, f := range map[string]func(){
			"Gemm A":                  func() { Gemm(8, 8, 8, x, 8, 1, full, 8, full, 8, false) },
			"Gemm B":                  func() { Gemm(8, 8, 8, full, 8, 1, x, 8, full, 8, false) },
			"Gemm C":                  func() { Gemm(8, 8, 8, full, 8, 1, full, 8, x, 8, false) },
			"Gemm C of no sums":       func() { Gemm(8, 8, 0, full, 8, 1, full, 8, x, 8, false) },
			"Gemm stride":             func() { Gemm(2, 2, 2, full, -1, 1, full, 8, full, 8, false) },
			"GemvT B":                 func() { GemvT(full[:8], x, 8, full[:8], false) },
			"Exp":                     func() { Exp(x, full) },
			"Softmax":                 func() { Softmax(x, full) },
			"Dot":                     func() { Dot(full, x) },
			"AddScaled":               func() { AddScaled(full, x, 1, full) },
			"LogNormalCDFGrad":        func() { LogNormalCDFGrad(full, x, full) },
			"NormalMixtureCDF":        func() { NormalMixtureCDF(full, full, x, 0) },
			"GRUForward gx":           func() { GRUForward(1, 64, full, gates, almost, wide, full) },
			"GRUForward next":         func() { GRUForward(1, 64, x, gates, wide, wide, full) },
			"GRUForward act":          func() { GRUForward(1, 64, full, gates[:255], wide, wide, full) },
			"GRUBackward act":         func() { GRUBackward(1, 64, gates[:255], full, full, full) },
			"GRUBackward dnext":       func() { GRUBackward(1, 64, gates, full, x, full) },
			"GemmFrom start":          func() { GemmFrom(8, 8, 8, full, 8, 1, full, 8, full, 8, x, 8) },
			"GatherRows values":       func() { GatherRows(full, full, full[:16], full[:7], 2, 0, 1) },
			"GatherRows index":        func() { GatherRows(full[:16], full, full[:16], []float32{4, 0}, 2, 0, 1) },
			"ScatterRows src":         func() { ScatterRows(4, 16, full, 16, x, 16, full, 2, 0) },
			"ScatterRows index":       func() { ScatterRows(1, 16, full, 16, full, 16, []float32{-1}, 2, 0) },
			"AddRows src":             func() { AddRows(4, full[:16], x, 16) },
			"AddWeightedRows weights": func() { AddWeightedRows(4, full[:16], full, 16, full[:6], 2) },
			"NormalMixtureLogProb":    func() { NormalMixtureLogProb(full, almost, full[:1], 64) },
			"NormalMixtureGrad":       func() { NormalMixtureGrad(full, almost, wide, full[:1], 64, 1) },
			"NormalMixtureTick":       func() { NormalMixtureTick(full, almost, full[:1], full[:1], 64) },
			"NormalMixtureTick width": func() { NormalMixtureTick(full, wide, full[:1], full[:0], 64) },
			"NormalMixtureTickGrad":   func() { NormalMixtureTickGrad(full, almost, wide, full[:1], full[:1], 64, 1) },
			"SoftmaxCrossEntropy":     func() { SoftmaxCrossEntropy(full, x, targets, 16, 1) },
			"SoftmaxCrossEntropy nll": func() { SoftmaxCrossEntropy(full[:3], full, targets, 16, 1) },
			"Adam":                    func() { Adam(full, full, full, x, step) },
		} {
			if !panics(f) {
				t.Errorf("%s one element short accepted", name)
			}
		}
	})
}

func panics(f func()) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	f()
	return
}

// TestGenerated makes the assembly once more and compares it with the committed files.
func TestGenerated(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the generator")
	}
	dir := t.TempDir()
	gen := filepath.Join(dir, "gen")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", gen, "./gen").CombinedOutput(); err != nil {
		t.Fatalf("building the generator: %v\n%s", err, out)
	}
	for _, kernels := range []string{"gemm", "vector", "fused", "race"} {
		source, stubs := kernels+"_amd64.s", kernels+"_stubs_amd64.go"
		cmd := exec.CommandContext(t.Context(), gen, "-kernels", kernels,
			"-out", filepath.Join(dir, source), "-stubs", filepath.Join(dir, stubs), "-pkg", "simd")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd, err, out)
		}
		for _, name := range []string{source, stubs} {
			if !bytes.Equal(withoutHeader(t, name), withoutHeader(t, filepath.Join(dir, name))) {
				t.Errorf("%s is not what its generator makes: run go generate", name)
			}
		}
	}
}

// withoutHeader returns a file without its first line, which names the command that wrote it.
func withoutHeader(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(content, []byte("\n"))
	return rest
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
