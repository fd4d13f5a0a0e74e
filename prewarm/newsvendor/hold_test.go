package newsvendor

import (
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// usedAndFresh returns a decider of a function whose first calls are slow, and a fleet in which one container that was used is idle, and then one
// that was not: the platform would hand that out first.
func usedAndFresh(t *testing.T) (*decider, *prewarm.Fleet) {
	t.Helper()
	platform := prewarm.Platform{Warm: true, GiveBack: true, Hold: true, Arrivals: true, IdleTimeout: 10 * time.Minute}
	o := Options{Price: 2304, Platform: platform, Functions: []prewarm.Function{{Name: "f", MemoryMB: 256}}}
	fleet, err := prewarm.NewFleet(platform, o.Functions)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range []prewarm.Event{
		{Kind: prewarm.Arrived, Trace: 1, Invocation: 1},
		{Kind: prewarm.Placed, Container: 1, Trace: 1, Invocation: 1, Start: prewarm.Cold},
		{Kind: prewarm.Starting, Container: 2, By: prewarm.ByPolicy},
		{Kind: prewarm.Started, Container: 1, Trace: 1, Invocation: 1},
		{Kind: prewarm.Ended, Container: 1, Trace: 1, Invocation: 1},
		{Kind: prewarm.Idle, Container: 1},
		{Kind: prewarm.Idle, Container: 2},
	} {
		e.At = prewarm.Time(i) * time.Second
		if err := fleet.Apply(&e); err != nil {
			t.Fatal(err)
		}
	}
	d := newDecider(0, o.Functions[0].MemoryMB, o.Price, o.Platform, prewarm.NewStartTimes(1), &work{})
	d.first = 0.3
	d.sample(0)
	return d, fleet
}

// TestUsedContainerIsKept: where one container is enough, the one that has made its first call stays.
func TestUsedContainerIsKept(t *testing.T) {
	d, fleet := usedAndFresh(t)
	d.foresee(&Demand{Probability: 1, Times: timesBetween(7, 7.5), Busy: 0.1})
	boxes := map[prewarm.ID]*box{1: {}, 2: {}}
	var out prewarm.Decisions
	d.hold(6, fleet, false, func(id prewarm.ID) *box { return boxes[id] }, &out)
	var held, givenBack []prewarm.ID
	for _, decision := range out.List {
		switch decision.Action {
		case prewarm.HoldContainer:
			held = append(held, decision.Container)
		case prewarm.GiveBackContainer:
			givenBack = append(givenBack, decision.Container)
		}
	}
	if len(held) != 1 || held[0] != 1 || len(givenBack) != 1 || givenBack[0] != 2 {
		t.Errorf("containers %v are held and %v given back, want 1 and 2", held, givenBack)
	}
}

// TestHoldDoesNotRunOutDuringAnOverload: a container is held until a demand is over, then the platform is overloaded. As long as it is, the container
// must not go, although nothing is to come; afterwards it is given back.
func TestHoldDoesNotRunOutDuringAnOverload(t *testing.T) {
	d, fleet := usedAndFresh(t)
	d.first = 0
	d.foresee(&Demand{Probability: 1, Times: timesBetween(7, 7.5), Busy: 0.1})
	boxes := map[prewarm.ID]*box{1: {}, 2: {}}
	of := func(id prewarm.ID) *box { return boxes[id] }
	until := map[prewarm.ID]float64{}
	decide := func(now float64, overload bool) (wake float64, givenBack int) {
		var out prewarm.Decisions
		wake = d.hold(now, fleet, overload, of, &out)
		for _, decision := range out.List {
			if decision.Action == prewarm.HoldContainer {
				until[decision.Container] = seconds(decision.Until)
			} else {
				givenBack++
			}
		}
		return wake, givenBack
	}
	now, _ := decide(6, false)
	if len(until) == 0 {
		t.Fatal("no container is held")
	}
	d.forget(0)
	for now < 20 {
		for id, u := range until {
			if u <= now {
				t.Fatalf("the hold of container %d has run out at %v, during an overload at %v", id, u, now)
			}
		}
		wake, givenBack := decide(now, true)
		if givenBack > 0 || !(wake > now) {
			t.Fatalf("at %v, during an overload, %d containers are given back; it wants to be asked at %v", now, givenBack, wake)
		}
		now = wake
	}
	if _, givenBack := decide(now, false); givenBack == 0 {
		t.Error("after the overload no container is given back")
	}
}

// TestFreshContainerInFrontOfUsedOnes: one that will probably not be needed costs its first call where a used one would have served.
func TestFreshContainerInFrontOfUsedOnes(t *testing.T) {
	d, fleet := usedAndFresh(t)
	if d.usedOnes(fleet) != 1 {
		t.Fatal("none was used")
	}
	v := Demand{Trace: 2, Probability: 0.2, Times: timesBetween(6.5, 7.5), Busy: 0.1, Notice: never}
	d.add(&v)
	u := d.next(6, 0, d.mean, false, nil)
	if alone, inFront := d.gain(6, 0, u, false), d.gain(6, 0, u, true); !(alone > 0) || !(inFront < 0) {
		t.Errorf("the gain is %v alone and %v in front of a used one, want them above and below 0", alone, inFront)
	}
}

// TestForeseenWithNoticeIsDecidedLater: what is foreseen of a request, and will be known early enough once that is in flight, is no reason to start.
func TestForeseenWithNoticeIsDecidedLater(t *testing.T) {
	d, _ := usedAndFresh(t)
	for _, c := range []struct{ notice, want float64 }{{0, 1}, {d.mean - 0.1, 1}, {d.mean + 0.1, 0}} {
		d.forget(0)
		d.foresee(&Demand{Probability: 1, Times: timesBetween(7, 8), Busy: 0.1, Notice: c.notice})
		if got := d.next(6, 0, d.mean, false, nil).total; got < c.want-1e-6 || got > c.want+1e-6 {
			t.Errorf("with %v s of notice it counts with probability %v, want %v", c.notice, got, c.want)
		}
	}
}
