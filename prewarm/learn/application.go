package learn

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"unsafe"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
	"github.com/tppfaas/tppfaas/prewarm/requests"
)

const (
	// mostNew is how many of the newest requests of an application are kept, and mostOld how many of those before them: each that is no longer among the
	// newest takes the place of an old one drawn at random, so that of two the more recent one is more likely to be there (Aggarwal, "On biased
	// reservoir sampling in the presence of stream evolution", VLDB 2006).
	mostNew, mostOld = 200, 300
	// mostFunctions is how many functions an application has at most: a request that connects more is not kept.
	mostFunctions = 400
	// mostAgreement is over how many of the last requests what came is compared with what was expected.
	mostAgreement = 100
)

// stored is a request that is kept, with its number in the application.
type stored struct {
	trace  prewarm.Trace
	number uint64
}

// application is what is known of functions that requests connect.
type application struct {
	functions []int // ascending
	fresh     []stored
	next      int // place in fresh of the oldest, once it is full
	old       []stored
	bytes     int
	count     uint64 // number of the next request
	seen      int    // requests since the beginning, or since what was before was forgotten

	streams           map[int]requests.Model // of when requests come that begin with other functions than most
	given             *Model                 // a model that was trained elsewhere
	present, previous *newsvendor.Application
	joined            bool // the present one knows only a part, and the rest has models of its own
	since             prewarm.Time
	unseen            uint64 // number of the first request that the present one was not trained on
	reference         moments
	training          bool
	due               int    // from how many requests on it is trained
	gapsDue           int    // from how many requests on it is learned again when they come
	checked           uint64 // number of the request at which it was looked at last
	looked, trained   prewarm.Time
	stale             bool

	agreement [mostAgreement]agreement
	agreed    int // requests that were compared
}

// agreement is what was expected of a request when it came, the variance of that, and what came.
type agreement struct{ expected, variance, came float64 }

// moments are the number, the mean and the variance of log likelihoods of requests.
type moments struct {
	N              int
	Mean, Variance float64
}

func momentsOf(values []float64) (m moments) {
	m.N = len(values)
	for _, v := range values {
		m.Mean += v / float64(m.N)
	}
	for _, v := range values {
		m.Variance += (v - m.Mean) * (v - m.Mean) / float64(max(m.N-1, 1))
	}
	return m
}

// below reports whether the mean of what m is of is below that of the other, by more than chance.
func (m *moments) below(other *moments) bool {
	if m.N < 2 || other.N < 2 {
		return false
	}
	const errors = 4
	return m.Mean < other.Mean-errors*math.Sqrt(m.Variance/float64(m.N)+other.Variance/float64(other.N)+1e-6)
}

// sizeOf returns how many bytes a request takes.
func sizeOf(t prewarm.Trace) int {
	return cap(t)*int(unsafe.Sizeof(prewarm.Invocation{})) + int(unsafe.Sizeof(stored{}))
}

// all returns the requests that are kept, the oldest first.
func (a *application) all() []stored {
	list := slices.Clone(a.old)
	slices.SortFunc(list, func(x, y stored) int { return cmp.Compare(x.number, y.number) })
	return append(append(list, a.fresh[a.next:]...), a.fresh[:a.next]...)
}

// library keeps the requests of all applications.
type library struct {
	apps  []*application
	of    []*application // by function, nil if it is of none
	bytes int
	most  int
	rng   *rand.Rand
	spare []prewarm.Trace
}

// mostSpare is how many requests that are not kept any more lend their memory to new ones.
const mostSpare = 64

func (l *library) grow(functions int) {
	for len(l.of) < functions {
		l.of = append(l.of, nil)
	}
}

// find returns the application of a request, nil if it cannot have one: it is the one of its functions, which become one application if they are
// of several.
func (l *library) find(f *flight) *application {
	var app *application
	total := 0
	given := 0
	for i := range f.calls {
		function := int(f.calls[i].function)
		l.grow(function + 1)
		other := l.of[function]
		switch {
		case other == nil:
			total++
		case other == app:
		case app == nil || len(other.functions) > len(app.functions):
			app = other
		}
	}
	merge := false
	var seen [4]*application
	n := 0
	for i := range f.calls {
		other := l.of[f.calls[i].function]
		if other == nil || slices.Contains(seen[:n], other) {
			continue
		}
		if n == len(seen) { // of so many applications at once: rare enough to wait for the next request
			return nil
		}
		seen[n] = other
		n++
		total += len(other.functions)
		if other.given != nil {
			given++
		}
		merge = merge || other != app
	}
	if total > mostFunctions || given > 1 {
		return nil
	}
	if app == nil {
		app = &application{due: firstTraining}
		l.apps = append(l.apps, app)
	}
	if merge {
		for _, other := range seen[:n] {
			if other != app {
				l.merge(app, other)
			}
		}
	}
	for i := range f.calls {
		function := int(f.calls[i].function)
		if l.of[function] == nil {
			l.of[function] = app
			at, _ := slices.BinarySearch(app.functions, function)
			app.functions = slices.Insert(app.functions, at, function)
		}
	}
	return app
}

