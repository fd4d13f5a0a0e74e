package dataset

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/tppfaas/tppfaas/tpp"
)

// isInvocation reports whether the span may be that of a function's invocation, or announces one.
func (s *span) isInvocation() bool {
	if s.phase || s.kind.calls() || s.announcesCall() {
		return false
	}
	return s.invocation != "" || s.faas && s.kind.serves()
}

// traceBuilder makes sequences of the spans of traces, and counts what it leaves out.
type traceBuilder struct {
	rule    SpanRule
	mark    string // ReadOptions.MarkColumn
	reader  *SequenceReader
	report  spanReport
	nodes   []span
	byID    map[uint64]int // the span that children of this id belong to: the server's half where there are two
	callers map[uint64]int // the caller's half of those
	state   []nodeState
	depths  []int          // of nodes, below the roots; found as needed
	calls   map[string]int // the announcement of each call; nil before the first is looked for
}

// nodeState is what a traceBuilder finds out about a span.
type nodeState struct {
	event    bool
	standsIn int // the span that is the event of this one's invocation, −1: none but itself
	above    int // the nearest event that is the span or an ancestor; −1: none, unresolved or resolving if it has not been found
	orphan   bool
}

const (
	unresolved = -2
	resolving  = -3
)

func newTraceBuilder(s *spanSource, rule SpanRule, skipped int) traceBuilder {
	return traceBuilder{
		rule: rule, mark: s.reader.opts.MarkColumn, reader: s.reader,
		report: spanReport{format: s.format, rule: rule, asked: s.reader.opts.Spans != "", skipped: skipped},
		byID:   map[uint64]int{}, callers: map[uint64]int{},
	}
}

// sequence returns the trace as a sequence, nil if it has no event.
func (b *traceBuilder) sequence(spans []span) (*tpp.Sequence, error) {
	b.report.traces++
	b.report.spans += len(spans)
	b.unite(spans)
	b.findEvents()
	events := b.sorted()
	if len(events) == 0 {
		b.report.eventless++
		return nil, nil
	}
	position := make(map[int]int, len(events))
	for k, i := range events {
		position[i] = k
	}
	s := &tpp.Sequence{ArrivalTimes: make([]float64, len(events)), Marks: make([]int, len(events)), Parents: make([]int, len(events))}
	times := b.reader.times
	roots := 0
	var orphans []int
	for k, i := range events {
		one := &b.nodes[i]
		s.ArrivalTimes[k] = times.round(timestamp(one.start))
		mark, err := b.markOf(one)
		if err != nil {
			return nil, err
		}
		if s.Marks[k] = b.reader.marks.add(mark); s.Marks[k] < 0 {
			return nil, unknownMark(k, mark)
		}
		s.Parents[k] = -1
		if parent, orphan := b.parentEvent(i); parent >= 0 {
			s.Parents[k] = position[parent]
		} else if roots++; orphan {
			orphans = append(orphans, i)
		}
	}
	// A single root may have been called by someone who sends no spans.
	for _, i := range orphans {
		if roots > 1 {
			b.report.orphans.add(&b.nodes[i])
		}
	}
	breakLoops(s.Parents)
	b.addDurations(s, events)
	b.report.count(s)
	return s, nil
}

// unite puts the spans of a trace into nodes, and several reports of one span into one.
func (b *traceBuilder) unite(spans []span) {
	b.byID, b.callers, b.nodes = emptied(b.byID), emptied(b.callers), b.nodes[:0]
	b.depths, b.calls = b.depths[:0], nil
	for i := range spans {
		one := &spans[i]
		half := b.callers
		if one.shared || one.kind.serves() {
			half = b.byID
		}
		if k, twice := half[one.id]; twice {
			b.nodes[k].merge(one)
			b.report.duplicates++
			continue
		}
		half[one.id] = len(b.nodes)
		b.nodes = append(b.nodes, *one)
	}
	// A caller's half without a server's is all there is of the span.
	for id, k := range b.callers {
		if _, ok := b.byID[id]; !ok {
			b.byID[id] = k
		}
	}
}

// emptied returns an empty map. Clearing one takes as long as it was ever large, so that one large trace would slow down all behind it.
func emptied(m map[uint64]int) map[uint64]int {
	if len(m) > 1<<12 {
		return map[uint64]int{}
	}
	clear(m)
	return m
}

