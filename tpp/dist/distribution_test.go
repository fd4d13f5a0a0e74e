package dist

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/integrate/quad"
	"pgregory.net/rapid"
)

// closeTo reports whether got is want up to a relative error of tol, or to what denormals resolve.
func closeTo(got, want, tol float64) bool {
	return got == want || math.Abs(got-want) <= tol*math.Abs(want)+1e-305
}

func seeded() rand.Source { return rand.NewPCG(1, 2) }

// complete is a Distribution with all methods that the functions of the package otherwise derive.
type complete interface {
	Distribution
	Prob(t float64) float64
	LogCDF(t float64) float64
	Survival(t float64) float64
	LogInterval(a, b float64) float64
	Hazard(t float64) float64
	Mean() float64
	Median() float64
	Rand() float64
	RestrictedMean(h float64) float64
}

// example is a distribution with the properties that the tests need.
type example struct {
	name string
	complete
	discrete bool    // it has atoms
	offset   float64 // times are sums with this one, which limits their digits
}

func examples(t testing.TB) []example {
	sample := []float64{0, 0, 12, 13, 13, 15, 80, 82, 900}
	empirical, err := NewEmpirical(sample, 1)
	if err != nil {
		t.Fatal(err)
	}
	empirical.Src = seeded()
	alone, err := NewEmpirical(sample, 0)
	if err != nil {
		t.Fatal(err)
	}
	alone.BackgroundWeight, alone.Src = 0, seeded()
	mixture := &LogNormMix{
		LogWeights: []float64{-0.5, -1.5, -2, math.Inf(-1)},
		Mu:         []float64{3, 5, 9, 0},
		Sigma:      []float64{0.25, 1, 1.2, 1},
		Src:        seeded(),
	}
	hawkes := ExpHawkes{Base: 0.001, Alpha: []float64{0.02, 0.1}, Beta: []float64{0.1, 0.02}, Src: seeded()}
	return []example{
		{"LogNormMix", mixture, false, 0},
		{"Exponential", Exponential{Rate: 0.02, Src: seeded()}, false, 0},
		{"ExpHawkes", hawkes, false, 0},
		{"ExpHawkes that may die out", ExpHawkes{Alpha: []float64{0.02}, Beta: []float64{0.01}, Src: seeded()}, false, 0},
		{"Point", Point{Value: 40}, true, 0},
		{"Point at 0", Point{}, true, 0},
		{"Empirical", empirical, true, 0},
		{"Empirical without background", alone, true, 0},
		{"Conditional LogNormMix", Conditional{Dist: mixture, Elapsed: 30, Src: seeded()}, false, 30},
		{"Conditional LogNormMix in the tail", Conditional{Dist: mixture, Elapsed: 1e6, Src: seeded()}, false, 1e6},
		{"Conditional ExpHawkes", Conditional{Dist: hawkes, Elapsed: 30, Src: seeded()}, false, 30},
		{"Conditional Empirical", Conditional{Dist: empirical, Elapsed: 13, Src: seeded()}, true, 13},
		{"Conditional of nothing elapsed", Conditional{Dist: empirical, Src: seeded()}, true, 0},
		{"Conditional overdue", Conditional{Dist: Point{Value: 40}, Elapsed: 50, Src: seeded()}, true, 50},
		{"Conditional of a Conditional", Conditional{Dist: Conditional{Dist: mixture, Elapsed: 10}, Elapsed: 20, Src: seeded()}, false, 30},
		{"Shifted", Shifted{Dist: mixture, Offset: 100}, false, 100},
		{"Total", Conditional{Dist: empirical, Elapsed: 13, Src: seeded()}.Total(), true, 13},
	}
}

// TestExamplesAreComplete checks that every distribution of the package is among the examples.
func TestExamplesAreComplete(t *testing.T) {
	pkgs, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{} // types with a method LogProb
	for _, name := range pkgs.GoFiles {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil && fn.Name.Name == "LogProb" {
				typ := fn.Recv.List[0].Type
				if star, ok := typ.(*ast.StarExpr); ok {
					typ = star.X
				}
				declared[typ.(*ast.Ident).Name] = true
			}
		}
	}
	for _, d := range examples(t) {
		delete(declared, strings.TrimPrefix(strings.TrimPrefix(fmt.Sprintf("%T", d.complete), "*"), "dist."))
	}
	delete(declared, "none") // TestZeroValues checks it
	for name := range declared {
		t.Errorf("%s is not among the examples, so nothing is checked about it", name)
	}
}

