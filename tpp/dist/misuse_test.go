package dist

import (
	"math"
	"reflect"
	"testing"
)

// oddNumbers are arguments to which every function has an answer.
var oddNumbers = []float64{math.NaN(), math.Inf(-1), -1, 0, math.SmallestNonzeroFloat64, 0.5, 1, 1e300, math.Inf(1)}

// callWithOddNumbers calls a function of numbers with all combinations of odd ones. A panic fails the test.
func callWithOddNumbers(t *testing.T, name string, f reflect.Value, first ...reflect.Value) {
	t.Helper()
	n := f.Type().NumIn() - len(first)
	combinations := 1
	for range n {
		combinations *= len(oddNumbers)
	}
	for k := range combinations {
		in := append([]reflect.Value(nil), first...)
		var numbers []float64
		for range n {
			numbers = append(numbers, oddNumbers[k%len(oddNumbers)])
			in = append(in, reflect.ValueOf(numbers[len(numbers)-1]))
			k /= len(oddNumbers)
		}
		func() {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("%s of %v panics: %v", name, numbers, r)
				}
			}()
			f.Call(in)
		}()
	}
}

// functions are the exported functions of a distribution and of numbers.
var functions = map[string]any{
	"HasDensity": HasDensity, "Hazard": Hazard, "LogCDF": LogCDF, "LogInterval": LogInterval, "LogMass": LogMass, "Mean": Mean, "Median": Median,
	"Prob": Prob, "QuantileLogSurvival": QuantileLogSurvival, "RestrictedMean": RestrictedMean, "Survival": Survival,
	"Rand": func(d Distribution) float64 { return Rand(d, nil) },
}

// TestZeroValues calls every method of the zero value of each distribution, and every function of it and of nil, with odd numbers: none
// panics. What is not valid says so in Validate, and all about it is NaN.
func TestZeroValues(t *testing.T) {
	for _, c := range []struct {
		d     Distribution
		isNaN bool
	}{
		{nil, true}, {Conditional{}, true}, {&Conditional{}, true}, {Conditional{Elapsed: 3}, true}, {&Empirical{}, true}, {&Empirical{Resolution: 1}, true},
		{LogNormMix{}, true}, {&LogNormMix{}, true}, {Shifted{}, true}, {&Shifted{}, true},
		{Exponential{}, false}, {ExpHawkes{}, false}, {Point{}, false},
	} {
		if c.d != nil {
			v := reflect.ValueOf(c.d)
			for i := range v.NumMethod() {
				callWithOddNumbers(t, v.Type().String()+"."+v.Type().Method(i).Name, v.Method(i))
			}
			if v, ok := c.d.(interface{ Validate() error }); c.isNaN && (!ok || v.Validate() == nil) {
				t.Errorf("%T: the zero value is valid", c.d)
			}
		}
		for name, f := range functions {
			callWithOddNumbers(t, name, reflect.ValueOf(f), reflect.ValueOf(&c.d).Elem())
		}
		if !c.isNaN {
			continue
		}
		values := map[string]float64{
			"Hazard": Hazard(c.d, 1), "LogCDF": LogCDF(c.d, 1), "LogInterval": LogInterval(c.d, 1, 2), "LogMass": LogMass(c.d, 1, 1), "Mean": Mean(c.d),
			"Median": Median(c.d), "Prob": Prob(c.d, 1), "QuantileLogSurvival": QuantileLogSurvival(c.d, -1), "RestrictedMean": RestrictedMean(c.d, 1),
			"Survival": Survival(c.d, 1), "Rand": Rand(c.d, nil),
		}
		for name, v := range values {
			if !math.IsNaN(v) {
				t.Errorf("%T: %s is %v, want NaN", c.d, name, v)
			}
		}
	}
	if HasDensity(nil) {
		t.Error("what is missing has a density")
	}
}

// TestRateOfZero checks that at a rate of 0 the event never comes.
func TestRateOfZero(t *testing.T) {
	for _, d := range []Distribution{Exponential{}, ExpHawkes{}} {
		for _, at := range []float64{0, 1, math.Inf(1)} {
			if f, s := d.CDF(at), Survival(d, at); f != 0 || s != 1 || !math.IsInf(d.LogProb(at), -1) {
				t.Errorf("%T at %v: F = %v, S = %v, log f = %v", d, at, f, s, d.LogProb(at))
			}
		}
		if q, m := Median(d), RestrictedMean(d, 5); !math.IsInf(q, 1) || math.Abs(m-5) > 1e-9 {
			t.Errorf("%T: median %v, mean of what is capped at 5: %v", d, q, m)
		}
	}
}

// TestNewEmpiricalRefuses checks the errors of samples and clocks that cannot be.
func TestNewEmpiricalRefuses(t *testing.T) {
	for _, x := range []float64{math.NaN(), math.Inf(1), -1} {
		if _, err := NewEmpirical([]float64{1, x}, 0); err == nil {
			t.Errorf("a time %v is taken", x)
		}
		if _, err := NewEmpirical([]float64{1}, x); err == nil {
			t.Errorf("a resolution %v is taken", x)
		}
	}
	if _, err := NewEmpirical(nil, 0); err == nil {
		t.Error("an empty sample is taken")
	}
}
