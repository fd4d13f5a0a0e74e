package tune

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/tppfaas/tppfaas/internal/seed"
)

// Parameter is a parameter and the values that it may take: one of Choices or, if there are none, a number from Low to High.
type Parameter struct {
	Name string
	// Choices are the values, all of them as likely.
	Choices []string
	// Low and High bound a number.
	Low, High float64
	// Log draws a number uniformly in its logarithm; Low must then be above 0.
	Log bool
	// Integer draws whole numbers.
	Integer bool
}

// Space is what is searched: parameters, each drawn independently.
type Space []Parameter

// Validate returns an error that names the first parameter that is not valid.
func (s Space) Validate() error {
	seen := map[string]bool{}
	for _, p := range s {
		if p.Name == "" {
			return errors.New("a parameter has no name")
		}
		if seen[p.Name] {
			return fmt.Errorf("%s stands twice", p.Name)
		}
		seen[p.Name] = true
		if err := p.validate(); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return nil
}

func (p *Parameter) validate() error {
	switch {
	case len(p.Choices) > 0 && (p.Low != 0 || p.High != 0):
		return errors.New("it has both choices and bounds")
	case len(p.Choices) > 0:
		return nil
	case !(p.Low <= p.High) || math.IsInf(p.High-p.Low, 0):
		return fmt.Errorf("from %v to %v is no range", p.Low, p.High)
	case p.Log && !(p.Low > 0):
		return fmt.Errorf("a logarithmic range from %v: it must begin above 0", p.Low)
	case p.Integer && (p.Low != math.Trunc(p.Low) || p.High != math.Trunc(p.High) || math.Abs(p.Low) > 1<<53 || math.Abs(p.High) > 1<<53):
		return fmt.Errorf("from %v to %v: bounds of whole numbers are whole", p.Low, p.High)
	}
	return nil
}

// draw returns a value. Numbers that are not whole have three digits, or are at the bounds.
func (p *Parameter) draw(rng *rand.Rand) string {
	u := rng.Float64()
	if n := len(p.Choices); n > 0 {
		return p.Choices[int(u*float64(n))]
	}
	low, high := p.Low, p.High
	if p.Integer { // each whole number has as much room as the others
		low, high = low-0.5, high+0.5
	}
	v := low + u*(high-low)
	if p.Log {
		v = math.Exp(math.Log(low) + u*(math.Log(high)-math.Log(low)))
	}
	if p.Integer {
		return strconv.FormatFloat(min(max(math.Round(v), p.Low), p.High), 'f', -1, 64)
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64)
	if err != nil {
		rounded = v
	}
	return strconv.FormatFloat(min(max(rounded, p.Low), p.High), 'g', -1, 64)
}

// Draw returns the values of a trial. They depend on the seed from which they are drawn, the number of the trial and the space alone.
func (s Space) Draw(from uint64, trial int) map[string]string {
	rng := rand.New(seed.Stream(from, "trial "+strconv.Itoa(trial)))
	out := make(map[string]string, len(s))
	for i := range s {
		out[s[i].Name] = s[i].draw(rng)
	}
	return out
}

// String returns the parameter as ParseParameter reads it.
func (p Parameter) String() string {
	if len(p.Choices) > 0 {
		return p.Name + "=" + strings.Join(p.Choices, ",")
	}
	return fmt.Sprintf("%s=%v..%v", p.Name, p.Low, p.High)
}

// ParseParameter reads NAME=A,B,C, one of some values, or NAME=LOW..HIGH, a number of a range, which is logarithmic if it begins above 0.
func ParseParameter(text string) (Parameter, error) {
	name, values, ok := strings.Cut(text, "=")
	if !ok || name == "" || values == "" {
		return Parameter{}, fmt.Errorf("%q is not NAME=A,B,C or NAME=LOW..HIGH", text)
	}
	p := Parameter{Name: name}
	if low, high, isRange := strings.Cut(values, ".."); isRange {
		var errLow, errHigh error
		p.Low, errLow = strconv.ParseFloat(low, 64)
		p.High, errHigh = strconv.ParseFloat(high, 64)
		if errLow != nil || errHigh != nil {
			return Parameter{}, fmt.Errorf("%s: %q is no range of numbers, LOW..HIGH", name, values)
		}
		p.Log = p.Low > 0
	} else if p.Choices = strings.Split(values, ","); slices.Contains(p.Choices, "") {
		return Parameter{}, fmt.Errorf("%s: an empty value in %q", name, values)
	}
	if err := p.validate(); err != nil {
		return Parameter{}, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}