// edgeTimes are times at which every property must hold, from below 0 to the end of float64.
var edgeTimes = []float64{
	-1, 0, math.SmallestNonzeroFloat64, 1e-300, 1e-9, 0.4, 0.5, 1, 12, 12.5, 13, 13.5, 15, 27, 30, 40, 67, 80, 100, 113,
	900, 1e3, 5e4, 1e6, 1e9, 1e30, 1e300, math.MaxFloat64, math.Inf(1),
}

func TestFunctionsAreConsistent(t *testing.T) {
	for _, d := range examples(t) {
		t.Run(d.name, func(t *testing.T) { checkAgreement(t, d, edgeTimes) })
	}
}

// reporter is the common interface of testing.T and rapid.T.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// checkAgreement checks that the functions of one distribution are consistent, at increasing times.
func checkAgreement(t reporter, d complete, times []float64) {
	t.Helper()
	before := 0.0
	for i, x := range times {
		for name, v := range map[string]float64{
			"Prob": d.Prob(x), "LogProb": d.LogProb(x), "CDF": d.CDF(x), "LogCDF": d.LogCDF(x), "Survival": d.Survival(x),
			"LogSurvival": d.LogSurvival(x), "Hazard": d.Hazard(x), "RestrictedMean": d.RestrictedMean(x),
		} {
			if math.IsNaN(v) {
				t.Errorf("%s(%v) is NaN", name, x)
			}
		}
		cdf, survival := d.CDF(x), d.Survival(x)
		if math.Abs(cdf+survival-1) > 1e-12 {
			t.Errorf("CDF(%v) + Survival = %v + %v = %v, want 1", x, cdf, survival, cdf+survival)
		}
		if cdf < before-1e-14 { // beyond rounding
			t.Errorf("CDF falls from %v to %v at %v", before, cdf, x)
		}
		before = cdf
		if x < 0 && (cdf != 0 || d.Prob(x) != 0 || d.Hazard(x) != 0) {
			t.Errorf("mass before 0: CDF(%v) = %v, Prob = %v, Hazard = %v", x, cdf, d.Prob(x), d.Hazard(x))
		}
		if !closeTo(math.Exp(d.LogCDF(x)), cdf, 1e-12) || !closeTo(math.Exp(d.LogSurvival(x)), survival, 1e-12) {
			t.Errorf("at %v logarithms disagree: LogCDF %v of %v, LogSurvival %v of %v", x, d.LogCDF(x), cdf, d.LogSurvival(x), survival)
		}
		if !closeTo(d.Prob(x), math.Exp(d.LogProb(x)), 1e-12) {
			t.Errorf("Prob(%v) = %v, LogProb = %v", x, d.Prob(x), d.LogProb(x))
		}
		if got := d.LogInterval(0, x); x >= 0 && got != d.LogCDF(x) {
			t.Errorf("LogInterval(0, %v) = %v, want LogCDF = %v", x, got, d.LogCDF(x))
		}
		if got := d.LogInterval(x, x); x > 0 && !math.IsInf(got, -1) {
			t.Errorf("LogInterval(%v, %[1]v) = %v, want -Inf", x, got)
		}
		for _, y := range times[i+1:] {
			checkInterval(t, d, x, y)
		}
	}
	for name, v := range map[string]float64{"Mean": d.Mean(), "Median": d.Median()} {
		if !(v >= 0) {
			t.Errorf("%s is %v", name, v)
		}
	}
}

func checkInterval(t reporter, d complete, x, y float64) {
	t.Helper()
	p := math.Exp(d.LogInterval(x, y))
	want := d.CDF(y) - d.CDF(x)
	if x <= 0 {
		want = d.CDF(y) // 0 and what is at it belong to the interval
	}
	if s := d.Survival(x) - d.Survival(y); x > 0 && d.CDF(x) > 0.5 {
		want = s
	}
	if !(math.Abs(p-want) <= 1e-11) { // a rounding of log time counts 1/sigma
		t.Errorf("P(%v < τ ≤ %v) = %v by LogInterval, %v by the CDF", x, y, p, want)
	}
	// Survival to y is survival to x and then to y: also where all of it underflows.
	if logX, logY := d.LogSurvival(x), d.LogSurvival(y); x > 0 && logX > -1e300 {
		got := logSubExp(logX, math.Min(d.LogInterval(x, y), logX))
		if logY < logX-1 && logY > logX-10 && !(math.Abs(got-logY) <= 1e-9*math.Abs(logY)+1e-12*(1+math.Abs(logX))*math.Exp(logX-logY)) {
			t.Errorf("log S(%v) = %v less the interval is %v, want log S(%v) = %v", x, logX, got, y, logY)
		}
	}
}

