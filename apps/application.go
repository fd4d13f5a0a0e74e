package apps

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Main is the function at which every request enters.
const Main = "main"

// MaxInvocations is the largest number of invocations that one request may make. A function that two others invoke runs
// twice, so the number grows with the paths through the graph, which may be exponentially many.
const MaxInvocations = 10_000

// MaxDuration is the longest time that a function may sleep, and the largest mean of its gamma distribution.
const MaxDuration = 24 * time.Hour

// Application is a composition: functions that invoke each other without a cycle, from Main on.
type Application struct {
	// Name is made of letters, digits, - and _; it is the name of the application's folder.
	Name string
	// Functions in the order of the file. The order is part of the application: marks of a dataset follow it.
	Functions []Function
}

// Function is one function of an application: it sleeps, then invokes its successors and ends.
type Function struct {
	// Name is made of letters, digits, - and _.
	Name string
	// Duration is how long the function sleeps; zero for Main.
	Duration time.Duration
	// Gamma is the distribution of the sleep when it is drawn at random; the zero value for Main.
	Gamma Gamma
	// Invokes has the successors in the order in which they are called. One that is named twice runs twice.
	Invokes []Invoke
}

// Successors returns the functions that f may invoke, in the order of Invokes.
func (f Function) Successors() []string {
	var functions []string
	for _, v := range f.Invokes {
		functions = append(functions, v.Functions()...)
	}
	return functions
}

// Gamma is the gamma distribution with density rate^shape x^(shape−1) exp(−rate x) / Γ(shape) over milliseconds x.
type Gamma struct {
	Shape float64 // α > 0, without unit
	Rate  float64 // β > 0, per millisecond
}

// Mean returns shape/rate, in milliseconds.
func (g Gamma) Mean() float64 { return g.Shape / g.Rate }

// Index returns the position of the function of this name in Functions, or −1.
func (a *Application) Index(function string) int {
	return slices.IndexFunc(a.Functions, func(f Function) bool { return f.Name == function })
}

// DeployedName returns the name under which the Serverless Framework deploys a function in its stage dev, and which
// datasets use: APPLICATION-dev-FUNCTION.
func (a *Application) DeployedName(function string) string { return a.Name + "-dev-" + function }

// Validate reports the first thing that is wrong with an application built in code; Load and Read have done it already.
// The error names the function and the reason.
func (a *Application) Validate() error {
	if err := checkName("application", a.Name); err != nil {
		return err
	}
	if p := a.check(); p != nil {
		return fmt.Errorf("application %s: %s", a.Name, p.reason)
	}
	return nil
}

// Invocations returns how many invocations one request makes, at most where there are choices and loops: the number of paths that start
// at Main. The application must be valid.
func (a *Application) Invocations() int {
	n, _ := a.countInvocations()
	return n
}

// place is the place of a value in graph.yaml: a field of a function, or with field "" the function itself. index is the position in
// the list invokes.
type place struct {
	function string
	field    string
	index    int
}

const (
	fieldDuration = "duration"
	fieldGamma    = "gamma"
	fieldShape    = "shape"
	fieldRate     = "rate"
	fieldInvokes  = "invokes"
	fieldChoice   = "choice"
	fieldLoop     = "loop"
	fieldMax      = "max"
)

// problem is what is wrong with an application, and where.
type problem struct {
	at     place
	reason string
}

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)

// checkName returns an error for a name that has characters which a name may not have.
func checkName(what, name string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("%s %q: a name starts with a letter or digit and goes on with letters, digits, - and _", what, name)
	}
	return nil
}

// check returns the first problem: of the values in the order of the file, then of the graph as a whole. It returns nil if there is none.
func (a *Application) check() *problem {
	known := make(map[string]bool, len(a.Functions))
	for _, f := range a.Functions {
		at := place{function: f.Name}
		if err := checkName("function", f.Name); err != nil {
			return &problem{at, err.Error()}
		}
		if known[f.Name] {
			return &problem{at, fmt.Sprintf("function %s is defined twice", f.Name)}
		}
		known[f.Name] = true
		if p := f.checkValues(); p != nil {
			return p
		}
	}
	if !known[Main] {
		return &problem{place{}, fmt.Sprintf("no function %s, where every request enters", Main)}
	}
	for _, f := range a.Functions {
		for i, v := range f.Invokes {
			at := place{f.Name, fieldInvokes, i}
			if reason := v.check(); reason != "" {
				return &problem{at, f.Name + ": " + reason}
			}
			if v.Choice != nil && known[none] {
				return &problem{at, f.Name + ": none in a choice is no function, and this application has a function none"}
			}
			for _, s := range v.Functions() {
				if !known[s] {
					return &problem{at, fmt.Sprintf("%s invokes %q, which is no function of this application", f.Name, s)}
				}
			}
		}
	}
	if p := a.findCycle(); p != nil {
		return p
	}
	if p := a.findUnreachable(); p != nil {
		return p
	}
	if n, ok := a.countInvocations(); !ok {
		return &problem{place{function: Main},
			fmt.Sprintf("one request makes more than %d invocations (a function that two others invoke runs twice)", n)}
	}
	return nil
}