// parentOf returns the span that a span is a child of, −1 if there is none, and whether it names one that is missing.
func (b *traceBuilder) parentOf(i int) (parent int, missing bool) {
	one := &b.nodes[i]
	if caller, ok := b.callers[one.id]; ok && caller != i {
		return caller, false
	}
	if one.parent == 0 || one.parent == one.id {
		return -1, false
	}
	if parent, ok := b.byID[one.parent]; ok {
		return parent, false
	}
	return -1, true
}

// findEvents decides which spans are events.
func (b *traceBuilder) findEvents() {
	b.state = slices.Grow(b.state[:0], len(b.nodes))[:len(b.nodes)]
	for i := range b.nodes {
		b.state[i] = nodeState{standsIn: -1, above: unresolved}
	}
	for i := range b.nodes {
		one := &b.nodes[i]
		if parent, _ := b.parentOf(i); parent >= 0 && b.isPhase(one, &b.nodes[parent]) {
			one.phase = true
		}
		switch {
		case one.phase, one.announcesCall():
		case b.rule == SpansInvocations:
			b.state[i].event = one.isInvocation()
		case b.rule == SpansServer:
			b.state[i].event = one.kind.serves()
		default:
			b.state[i].event = true
		}
	}
	b.joinInvocations()
	for i := range b.nodes {
		switch {
		case !b.state[i].event:
		case b.nodes[i].start == 0:
			b.state[i].event = false
			b.report.timeless.add(&b.nodes[i])
		case b.nodes[i].start < firstDate*1e6:
			b.report.early.add(&b.nodes[i])
			if b.report.early.n == 1 {
				b.report.earliest = b.nodes[i].start
			}
		}
		if b.state[i].event && b.nodes[i].misread {
			b.report.misread.add(&b.nodes[i])
		}
	}
	b.countCalls()
}

// isPhase reports whether a span is a phase that the collector has drawn into an invocation, in a store that has lost the attribute.
func (b *traceBuilder) isPhase(one, parent *span) bool {
	if one.invocation != "" || one.kind.serves() || one.kind.calls() || math.IsNaN(parent.wait) {
		return false
	}
	return one.name == "wait" || one.name == "init" || one.name == "exec"
}

// nearest returns the event of a span: the span itself, the event of its invocation, or else that of its parent. It returns −1 if there is none,
// and whether an ancestor is missing.
func (b *traceBuilder) nearest(i int) (event int, orphan bool) {
	// Up to a span that is resolved, and back.
	var path []int
	event = -1
	for j := i; ; {
		st := &b.state[j]
		if st.above == resolving { // the spans are each other's ancestors
			event, orphan = -1, true
			break
		}
		if st.above != unresolved {
			event, orphan = st.above, st.orphan
			break
		}
		if st.event || st.standsIn >= 0 && b.state[st.standsIn].event {
			event = j
			if !st.event {
				event = st.standsIn
			}
			st.above = event
			break
		}
		st.above = resolving
		path = append(path, j)
		parent, missing := b.parentOf(j)
		if parent < 0 {
			orphan = missing
			break
		}
		j = parent
	}
	for _, j := range path {
		b.state[j].above, b.state[j].orphan = event, orphan
	}
	return event, orphan
}

// parentEvent returns the nearest ancestor of an event that is an event, −1 if there is none, and whether an ancestor is missing.
func (b *traceBuilder) parentEvent(i int) (event int, orphan bool) {
	parent, missing := b.parentOf(i)
	if parent < 0 {
		return -1, missing
	}
	if event, orphan = b.nearest(parent); event == i {
		return -1, true
	}
	return event, orphan
}

// breakLoops makes the first of the events that are each other's ancestors a root.
func breakLoops(parents []int) {
	const unknown, onPath, done = 0, 1, 2
	state := make([]uint8, len(parents))
	var path []int
	for k := range parents {
		path = path[:0]
		j := k
		for ; j >= 0 && state[j] == unknown; j = parents[j] {
			state[j] = onPath
			path = append(path, j)
		}
		if j >= 0 && state[j] == onPath {
			parents[slices.Min(path[slices.Index(path, j):])] = -1
		}
		for _, j := range path {
			state[j] = done
		}
	}
}