func TestHazardIsDensityOverSurvival(t *testing.T) {
	for _, d := range examples(t) {
		for _, x := range edgeTimes {
			if s := d.Survival(x); !d.discrete && x >= 0 && s > 1e-300 && !closeTo(d.Hazard(x), d.Prob(x)/s, 1e-12) {
				t.Errorf("%s: Hazard(%v) = %v, want %v", d.name, x, d.Hazard(x), d.Prob(x)/s)
			}
		}
	}
}

var probabilities = []float64{1e-12, 1e-6, 1e-3, 0.05, 0.25, 0.5, 0.6, 0.75, 0.95, 0.999, 1 - 1e-6, 1 - 1e-12}

func TestQuantileIsTheSmallestTimeThatReachesP(t *testing.T) {
	for _, d := range examples(t) {
		for _, p := range probabilities {
			q := d.Quantile(p)
			if math.IsInf(q, 1) {
				if d.CDF(math.MaxFloat64) >= p {
					t.Errorf("%s: Quantile(%v) = +Inf, though CDF reaches %v", d.name, p, d.CDF(math.MaxFloat64))
				}
				continue
			}
			after, before := q*(1+1e-12)+1e-14*d.offset, q*(1-1e-12)-1e-14*d.offset
			if p <= 0.5 && (d.CDF(after) < p || q > 0 && d.CDF(before) > p) {
				t.Errorf("%s: Quantile(%v) = %v, where CDF is %v, and %v before", d.name, p, q, d.CDF(after), d.CDF(before))
			}
			if p > 0.5 && (d.Survival(after) > 1-p || q > 0 && d.Survival(before) < 1-p) {
				t.Errorf("%s: Quantile(%v) = %v, where Survival is %v, and %v before, want %v", d.name, p, q, d.Survival(after), d.Survival(before), 1-p)
			}
		}
		if got := d.Quantile(0); got != 0 {
			t.Errorf("%s: Quantile(0) = %v", d.name, got)
		}
		for _, p := range []float64{-0.1, 1.1, math.NaN()} {
			if got := d.Quantile(p); !math.IsNaN(got) {
				t.Errorf("%s: Quantile(%v) = %v, want NaN", d.name, p, got)
			}
		}
		if d.Median() != d.Quantile(0.5) {
			t.Errorf("%s: Median %v, Quantile(0.5) %v", d.name, d.Median(), d.Quantile(0.5))
		}
	}
}

func TestTailQuantilersInvertLogSurvival(t *testing.T) {
	for _, d := range examples(t) {
		q, ok := d.complete.(tailQuantiler)
		if !ok || d.discrete {
			continue
		}
		for _, logS := range []float64{-1e-3, -1, -30, -500, -1000} {
			x := q.QuantileLogSurvival(logS)
			if math.IsInf(x, 1) && d.LogSurvival(x) > logS {
				continue // it may never come
			}
			if got := d.LogSurvival(x); !closeTo(got, logS, 1e-9) {
				t.Errorf("%s: LogSurvival(QuantileLogSurvival(%v)) = %v", d.name, logS, got)
			}
		}
	}
}

// integral returns ∫ f from a to b by Gauss-Legendre quadrature over short pieces of log time.
func integral(f func(float64) float64, a, b float64) float64 {
	const pieces = 400
	sum, from, ratio := 0.0, math.Log(a), math.Log(b/a)/pieces
	for i := range pieces {
		lo := from + float64(i)*ratio
		sum += quad.Fixed(func(x float64) float64 { return f(math.Exp(x)) * math.Exp(x) }, lo, lo+ratio, 20, quad.Legendre{}, 0)
	}
	return sum
}

func TestDensityIntegratesToIntervals(t *testing.T) {
	for _, d := range examples(t) {
		if d.discrete || d.name == "Shifted" { // whose density has a jump at the offset
			continue
		}
		for _, ab := range [][2]float64{{1e-3, 1}, {1, 30}, {30, 31}, {30, 1000}, {1000, 1e5}} {
			got, want := math.Exp(d.LogInterval(ab[0], ab[1])), integral(d.Prob, ab[0], ab[1])
			if !closeTo(got, want, 1e-10) {
				t.Errorf("%s: P(%v < τ ≤ %v) = %v, want ∫ Prob = %v", d.name, ab[0], ab[1], got, want)
			}
		}
	}
}

