package controller

import (
	"fmt"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/recommend"
)

// Kind is what has happened to a function.
type Kind string

// The kinds of events.
const (
	Kept    Kind = "kept"    // limits are as they should be
	Would   Kind = "would"   // they would be changed, and Act is not set
	Changed Kind = "changed" // they are changed
	Held    Kind = "held"    // they should be changed, and may not be now
	Waiting Kind = "waiting" // there is no usage, or it is old
	Failed  Kind = "failed"  // something did not work
)

// Event is what has happened to a function when it was looked at.
type Event struct {
	Time     time.Time        `json:"time"`
	Function string           `json:"function"`
	Kind     Kind             `json:"kind"`
	From     recommend.Limits `json:"from"`
	To       recommend.Limits `json:"to"`
	// Text says more, in one line.
	Text string `json:"text"`
	// Samples is how many samples were new, Kills how many of them tell of a kill.
	Samples int `json:"samples"`
	Kills   int `json:"kills"`
}

// String returns the event in one line.
func (e Event) String() string {
	s := e.Function + ": "
	switch e.Kind {
	case Changed:
		s += "changed: " + difference(e.From, e.To)
	case Would:
		s += "would change: " + difference(e.From, e.To)
	case Held:
		s += "not changed"
		if d := difference(e.From, e.To); d != "" {
			s += ": " + d
		}
	default:
		s += string(e.Kind)
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// value is one of the values of limits.
type value struct {
	name   string
	memory bool
	limit  bool // a request otherwise
	of     func(*recommend.Limits) *float64
	format func(float64) string
}

var values = []value{
	{"memory limit", true, true, func(l *recommend.Limits) *float64 { return &l.MemoryLimit }, rightsize.FormatMemory},
	{"memory request", true, false, func(l *recommend.Limits) *float64 { return &l.MemoryRequest }, rightsize.FormatMemory},
	{"CPU limit", false, true, func(l *recommend.Limits) *float64 { return &l.CPULimit }, rightsize.FormatCPU},
	{"CPU request", false, false, func(l *recommend.Limits) *float64 { return &l.CPURequest }, rightsize.FormatCPU},
}

// isLower reports whether a value is lowered: also by a limit where there was none.
func (v value) isLower(from, to float64) bool { return to < from || v.limit && from == 0 && to > 0 }

func (v value) text(x float64) string {
	if x == 0 {
		return "none"
	}
	return v.format(x)
}

// difference returns what differs, in words.
func difference(from, to recommend.Limits) string {
	var parts []string
	for _, v := range values {
		if a, b := *v.of(&from), *v.of(&to); a != b {
			parts = append(parts, fmt.Sprintf("%s %s → %s", v.name, v.text(a), v.text(b)))
		}
	}
	return strings.Join(parts, ", ")
}
