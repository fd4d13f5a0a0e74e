package controller

import (
	"fmt"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// decisionLog has the last decisions, in the order of their numbers. What is older is forgotten.
type decisionLog struct {
	ring []decision
	next uint64 // number of the next one; the first is 1
}

// decision is one of the policy, and what became of it.
type decision struct {
	id       uint64
	at, last prewarm.Time // when it was made, and if it is of many that were held back, the last of them
	action   prewarm.Action
	function int
	n        int
	why      prewarm.Why
	trace    string
	// outcomes counts its containers by what became of them, and detail says more of the last one.
	outcomes [outcomes]int
	detail   string
}

// outcome is what became of a container that a decision has started, or of the decision itself.
type outcome uint8

const (
	dry       outcome = iota // only shown
	asked                    // the actuator has been asked for it
	created                  // it is there
	unknown                  // the platform does not say
	used                     // an invocation has taken it
	late                     // an invocation had to wait for it
	wasted                   // it was removed without a use
	collapsed                // a container that was there already has taken the warm-up
	failed
	held      // not tried
	dryUsed   // had it been started, an invocation would have taken it
	dryLate   // had it been started, an invocation would have waited for it
	dryWasted // had it been started, nothing would have used it
	done      // of decisions that start nothing
	renewed   // its idle time was renewed
	outcomes
)

var outcomeTexts = [outcomes]string{
	"dry", "asked", "created", "asked, and the platform does not say what became of it", "used", "late", "wasted", "collapsed", "failed", "held",
	"dry: would have been used", "dry: would have been late", "dry: would have been wasted", "done", "renewed",
}

// change notes that one of the decision's containers has come from one outcome to another.
func (d *decision) change(from, to outcome, detail string) {
	d.outcomes[from]--
	d.outcomes[to]++
	d.detail = detail
}

// text returns the outcome in words.
func (d *decision) text() string {
	var parts []string
	for o, n := range d.outcomes {
		switch {
		case n <= 0:
		case n == d.total():
			text := outcomeTexts[o]
			if d.detail != "" {
				text += d.detail
			}
			return text
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, outcomeTexts[o]))
		}
	}
	return strings.Join(parts, ", ")
}

func (d *decision) total() int {
	sum := 0
	for _, n := range d.outcomes {
		sum += max(n, 0)
	}
	return sum
}

func newDecisionLog(most int) *decisionLog {
	return &decisionLog{ring: make([]decision, most), next: 1}
}

// add adds a decision and gives it a number.
func (l *decisionLog) add(d decision) uint64 {
	d.id = l.next
	l.ring[d.id%uint64(len(l.ring))] = d
	l.next++
	return d.id
}

// get returns a decision, nil if it is forgotten.
func (l *decisionLog) get(id uint64) *decision {
	if d := &l.ring[id%uint64(len(l.ring))]; id > 0 && d.id == id {
		return d
	}
	return nil
}

// newest returns up to n decisions, the latest first.
func (l *decisionLog) newest(n int) []*decision {
	var list []*decision
	for id := l.next - 1; id > 0 && len(list) < n; id-- {
		d := l.get(id)
		if d == nil {
			break
		}
		list = append(list, d)
	}
	return list
}

// state returns a decision as it is shown.
func (d *decision) state(name string, epoch time.Time) DecisionState {
	s := DecisionState{
		ID: d.id, Time: epoch.Add(d.at), Action: d.action.String(), Function: name, N: d.n,
		Rule: d.why.Rule, Trace: d.trace, Probability: d.why.Probability, GainMBs: d.why.Gain, Outcome: d.text(),
	}
	if d.why.Demand != 0 && d.why.Demand != prewarm.Never {
		at := epoch.Add(d.why.Demand)
		s.Demand = &at
	}
	return s
}
