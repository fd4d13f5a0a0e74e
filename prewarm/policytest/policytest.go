package policytest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/policy"
)

// Run runs the tests of all files that match the pattern, which is one of filepath.Glob, each as a subtest. There must be one file at least.
func Run(t *testing.T, pattern string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("no file matches %s", pattern)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		tests, err := Parse(name, string(text))
		if err != nil {
			t.Error(err)
			continue
		}
		t.Run(filepath.Base(name), func(t *testing.T) {
			for _, test := range tests {
				t.Run(test.Name, func(t *testing.T) {
					if !test.expects() {
						t.Errorf("%s:%d: the test expects nothing", test.file, test.line)
					}
					if err := test.Run(); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
}

// Test is one test of a file.
type Test struct {
	// Name is what follows the word test in its file.
	Name string

	file      string
	line      int
	spec      string
	seed      uint64
	platform  prewarm.Platform
	dispatch  prewarm.Time // from an arrival to its placement
	returning prewarm.Time // from the end of a run until the container is idle
	functions []function
	records   []record
	steps     []step
}

// function is a function of the platform with what the tests say of it.
type function struct {
	prewarm.Function
	start, init prewarm.Time
	run         prewarm.Time // where an invocation does not say
	replicas    int          // at the beginning; −1 where containers are created by invocations
	refuse      bool         // refuses invocations instead of letting them wait
	stock       bool         // of containers without a function
}

// record is a number of recorded requests, or the gaps between them.
type record struct {
	app         string
	cold        bool
	n           int
	call        *call
	gaps        []float64
	inFunctions []int
}

// call is an invocation of a request with those that it sends.
type call struct {
	function int
	run      prewarm.Time
	at       prewarm.Time // since the start of the caller's run; −1 at its end
	children []*call
}

// step is something to do or to expect at a time.
type step struct {
	line   int
	at     prewarm.Time
	do     func(p *platform)
	expect func(p *platform) error
}

// expects reports whether the test expects anything: one that does not cannot fail.
func (t *Test) expects() bool {
	return slices.ContainsFunc(t.steps, func(s step) bool { return s.expect != nil })
}

// Run runs the test and returns what did not come true, with the file and the line of each.
func (t *Test) Run() error {
	p, err := t.start()
	if err != nil {
		return fmt.Errorf("%s:%d: %w", t.file, t.line, err)
	}
	var errs []error
	for i := range t.steps {
		s := &t.steps[i]
		if s.do != nil {
			p.at(s.at, ofScript, func() { s.do(p) })
			continue
		}
		p.at(s.at, ofExpectations, func() {
			if err := s.expect(p); err != nil {
				errs = append(errs, fmt.Errorf("%s:%d: at %s: %w", t.file, s.line, format(s.at), err))
			}
		})
	}
	if err := p.run(); err != nil {
		errs = append(errs, fmt.Errorf("%s:%d: %w", t.file, t.line, err))
	}
	return errors.Join(errs...)
}

// start returns a platform as the test says, with its policy.
func (t *Test) start() (*platform, error) {
	functions := make([]prewarm.Function, len(t.functions))
	for i, f := range t.functions {
		functions[i] = f.Function
	}
	fleet, err := prewarm.NewFleet(t.platform, functions)
	if err != nil {
		return nil, err
	}
	pol, err := policy.New(t.spec, policy.Options{Platform: t.platform, Functions: functions, Knowledge: t.knowledge(), Seed: t.seed})
	if err != nil {
		return nil, err
	}
	return newPlatform(t, fleet, pol), nil
}

// knowledge returns what the test says was recorded.
func (t *Test) knowledge() prewarm.Knowledge {
	var k prewarm.Knowledge
	for _, r := range t.records {
		i := 0
		for i < len(k.Applications) && k.Applications[i].Name != r.app {
			i++
		}
		if i == len(k.Applications) {
			k.Applications = append(k.Applications, prewarm.Recording{Name: r.app, Functions: r.inFunctions})
		}
		a := &k.Applications[i]
		a.Gaps = append(a.Gaps, r.gaps...)
		for range r.n {
			if r.cold {
				a.Cold = append(a.Cold, t.trace(nil, r.call, -1, 0, true))
			} else {
				a.Warm = append(a.Warm, t.trace(nil, r.call, -1, 0, false))
			}
		}
	}
	return k
}

// trace appends the invocations of a recorded request whose containers are all warm or all cold.
func (t *Test) trace(trace prewarm.Trace, c *call, parent int, arrival prewarm.Time, cold bool) prewarm.Trace {
	f := &t.functions[c.function]
	start, init := arrival, prewarm.Time(0)
	if cold {
		start, init = arrival+f.start, f.init
	}
	self := len(trace)
	trace = append(trace, prewarm.Invocation{
		Function: c.function, Parent: parent,
		Arrival: arrival.Seconds(), Start: start.Seconds(), End: (start + c.run).Seconds(), Init: init.Seconds(),
	})
	for _, child := range c.children {
		at := start + c.run
		if child.at >= 0 {
			at = start + child.at
		}
		trace = t.trace(trace, child, self, at, cold)
	}
	return trace
}
