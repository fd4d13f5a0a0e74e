package controller

import "time"

// Mode is what the controller does with decisions.
type Mode string

// Modes.
const (
	DryRun Mode = "dry run" // it decides, and does nothing
	Acting Mode = "acting"
	Paused Mode = "paused" // it follows what happens, and does nothing until it is resumed
)

// State is all that a controller shows, as JSON and on its page. Times are wall-clock times, memory is in MiB.
type State struct {
	Time    time.Time `json:"time"`
	Begun   time.Time `json:"begun"`
	Version string    `json:"version"`
	Mode    Mode      `json:"mode"`
	// ModeReason says why, if it is not what was asked for.
	ModeReason string          `json:"mode_reason,omitempty"`
	Policy     string          `json:"policy"`
	Platform   string          `json:"platform"` // name of the actuator
	Totals     Totals          `json:"totals"`
	Functions  []FunctionState `json:"functions"`
	// Traces are requests in flight, and some that have just ended, the latest first; at most some dozens. InFlight is the number of all in flight.
	Traces     []TraceState     `json:"traces"`
	InFlight   int              `json:"in_flight"`
	Containers []ContainerState `json:"containers"`
	// Decisions are the last ones, the latest first.
	Decisions []DecisionState `json:"decisions"`
	Models    []ModelState    `json:"models"`
	Sources   []SourceState   `json:"sources"`
	Actuator  ActuatorState   `json:"actuator"`
	// Lateness is by how much decisions were made later than they were due, Notice how long before an invocation its container was asked for, both in
	// seconds: bounds LatenessBounds and NoticeBounds.
	Lateness Histogram `json:"lateness"`
	Notice   Histogram `json:"notice"`
	// Shares are the partitions that this instance has, if several share the work.
	Shares []ShareState `json:"shares,omitempty"`
}

// ShareState is which partitions of a topic an instance has.
type ShareState struct {
	// Of says what is in the topic: spans or demands.
	Of         string  `json:"of"`
	Partitions []int32 `json:"partitions"`
	// Rebuilding are those of them of which it is still reading what was before it had them.
	Rebuilding []int32 `json:"rebuilding,omitempty"`
}

// Totals count since the controller's state began.
type Totals struct {
	Requests    uint64 `json:"requests"`
	Invocations uint64 `json:"invocations"`
	// Warm, Late and Cold are how invocations came to their containers; Hits is the part of Warm that a container has taken which was warmed for it.
	Warm uint64 `json:"warm"`
	Late uint64 `json:"late"`
	Cold uint64 `json:"cold"`
	Hits uint64 `json:"hits"`
	// Warmups are containers that were asked for, Wasted those that were never used, Collapsed and Failed those that came to nothing.
	Warmups   uint64 `json:"warmups"`
	Wasted    uint64 `json:"wasted"`
	Collapsed uint64 `json:"collapsed"`
	Failed    uint64 `json:"failed"`
	// Renewals is how often the idle time of a container was to be renewed, RenewalsFailed the part of it that came to nothing, and KeptMBs the memory-time of
	// containers for as long as they were idle beyond the platform's idle timeout, which is part of SpentMBs. What is made by a renewal, because none was idle,
	// is among Warmups.
	Renewals       uint64  `json:"renewals"`
	RenewalsFailed uint64  `json:"renewals_failed"`
	KeptMBs        float64 `json:"kept_mb_s"`
	// SavedSeconds is by how much invocations have waited less than on the platform alone, estimated; SpentMBs is the memory-time of containers that
	// were starting or idle, in MB·s, and AloneMBs what it would have been on the platform alone, estimated.
	SavedSeconds float64 `json:"saved_seconds"`
	SpentMBs     float64 `json:"spent_mb_s"`
	AloneMBs     float64 `json:"alone_mb_s"`
}

// FunctionState is what is known of a function.
type FunctionState struct {
	Name        string `json:"name"`
	Application string `json:"application,omitempty"`
	Version     string `json:"version,omitempty"`
	MemoryMB    int    `json:"memory_mb"`
	// Served says that decisions are made on it; if not, Reason says why: no model, too few traces, miscalibrated, stale.
	Served bool   `json:"served"`
	Reason string `json:"reason,omitempty"`
	// Containers by what they do: warmed and not used yet, idle after a use, starting, busy.
	Starting int `json:"starting"`
	Warmed   int `json:"warmed"`
	Idle     int `json:"idle"`
	Busy     int `json:"busy"`
	// Counts as those of Totals.
	Invocations uint64 `json:"invocations"`
	Warm        uint64 `json:"warm"`
	Late        uint64 `json:"late"`
	Cold        uint64 `json:"cold"`
	Hits        uint64 `json:"hits"`
	Wasted      uint64 `json:"wasted"`
	// StartSeconds is the median of the start times that were measured, 0 if none was.
	StartSeconds float64 `json:"start_seconds"`
}

