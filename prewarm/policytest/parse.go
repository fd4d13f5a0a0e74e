package policytest

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// Parse reads the tests of a file; the name is for messages. An error has the file and the line.
func Parse(name, text string) ([]*Test, error) {
	common := &Test{file: name, platform: prewarm.Platform{
		Warm: true, GiveBack: true, Hold: true, Arrivals: true, Late: prewarm.TakesStarting, IdleTimeout: 10 * time.Minute,
	}}
	var tests []*Test
	current := common
	var errs []error
	for i, line := range strings.Split(text, "\n") {
		q := &parser{tokens: tokens(line), line: i + 1}
		if !q.more() {
			continue
		}
		var err error
		if q.peek() == "test" {
			current = common.derive(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "test")), i+1)
			if current.Name == "" {
				err = errors.New("a test without a name")
			}
			if slices.ContainsFunc(tests, func(t *Test) bool { return t.Name == current.Name }) {
				err = fmt.Errorf("there are two tests %q", current.Name)
			}
			tests = append(tests, current)
		} else if err = q.statement(current, current == common); err == nil && q.more() {
			err = fmt.Errorf("%q is too much", strings.Join(q.tokens[q.i:], " "))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", name, i+1, err))
		}
	}
	for _, t := range tests {
		if t.spec == "" {
			errs = append(errs, fmt.Errorf("%s:%d: the test has no policy", name, t.line))
		}
		if len(t.functions) == 0 {
			errs = append(errs, fmt.Errorf("%s:%d: the test has no function", name, t.line))
		}
	}
	if len(tests) == 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("%s: there is no test", name))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return tests, nil
}

// derive returns a test that begins with the settings of t.
func (t *Test) derive(name string, line int) *Test {
	d := *t
	d.Name, d.line = name, line
	d.functions = slices.Clone(t.functions)
	d.records = slices.Clone(t.records)
	d.steps = nil
	return &d
}

// statement reads a line.
func (q *parser) statement(t *Test, common bool) error {
	switch word := q.next(); word {
	case "policy":
		if t.spec = q.next(); t.spec == "" {
			return errors.New("there is no policy")
		}
		return nil
	case "seed":
		n, err := q.number()
		t.seed = uint64(max(n, 0))
		return err
	case "platform":
		return q.platform(t)
	case "function":
		return q.functionLine(t)
	case "recorded":
		return q.recorded(t)
	case "at":
		if common {
			return errors.New("there is no test yet")
		}
		return q.at(t)
	default:
		return fmt.Errorf("%q is none of policy, seed, platform, function, recorded, test, at", word)
	}
}