func TestRestrictedMeanIsTheIntegralOfSurvival(t *testing.T) {
	for _, d := range examples(t) {
		last := 0.0
		for _, h := range []float64{-1, 0, 1e-6, 1, 13.5, 100, 2000, 1e5} {
			got := d.RestrictedMean(h)
			if h <= 0 {
				if got != h {
					t.Errorf("%s: RestrictedMean(%v) = %v, want min(τ, h) = h", d.name, h, got)
				}
				continue
			}
			tol, start := 1e-10, h*1e-9 // Survival is 1 until then
			if d.discrete {
				tol = 2e-3 // of the quadrature, at steps
			}
			want := start*d.Survival(0) + integral(d.Survival, start, h)
			if !closeTo(got, want, tol) || got < last || got > h {
				t.Errorf("%s: RestrictedMean(%v) = %v after %v, want ∫ Survival = %v", d.name, h, got, last, want)
			}
			last = got
		}
		if mean := d.RestrictedMean(math.Inf(1)); mean != d.Mean() || mean < last {
			t.Errorf("%s: RestrictedMean(+Inf) = %v after %v, Mean %v", d.name, mean, last, d.Mean())
		}
	}
}

func TestSamplesFollowTheCDF(t *testing.T) {
	const n = 20000
	// Kolmogorov's bound: exceeded once in a million samples, sup |Fₙ − F| √n > √(log(2/α)/2) with α = 1e-6.
	bound := math.Sqrt(math.Log(2/1e-6)/2) / math.Sqrt(n)
	for _, d := range examples(t) {
		sample := make([]float64, n)
		for i := range sample {
			sample[i] = d.Rand()
		}
		slices.Sort(sample)
		for i, x := range sample {
			if i+1 < n && sample[i+1] == x || math.IsInf(x, 1) {
				continue
			}
			if gap := math.Abs(float64(i+1)/n - d.CDF(x)); gap > bound {
				t.Errorf("%s: %.4f of the sample is ≤ %v, CDF is %.4f", d.name, float64(i+1)/n, x, d.CDF(x))
				break
			}
		}
	}
}

func TestSameSeedSameSample(t *testing.T) {
	first, second := examples(t), examples(t)
	for i := range first {
		for range 5 {
			if a, b := first[i].Rand(), second[i].Rand(); a != b {
				t.Errorf("%s: %v, then %v", first[i].name, a, b)
			}
		}
	}
	for range 100 { // the global source works as well
		if x := (LogNormMix{LogWeights: []float64{0}, Mu: []float64{0}, Sigma: []float64{1}}).Rand(); !(x > 0) {
			t.Errorf("Rand() = %v without a source", x)
		}
		if x := (Exponential{Rate: 1}).Rand(); !(x >= 0) {
			t.Errorf("Rand() = %v without a source", x)
		}
	}
}

func TestNaNStaysNaN(t *testing.T) {
	nan := math.NaN()
	for _, d := range examples(t) {
		for name, v := range map[string]float64{
			"Prob": d.Prob(nan), "LogProb": d.LogProb(nan), "CDF": d.CDF(nan), "LogCDF": d.LogCDF(nan),
			"Survival": d.Survival(nan), "LogSurvival": d.LogSurvival(nan), "Hazard": d.Hazard(nan),
			"LogInterval(NaN, 1)": d.LogInterval(nan, 1), "LogInterval(0, NaN)": d.LogInterval(0, nan),
			"RestrictedMean": d.RestrictedMean(nan),
		} {
			if !math.IsNaN(v) {
				t.Errorf("%s: %s of NaN is %v", d.name, name, v)
			}
		}
	}
}

