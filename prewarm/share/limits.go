package share

import (
	"fmt"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/controller"
)

// Limits bound what all instances together have asked for and what stands of it, see controller.Standing. All instances have the same; 0 stands for no limit.
//
// They hold by the order of one partition of the topic of supplies, which all instances read. A decider writes there what stands of its partition of demands, each time
// as a whole, and first with what it wants started beside. When that comes back, it has read what all others had written before: if the sum is within the limits, it may have
// that started; else it writes once more what stands. Of two who want the last container, the one who is the second in the partition counts what the first wants.
type Limits struct {
	// Containers is how many were asked for and wait for their use, PerFunction the same of one function, and MemoryMB their memory in MiB.
	Containers, PerFunction, MemoryMB int
	// InFlight is of how many it is not known yet what has become of them.
	InFlight int
}

// ordered is the partition of supplies whose order decides what is within the limits.
const ordered = 0

// stated is what was stated last of a partition of demands.
type stated struct {
	Standing
	until prewarm.Time // it holds unless it is stated anew
}

// shared reports whether there are limits for all instances together.
func (d *Deciders) shared() bool {
	l := &d.o.Limits
	return d.core.Act && (l.Containers > 0 || l.MemoryMB > 0 || l.InFlight > 0)
}

// holds is how long what stands of a partition holds without being stated anew: as long as an idle container lives, and some more.
func (d *Deciders) holds() time.Duration {
	if t := d.o.Platform.IdleTimeout; t > 0 {
		return t + time.Minute
	}
	return 11 * time.Minute
}

// Stand takes a message of the ordered partition of supplies: what stands of a partition of demands. If that is one of its own, which wants something started with it, it
// is decided whether that is within the limits. Other messages say nothing to it.
func (d *Deciders) Stand(now prewarm.Time, m *Message) {
	s := m.Standing
	if s == nil || !d.shared() {
		return
	}
	d.now = max(d.now, now)
	if last, ok := d.stated[s.Partition]; ok && last.until > d.now && last.Claim > s.Claim {
		return // from one that has lost the partition
	}
	d.stated[s.Partition] = stated{*s, min(d.o.since(moment(m.At)), d.now) + d.holds()}
	u := d.units[s.Partition]
	if s.Want == 0 || u == nil || !u.live || s.Owner != u.mine {
		return
	}
	if !u.lag.behind(d.now) {
		u.pass(d.now)
	}
	u.mayStart(s)
	d.gather(u)
}

// room returns for how many of n containers with so much memory each there is room, where own stands of the partition, some of the n among it; and if these are fewer, why.
func (d *Deciders) room(partition int32, own controller.Standing, n, standing, memoryMB int) (int, string) {
	for p, s := range d.stated {
		switch {
		case p == partition:
		case s.until <= d.now:
			delete(d.stated, p)
		default:
			own.Containers += s.Containers
			own.MemoryMB += s.MemoryMB
			own.Starting += s.Starting
		}
	}
	why := ""
	limit := func(room int, format string, args ...any) {
		if room = max(room, 0); room < n {
			n, why = room, fmt.Sprintf("a limit is reached: "+format, args...)
		}
	}
	l := &d.o.Limits
	if l.InFlight > 0 {
		limit(l.InFlight-own.Starting, "at most %d are asked for at once by all instances, and %d are", l.InFlight, own.Starting)
	}
	if l.Containers > 0 {
		limit(standing+max(l.Containers-own.Containers, 0), "at most %d of all instances, and there are %d", l.Containers, own.Containers)
	}
	if l.MemoryMB > 0 && memoryMB > 0 {
		limit(standing+max((l.MemoryMB-own.MemoryMB)/memoryMB, 0), "at most %d MiB of all instances, and there are %d", l.MemoryMB, own.MemoryMB)
	}
	return n, why
}

// standing returns what stands of the partition, with what is being asked for.
func (u *decider) standing() controller.Standing {
	s := u.core.Standing()
	for _, p := range u.asked {
		if !u.lost(&p) {
			s = u.with(s, &p, 1)
		}
	}
	return s
}

// with returns what stands with something that is being asked for, by 1, or without it, by −1.
func (u *decider) with(s controller.Standing, p *pending, by int) controller.Standing {
	s.Containers += by * (p.n - p.standing)
	s.MemoryMB += by * (p.n - p.standing) * u.memory(p.decision.Function)
	s.Starting += by * p.n
	return s
}

func (u *decider) memory(function int) int { return u.mirror.Functions()[function].MemoryMB }

// within returns how many of n containers that the policy wants started or renewed now there may be room for, as far as is known; some of them stand already.
func (u *decider) within(d *prewarm.Decision, n, standing int) int {
	if most := u.all.o.Limits.PerFunction; most > 0 && u.all.core.Act {
		there := u.core.StandingOf(d.Function)
		for _, p := range u.asked {
			if p.decision.Function == d.Function && !u.lost(&p) {
				there += p.n - p.standing
			}
		}
		if n = min(n, standing+max(most-there, 0)); n == 0 {
			u.core.Hold(d, fmt.Sprintf("a limit is reached: at most %d of a function, and there are %d", most, there))
		}
	}
	if n > 0 && u.all.shared() {
		why := ""
		if n, why = u.all.room(u.partition, u.standing(), n, min(standing, n), u.memory(d.Function)); n == 0 {
			u.core.Hold(d, why)
		}
	}
	return n
}

// state states what stands of the partition, with what is wanted by a number, or 0.
func (u *decider) state(want uint64) {
	if !u.all.shared() {
		return
	}
	u.stated = u.standing()
	at := u.all.o.Epoch.Add(u.now)
	m := &Message{At: at.UnixNano(), Standing: &Standing{
		Partition: u.partition, Owner: u.mine, Claim: u.claim, Want: want, Containers: u.stated.Containers, MemoryMB: u.stated.MemoryMB, Starting: u.stated.Starting,
	}}
	u.all.o.Emit(Record{Topic: Supplies, Partition: ordered, At: at, Value: encode(m)})
}

// mayStart takes what stood when something was wanted, which comes back now, and asks for that as far as it is within the limits.
func (u *decider) mayStart(s *Standing) {
	p, ok := u.asked[s.Want]
	if !ok || !p.wanted {
		return
	}
	own := u.with(controller.Standing{Containers: s.Containers, MemoryMB: s.MemoryMB, Starting: s.Starting}, &p, -1)
	n, why := u.all.room(u.partition, own, p.n, p.standing, u.memory(p.decision.Function))
	if u.all.now-p.at > tooLate {
		n, why = 0, "it was wanted too long ago"
	}
	if n == 0 {
		delete(u.asked, s.Want)
		u.core.Hold(&p.decision, why)
		return
	}
	p.wanted, p.n, p.standing = false, n, min(p.standing, n)
	u.asked[s.Want] = p
	u.ask(s.Want, &p)
}

// ask asks for containers, or for a renewal, by the partition.
func (u *decider) ask(id uint64, p *pending) {
	m, a := &Message{}, &Asked{Owner: u.mine, ID: id, N: p.n}
	if p.decision.Action == prewarm.HoldContainer {
		m.Renewal = a
	} else {
		m.Asked = a
	}
	u.emit(u.function(p), m, u.now)
}

// function returns the name of the function that something is asked for of.
func (u *decider) function(p *pending) string { return u.mirror.Functions()[p.decision.Function].Name }
