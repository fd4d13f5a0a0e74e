package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/seed"
)

// application is an application of a workload, with what is drawn for each of its requests.
type application struct {
	*apps.Application
	// sizes is σ of the log-normal factor, of median 1, by which all durations of a request are multiplied; 0 for none.
	sizes float64
	// follow changes the calls of a request whose later branches follow from earlier ones; nil if all are independent.
	follow func(app *apps.Application, calls []apps.Call)
}

// Applications returns the names of the applications that are known by name: those that are embedded, and those of this package.
func Applications() []string {
	names := apps.Embedded()
	for name := range builtIn {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// builtIn are the applications that exist for the laboratory alone.
var builtIn = map[string]func() *application{"branch": branch, "memory": memory, "long": long}

// parseApplication reads the name of an application, or the path of its folder, and behind a ~ the spread of the sizes of its requests.
func parseApplication(spec string) (*application, error) {
	name, spread, sized := strings.Cut(spec, "~")
	var app *application
	if build, ok := builtIn[name]; ok {
		app = build()
	} else {
		if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) && !slices.Contains(apps.Embedded(), name) {
			return nil, fmt.Errorf("application %q: no such folder, and not one of %s", name, strings.Join(Applications(), ", "))
		}
		loaded, err := apps.Load(name)
		if err != nil {
			return nil, err
		}
		app = &application{Application: loaded}
	}
	if sized {
		sigma, err := strconv.ParseFloat(spread, 64)
		if err != nil || !(sigma >= 0 && sigma <= mostSpread) {
			return nil, fmt.Errorf("application %s: the spread of sizes behind ~ must be a number from 0 to %d, not %q", name, mostSpread, spread)
		}
		app.sizes = sigma
	}
	return app, nil
}

// mostSpread is the largest σ of sizes: with it, one request in a thousand is 10,000 times as long as half of them.
const mostSpread = 3

// parseApplications reads applications that share a platform, with + between them.
func parseApplications(spec string) ([]*application, error) {
	var all []*application
	for one := range strings.SplitSeq(spec, "+") {
		app, err := parseApplication(one)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(other *application) bool { return other.Name == app.Name }) {
			return nil, fmt.Errorf("application %s is named twice in %s", app.Name, spec)
		}
		all = append(all, app)
	}
	return all, nil
}

// drawer draws the calls of the requests of an application.
type drawer struct {
	app   *application
	calls *apps.Drawer
	sizes *rand.Rand
}

// newDrawer returns a drawer. The calls that it draws depend on the application, the seed and fixed alone; with fixed each function works for
// its duration, and requests differ in branches and sizes only.
func (a *application) newDrawer(number uint64, fixed bool) (*drawer, error) {
	number = a.seed(number)
	d, err := apps.NewDrawer(a.Application, apps.Variation{RandomDurations: !fixed}, number)
	if err != nil {
		return nil, err
	}
	return &drawer{app: a, calls: d, sizes: rand.New(seed.Stream(number, "sizes"))}, nil
}

// seed returns a seed for the application, so that the streams of applications that share a platform are independent.
func (a *application) seed(number uint64) uint64 {
	return seed.Stream(number, "application "+a.Name).Uint64()
}

// next returns the calls of the next request. They are the caller's, but for their Invokes.
func (d *drawer) next() []apps.Call {
	drawn, _, _ := d.calls.Next()
	calls := slices.Clone(drawn)
	if d.app.follow != nil {
		d.app.follow(d.app.Application, calls)
	}
	if d.app.sizes > 0 {
		factor := math.Exp(d.app.sizes * d.sizes.NormFloat64())
		for i := range calls {
			calls[i].Sleep = time.Duration(min(float64(calls[i].Sleep)*factor, float64(apps.MaxDuration)))
		}
	}
	return calls
}

// shape is that of the gamma distribution of the durations of all functions of this package's applications.
const shape = 30

// function returns a function of a duration in milliseconds.
func function(name string, duration float64, invokes ...apps.Invoke) apps.Function {
	return apps.Function{
		Name: name, Duration: time.Duration(duration * float64(time.Millisecond)),
		Gamma: apps.Gamma{Shape: shape, Rate: shape / duration}, Invokes: invokes,
	}
}

// chain returns functions prefix1, prefix2, … of which each invokes the next.
func chain(prefix string, durations ...float64) []apps.Function {
	var functions []apps.Function
	for i, d := range durations {
		var next []apps.Invoke
		if i+1 < len(durations) {
			next = apps.Always(fmt.Sprint(prefix, i+2))
		}
		functions = append(functions, function(fmt.Sprint(prefix, i+1), d, next...))
	}
	return functions
}

// oneOf returns a choice between a, with probability p, and b.
func oneOf(a string, p float64, b string) apps.Invoke {
	return apps.Invoke{Choice: []apps.Option{{Function: a, Probability: p}, {Function: b, Probability: 1 - p}}}
}

// branch is a chain that goes on in one of two ways after a long function.
func branch() *application {
	functions := []apps.Function{
		{Name: apps.Main, Invokes: apps.Always("f1")},
		function("f1", 300, apps.Always("f2")...), function("f2", 2500, oneOf("a1", 0.7, "b1")),
	}
	functions = slices.Concat(functions, chain("a", 400, 400, 400, 300), chain("b", 400, 400, 400, 300))
	return &application{Application: &apps.Application{Name: "branch", Functions: functions}}
}

// long is a chain of functions that each take longer than the start of a container.
func long() *application {
	functions := append([]apps.Function{{Name: apps.Main, Invokes: apps.Always("f1")}}, chain("f", 5000, 5000, 5000, 5000, 5000, 5000)...)
	return &application{Application: &apps.Application{Name: "long", Functions: functions}}
}

// memory takes two branches, of which the second follows the first: a1 comes after a0 with probability sameBranch, else b1, and the other way
// round after b0.
func memory() *application {
	functions := []apps.Function{
		{Name: apps.Main, Invokes: apps.Always("x", "s1")},
		function("x", 50, oneOf("a0", 0.5, "b0")), function("a0", 50), function("b0", 50),
		function("s1", 1500, apps.Always("s2")...), function("s2", 1500, oneOf("a1", sameBranch, "b1")),
	}
	functions = slices.Concat(functions, chain("a", 400, 400, 300), chain("b", 400, 400, 300))
	return &application{Application: &apps.Application{Name: "memory", Functions: functions}, follow: followFirstBranch}
}

// sameBranch is the probability that the second branch of memory is the first one's.
const sameBranch = 0.95

// followFirstBranch exchanges a and b in the second branch of a request of memory whose first branch was b; it was drawn for one that was a.
// The functions of both take equally long.
func followFirstBranch(app *apps.Application, calls []apps.Call) {
	b0, a1, b1 := app.Index("b0"), app.Index("a1"), app.Index("b1")
	length := b1 - a1
	if !slices.ContainsFunc(calls, func(c apps.Call) bool { return c.Function == b0 }) {
		return
	}
	for i := range calls {
		switch f := &calls[i].Function; {
		case *f >= b1:
			*f -= length
		case *f >= a1:
			*f += length
		}
	}
}