// settings reads words of the form name=value, or name alone, with the functions for each name.
func (q *parser) settings(known map[string]func(value string) error) error {
	for q.more() {
		word := q.next()
		name, value, _ := strings.Cut(word, "=")
		set, ok := known[name]
		if !ok {
			return fmt.Errorf("there is no setting %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		if err := set(value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (q *parser) platform(t *Test) error {
	p := &t.platform
	flag := func(b *bool) func(string) error {
		return func(s string) error {
			switch s {
			case "yes", "":
				*b = true
			case "no":
				*b = false
			default:
				return fmt.Errorf("is %q, must be yes or no", s)
			}
			return nil
		}
	}
	return q.settings(map[string]func(string) error{
		"arrivals": flag(&p.Arrivals), "warm": flag(&p.Warm), "give-back": flag(&p.GiveBack), "hold": flag(&p.Hold), "first-call": flag(&p.FirstCall),
		"memory": intInto(&p.MemoryMB, 0), "dispatch": timeInto(&t.dispatch), "return": timeInto(&t.returning),
		"idle-timeout": func(s string) error {
			if s == "never" {
				p.IdleTimeout = prewarm.Never
				return nil
			}
			return timeInto(&p.IdleTimeout)(s)
		},
		"late": func(s string) error {
			switch s {
			case "takes":
				p.Late = prewarm.TakesStarting
			case "own":
				p.Late = prewarm.OwnContainer
			default:
				return fmt.Errorf("is %q, must be takes or own", s)
			}
			return nil
		},
	})
}

// functionLine reads "function NAME [setting=value]...". A second line for the same function changes it.
func (q *parser) functionLine(t *Test) error {
	name := q.next()
	if name == "" || strings.ContainsAny(name, "(),=") || name == "expect" {
		return fmt.Errorf("a function cannot be called %q", name)
	}
	if _, err := parseTime(name); err == nil {
		return fmt.Errorf("a function cannot be called %q, which is a number", name)
	}
	i := slices.IndexFunc(t.functions, func(f function) bool { return f.Name == name })
	if i < 0 {
		i = len(t.functions)
		f := function{Function: prewarm.Function{Name: name, MemoryMB: 256}, start: 2 * time.Second, init: -1, run: time.Second, replicas: -1}
		t.functions = append(t.functions, f)
	}
	f := t.functions[i]
	set := f.init >= 0 && f.init != f.start
	err := q.settings(map[string]func(string) error{
		"memory": intInto(&f.MemoryMB, 1), "replicas": intInto(&f.replicas, 0),
		"start": timeInto(&f.start), "init": func(s string) error { set = true; return timeInto(&f.init)(s) }, "run": timeInto(&f.run),
		"refuse": func(string) error { f.refuse = true; return nil },
		"app":    func(s string) error { f.Application = s; return nil },
		"kind":   func(s string) error { f.Kind = s; return nil },
		"stock":  func(string) error { f.stock, f.StemCell = true, true; return nil },
		"concurrency": func(s string) error {
			if s == "unlimited" {
				f.Concurrency = math.MaxInt32
				return nil
			}
			return intInto(&f.Concurrency, 1)(s)
		},
	})
	if !set {
		f.init = f.start
	}
	if err == nil && f.init > f.start {
		err = errors.New("init is longer than start, which it is a part of")
	}
	t.functions[i] = f
	return err
}

// recorded reads "recorded [app=NAME] N warm|cold CALL" and "recorded [app=NAME] gaps SECONDS...".
func (q *parser) recorded(t *Test) error {
	var r record
	if app, ok := strings.CutPrefix(q.peek(), "app="); ok {
		r.app = app
		q.i++
	}
	for i, f := range t.functions {
		if f.Application == r.app && !f.stock {
			r.inFunctions = append(r.inFunctions, i)
		}
	}
	if q.take("gaps") {
		for q.more() {
			gap, err := q.seconds()
			if err != nil {
				return err
			}
			r.gaps = append(r.gaps, gap.Seconds())
		}
		t.records = append(t.records, r)
		return nil
	}
	n, err := q.number()
	if err != nil {
		return err
	}
	if n != math.Trunc(n) || n < 0 || n > 10000 {
		return fmt.Errorf("the number of requests is %g, must be a whole one up to 10000", n)
	}
	switch kind := q.next(); kind {
	case "warm":
	case "cold":
		r.cold = true
	default:
		return fmt.Errorf("requests are warm or cold, not %q", kind)
	}
	r.n = int(n)
	r.call, err = q.call(t, 0)
	t.records = append(t.records, r)
	return err
}

// mostCalls bounds a request of a test, in depth and in the number of copies of a call.
const mostCalls = 1000

// copies is the number of copies of a call.
var copies = regexp.MustCompile(`^x[0-9]+$`)

// call reads "FUNCTION [SECONDS] [@SECONDS] [(CALL, ...)] [xN]"; of a call with xN, N−1 copies are for the caller to make.
func (q *parser) call(t *Test, depth int) (*call, error) {
	if depth > mostCalls {
		return nil, errors.New("calls are nested too deeply")
	}
	f, err := q.function(t)
	if err != nil {
		return nil, err
	}
	c := &call{function: f, run: t.functions[f].run, at: -1}
	if d, err := parseTime(q.peek()); err == nil {
		c.run = d
		q.i++
	}
	if s, ok := strings.CutPrefix(q.peek(), "@"); ok {
		q.i++
		if c.at, err = parseTime(s); err != nil {
			return nil, err
		}
		if depth == 0 {
			return nil, fmt.Errorf("@%s is for calls in brackets: nobody calls a request's first function", s)
		}
	}
	if s := q.peek(); depth == 0 && copies.MatchString(s) {
		return nil, fmt.Errorf("%s is for calls in brackets: give as many times instead, at 0 0 arrive for two requests", s)
	}
	if !q.take("(") {
		return c, nil
	}
	for {
		child, err := q.call(t, depth+1)
		if err != nil {
			return nil, err
		}
		if child.at > c.run {
			return nil, fmt.Errorf("%s is called after its caller's end", t.functions[child.function].Name)
		}
		c.children = append(c.children, child)
		if s, ok := strings.CutPrefix(q.peek(), "x"); ok {
			n, err := strconv.Atoi(s)
			if err != nil || n < 1 || n > mostCalls {
				return nil, fmt.Errorf("x%s is no number of calls", s)
			}
			q.i++
			for range n - 1 {
				c.children = append(c.children, child)
			}
		}
		switch word := q.next(); word {
		case ",":
		case ")":
			return c, nil
		default:
			return nil, fmt.Errorf("expected , or ) instead of %q", word)
		}
	}
}

// at reads "at TIME... WHAT [expect ...]".
func (q *parser) at(t *Test) error {
	var times []prewarm.Time
	var last prewarm.Time
	if n := len(t.steps); n > 0 {
		last = t.steps[n-1].at
	}
	for {
		s, relative := strings.CutPrefix(q.peek(), "+")
		d, err := parseTime(s)
		if err != nil {
			break
		}
		if relative {
			d += last
		}
		if d < last {
			return fmt.Errorf("%s is before the last time, %s", format(d), format(last))
		}
		times, last = append(times, d), d
		q.i++
	}
	if len(times) == 0 {
		return fmt.Errorf("%q is no time", q.peek())
	}
	var do func(p *platform)
	if q.peek() != "expect" {
		var err error
		if do, err = q.action(t); err != nil {
			return err
		}
	}
	var expected []func(p *platform) error
	for q.more() {
		if !q.take("expect") {
			return fmt.Errorf("expected \"expect\" instead of %q", q.peek())
		}
		q.word = q.next()
		read, ok := expectations[q.word]
		if !ok {
			return fmt.Errorf("cannot expect %q; one can expect %s", q.word, strings.Join(slices.Sorted(maps.Keys(expectations)), ", "))
		}
		e, err := read(q, t)
		if err != nil {
			return err
		}
		expected = append(expected, e)
	}
	for _, at := range times {
		if do != nil {
			t.steps = append(t.steps, step{line: q.line, at: at, do: do})
		}
		for _, e := range expected {
			t.steps = append(t.steps, step{line: q.line, at: at, expect: e})
		}
	}
	return nil
}

// action reads what happens.
func (q *parser) action(t *Test) (func(p *platform), error) {
	switch word := q.next(); word {
	case "arrive":
		c, err := q.call(t, 0)
		if err != nil {
			return nil, err
		}
		return func(p *platform) { p.arrive(c, nil) }, nil
	case "rate":
		f, rate, err := q.functionAndNumber(t, required, required)
		if err != nil {
			return nil, err
		}
		if rate > 10000 {
			return nil, fmt.Errorf("rate is %g, must be at most 10000 a second", rate)
		}
		c := &call{function: f, run: t.functions[f].run, at: -1}
		return func(p *platform) { p.setRate(c, rate) }, nil
	case "in-flight":
		f, n, err := q.functionAndNumber(t, required, required)
		if err != nil {
			return nil, err
		}
		if n > 10000 {
			return nil, fmt.Errorf("in-flight is %g, must be at most 10000", n)
		}
		return func(p *platform) { p.setInFlight(f, int(n)) }, nil
	case "cpu":
		f, cores, err := q.functionAndNumber(t, required, required)
		if err != nil {
			return nil, err
		}
		return func(p *platform) { p.measureCPU(); p.functions[f].cpu = cores }, nil
	case "queued":
		f, n, err := q.functionAndNumber(t, required, required)
		if err != nil {
			return nil, err
		}
		return func(p *platform) { p.fleet.Loads[f].Queued = int(min(n, math.MaxInt32)) }, nil
	case "start-time":
		f, err := q.function(t)
		if err != nil {
			return nil, err
		}
		d, err := q.seconds()
		return func(p *platform) { p.functions[f].start = d }, err
	default:
		return nil, fmt.Errorf("%q is none of arrive, rate, in-flight, cpu, queued, start-time, expect", word)
	}
}
