package container

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// skeletonOutcome returns the outcome that the last line of an action in OpenWhisk's docker skeleton means. The skeleton is a program in Python,
// which reads the line and writes it anew.
func skeletonOutcome(line []byte, size int) Outcome {
	if size > maxAnswer {
		return outcomeOf(line, size)
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var value any
	line = bytes.TrimSpace(line)
	if !json.Valid(line) || line[0] != '{' && line[0] != '[' || d.Decode(&value) != nil {
		return broken(noObject)
	}
	answer := append(appendPython(nil, value), '\n')
	if !json.Valid(answer) {
		return invalid(string(answer), characters(answer))
	}
	return outcomeOf(answer, len(answer))
}

// appendPython appends a value of JSON as Python writes it: in ASCII, with the keys sorted and numbers with a point or an exponent in 64 bits, of
// which those that are too large are no JSON.
func appendPython(b []byte, value any) []byte {
	switch v := value.(type) {
	case map[string]any:
		b = append(b, '{')
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendPython(append(appendASCII(b, key), ':'), v[key])
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for i := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendPython(b, v[i])
		}
		return append(b, ']')
	case string:
		return appendASCII(b, v)
	case json.Number:
		return append(b, pythonNumber(v.String())...)
	case bool:
		return strconv.AppendBool(b, v)
	}
	return append(b, "null"...)
}

// pythonNumber returns a number of JSON as Python writes it.
func pythonNumber(text string) string {
	if !strings.ContainsAny(text, ".eE") {
		if text == "-0" {
			return "0"
		}
		return text
	}
	f, _ := strconv.ParseFloat(text, 64) // an error is infinity, which is right
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	if size := math.Abs(f); size != 0 && (size < 1e-4 || size >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	text = strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// appendASCII appends a text in quotes, in ASCII.
func appendASCII(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\b':
			b = append(b, `\b`...)
		case r == '\f':
			b = append(b, `\f`...)
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r >= ' ' && r < 0x7f:
			b = append(b, byte(r))
		default:
			for _, unit := range utf16.Encode([]rune{r}) {
				b = fmt.Appendf(b, `\u%04x`, unit)
			}
		}
	}
	return append(b, '"')
}