func TestLogMassIsTheCellOfTheClock(t *testing.T) {
	mixture := referenceMixtures["three"]
	for _, c := range []struct {
		name   string
		d      Distribution
		t, res float64
		want   float64
	}{
		{"a cell", mixture, 20, 1, mixture.CDF(20.5) - mixture.CDF(19.5)},
		{"the cell of 0", mixture, 0, 1, mixture.CDF(0.5)},
		{"a coarse clock", mixture, 20, 10, mixture.CDF(25) - mixture.CDF(15)},
		{"an ideal clock", mixture, 20, 0, mixture.Prob(20)},
		{"an atom", Point{Value: 20}, 20, 1, 1},
		{"an atom at 0", Point{}, 0, 1, 1},
		{"no atom", Point{Value: 20}, 19, 1, 0},
	} {
		if got := math.Exp(LogMass(c.d, c.t, c.res)); !closeTo(got, c.want, 1e-12) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// logNormMixes draws mixtures of 1 to 8 components.
func logNormMixes() *rapid.Generator[*LogNormMix] {
	return rapid.Custom(func(t *rapid.T) *LogNormMix {
		d := &LogNormMix{}
		for range rapid.IntRange(1, 8).Draw(t, "K") {
			d.LogWeights = append(d.LogWeights, rapid.Float64Range(-20, 20).Draw(t, "log weight"))
			d.Mu = append(d.Mu, rapid.Float64Range(-15, 15).Draw(t, "mu"))
			d.Sigma = append(d.Sigma, math.Exp(rapid.Float64Range(-6, 2).Draw(t, "log sigma")))
		}
		return d
	})
}

func expHawkes() *rapid.Generator[ExpHawkes] {
	return rapid.Custom(func(t *rapid.T) ExpHawkes {
		positive := func(name string) float64 { return math.Exp(rapid.Float64Range(-12, 6).Draw(t, name)) }
		d := ExpHawkes{Base: positive("log base")}
		for range rapid.IntRange(0, 3).Draw(t, "kernels") {
			d.Alpha = append(d.Alpha, positive("log alpha"))
			d.Beta = append(d.Beta, positive("log beta"))
		}
		return d
	})
}

func sortedTimes(t *rapid.T) []float64 {
	times := []float64{0}
	for range 6 {
		times = append(times, math.Exp(rapid.Float64Range(-20, 25).Draw(t, "log time")))
	}
	slices.Sort(times)
	return append(slices.Compact(times), math.Inf(1))
}

func TestFunctionsAreConsistentForAnyParameters(t *testing.T) {
	t.Run("LogNormMix", rapid.MakeCheck(func(t *rapid.T) {
		checkAgreement(t, logNormMixes().Draw(t, "mixture"), sortedTimes(t))
	}))
	t.Run("ExpHawkes", rapid.MakeCheck(func(t *rapid.T) {
		checkAgreement(t, expHawkes().Draw(t, "process"), sortedTimes(t))
	}))
	t.Run("Empirical", rapid.MakeCheck(func(t *rapid.T) {
		sample := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) float64 {
			return float64(rapid.IntRange(0, 50).Draw(t, "ms"))
		}), 1, 30).Draw(t, "sample")
		d, err := NewEmpirical(sample, rapid.SampledFrom([]float64{0, 1}).Draw(t, "resolution"))
		if err != nil {
			t.Fatal(err)
		}
		checkAgreement(t, d, sortedTimes(t))
	}))
}

func TestQuantileInvertsCDFForAnyParameters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d complete = logNormMixes().Draw(t, "mixture")
		if rapid.Bool().Draw(t, "Hawkes") {
			d = expHawkes().Draw(t, "process")
		}
		p := 1 / (1 + math.Exp(rapid.Float64Range(-27, 27).Draw(t, "logit p")))
		q := d.Quantile(p)
		got, want := d.CDF(q), p
		if p > 0.5 {
			got, want = d.Survival(q), 1-p
		}
		// One rounding of log q moves the CDF by this much.
		slack := 1e-14 * (1 + math.Abs(math.Log(q))) * q * d.Prob(q)
		if math.Abs(got-want) > 1e-11*want+slack {
			t.Fatalf("at Quantile(%v) = %v the tail is %v, want %v", p, q, got, want)
		}
	})
}