// checkValues returns the first problem of the function's own values.
func (f Function) checkValues() *problem {
	if f.Name == Main {
		if f.Duration != 0 {
			return &problem{place{f.Name, fieldDuration, 0}, "main only invokes: it takes no duration"}
		}
		if f.Gamma != (Gamma{}) {
			return &problem{place{f.Name, fieldGamma, 0}, "main only invokes: it takes no gamma"}
		}
		return nil
	}
	if f.Duration < 0 || f.Duration > MaxDuration {
		return &problem{place{f.Name, fieldDuration, 0},
			fmt.Sprintf("%s: duration must be between 0 and %d ms (a day), not %v", f.Name, MaxDuration.Milliseconds(), milliseconds(f.Duration))}
	}
	for _, v := range []struct {
		field string
		value float64
	}{{fieldShape, f.Gamma.Shape}, {fieldRate, f.Gamma.Rate}} {
		if !(v.value > 0) || math.IsInf(v.value, 0) {
			return &problem{place{f.Name, v.field, 0}, fmt.Sprintf("%s: gamma %s must be positive and finite, not %v", f.Name, v.field, v.value)}
		}
	}
	if mean := f.Gamma.Mean(); !(mean <= milliseconds(MaxDuration)) {
		return &problem{place{f.Name, fieldGamma, 0},
			fmt.Sprintf("%s: the mean of gamma, shape/rate, is %.4g ms, more than a day", f.Name, mean)}
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// findCycle returns the first cycle as a problem, which names its functions and stands at the call that closes it.
func (a *Application) findCycle() *problem {
	index := a.indices()
	const (
		unseen = iota
		onPath
		done
	)
	state := make([]int, len(a.Functions))
	var path []string
	var visit func(i int) *problem
	visit = func(i int) *problem {
		f := a.Functions[i]
		state[i] = onPath
		path = append(path, f.Name)
		for k, v := range f.Invokes {
			for _, s := range v.Functions() {
				switch j := index[s]; state[j] {
				case onPath:
					cycle := append(slices.Clone(path[slices.Index(path, s):]), s)
					return &problem{place{f.Name, fieldInvokes, k}, "cycle: " + strings.Join(cycle, " → ")}
				case unseen:
					if p := visit(j); p != nil {
						return p
					}
				}
			}
		}
		path = path[:len(path)-1]
		state[i] = done
		return nil
	}
	for i := range a.Functions {
		if state[i] == unseen {
			if p := visit(i); p != nil {
				return p
			}
		}
	}
	return nil
}

// findUnreachable returns the first function that no path from Main leads to.
func (a *Application) findUnreachable() *problem {
	index := a.indices()
	reached := make([]bool, len(a.Functions))
	stack := []int{index[Main]}
	reached[index[Main]] = true
	for len(stack) > 0 {
		f := a.Functions[stack[len(stack)-1]]
		stack = stack[:len(stack)-1]
		for _, s := range f.Successors() {
			if j := index[s]; !reached[j] {
				reached[j] = true
				stack = append(stack, j)
			}
		}
	}
	for i, f := range a.Functions {
		if !reached[i] {
			return &problem{place{function: f.Name}, fmt.Sprintf("%s is never invoked: no path leads to it from main", f.Name)}
		}
	}
	return nil
}

// countInvocations returns the largest number of invocations of a request, or MaxInvocations and false if there may be more. It remembers
// the count below each function, so that the time is linear in the size of the graph.
func (a *Application) countInvocations() (n int, ok bool) {
	index := a.indices()
	below := make([]int, len(a.Functions))
	var count func(i int) int
	count = func(i int) int {
		if below[i] == 0 {
			total := 1
			for _, v := range a.Functions[i].Invokes {
				most := max(v.Loop.Max-1, 0)
				longest := 0
				for _, s := range v.Functions() {
					longest = max(longest, count(index[s]))
				}
				total = min(total+most+longest, MaxInvocations+1)
			}
			below[i] = total
		}
		return below[i]
	}
	n = count(index[Main])
	if n > MaxInvocations {
		return MaxInvocations, false
	}
	return n, true
}

func (a *Application) indices() map[string]int {
	index := make(map[string]int, len(a.Functions))
	for i, f := range a.Functions {
		index[f.Name] = i
	}
	return index
}
