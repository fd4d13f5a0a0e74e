package dataset

import (
	"fmt"
	"math"

	"github.com/tppfaas/tppfaas/tpp"
)

// Warning describes a file that can be read but was probably meant to be read in another way.
type Warning struct {
	Kind WarningKind
	// Text says what looks wrong, as the rest of a sentence that begins with the name of the file.
	Text string
	// Unit is the unit of time that the file seems to have, if Kind is WarningUnit.
	Unit string
}

// WarningKind is the kind of a [Warning].
type WarningKind string

// The kinds of warnings.
const (
	// WarningEmpty says that there is no sequence.
	WarningEmpty WarningKind = "empty"
	// WarningNoSequences says that there is no column of sequences: the whole file is one sequence.
	WarningNoSequences WarningKind = "no sequences"
	// WarningSingleEvents says that each of many sequences has a single event.
	WarningSingleEvents WarningKind = "single events"
	// WarningUnit says that the times would be dates of our days in another unit.
	WarningUnit WarningKind = "unit"
	// WarningTick says that most gaps between events are shorter than the tick of the clock.
	WarningTick WarningKind = "tick"
	// WarningTimeless says that events of traces have no time and are left out.
	WarningTimeless WarningKind = "timeless"
	// WarningOrphans says that the spans above events are missing.
	WarningOrphans WarningKind = "orphans"
	// WarningUnfinished says that invocations have announced their start, and their span is missing.
	WarningUnfinished WarningKind = "unfinished"
	// WarningUnanswered says that calls were announced, and the span of what was called is missing.
	WarningUnanswered WarningKind = "unanswered"
	// WarningDurations says that wait or init times are no durations and are left out.
	WarningDurations WarningKind = "durations"
	// WarningMixedWaits says that only some of a trace's events have a wait time.
	WarningMixedWaits WarningKind = "mixed waits"
	// WarningUnnamed says that events have no mark.
	WarningUnnamed WarningKind = "unnamed"
	// WarningEventless says that traces without an event are left out.
	WarningEventless WarningKind = "eventless"
)

// The times in milliseconds between which a date is one of our days: from 1990 to 2100.
const (
	firstDate = 631152000000
	lastDate  = 4102444800000
)

// plausibility counts what warnings depend on.
type plausibility struct {
	sequences, events int
	several           bool // a sequence has more than one event
	gaps, zero, below int  // all gaps, those of length 0, and those above 0 but below the tick
	first, last       float64
}

func (p *plausibility) add(s *tpp.Sequence, tick float64) {
	p.sequences++
	for i, t := range s.ArrivalTimes {
		if p.events == 0 {
			p.first, p.last = t, t
		}
		p.events++
		p.first, p.last = min(p.first, t), max(p.last, t)
		if i == 0 {
			continue
		}
		p.several = true
		p.gaps++
		switch gap := t - s.ArrivalTimes[i-1]; {
		case gap == 0:
			p.zero++
		case gap < tick:
			p.below++
		}
	}
}

// tick returns the tick that gaps are compared with.
func (r *SequenceReader) tick() float64 {
	switch {
	case r.opts.Tick > 0:
		return r.opts.Tick
	case r.opts.Resolution > 0:
		return r.opts.Resolution
	}
	return 1
}

// Warnings returns what looks wrong with the sequences read so far: at best it is called behind the last one.
func (r *SequenceReader) Warnings() []Warning {
	var warnings []Warning
	p := &r.plausible
	table, _ := r.src.(*csvSource)
	spans := r.spans()
	if spans != nil {
		if p.sequences == 0 {
			return []Warning{{Kind: WarningEmpty, Text: spans.build.report.empty()}}
		}
		warnings = spans.build.report.warnings()
	}
	switch {
	case r.src == nil:
		return nil
	case p.sequences == 0 && table != nil:
		return []Warning{{Kind: WarningEmpty, Text: fmt.Sprintf("has a line with the names of columns, %s, and no event below it", quotedList(table.header))}}
	case p.sequences == 0:
		return []Warning{{Kind: WarningEmpty, Text: "has no sequence"}}
	}
	if table != nil && table.columns.sequence < 0 {
		warnings = append(warnings, Warning{Kind: WarningNoSequences,
			Text: fmt.Sprintf("has no column of sequences among %s: all its %d events are taken for one sequence", quotedList(table.header), p.events)})
	}
	if table != nil && table.columns.sequence >= 0 && p.sequences > 1 && !p.several {
		warnings = append(warnings, Warning{Kind: WarningSingleEvents,
			Text: fmt.Sprintf("has a single event in each of its %d sequences, which column %q names", p.sequences, table.header[table.columns.sequence])})
	}
	if spans == nil && (table == nil || table.stamps <= 0) {
		if unit := r.times.likelyUnit(p.first, p.last); unit != "" && p.events > 0 {
			return append(warnings, Warning{Kind: WarningUnit, Unit: unit,
				Text: fmt.Sprintf("has times that look like %s since 1970, but are read as %s", unitWords[unit], unitWords[r.times.unit])})
		}
	}
	switch {
	case r.opts.Resolution > 0 && 2*p.zero > p.gaps:
		warnings = append(warnings, Warning{Kind: WarningTick,
			Text: fmt.Sprintf("has %d of %d gaps that become 0 where times are rounded to %g ms", p.zero, p.gaps, r.opts.Resolution)})
	case 2*p.below > p.gaps-p.zero:
		warnings = append(warnings, Warning{Kind: WarningTick,
			Text: fmt.Sprintf("has %d of %d gaps that are shorter than a tick of the clock, %g ms, though not 0", p.below, p.gaps, r.tick())})
	}
	return warnings
}

// likelyUnit returns the unit in which times that were read as milliseconds would be dates of our days, if they are none as
// they are.
func (t *timeReader) likelyUnit(first, last float64) string {
	if first >= firstDate && last <= lastDate {
		return ""
	}
	now := t.milliseconds(t.unit)
	for _, u := range timeUnits {
		if u.name == t.unit || u.factor != 1 {
			continue // minutes and longer do not count from 1970
		}
		if f := t.milliseconds(u.name) / now; first*f >= firstDate && last*f <= lastDate {
			return u.name
		}
	}
	return ""
}

// milliseconds returns how many milliseconds a unit has.
func (t *timeReader) milliseconds(unit string) float64 {
	for _, u := range timeUnits {
		if u.name == unit {
			return u.factor * math.Pow10(u.exponent)
		}
	}
	return 1
}
