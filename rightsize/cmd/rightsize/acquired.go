package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/rightsize/acquire"
)

// acquired is what rightsize acquire prints of what it wrote.
type acquired struct {
	File        string         `json:"file"`
	Function    string         `json:"function"`
	Samples     int            `json:"samples"`
	From        time.Time      `json:"from"`
	To          time.Time      `json:"to"`
	Step        float64        `json:"step"` // seconds
	Memory      acquiredExtent `json:"memory"`
	CPU         acquiredExtent `json:"cpu"`
	Gaps        []acquiredGap  `json:"gaps"`
	Pods        int            `json:"pods"`
	PodsAtOnce  int            `json:"pods_at_once"`
	Restarts    int            `json:"restarts"`
	Resets      int            `json:"resets"`
	Notes       []string       `json:"notes"`
	Interrupted bool           `json:"interrupted"`
}

// acquiredExtent is that of the values of a resource; nil where none is known.
type acquiredExtent struct {
	Min     *float64 `json:"min"`
	Max     *float64 `json:"max"`
	Unknown int      `json:"unknown"`
}

type acquiredGap struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

func summarise(file string, r *acquire.Result, interrupted bool) *acquired {
	u := r.Usage
	s := &acquired{
		File: file, Function: u.Function, Samples: u.Len(), From: u.Time(0), To: u.Time(u.Len() - 1), Step: r.Step.Seconds(),
		Memory: extentOf(u.Memory), CPU: extentOf(u.CPU), Gaps: []acquiredGap{}, Pods: r.Pods, PodsAtOnce: r.PodsAtOnce, Restarts: r.Restarts, Resets: r.Resets,
		Notes: append([]string{}, r.Notes...), Interrupted: interrupted,
	}
	for _, g := range r.Gaps {
		s.Gaps = append(s.Gaps, acquiredGap(g))
	}
	return s
}

func extentOf(values []float64) (e acquiredExtent) {
	for _, v := range values {
		switch {
		case math.IsNaN(v):
			e.Unknown++
		case e.Min == nil:
			e.Min, e.Max = &v, &v
		case v < *e.Min:
			e.Min = &v
		case v > *e.Max:
			e.Max = &v
		}
	}
	return e
}

func (s *acquired) writeJSON(w io.Writer) error { return json.NewEncoder(w).Encode(s) }

// writeText writes what people want to know.
func (s *acquired) writeText(w io.Writer) error {
	const day = "2006-01-02 15:04:05"
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d samples of %s, %s until %s UTC, every %v\n", s.File, s.Samples, s.Function, s.From.Format(day), s.To.Format(day), time.Duration(s.Step*float64(time.Second)))
	fmt.Fprintf(&b, "memory   %s\n", s.Memory.text(func(v float64) string { return fmt.Sprintf("%.4g MiB", v/(1<<20)) }))
	fmt.Fprintf(&b, "cpu      %s\n", s.CPU.text(func(v float64) string { return fmt.Sprintf("%.4g m", v*1000) }))
	if len(s.Gaps) > 0 {
		longest := s.Gaps[0]
		for _, g := range s.Gaps {
			if g.To.Sub(g.From) > longest.To.Sub(longest.From) {
				longest = g
			}
		}
		fmt.Fprintf(&b, "gaps     %d, the longest %v from %s on\n", len(s.Gaps), longest.To.Sub(longest.From), longest.From.Format(day))
	} else {
		b.WriteString("gaps     none\n")
	}
	if s.Pods > 0 {
		fmt.Fprintf(&b, "pods     %d, at most %d at a time, of which the largest values count; %d restarts, %d counters that began anew\n", s.Pods, s.PodsAtOnce, s.Restarts, s.Resets)
	}
	for _, note := range s.Notes {
		fmt.Fprintf(&b, "note     %s\n", note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (e acquiredExtent) text(show func(float64) string) string {
	if e.Min == nil {
		return "not known"
	}
	text := show(*e.Min) + " to " + show(*e.Max)
	if e.Unknown > 0 {
		text += fmt.Sprintf(", not known %d times", e.Unknown)
	}
	return text
}
