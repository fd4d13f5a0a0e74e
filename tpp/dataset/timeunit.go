package dataset

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// timeUnits are the units of time that a file's numbers may count, in milliseconds: 10^exponent times factor.
var timeUnits = []struct {
	name     string
	exponent int
	factor   float64
}{
	{"ns", -6, 1}, {"us", -3, 1}, {"ms", 0, 1}, {"s", 3, 1}, {"min", 3, 60}, {"h", 3, 3600}, {"d", 3, 86400},
}

// unitWords are the units in full, which are read too.
var unitWords = map[string]string{
	"ns": "nanoseconds", "us": "microseconds", "ms": "milliseconds", "s": "seconds", "min": "minutes", "h": "hours", "d": "days",
}

// ParseTimeUnit returns the unit that a text names: one of [TimeUnits], or its English word in the singular or plural.
func ParseTimeUnit(text string) (string, error) {
	for _, u := range timeUnits {
		if word := unitWords[u.name]; text == u.name || text == word || text == strings.TrimSuffix(word, "s") {
			return u.name, nil
		}
	}
	return "", fmt.Errorf("the unit of time is %q, it must be one of %s", text, strings.Join(TimeUnits(), ", "))
}

// TimeUnits returns the units that [ReadOptions] accepts: ns, us, ms, s, min, h and d.
func TimeUnits() []string {
	var names []string
	for _, u := range timeUnits {
		names = append(names, u.name)
	}
	return names
}

// timeReader turns the text of a time into milliseconds.
type timeReader struct {
	unit     string
	exponent int
	factor   float64
	tick     float64 // 0: as it is
	scratch  []byte
}

func newTimeReader(unit string, resolution float64) (*timeReader, error) {
	if !(resolution >= 0) || math.IsInf(resolution, 0) {
		return nil, fmt.Errorf("the resolution is %v ms, it must not be negative", resolution)
	}
	if unit == "" {
		unit = "ms"
	}
	unit, err := ParseTimeUnit(unit)
	if err != nil {
		return nil, err
	}
	for _, u := range timeUnits {
		if u.name == unit {
			return &timeReader{unit: unit, exponent: u.exponent, factor: u.factor, tick: resolution}, nil
		}
	}
	return nil, fmt.Errorf("the unit of time is %q", unit)
}

var errNotDecimal = errors.New("not a decimal number")

// parse reads a decimal number of the unit. The power of ten goes into the number's exponent, not into a product, so
// 1620831914.775 s are 1620831914775 ms exactly.
func (t *timeReader) parse(text []byte) (float64, error) {
	if v, ok := shortInteger(text); ok && t.exponent == 0 {
		return t.round(v * t.factor), nil
	}
	for _, c := range text {
		// strconv also reads inf, 0x1p3 and 1_000.
		if !isNumeric[c] {
			return 0, errNotDecimal
		}
	}
	if t.exponent != 0 {
		mantissa, exponent := text, t.exponent
		if i := slices.IndexFunc(text, func(c byte) bool { return c == 'e' || c == 'E' }); i >= 0 {
			own, err := strconv.Atoi(string(text[i+1:]))
			if err != nil {
				return 0, errNotDecimal
			}
			mantissa, exponent = text[:i], exponent+max(min(own, maxNumber), -maxNumber)
		}
		t.scratch = append(append(t.scratch[:0], mantissa...), 'e')
		text = strconv.AppendInt(t.scratch, int64(exponent), 10)
		t.scratch = text
	}
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return 0, err
	}
	return t.round(v * t.factor), nil
}

// shortInteger reads the commonest form of a time, which a float64 holds exactly, at a fraction of what strconv takes.
func shortInteger(text []byte) (v float64, ok bool) {
	if len(text) == 0 || len(text) > 15 {
		return 0, false
	}
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return float64(n), true
}

// duration is like parse, for a wait or init time: what is above 0 stays above 0, since an init time above 0 is a cold start.
func (t *timeReader) duration(text []byte) (float64, error) {
	v, err := t.parse(text)
	if err == nil && v == 0 && t.tick > 0 {
		tick := t.tick
		t.tick = 0
		exact, _ := t.parse(text)
		t.tick = tick
		if exact > 0 {
			return tick, nil
		}
	}
	return v, err
}

// roundDuration is like duration, for a number of milliseconds.
func (t *timeReader) roundDuration(ms float64) float64 {
	if v := t.round(ms); v > 0 || ms == 0 {
		return v
	}
	return t.tick
}

// round takes a time to the nearest tick. It never swaps two times.
func (t *timeReader) round(v float64) float64 {
	switch perMilli := math.Round(1 / t.tick); {
	case t.tick == 0:
		return v
	case t.tick < 1 && math.Abs(perMilli*t.tick-1) < 1e-12 && math.Abs(v*perMilli) < 1<<53:
		// A tick such as 0.001 is no binary number, its inverse is: so 0.003 comes out as 0.003.
		return math.Round(v*perMilli) / perMilli
	case math.Abs(v/t.tick) >= 1<<53:
		return v // the number itself is coarser than the tick
	default:
		return math.Round(v/t.tick) * t.tick
	}
}

// The forms of a time stamp: RFC 3339, ISO 8601 with a zone as +0000, and what databases and data frames make of them. Without a zone
// it is UTC.
var timeStampForms = []string{
	time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02",
	"2006-01-02T15:04:05.999999999Z0700", "2006-01-02 15:04:05.999999999Z0700", "2006-01-02 15:04:05.999999999 Z0700", "2006-01-02 15:04:05.999999999 Z07:00",
	"2006-01-02T15:04:05.999999999Z07", "2006-01-02 15:04:05.999999999Z07", "2006-01-02 15:04:05.999999999 UTC", "2006-01-02T15:04Z07:00", "2006-01-02 15:04",
}

// The forms of times that are understood, but not read.
var (
	slashedDate  = regexp.MustCompile(`^(\d{1,4})[/.](\d{1,2})[/.](\d{1,4})\b`)
	zoneName     = regexp.MustCompile(`^\d{4}-\d\d-\d\d.*\s[A-Za-z/_]{2,}$`)
	decimalComma = regexp.MustCompile(`^[+-]?\d+,\d+$`)
)

// remedy says how to write a text that is no time, or nothing.
func remedy(text string) string {
	switch {
	case decimalComma.MatchString(text):
		return fmt.Sprintf(": it has a decimal comma, write a point, %s", strings.Replace(text, ",", ".", 1))
	case slashedDate.MatchString(text):
		return ": the order of day and month is not known, write the date as 2021-05-12"
	case zoneName.MatchString(text):
		return ": write the zone as +02:00, names of zones are not known"
	}
	return ""
}

// stamp reads a time stamp, as milliseconds since 1970.
func (t *timeReader) stamp(text string) (float64, error) {
	for _, form := range timeStampForms {
		if at, err := time.Parse(form, text); err == nil {
			// Milliseconds and the rest apart: nanoseconds since 1970 overflow after 2262.
			milli := at.UnixMilli()
			rest := at.Sub(time.UnixMilli(milli))
			return t.round(float64(milli) + float64(rest)/1e6), nil
		}
	}
	return 0, fmt.Errorf("%q is neither a number nor a time stamp like 2021-05-12T15:05:14.775Z%s", text, remedy(text))
}