func TestUnitOfTimeOnlyScales(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := logNormMixes().Draw(t, "mixture")
		factor := math.Exp(rapid.Float64Range(-15, 15).Draw(t, "log factor"))
		scaled := &LogNormMix{LogWeights: d.LogWeights, Mu: slices.Clone(d.Mu), Sigma: d.Sigma}
		for k := range scaled.Mu {
			scaled.Mu[k] += math.Log(factor)
		}
		x := math.Exp(rapid.Float64Range(-15, 15).Draw(t, "log time"))
		// A rounding of log time counts 1/sigma.
		tol := 1e-14 / slices.Min(d.Sigma)
		for _, c := range []struct {
			name      string
			got, want float64
		}{
			{"LogProb", scaled.LogProb(factor * x), d.LogProb(x) - math.Log(factor)},
			{"LogSurvival", scaled.LogSurvival(factor * x), d.LogSurvival(x)},
			{"LogCDF", scaled.LogCDF(factor * x), d.LogCDF(x)},
			{"LogInterval", LogMass(scaled, factor*x, factor*x/10), LogMass(d, x, x/10)},
			{"RestrictedMean", scaled.RestrictedMean(factor*x) / factor, d.RestrictedMean(x)},
			{"Mean", scaled.Mean() / factor, d.Mean()},
		} {
			if math.Abs(c.got-c.want) > tol*(1e3+math.Abs(c.want)*1e3) && c.want > -1e4 {
				t.Errorf("%s changes from %v to %v with the unit", c.name, c.want, c.got)
			}
		}
	})
}

func TestValidateNamesTheParameter(t *testing.T) {
	for _, c := range []struct {
		d    interface{ Validate() error }
		want string
	}{
		{LogNormMix{}, "log-normal mixture: no components"},
		{LogNormMix{LogWeights: []float64{0}, Mu: []float64{0, 1}, Sigma: []float64{1}}, "log-normal mixture: 1 log weights, 2 means, 1 standard deviations"},
		{LogNormMix{LogWeights: []float64{0, math.NaN()}, Mu: []float64{0, 1}, Sigma: []float64{1, 1}}, "log-normal mixture: log weight of component 1 is NaN"},
		{LogNormMix{LogWeights: []float64{0}, Mu: []float64{math.Inf(1)}, Sigma: []float64{1}}, "log-normal mixture: mean of component 0 is +Inf, want a finite number"},
		{LogNormMix{LogWeights: []float64{0}, Mu: []float64{0}, Sigma: []float64{0}}, "log-normal mixture: standard deviation of component 0 is 0, want a finite number > 0"},
		{LogNormMix{LogWeights: []float64{math.Inf(-1)}, Mu: []float64{0}, Sigma: []float64{1}}, "log-normal mixture: all 1 weights are 0"},
		{Exponential{}, "exponential: rate is 0, want a finite number > 0"},
		{Point{Value: -1}, "point distribution: value is -1, want a finite number ≥ 0"},
		{ExpHawkes{Alpha: []float64{1}}, "exponential Hawkes: 1 excitations, 0 decays"},
		{ExpHawkes{Base: -1}, "exponential Hawkes: base intensity is -1, want a finite number ≥ 0"},
		{ExpHawkes{Alpha: []float64{-1}, Beta: []float64{1}}, "exponential Hawkes: excitation 0 is -1, want a finite number ≥ 0"},
		{ExpHawkes{Alpha: []float64{1}, Beta: []float64{math.NaN()}}, "exponential Hawkes: decay 0 is NaN, want a finite number ≥ 0"},
		{&Empirical{}, "empirical distribution: the sample is empty"},
		{Conditional{}, "conditional distribution: no distribution"},
		{Conditional{Dist: Point{}, Elapsed: -1}, "conditional distribution: elapsed time is -1, want a finite number ≥ 0"},
		{Shifted{}, "shifted distribution: no distribution"},
		{Shifted{Dist: Point{}, Offset: math.Inf(1)}, "shifted distribution: offset is +Inf, want a finite number ≥ 0"},
	} {
		if err := c.d.Validate(); err == nil || err.Error() != c.want {
			t.Errorf("%T: %v, want %q", c.d, err, c.want)
		}
	}
	for _, d := range examples(t) {
		if v, ok := d.complete.(interface{ Validate() error }); !ok || v.Validate() != nil {
			t.Errorf("%s: not valid", d.name)
		}
	}
}

func ExampleDistribution() {
	for _, d := range []Distribution{
		Exponential{Rate: 0.01},
		&LogNormMix{LogWeights: []float64{0}, Mu: []float64{math.Log(100)}, Sigma: []float64{0.5}},
	} {
		fmt.Printf("median %.1f, 90 %% until %.1f, mean %.1f, under a cap of 150 %.1f\n",
			Median(d), d.Quantile(0.9), Mean(d), RestrictedMean(d, 150))
	}
	// Output:
	// median 69.3, 90 % until 230.3, mean 100.0, under a cap of 150 77.7
	// median 100.0, 90 % until 189.8, mean 113.3, under a cap of 150 101.8
}