// TraceState is a request.
type TraceState struct {
	Trace       string            `json:"trace"`
	Application string            `json:"application,omitempty"`
	Begun       time.Time         `json:"begun"`
	Ended       *time.Time        `json:"ended,omitempty"`
	Invocations []InvocationState `json:"invocations"`
	Expected    []ExpectedState   `json:"expected"`
}

// InvocationState is an invocation of a request.
type InvocationState struct {
	Call     string     `json:"call,omitempty"`
	Function string     `json:"function"`
	Arrived  time.Time  `json:"arrived"`
	Started  *time.Time `json:"started,omitempty"`
	Ended    *time.Time `json:"ended,omitempty"`
	Start    string     `json:"start,omitempty"` // warm, late or cold
	// Container is its number in Containers; 0 if it has none yet.
	Container uint64 `json:"container,omitempty"`
}

// ExpectedState is an invocation that is expected: with what probability, and between when and when if it comes (5, 50 and 95 %).
type ExpectedState struct {
	Function    string    `json:"function"`
	Probability float64   `json:"probability"`
	Lower       time.Time `json:"lower"`
	Median      time.Time `json:"median"`
	Upper       time.Time `json:"upper"`
}

// ContainerState is a container, as far as it is known.
type ContainerState struct {
	ID       uint64    `json:"id"`
	Function string    `json:"function"`
	State    string    `json:"state"` // starting, idle, busy or returning
	Since    time.Time `json:"since"`
	// Warmed says that the controller has started it, Used that an invocation has used it.
	Warmed bool `json:"warmed"`
	Used   bool `json:"used"`
	// Renewals is how often its idle time was renewed.
	Renewals int `json:"renewals,omitempty"`
	// Until is until when it is expected to be there if it is not used.
	Until *time.Time `json:"until,omitempty"`
	// Decision is the number of the decision that it was started by.
	Decision uint64 `json:"decision,omitempty"`
}

// DecisionState is a decision and what became of it.
type DecisionState struct {
	ID       uint64    `json:"id"`
	Time     time.Time `json:"time"`
	Action   string    `json:"action"` // start, scale, hold, give back
	Function string    `json:"function"`
	N        int       `json:"n,omitempty"`
	// Rule, Trace, Probability, Demand and GainMBs are the reason, see prewarm.Why.
	Rule        string     `json:"rule"`
	Trace       string     `json:"trace,omitempty"`
	Probability float64    `json:"probability,omitempty"`
	Demand      *time.Time `json:"demand,omitempty"`
	GainMBs     float64    `json:"gain_mb_s,omitempty"`
	// Outcome is in words what became of it: dry, asked, created, used after 1.2 s, late, wasted, collapsed, failed: …, held: ….
	Outcome string `json:"outcome"`
}

// ModelState is a model that predicts, and how well its probabilities agree with what came.
type ModelState struct {
	Name      string    `json:"name"` // file, or learned
	Kind      string    `json:"kind"`
	Functions []string  `json:"functions"`
	Since     time.Time `json:"since"`
	Traces    int       `json:"traces"` // that it was trained on
	// Predicted is the sum of the probabilities of what was predicted lately, and Came how many of it came; Agrees is false if they differ so much
	// that the model is not used, and Reason says so.
	Predicted float64 `json:"predicted"`
	Came      float64 `json:"came"`
	Agrees    bool    `json:"agrees"`
	Reason    string  `json:"reason,omitempty"`
}

// SourceState is what came from a source.
type SourceState struct {
	Name         string     `json:"name"`
	Observations uint64     `json:"observations"`
	Refused      uint64     `json:"refused"` // because there was no room
	Invalid      uint64     `json:"invalid"`
	Last         *time.Time `json:"last,omitempty"`
	Error        string     `json:"error,omitempty"`
}

// ActuatorState is how the actuator does.
type ActuatorState struct {
	InFlight int    `json:"in_flight"`
	Circuit  string `json:"circuit"` // closed, open, half open
	Error    string `json:"error,omitempty"`
}