// merge adds what is known of another application to that of app.
func (l *library) merge(app, other *application) {
	for _, f := range other.functions {
		l.of[f] = app
	}
	app.functions = append(app.functions, other.functions...)
	slices.Sort(app.functions)
	mine, others := app.all(), other.all()
	app.fresh, app.old, app.next = app.fresh[:0], nil, 0
	l.bytes -= app.bytes + other.bytes
	app.bytes, app.count = 0, 0
	// Their numbers say nothing of each other: they are taken to have come in turn.
	for i := range max(len(mine), len(others)) {
		for _, list := range [2][]stored{mine, others} {
			if i < len(list) {
				l.keep(app, list[i].trace)
			}
		}
	}
	app.seen = max(app.seen, other.seen)
	if app.given == nil && other.given != nil {
		app.given, app.present = other.given, other.present
	}
	// What was learned of them apart stays in use until there is a model of both.
	app.previous, app.unseen, app.reference, app.joined = nil, app.count, moments{}, true
	app.due = app.seen
	l.apps = slices.DeleteFunc(l.apps, func(a *application) bool { return a == other })
}

// add keeps a request that is over. It returns its application, nil if it has none.
func (l *library) add(f *flight) *application {
	app := l.find(f)
	if app == nil {
		return nil
	}
	var t prewarm.Trace
	if n := len(l.spare); n > 0 {
		t = l.spare[n-1][:0]
		l.spare = l.spare[:n-1]
	}
	l.keep(app, f.trace(slices.Grow(t, len(f.calls))))
	app.seen++
	return app
}

// keep keeps a request as the newest of an application.
func (l *library) keep(a *application, t prewarm.Trace) {
	s := stored{t, a.count}
	a.count++
	l.charge(a, sizeOf(t))
	if len(a.fresh) < mostNew {
		a.fresh = append(a.fresh, s)
	} else {
		leaving := a.fresh[a.next]
		a.fresh[a.next] = s
		a.next = (a.next + 1) % mostNew
		if len(a.old) < mostOld {
			a.old = append(a.old, leaving)
		} else {
			i := l.rng.IntN(mostOld)
			l.release(a, a.old[i].trace)
			a.old[i] = leaving
		}
	}
	for l.bytes > l.most && l.shrink() {
	}
}

func (l *library) charge(a *application, bytes int) {
	a.bytes += bytes
	l.bytes += bytes
}

// release frees the memory of a request.
func (l *library) release(a *application, t prewarm.Trace) {
	l.charge(a, -sizeOf(t))
	if len(l.spare) < mostSpare {
		l.spare = append(l.spare, t)
	}
}

// shrink forgets a request of the application whose requests take most memory, and reports whether there was one.
func (l *library) shrink() bool {
	var a *application
	for _, other := range l.apps {
		if a == nil || other.bytes > a.bytes {
			a = other
		}
	}
	if a == nil || len(a.old)+len(a.fresh) == 0 {
		return false
	}
	if n := len(a.old); n > 0 {
		i := l.rng.IntN(n)
		l.charge(a, -sizeOf(a.old[i].trace))
		a.old[i] = a.old[n-1]
		a.old = a.old[:n-1]
		return true
	}
	list := a.all()
	l.charge(a, -sizeOf(list[0].trace))
	a.fresh, a.next = append(a.fresh[:0], list[1:]...), 0
	return true
}

// forget forgets all requests of an application that came before a number, because those after it are of another kind.
func (l *library) forget(a *application, before uint64) {
	list := a.all()
	a.fresh, a.old, a.next = a.fresh[:0], a.old[:0], 0
	for i, s := range list {
		if s.number < before || i < len(list)-mostNew {
			l.release(a, s.trace)
		} else {
			a.fresh = append(a.fresh, s)
		}
	}
	a.seen = len(a.fresh)
}

// compare notes how many invocations a request had, and how many were expected when it came.
func (a *application) compare(f *flight) {
	if math.IsNaN(f.expected) {
		return
	}
	a.agreement[a.agreed%mostAgreement] = agreement{f.expected, f.variance, float64(len(f.calls) - 1)}
	a.agreed++
}

// comparable returns the model in use, nil if none is that others could be compared with.
func (a *application) comparable() *newsvendor.Application {
	if a.joined && a.given == nil {
		return nil
	}
	return a.present
}

// agree returns how many invocations were expected of the last requests and how many came, and whether that agrees.
func (a *application) agree() (expected, came float64, agrees bool) {
	variance := 1.0
	for _, g := range a.agreement[:min(a.agreed, mostAgreement)] {
		expected += g.expected
		came += g.came
		variance += g.variance
	}
	// Branches that come together make the number vary more than if each came by itself.
	const errors, together = 4, 3
	return expected, came, math.Abs(expected-came) <= errors*math.Sqrt(together*variance)+0.05*expected
}
