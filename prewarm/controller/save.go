package controller

import (
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
)

// Kinds of records.
const (
	recordAsked    = "asked"
	recordResult   = "result"
	recordReleased = "released"
	recordScaled   = "scaled"
	recordPaused   = "paused"
)

// Record is something that has happened and must not be forgotten.
type Record struct {
	Kind     string           `json:"k"`
	At       prewarm.Time     `json:"at"`
	Function string           `json:"f,omitempty"`
	Command  uint64           `json:"c,omitempty"`
	Decision uint64           `json:"d,omitempty"`
	N        int              `json:"n,omitempty"`
	Outcome  actuator.Outcome `json:"o,omitempty"`
	Instance string           `json:"i,omitempty"`
	Base     int              `json:"base,omitempty"`
	Known    bool             `json:"known,omitempty"`
	Paused   bool             `json:"p,omitempty"`
}

// Saved is what a core leaves to the next process.
type Saved struct {
	// Format is the number of the form that this has, 0 if it is older than these numbers.
	Format int `json:"format,omitempty"`
	// Epoch is that of the core, which the next one goes on with, and Last the last time that was written down.
	Epoch time.Time    `json:"epoch"`
	Last  prewarm.Time `json:"last"`
	// Command and Decision are the next numbers.
	Command  uint64 `json:"command"`
	Decision uint64 `json:"decision"`
	Paused   bool   `json:"paused"`
	Totals   Totals `json:"totals"`
	// Functions are those that were known, with their counts.
	Functions []FunctionState `json:"functions"`
	// Warmed are containers that were asked for, and of which nobody has said that they were used or are gone.
	Warmed []SavedWarm `json:"warmed"`
	// Scales are the numbers of replicas that were asked for and still hold.
	Scales []SavedScale `json:"scales"`
}

// SavedWarm are containers that a command has asked for.
type SavedWarm struct {
	Command   uint64       `json:"command"`
	Decision  uint64       `json:"decision"`
	Function  string       `json:"function"`
	N         int          `json:"n"`
	At        prewarm.Time `json:"at"`
	Ready     prewarm.Time `json:"ready,omitempty"` // 0 if there was no result yet
	Instances []string     `json:"instances,omitempty"`
}

// SavedScale is a number of replicas.
type SavedScale struct {
	Function string       `json:"function"`
	N        int          `json:"n"`
	Base     int          `json:"base"`
	Known    bool         `json:"known"`
	At       prewarm.Time `json:"at"`
}

// Add takes up a record.
func (s *Saved) Add(r *Record) {
	s.Last = max(s.Last, r.At)
	switch r.Kind {
	case recordAsked:
		s.Command, s.Decision = max(s.Command, r.Command+1), max(s.Decision, r.Decision+1)
		if slices.ContainsFunc(s.Warmed, func(w SavedWarm) bool { return w.Command == r.Command }) {
			return
		}
		s.Totals.Warmups += uint64(max(r.N, 0))
		s.Warmed = append(s.Warmed, SavedWarm{Command: r.Command, Decision: r.Decision, Function: r.Function, N: r.N, At: r.At})
	case recordResult:
		for i := range s.Warmed {
			w := &s.Warmed[i]
			if w.Command != r.Command {
				continue
			}
			switch r.Outcome {
			case actuator.Created, actuator.Unknown:
				w.Ready = r.At
				if r.Instance != "" {
					w.Instances = append(w.Instances, r.Instance)
				}
			case actuator.Held:
				s.Totals.Warmups -= min(s.Totals.Warmups, 1)
				s.less(r.Command, 1)
			default:
				s.less(r.Command, 1)
			}
			return
		}
	case recordReleased:
		s.less(r.Command, 1)
	case recordScaled:
		s.Command = max(s.Command, r.Command+1)
		scale := SavedScale{Function: r.Function, N: r.N, Base: r.Base, Known: r.Known, At: r.At}
		for i := range s.Scales {
			if s.Scales[i].Function == r.Function {
				s.Scales[i] = scale
				return
			}
		}
		s.Scales = append(s.Scales, scale)
	case recordPaused:
		s.Paused = r.Paused
	}
}

