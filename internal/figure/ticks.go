package figure

import (
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
)

// How many intervals between labelled ticks an axis has at most.
const (
	mostTicks      = 8
	mostPanelTicks = 4
)

// ticks returns ticks at round numbers for a linear axis. Labels are written as people write them: 250 instead of 250.00.
func ticks(from, to float64) []plot.Tick { return ticksOf(from, to, mostTicks, 0) }

// integerTicks returns ticks at round whole numbers.
func integerTicks(from, to float64) []plot.Tick { return ticksOf(from, to, mostTicks, 1) }

// panelTicks returns ticks for a short axis.
func panelTicks(from, to float64) []plot.Tick { return ticksOf(from, to, mostPanelTicks, 0) }

// ticksOf returns labelled ticks at multiples of a round step, with most intervals between them at most, and small ticks at round numbers
// between them. No step, labelled or not, is shorter than least.
func ticksOf(from, to, most, least float64) []plot.Tick {
	step := roundStep((to-from)/most, least)
	if !(step > 0) || math.IsInf(step, 0) {
		return nil
	}
	perStep := 5.0
	if math.Abs(step/math.Pow(10, math.Floor(math.Log10(step)+1e-9))-2) < 1e-6 { // 2, 20, …: by fives
		perStep = 4
	}
	if step/perStep < least {
		perStep = 1
	}
	small := step / perStep
	label := labeller(from, to)
	var out []plot.Tick
	for k := math.Ceil(from/small - 1e-9); k*small <= to+small*1e-9 && len(out) < 100; k++ {
		t := plot.Tick{Value: k * small}
		if math.Mod(k, perStep) == 0 {
			t.Label = label(k / perStep * step)
		}
		out = append(out, t)
	}
	return out
}

// roundStep returns the smallest of …, 1, 2, 5, 10, … that is not less than either number.
func roundStep(length, least float64) float64 {
	length = max(length, least)
	power := math.Pow(10, math.Floor(math.Log10(length)))
	for _, digit := range []float64{1, 2, 5} {
		if digit*power >= length*(1-1e-9) {
			return digit * power
		}
	}
	return 10 * power
}

// mostDecades is how many powers of ten a logarithmic axis has room to label.
const mostDecades = 7

// logTicks returns ticks for a logarithmic axis: labelled powers of ten with small ticks between, of a long axis only some powers, of
// an axis of about a decade other numbers too.
func logTicks(from, to float64) []plot.Tick {
	decades := math.Log10(to / from)
	if decades < 0.7 {
		return thinned(ticks(from, to), from, to)
	}
	every := max(math.Ceil(decades/mostDecades), 1)
	label := labeller(from, to)
	var out []plot.Tick
	for e := math.Floor(math.Log10(from)); e <= math.Ceil(math.Log10(to)); e++ {
		for digit := 1.0; digit < 10; digit++ {
			v := digit * math.Pow(10, e)
			if v < from || v > to || digit > 1 && every > 1 {
				continue
			}
			t := plot.Tick{Value: v}
			if digit == 1 && math.Mod(e, every) == 0 || decades < 2 && (digit == 2 || digit == 5) {
				t.Label = label(v)
			}
			out = append(out, t)
		}
	}
	return out
}

// thinned takes away labels of evenly spaced ticks that would run into the one before on a logarithmic axis.
func thinned(ticks []plot.Tick, from, to float64) []plot.Tick {
	const most = 6 // labels side by side
	last := 0.0
	for i := range ticks {
		switch t := &ticks[i]; {
		case t.Label == "":
		case t.Value < last*math.Pow(to/from, 1.0/most):
			t.Label = ""
		default:
			last = t.Value
		}
	}
	return ticks
}

// labeller returns the function that writes the labels of an axis: with powers of ten from 10 000 on if some need them.
func labeller(from, to float64) func(float64) string {
	long := max(math.Abs(from), math.Abs(to)) >= mostGrouped
	return func(v float64) string {
		if long && math.Abs(v) >= 10_000 {
			return withPower(v)
		}
		return grouped(v)
	}
}

// mostGrouped is the number from which on numbers are written with a power of ten.
const mostGrouped = 1e7

// grouped writes 10000 as 10 000, and very large or small numbers with a power of ten.
func grouped(v float64) string {
	if v == 0 { // or -0
		return "0"
	}
	if size := math.Abs(v); size < 1e-4 || size >= mostGrouped {
		return withPower(v)
	}
	text := strconv.FormatFloat(math.Round(v*1e9)/1e9, 'f', -1, 64)
	whole, fraction, _ := strings.Cut(text, ".")
	if digits := strings.TrimPrefix(whole, "-"); len(digits) > 4 {
		sign := whole[:len(whole)-len(digits)]
		for i := len(digits) - 3; i > 0; i -= 3 {
			digits = digits[:i] + " " + digits[i:]
		}
		whole = sign + digits
	}
	if fraction != "" {
		return whole + "." + fraction
	}
	return whole
}

// withPower writes 12000000 as 1.2e7.
func withPower(v float64) string {
	number, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'e', 4, 64), "e")
	power, _ := strconv.Atoi(exponent)
	return strings.TrimRight(strings.TrimRight(number, "0"), ".") + "e" + strconv.Itoa(power)
}
