package dataset

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/tppfaas/tppfaas/tpp"
)

// appendSequence writes a sequence as an object. Its marks are numbers, or names if there are any.
func appendSequence(b []byte, s *tpp.Sequence, names []string) []byte {
	b = appendNumbers(append(b, `{"arrival_times": `...), s.ArrivalTimes)
	switch {
	case len(names) > 0:
		b = append(b, `, "marks": [`...)
		for i := range s.Len() {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = append(b, names[s.Mark(i)]...)
		}
		b = append(b, ']')
	case s.Marks != nil:
		b = appendIntegers(append(b, `, "marks": `...), s.Marks)
	}
	if s.WaitTimes != nil {
		b = appendNumbers(append(b, `, "wait_times": `...), s.WaitTimes)
	}
	if s.InitTimes != nil {
		b = appendNumbers(append(b, `, "init_times": `...), s.InitTimes)
	}
	if s.Parents != nil {
		b = appendIntegers(append(b, `, "parents": `...), s.Parents)
	}
	if len(s.Covariates) > 0 {
		b = append(b, `, "covariates": {`...)
		for i, name := range slices.Sorted(maps.Keys(s.Covariates)) {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = appendNumbers(append(appendString(b, name), ": "...), s.Covariates[name])
		}
		b = append(b, '}')
	}
	if s.TStart != nil {
		b = appendNumber(append(b, `, "t_start": `...), *s.TStart)
	}
	if s.TEnd != nil {
		b = appendNumber(append(b, `, "t_end": `...), *s.TEnd)
	}
	return append(b, '}')
}

func appendNumbers(b []byte, values []float64) []byte {
	b = append(b, '[')
	for i, v := range values {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendNumber(b, v)
	}
	return append(b, ']')
}

// appendNumber writes times as people write them, 1620831914775, and falls back to an exponent far from 1.
func appendNumber(b []byte, v float64) []byte {
	if size := math.Abs(v); v == 0 || size >= 1e-6 && size < 1<<53 {
		return strconv.AppendFloat(b, v, 'f', -1, 64)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

func appendIntegers(b []byte, values []int) []byte {
	b = append(b, '[')
	for i, v := range values {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = strconv.AppendInt(b, int64(v), 10)
	}
	return append(b, ']')
}

// appendString quotes a string as JSON.
func appendString(b []byte, s string) []byte {
	quoted, _ := json.Marshal(s) // of a string it has no error
	return append(b, quoted...)
}

// appendMapping writes the names of the marks with their numbers.
func appendMapping(b []byte, names []string) []byte {
	b = append(b, `"mapping": {`...)
	for i, name := range names {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = strconv.AppendInt(append(appendString(b, name), ": "...), int64(i), 10)
	}
	return append(b, '}')
}
