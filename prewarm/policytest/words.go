package policytest

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// parser reads the words of a line.
type parser struct {
	tokens []string
	i      int
	line   int
	word   string // the first word of the expectation
}

// tokens returns the words of a line without its comment. Brackets and commas are words of their own.
func tokens(line string) []string {
	line, _, _ = strings.Cut(line, "#")
	for _, s := range []string{"(", ")", ","} {
		line = strings.ReplaceAll(line, s, " "+s+" ")
	}
	return strings.Fields(line)
}

func (q *parser) more() bool { return q.i < len(q.tokens) }

// argument reports whether an argument of an expectation follows.
func (q *parser) argument() bool { return q.more() && q.peek() != "expect" }

func (q *parser) peek() string {
	if !q.more() {
		return ""
	}
	return q.tokens[q.i]
}

func (q *parser) next() string {
	s := q.peek()
	q.i++
	return s
}

// take takes the next word if it is s.
func (q *parser) take(s string) bool {
	if q.more() && q.peek() == s {
		q.i++
		return true
	}
	return false
}

// function reads the name of a function.
func (q *parser) function(t *Test) (int, error) {
	name := q.next()
	for i, f := range t.functions {
		if f.Name == name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("there is no function %q", name)
}

// need says whether something must be there.
type need bool

const (
	required need = true
	optional need = false
)

// functionAndNumber reads the name of a function and a number that is not negative; what may be left out and is becomes −1.
func (q *parser) functionAndNumber(t *Test, f, n need) (function int, number float64, err error) {
	function, number = -1, -1
	_, notNumber := parseNumber(q.peek())
	if f == required || q.argument() && notNumber != nil {
		if function, err = q.function(t); err != nil {
			return 0, 0, err
		}
	}
	_, notNumber = parseNumber(q.peek())
	if n == required || q.argument() && notNumber == nil {
		number, err = q.number()
	}
	return function, number, err
}

func (q *parser) number() (float64, error) { return parseNumber(q.next()) }

func (q *parser) seconds() (prewarm.Time, error) { return parseTime(q.next()) }

// parseNumber reads a number that is finite and not negative.
func parseNumber(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v >= 0 && v < 1e15) {
		return 0, fmt.Errorf("%q is no number from 0 on", s)
	}
	return v, nil
}

// parseTime reads a time: seconds, or a number with a unit: 90, 1.5, 1m30s, 4h. It is less than 100 years.
func parseTime(s string) (prewarm.Time, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		d, err = time.ParseDuration(s + "s")
	}
	if err != nil || d < 0 || d > 100*365*24*time.Hour {
		return 0, fmt.Errorf("%q is no time", s)
	}
	return d, nil
}

func timeInto(to *prewarm.Time) func(string) error {
	return func(s string) (err error) {
		*to, err = parseTime(s)
		return err
	}
}

func intInto(to *int, low int) func(string) error {
	return func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < low || n > math.MaxInt32 {
			return fmt.Errorf("is %q, must be a whole number from %d on", s, low)
		}
		*to = n
		return nil
	}
}
