package page

import (
	"reflect"
	"time"

	"github.com/tppfaas/tppfaas/prewarm/controller"
)

// change is what is different from one state to the next. What is short is always there; of lists it has what is new or different, and the keys
// of what is gone.
type change struct {
	Time       time.Time                `json:"time"`
	Mode       controller.Mode          `json:"mode"`
	ModeReason string                   `json:"mode_reason"`
	Totals     controller.Totals        `json:"totals"`
	InFlight   int                      `json:"in_flight"`
	Actuator   controller.ActuatorState `json:"actuator"`
	Lateness   controller.Histogram     `json:"lateness"`
	Notice     controller.Histogram     `json:"notice"`

	Models     *[]controller.ModelState                  `json:"models,omitempty"`
	Sources    *[]controller.SourceState                 `json:"sources,omitempty"`
	Functions  *delta[controller.FunctionState, string]  `json:"functions,omitempty"`
	Traces     *delta[controller.TraceState, string]     `json:"traces,omitempty"`
	Containers *delta[controller.ContainerState, uint64] `json:"containers,omitempty"`
	Decisions  *delta[controller.DecisionState, uint64]  `json:"decisions,omitempty"`
}

// delta is what is different in a list of elements with keys.
type delta[T any, K comparable] struct {
	Set  []*T `json:"set,omitempty"`
	Gone []K  `json:"gone,omitempty"`
}

// difference returns what is different in two lists, nil if nothing is.
func difference[T any, K comparable](from, to []T, key func(*T) K) *delta[T, K] {
	old := make(map[K]*T, len(from))
	for i := range from {
		old[key(&from[i])] = &from[i]
	}
	var d delta[T, K]
	for i := range to {
		k := key(&to[i])
		was := old[k]
		delete(old, k)
		if was == nil || !reflect.DeepEqual(was, &to[i]) {
			d.Set = append(d.Set, &to[i])
		}
	}
	for i := range from {
		k := key(&from[i])
		if old[k] != nil {
			d.Gone = append(d.Gone, k)
			delete(old, k)
		}
	}
	if d.Set == nil && d.Gone == nil {
		return nil
	}
	return &d
}

// changeOf returns what leads from one state to the next.
func changeOf(from, to *controller.State) change {
	c := change{
		Time: to.Time, Mode: to.Mode, ModeReason: to.ModeReason, Totals: to.Totals, InFlight: to.InFlight, Actuator: to.Actuator,
		Lateness: to.Lateness, Notice: to.Notice,
		Functions:  difference(from.Functions, to.Functions, func(f *controller.FunctionState) string { return f.Name }),
		Traces:     difference(from.Traces, to.Traces, func(t *controller.TraceState) string { return t.Trace }),
		Containers: difference(from.Containers, to.Containers, func(c *controller.ContainerState) uint64 { return c.ID }),
		Decisions:  difference(from.Decisions, to.Decisions, func(d *controller.DecisionState) uint64 { return d.ID }),
	}
	if !reflect.DeepEqual(from.Models, to.Models) {
		c.Models = &to.Models
	}
	if !reflect.DeepEqual(from.Sources, to.Sources) {
		c.Sources = &to.Sources
	}
	return c
}
