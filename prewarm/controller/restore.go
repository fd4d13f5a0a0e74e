package controller

import (
	"log/slog"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
)

// Resumer is a policy that can take up the requests that were in flight before it began.
type Resumer interface {
	prewarm.Policy
	// Resume is told of what has happened of them, before the first event is handled: events Arrived, Placed, Started and Ended in the order of time. The
	// fleet has what is still there. It decides nothing.
	Resume(events []prewarm.Event, fleet *prewarm.Fleet)
}

// NewMirror returns a mirror that goes on from what was saved, which may be nil. What was known of the platform is not used, and the log is told why, if more
// time has passed since then than the platform keeps idle containers, or if it is damaged: it is then learned anew. The options' Epoch is that of
// the core.
func (s *Saved) NewMirror(o mirror.Options, now time.Time, log *slog.Logger) (*mirror.Mirror, error) {
	if s == nil || s.Mirror == nil {
		return mirror.New(o)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	snapshot := *s.Mirror
	snapshot.Epoch = o.Epoch // all times of the state count from its epoch, whatever that is taken to be now
	at := max(now.Sub(o.Epoch), s.Last)
	timeout := o.Platform.IdleTimeout
	if timeout <= 0 {
		timeout = defaultIdleTimeout
	}
	if age := at - snapshot.Last; age > timeout {
		log.Info("what was known of the platform's containers is too old: they are learned anew", "age", age.Round(time.Second))
		snapshot.Containers, snapshot.Traces, snapshot.Invocations = nil, nil, nil
	}
	m, restored, err := mirror.Restore(o, &snapshot, at)
	if err != nil {
		log.Warn("what was known of the platform cannot be used: it is learned anew", "error", err)
		return mirror.New(o)
	}
	s.restored = restored
	return m, nil
}

// savedMirror returns what is known of the platform, without the containers that are only imagined.
func (c *Core) savedMirror() *mirror.Snapshot {
	s := c.mirror.Snapshot()
	s.Last = max(s.Last, c.now)
	imagined := func(id prewarm.ID) bool {
		b := c.boxes[id]
		return b != nil && b.dry
	}
	s.Containers = slices.DeleteFunc(s.Containers, func(k mirror.ContainerSnapshot) bool { return imagined(k.ID) })
	for i := range s.Invocations {
		if v := &s.Invocations[i]; imagined(v.Container) {
			v.Container = 0
		}
	}
	return s
}

// mostStateRecord is how many functions, containers and invocations the whole state has at most for being written down each second. What has more is only
// written every RunOptions.SaveEvery.
const mostStateRecord = 2000

// Remember adds the whole state to the records, unless nothing was observed since the last time, or it is too much for that.
func (c *Core) Remember() {
	if c.observed == c.remembered || len(c.functions)+len(c.boxes)+len(c.requests.invocations) > mostStateRecord {
		return
	}
	s := c.Saved()
	if len(s.Mirror.Containers)+len(s.Mirror.Invocations) > mostStateRecord {
		return
	}
	c.remembered = c.observed
	c.record(Record{Kind: recordState, At: c.now, State: s})
}

// restore takes up what an earlier process has left, and returns what the policy should know of the requests in flight.
func (c *Core) restore(s *Saved) []prewarm.Event {
	c.nextCommand, c.log.next = max(c.nextCommand, s.Command), max(c.log.next, s.Decision)
	c.paused = s.Paused
	var requests []prewarm.Event
	if s.restored != nil {
		requests = s.restored.Requests
		c.restoreMirror(s)
	} else {
		for _, w := range s.Warmed {
			c.restoreWarmed(w)
		}
	}
	// What the events above were counted as was counted then.
	c.totals = s.Totals
	c.spent = s.Totals.SpentMBs
	c.kept = s.Totals.KeptMBs
	c.totals.SpentMBs = 0
	c.alone.spent = 0
	counted := min(s.Last, c.now)
	if s.Mirror != nil {
		counted = min(s.Mirror.Last, c.now)
	}
	for _, b := range c.boxes {
		b.since = max(b.since, counted)
	}
	for _, v := range c.requests.invocations {
		v.alone = false
	}
	for k, saved := range s.Functions {
		i := c.mirror.Function(saved.Name)
		if i < 0 || i >= len(c.functions) {
			continue
		}
		f := &c.functions[i].FunctionState
		f.Invocations, f.Warm, f.Late, f.Cold, f.Hits, f.Wasted = saved.Invocations, saved.Warm, saved.Late, saved.Cold, saved.Hits, saved.Wasted
		if k < len(s.Alone) {
			c.alone.restore(i, s.Alone[k], counted)
		}
	}
	for _, saved := range s.Scales {
		if i := c.mirror.Function(saved.Function); i >= 0 && i < len(c.functions) && saved.N >= 0 && c.now-saved.At < c.o.Lease {
			f := c.functions[i]
			f.scale.sent, f.scale.base, f.scale.known, f.scale.renew = saved.N, saved.Base, saved.Known, true
			c.touch(f)
		}
	}
	return requests
}

// restoreMirror takes up what was known of the platform, which the mirror has. Of the containers that were asked for those are there that it has.
func (c *Core) restoreMirror(s *Saved) {
	if err := c.learned(); err != nil {
		c.o.Log.Error("the platform's functions", "error", err)
	}
	var unknown []prewarm.ID
	for _, w := range s.Warmed {
		i := c.mirror.Function(w.Function)
		if i < 0 || i >= len(c.functions) {
			continue
		}
		for _, id := range w.Containers {
			known, ok := c.mirror.Container(id)
			if !ok || known.Function != i || !known.Warmed || c.boxes[id] != nil {
				continue
			}
			c.boxes[id] = &box{
				id: id, function: i, memory: float64(c.functions[i].MemoryMB), asked: w.At, warmed: true, until: prewarm.Never, idleFrom: prewarm.Never, decision: w.Decision, outcome: created,
				command: w.Command,
			}
			c.stand(c.boxes[id])
			if w.Ready == 0 {
				unknown = append(unknown, id)
			}
		}
	}
	c.tell(s.restored.Events...)
	for id, b := range c.boxes {
		if known, ok := c.mirror.Container(id); ok && known.Used != b.used {
			b.used = known.Used
			c.stand(b)
		}
	}
	for _, id := range unknown { // the process has died before the platform answered
		if b, is := c.boxes[id], c.fleet.Container(id); b != nil && is != nil && !is.Ready {
			b.outcome = asked
			c.tell(c.mirror.Warmed(c.now, id, actuator.Result{Outcome: actuator.Unknown}, nil)...)
		}
	}
}

// restoreWarmed takes containers that were asked for to be there until the platform's idle timeout, so that none is asked for a second time, where nothing
// else is known of the platform.
func (c *Core) restoreWarmed(w SavedWarm) {
	i := c.mirror.Function(w.Function)
	if i < 0 || i >= len(c.functions) || w.N <= 0 || c.now-max(w.At, w.Ready) >= c.alone.timeout {
		return
	}
	ids, events := c.mirror.Warm(c.now, i, min(w.N, mostPerDecision), nil)
	for _, id := range ids {
		c.boxes[id] = &box{
			id: id, function: i, memory: float64(c.functions[i].MemoryMB), asked: w.At, warmed: true, until: prewarm.Never, idleFrom: prewarm.Never, decision: w.Decision, outcome: created, command: w.Command,
		}
		c.stand(c.boxes[id])
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

// mirrorAsked adds the containers that a record has asked for to what is known of the platform.
func (s *Saved) mirrorAsked(r *Record) {
	m := s.Mirror
	if m == nil {
		return
	}
	f := slices.IndexFunc(m.Functions, func(k mirror.FunctionSnapshot) bool { return k.Name == r.Function })
	if f < 0 {
		return
	}
	for _, id := range r.Containers {
		if id > m.LastContainer {
			m.LastContainer = id
			m.Containers = append(m.Containers, mirror.ContainerSnapshot{
				ID: id, Function: f, Warmed: true, By: prewarm.ByPolicy, Asked: r.At, IdleSince: r.At, LastRun: r.At, Until: prewarm.Never,
			})
		}
	}
}

// mirrorContainer returns the container that a record is about, nil if it is not known.
func (s *Saved) mirrorContainer(r *Record) *mirror.ContainerSnapshot {
	if s.Mirror == nil || len(r.Containers) != 1 {
		return nil
	}
	list := s.Mirror.Containers
	if i := slices.IndexFunc(list, func(k mirror.ContainerSnapshot) bool { return k.ID == r.Containers[0] }); i >= 0 {
		return &list[i]
	}
	return nil
}

// mirrorResult notes what has become of a container that was asked for.
func (s *Saved) mirrorResult(r *Record) {
	k := s.mirrorContainer(r)
	if k == nil || k.Ready {
		return
	}
	switch r.Outcome {
	case actuator.Created:
		k.Ready, k.IdleSince, k.Until = true, r.At, prewarm.Never
		if r.Instance != "" {
			k.Instance = r.Instance
		}
	case actuator.Unknown:
	default:
		s.mirrorRemove(k.ID)
	}
}

// mirrorRenewed notes that the idle time of containers has begun anew.
func (s *Saved) mirrorRenewed(r *Record) {
	if s.Mirror == nil {
		return
	}
	for i := range s.Mirror.Containers {
		if k := &s.Mirror.Containers[i]; slices.Contains(r.Containers, k.ID) && k.Ready {
			k.IdleSince, k.Until = max(k.IdleSince, r.At), prewarm.Never
		}
	}
}

// mirrorReleased notes that a container was taken by an invocation, or is gone.
func (s *Saved) mirrorReleased(r *Record) {
	k := s.mirrorContainer(r)
	switch {
	case k == nil:
	case !r.Used:
		s.mirrorRemove(k.ID)
	default:
		// The run is over before anybody says so, or will be heard of.
		k.Ready, k.Uses, k.Until = true, max(k.Uses, 1), prewarm.Never
		k.IdleSince, k.LastRun = max(k.IdleSince, r.At), max(k.LastRun, r.At)
	}
}

// mirrorRemove removes a container, and what was thought to be in it.
func (s *Saved) mirrorRemove(id prewarm.ID) {
	s.Mirror.Containers = slices.DeleteFunc(s.Mirror.Containers, func(k mirror.ContainerSnapshot) bool { return k.ID == id })
	s.Mirror.Invocations = slices.DeleteFunc(s.Mirror.Invocations, func(v mirror.InvocationSnapshot) bool { return v.Container == id && v.Started && !v.Ended })
	for i := range s.Mirror.Invocations {
		if v := &s.Mirror.Invocations[i]; v.Container == id {
			v.Container = 0
		}
	}
}