// less takes n containers of a command away.
func (s *Saved) less(command uint64, n int) {
	for i := range s.Warmed {
		if w := &s.Warmed[i]; w.Command == command {
			if w.N -= n; w.N <= 0 {
				s.Warmed = append(s.Warmed[:i], s.Warmed[i+1:]...)
			}
			return
		}
	}
}

// Saved returns what the core leaves to the next process.
func (c *Core) Saved() *Saved {
	s := &Saved{
		Format: journalFormat, Epoch: c.o.Epoch, Last: c.now, Command: c.nextCommand, Decision: c.log.next, Paused: c.paused, Totals: c.currentTotals(), Functions: []FunctionState{}, Warmed: []SavedWarm{}, Scales: []SavedScale{},
	}
	for _, f := range c.functions {
		s.Functions = append(s.Functions, f.FunctionState)
		if f.scale.sent >= 0 {
			s.Scales = append(s.Scales, SavedScale{Function: f.Name, N: f.scale.sent, Base: f.scale.base, Known: f.scale.known, At: c.now})
		}
	}
	s.Warmed = append(s.Warmed, c.standing()...)
	return s
}

// standing returns the containers that were asked for, and were neither used nor are gone, by command.
func (c *Core) standing() []SavedWarm {
	var ids []prewarm.ID
	for id, b := range c.boxes {
		if b.command != 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	var list []SavedWarm
	at := map[uint64]int{}
	for _, id := range ids {
		b := c.boxes[id]
		i, ok := at[b.command]
		if !ok {
			i = len(list)
			at[b.command] = i
			list = append(list, SavedWarm{Command: b.command, Decision: b.decision, Function: c.functions[b.function].Name, At: b.asked})
		}
		list[i].N++
		list[i].Ready = max(list[i].Ready, b.ready)
		if known, ok := c.mirror.Container(id); ok && known.Instance != "" {
			list[i].Instances = append(list[i].Instances, known.Instance)
		}
	}
	return list
}

// restore takes up what an earlier process has left. Containers that it had asked for are taken to be there until the platform's idle timeout, so that
// none is asked for a second time.
func (c *Core) restore(s *Saved) {
	c.nextCommand, c.log.next = max(c.nextCommand, s.Command), max(c.log.next, s.Decision)
	c.paused = s.Paused
	c.totals = s.Totals
	c.spent = s.Totals.SpentMBs
	c.totals.SpentMBs = 0
	for _, saved := range s.Functions {
		if i := c.mirror.Function(saved.Name); i >= 0 && i < len(c.functions) {
			f := &c.functions[i].FunctionState
			f.Invocations, f.Warm, f.Late, f.Cold, f.Hits, f.Wasted = saved.Invocations, saved.Warm, saved.Late, saved.Cold, saved.Hits, saved.Wasted
		}
	}
	for _, w := range s.Warmed {
		i := c.mirror.Function(w.Function)
		if i < 0 || i >= len(c.functions) || w.N <= 0 || c.now-max(w.At, w.Ready) >= c.alone.timeout {
			continue
		}
		ids, events := c.mirror.Warm(c.now, i, min(w.N, mostPerDecision), nil)
		for _, id := range ids {
			c.boxes[id] = &box{
				id: id, function: i, memory: float64(c.functions[i].MemoryMB), asked: w.At, warmed: true, until: prewarm.Never, decision: w.Decision, outcome: created, command: w.Command,
			}
		}
		c.tell(events...)
		for k, id := range ids {
			r := actuator.Result{Outcome: actuator.Unknown, Asked: c.moment(w.At), Ready: c.moment(max(w.Ready, w.At))}
			if w.Ready > 0 {
				r.Outcome = actuator.Created
			}
			if k < len(w.Instances) {
				r.Instance = w.Instances[k]
			}
			c.tell(c.mirror.Warmed(c.now, id, r, nil)...)
		}
	}
	for _, saved := range s.Scales {
		if i := c.mirror.Function(saved.Function); i >= 0 && i < len(c.functions) && saved.N >= 0 && c.now-saved.At < c.o.Lease {
			f := c.functions[i]
			f.scale.sent, f.scale.base, f.scale.known, f.scale.renew = saved.N, saved.Base, saved.Known, true
			c.touch(f)
		}
	}
}