// sorted returns the events in the order of their times. Of events at the same time one comes behind the event that caused it; otherwise the
// sampler's plan decides, and then their ids, since the order of a file means nothing.
func (b *traceBuilder) sorted() []int {
	var events []int
	for i := range b.nodes {
		if b.state[i].event {
			events = append(events, i)
		}
	}
	ties := false
	slices.SortFunc(events, func(i, j int) int {
		c := cmp.Compare(b.nodes[i].start, b.nodes[j].start)
		ties = ties || c == 0 && i != j
		return c
	})
	if !ties {
		return events
	}
	depths := map[int]int{}
	depth := func(i int) int {
		if d, ok := depths[i]; ok {
			return d
		}
		var path []int
		d := 0
		for j := i; j >= 0 && len(path) <= len(events); j, _ = b.parentEvent(j) {
			if known, ok := depths[j]; ok {
				d = known + 1
				break
			}
			path = append(path, j)
		}
		for k, j := range path {
			depths[j] = d + len(path) - 1 - k
		}
		return depths[i]
	}
	slices.SortFunc(events, func(i, j int) int {
		x, y := &b.nodes[i], &b.nodes[j]
		if c := cmp.Compare(x.start, y.start); c != 0 {
			return c
		}
		return cmp.Or(cmp.Compare(depth(i), depth(j)), cmp.Compare(x.order, y.order), cmp.Compare(x.id, y.id), cmp.Compare(x.kind, y.kind))
	})
	return events
}

// markOf returns the name of an event's mark.
func (b *traceBuilder) markOf(one *span) (string, error) {
	var mark string
	switch b.mark {
	case "":
		mark = b.defaultMark(one)
	case markName:
		mark = one.name
	case markService, attrService:
		mark = one.service
	case markServiceAndName:
		mark = serviceAndName(one)
	default:
		mark = one.mark
	}
	if strings.TrimSpace(mark) == "" {
		b.report.unnamed.add(one)
		mark = "unknown"
	}
	return mark, nil
}

// defaultMark returns the function that a span is of, and otherwise the service with the operation.
func (b *traceBuilder) defaultMark(one *span) string {
	switch {
	case b.rule == SpansAll:
		return serviceAndName(one)
	case one.function != "":
		return one.function
	case b.rule == SpansServer:
		return serviceAndName(one)
	case one.announcesStart() || one.name == "":
		return one.service
	}
	return one.name
}

func serviceAndName(one *span) string {
	switch {
	case one.service != "" && one.announcesStart(): // a name that all announcements have
		return one.service
	case one.service == "" || one.name == "":
		return one.service + one.name
	}
	return one.service + "/" + one.name
}

// addDurations sets the wait and init times where every event has them, and how long each lasted if that is asked for.
func (b *traceBuilder) addDurations(s *tpp.Sequence, events []int) {
	waits, inits, starts := 0, 0, 0
	for _, i := range events {
		one := &b.nodes[i]
		hasWait := !math.IsNaN(one.wait)
		if hasWait {
			waits++
		}
		if !math.IsNaN(one.init) || hasWait && one.cold != startCold {
			inits++
		}
		if one.cold != startUnknown {
			starts++
		}
	}
	column := func(value func(one *span) float64) []float64 {
		values := make([]float64, len(events))
		for k, i := range events {
			values[k] = value(&b.nodes[i])
		}
		return values
	}
	times := b.reader.times
	if waits == len(events) {
		s.WaitTimes = column(func(one *span) float64 { return times.roundDuration(one.wait) })
	} else if waits > 0 {
		b.report.mixedWaits++
	}
	if inits == len(events) {
		s.InitTimes = column(func(one *span) float64 {
			if math.IsNaN(one.init) {
				return 0
			}
			return times.roundDuration(one.init)
		})
	} else if starts == len(events) {
		s.Covariates = map[string][]float64{attrColdStart: column(func(one *span) float64 {
			if one.cold == startCold {
				return 1
			}
			return 0
		})}
	}
	b.report.arrivals += waits
	if b.reader.opts.Durations && !slices.ContainsFunc(events, func(i int) bool { return b.nodes[i].duration < 0 }) {
		if s.Covariates == nil {
			s.Covariates = map[string][]float64{}
		}
		s.Covariates[DurationCovariate] = column(func(one *span) float64 { return times.roundDuration(float64(one.duration) / 1e6) })
	}
}
