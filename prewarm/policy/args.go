package policy

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Args are the arguments of a spec. Each is asked for once, by its method; one that is wrong, and one that nobody has asked for, is an error of
// New. Arguments without a name are in the order in which they are asked for.
type Args struct {
	fields  []string
	allowed []string
	errs    []error
}

// Number returns the next argument without a name, which must be from low to high, or otherwise if there are no more.
func (a *Args) Number(name string, otherwise, low, high float64) float64 {
	a.allowed = append(a.allowed, name)
	i := slices.IndexFunc(a.fields, func(f string) bool { return !strings.Contains(f, "=") })
	if i < 0 {
		return otherwise
	}
	return a.number(name, a.take(i), otherwise, low, high)
}

// Word returns the next argument without a name, whatever it is, or otherwise if there are no more.
func (a *Args) Word(name, otherwise string) string {
	a.allowed = append(a.allowed, name)
	i := slices.IndexFunc(a.fields, func(f string) bool { return !strings.Contains(f, "=") })
	if i < 0 {
		return otherwise
	}
	return a.take(i)
}

// Option returns the number that is given as name=number, which must be from low to high, or otherwise if it is not given.
func (a *Args) Option(name string, otherwise, low, high float64) float64 {
	s, ok := a.option(name)
	if !ok {
		return otherwise
	}
	return a.number(name, s, otherwise, low, high)
}

// Seconds is Option for a time in seconds from 0 to 10 years; "10m" and the like are allowed too.
func (a *Args) Seconds(name string, otherwise time.Duration) time.Duration {
	s, ok := a.option(name)
	if !ok {
		return otherwise
	}
	return a.seconds(name, s, otherwise, 0)
}

// Period is Seconds for the time between two things that are done again and again: from low on, so that a run comes to its end.
func (a *Args) Period(name string, otherwise, low time.Duration) time.Duration {
	s, ok := a.option(name)
	if !ok {
		return otherwise
	}
	return a.seconds(name, s, otherwise, low)
}

func (a *Args) seconds(name, s string, otherwise, low time.Duration) time.Duration {
	if d, err := time.ParseDuration(s); err == nil {
		s = strconv.FormatFloat(d.Seconds(), 'g', -1, 64)
	}
	return seconds(a.number(name, s, otherwise.Seconds(), low.Seconds(), maxSeconds))
}

// Choice returns the word that is given as name=word, which must be one of words; the first of them if it is not given.
func (a *Args) Choice(name string, words ...string) string {
	s, ok := a.option(name)
	switch {
	case !ok:
		return words[0]
	case !slices.Contains(words, s):
		a.errs = append(a.errs, fmt.Errorf("%s is %q, must be one of %s", name, s, strings.Join(words, ", ")))
		return words[0]
	}
	return s
}

func (a *Args) option(name string) (string, bool) {
	a.allowed = append(a.allowed, name+"=")
	i := slices.IndexFunc(a.fields, func(f string) bool { return strings.HasPrefix(f, name+"=") })
	if i < 0 {
		return "", false
	}
	return a.take(i)[len(name)+1:], true
}

func (a *Args) take(i int) string {
	f := a.fields[i]
	a.fields = slices.Delete(a.fields, i, i+1)
	return f
}

func (a *Args) number(name, s string, otherwise, low, high float64) float64 {
	v, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || math.IsNaN(v):
		err = fmt.Errorf("%s is %q, must be a number", name, s)
	case v < low || v > high:
		err = fmt.Errorf("%s is %s, must be from %g to %g", name, s, low, high)
	default:
		return v
	}
	a.errs = append(a.errs, err)
	return otherwise
}

// finish returns what is wrong with the arguments.
func (a *Args) finish() error {
	for _, f := range a.fields {
		name, _, named := strings.Cut(f, "=")
		switch {
		case len(a.allowed) == 0:
			a.errs = append(a.errs, fmt.Errorf("there are no arguments, and one is %q", f))
		case named && slices.Contains(a.allowed, name+"="):
			a.errs = append(a.errs, fmt.Errorf("%s is given twice", name))
		default:
			a.errs = append(a.errs, fmt.Errorf("there is no argument for %q; there are %s", f, strings.Join(a.allowed, ", ")))
		}
	}
	return errors.Join(a.errs...)
}

// maxSeconds is the longest time of an argument, 10 years.
const maxSeconds = 10 * 365.25 * 86400

// seconds returns a number of seconds as a duration, to the microsecond.
func seconds(s float64) time.Duration {
	return time.Duration(math.Round(s*1e6)) * time.Microsecond
}
