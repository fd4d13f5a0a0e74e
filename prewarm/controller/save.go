package controller

import (
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
)

// Kinds of records.
const (
	recordAsked    = "asked"
	recordResult   = "result"
	recordReleased = "released"
	recordRenewed  = "renewed"
	recordScaled   = "scaled"
	recordPaused   = "paused"
	recordState    = "state"
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
	// Containers are those that were asked for, those that were renewed, or the one that this is about; Used says of one that was released that an invocation has taken it.
	Containers []prewarm.ID `json:"ids,omitempty"`
	Used       bool         `json:"u,omitempty"`
	// Vain is how many of N renewals came to nothing.
	Vain int `json:"v,omitempty"`
	// State is the whole state as of then.
	State *Saved `json:"state,omitempty"`
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
	// Mirror is what was known of the platform: nil if it is too old for that, or of an older program.
	Mirror *mirror.Snapshot `json:"mirror,omitempty"`
	// Alone has since when containers would be idle on the platform alone, by function as in Functions.
	Alone [][]prewarm.Time `json:"alone,omitempty"`

	restored *mirror.Restored // by NewMirror
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
	// Containers are their numbers in Saved.Mirror.
	Containers []prewarm.ID `json:"containers,omitempty"`
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
		s.Warmed = append(s.Warmed, SavedWarm{Command: r.Command, Decision: r.Decision, Function: r.Function, N: r.N, At: r.At, Containers: r.Containers})
		s.mirrorAsked(r)
	case recordResult:
		s.mirrorResult(r)
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
				s.less(r)
			default:
				s.less(r)
			}
			return
		}
	case recordReleased:
		s.mirrorReleased(r)
		s.less(r)
	case recordRenewed:
		s.Command = max(s.Command, r.Command+1)
		s.Totals.Renewals += uint64(max(r.N, 0))
		s.Totals.RenewalsFailed += uint64(min(max(r.Vain, 0), max(r.N, 0)))
		s.mirrorRenewed(r)
	case recordState:
		if r.State != nil {
			*s = *r.State
		}
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

// less takes the container of a record away from those that its command has asked for.
func (s *Saved) less(r *Record) {
	for i := range s.Warmed {
		if w := &s.Warmed[i]; w.Command == r.Command {
			before := len(w.Containers)
			w.Containers = slices.DeleteFunc(w.Containers, func(id prewarm.ID) bool { return slices.Contains(r.Containers, id) })
			if before > 0 && len(r.Containers) > 0 && len(w.Containers) == before {
				return // it was taken away before: of one that has failed it is also said that it is gone
			}
			if w.N--; w.N <= 0 {
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
		Mirror: c.savedMirror(), Alone: c.alone.idleSince(c.now),
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
		list[i].Containers = append(list[i].Containers, id)
		list[i].Ready = max(list[i].Ready, b.ready)
		if known, ok := c.mirror.Container(id); ok && known.Instance != "" {
			list[i].Instances = append(list[i].Instances, known.Instance)
		}
	}
	return list
}
