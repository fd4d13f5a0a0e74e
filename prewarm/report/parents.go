package report

import (
	"slices"

	"github.com/tppfaas/tppfaas/internal/callgraph"
)

// application is what is known of an application beforehand, by mark.
type application struct {
	calls [][][]int // for each call the marks of what it may be of
	runs  []float64 // how long a run takes at least, in seconds
}

// applicationOf returns the embedded application whose functions the marks are called like, nil if there is none.
func applicationOf(names []string) *application {
	app, err := callgraph.Application(names)
	if err != nil || app == nil {
		return nil
	}
	g, err := callgraph.Embedded(names)
	if err != nil {
		return nil
	}
	known := &application{calls: make([][][]int, len(names)), runs: make([]float64, len(names))}
	for mark, of := range g.Slots {
		for _, slot := range of {
			known.calls[mark] = append(known.calls[mark], slot.Marks)
		}
	}
	for _, f := range app.Functions {
		if mark := slices.Index(names, app.DeployedName(f.Name)); mark >= 0 {
			known.runs[mark] = f.Duration.Seconds()
		}
	}
	return known
}

// infer sets the parents of a trace that does not say them, and reports whether every invocation but the first has one: the earliest that had
// started by its arrival, calls such a function, and is not known to have done so.
func (s *application) infer(trace []invocation) bool {
	open := make([][][]int, len(trace))
	for i := range trace {
		v := &trace[i]
		if int(v.mark) < len(s.calls) {
			open[i] = slices.Clone(s.calls[v.mark])
		}
		if i == 0 {
			v.parent = -1
			continue
		}
		is := func(call []int) bool { return slices.Contains(call, int(v.mark)) }
		parent := -1
		for k := range i {
			if !slices.ContainsFunc(open[k], is) {
				continue
			}
			if trace[k].start() <= v.arrival+0.002 { // clocks tell milliseconds
				parent = k
				break
			}
			if parent < 0 {
				parent = k
			}
		}
		if parent < 0 {
			for k := range trace {
				trace[k].parent = -1
			}
			return false
		}
		v.parent = int32(parent)
		at := slices.IndexFunc(open[parent], is)
		open[parent] = slices.Delete(open[parent], at, at+1)
	}
	return true
}

// findParents infers the parents of traces without them, or with such as cannot be.
func (b *Builder) findParents() {
	if full := b.traces - b.empty; b.withParents < full || b.withDuration < full {
		b.known = applicationOf(b.names)
	}
	var p paths
	for i := range b.runs {
		for k := range b.runs[i].traces {
			t := &b.runs[i].traces[k]
			switch {
			case t.parents && p.walk(b.of(*t)):
			case t.end-t.first == 1:
				t.parents = true
			case b.known != nil && b.known.infer(b.of(*t)):
				t.parents = true
				b.inferred++
			default:
				t.parents = false
				b.unexplained++
			}
		}
	}
}
