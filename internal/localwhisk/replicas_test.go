package localwhisk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// sleeper returns a handler that sleeps.
func sleeper(d time.Duration) func(*ReplicaRun) {
	return func(run *ReplicaRun) { run.Sleep(d, run.Finish) }
}

// bed is a function as replicas on a clock of its own, with everything that has happened.
type bed struct {
	clock    *VirtualClock
	replicas *Replicas
	events   []string
}

func newBed(t testing.TB, config ReplicasConfig) *bed {
	t.Helper()
	config.Name = "f"
	b := &bed{clock: NewVirtualClock(epoch)}
	var err error
	if b.replicas, err = NewReplicas(b.clock, config, 1); err != nil {
		t.Fatal(err)
	}
	b.replicas.Watch(func(e Event) {
		b.events = append(b.events, fmt.Sprintf("%v %v %s/%d", e.At.Sub(epoch), e.Kind, e.ID, e.Container))
	})
	return b
}

// at calls f at a time.
func (b *bed) at(d time.Duration, f func()) { b.clock.AfterFunc(d-b.clock.Now().Sub(epoch), f) }

func (b *bed) run(t testing.TB) {
	t.Helper()
	if err := b.clock.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func (b *bed) scale(t testing.TB, n int) {
	t.Helper()
	if err := b.replicas.Scale(n); err != nil {
		t.Error(err)
	}
}

// TestReplicasLimit checks the hard limit: with one request at a time the second is answered with 429 at once, and sent again by a queue.
func TestReplicasLimit(t *testing.T) {
	b := newBed(t, ReplicasConfig{MaxInFlight: 1, Handler: sleeper(3 * time.Second)})
	b.scale(t, 1)
	var got []string
	note := func(r Response) {
		got = append(got, fmt.Sprintf("%d at %v", r.Status, b.clock.Now().Sub(epoch)))
	}
	b.at(time.Second, func() {
		b.replicas.Invoke(nil, note)
		b.replicas.Invoke(nil, note)
	})
	q, err := NewMessageQueue(b.replicas, QueueConfig{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	b.at(2*time.Second, func() { q.Send(nil, note) })
	b.run(t)
	want := []string{"429 at 1s", "200 at 4s", "200 at 15s"} // refused at 2 s, sent again at 12 s
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if c := q.Counts(); c != (QueueCounts{Sent: 1, Done: 1, Again: 1}) {
		t.Errorf("the queue has counted %+v", c)
	}
	if c := b.replicas.Counts(); c != (ReplicasCounts{Arrived: 4, Done: 2, Refused: 2}) {
		t.Errorf("the replicas have counted %+v", c)
	}
}

// TestReplicasFromZero checks when a request is served that finds no replica: at its first look for one after that is ready.
func TestReplicasFromZero(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config ReplicasConfig
		want   time.Duration
		status int
	}{
		{"at a look", ReplicasConfig{Creation: Delay{Min: 2340 * time.Millisecond}}, 2400 * time.Millisecond, 200},
		{"ready at a look", ReplicasConfig{Creation: Delay{Min: 2300 * time.Millisecond}}, 2300 * time.Millisecond, 200},
		{"ready at once", ReplicasConfig{}, 100 * time.Millisecond, 200},
		{"readiness is probed", ReplicasConfig{Creation: Delay{Min: time.Second}, Init: Delay{Min: 2500 * time.Millisecond}, Probe: 2 * time.Second}, 5 * time.Second, 200},
		{"looks more rarely", ReplicasConfig{Creation: Delay{Min: 2340 * time.Millisecond}, Poll: time.Second}, 3 * time.Second, 200},
		{"not in time", ReplicasConfig{Creation: Delay{Min: 2340 * time.Millisecond}, Polls: 20}, 2 * time.Second, 503},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.Handler = func(run *ReplicaRun) { run.Finish() }
			b := newBed(t, tt.config)
			answered := false
			b.replicas.Invoke(nil, func(r Response) {
				answered = true
				if took := r.End.Sub(r.Arrival); took != tt.want || r.Status != tt.status {
					t.Errorf("answered with %d after %v, want %d after %v", r.Status, took, tt.status, tt.want)
				}
			})
			b.scale(t, 1)
			b.run(t)
			if !answered {
				t.Error("there was no answer")
			}
		})
	}
}

// TestReplicasScale follows the scaling of three replicas: who goes first, and that requests are ended.
func TestReplicasScale(t *testing.T) {
	b := newBed(t, ReplicasConfig{Creation: Delay{Min: time.Second}, Handler: sleeper(10 * time.Second)})
	b.scale(t, 2)
	b.at(2*time.Second, func() { b.replicas.Invoke(nil, nil) })
	b.at(3*time.Second, func() { b.scale(t, 3) })
	b.at(3500*time.Millisecond, func() { b.scale(t, 2) }) // the one that is starting
	b.at(4*time.Second, func() { b.scale(t, 1) })         // the idle one
	b.at(5*time.Second, func() { b.scale(t, 0) })         // the busy one
	b.at(6*time.Second, func() { b.scale(t, 1) })         // does not come back
	b.at(8*time.Second, func() { b.replicas.Invoke(nil, nil) })
	b.run(t)
	want := []string{
		"0s starting /1", "0s starting /2", "1s idle /1", "1s idle /2",
		"2s arrived 1/0", "2s placed 1/1", "2s started 1/1",
		"3s starting /3", "3.5s removed /3", "4s removed /2", "5s leaving /1", "6s starting /4", "7s idle /4",
		"8s arrived 2/0", "8s placed 2/4", "8s started 2/4",
		"12s ended 1/1", "12s removed /1", "18s ended 2/4", "18s idle /4",
	}
	if !slices.Equal(b.events, want) {
		t.Errorf("got\n%q\nwant\n%q", b.events, want)
	}
	if err := b.replicas.Scale(-1); err == nil {
		t.Error("scaled to -1")
	}
}

// TestReplicasSpread checks that requests go to the replica with the fewest, and in turn among equal ones.
func TestReplicasSpread(t *testing.T) {
	b := newBed(t, ReplicasConfig{Handler: func(run *ReplicaRun) { run.Sleep(run.Params().(time.Duration), run.Finish) }})
	b.scale(t, 3)
	var order []int
	send := func(d time.Duration) {
		b.replicas.Invoke(d, nil)
		for _, s := range b.replicas.States() {
			if s.InFlight > 0 && !slices.Contains(order, s.ID) {
				order = append(order, s.ID)
			}
		}
	}
	b.at(time.Second, func() {
		for range 3 {
			send(time.Second)
		}
	})
	b.at(10*time.Second, func() { send(10 * time.Second) }) // 1 has waited longest
	b.at(11*time.Second, func() { send(time.Second) })      // 2
	b.at(13*time.Second, func() { send(time.Second) })      // 3 now, 2 was later
	b.run(t)
	if !slices.Equal(order, []int{1, 2, 3}) {
		t.Errorf("order %v", order)
	}
	var placed []string
	for _, e := range b.events {
		var at, kind, who string
		if _, err := fmt.Sscan(e, &at, &kind, &who); err != nil {
			t.Fatal(err)
		}
		if kind == "placed" {
			placed = append(placed, who)
		}
	}
	if want := []string{"1/1", "2/2", "3/3", "4/1", "5/2", "6/3"}; !slices.Equal(placed, want) {
		t.Errorf("placed %v, want %v", placed, want)
	}
}

// TestReplicasCPU checks processor sharing within a replica, and the processor time that is read meanwhile and afterwards.
func TestReplicasCPU(t *testing.T) {
	b := newBed(t, ReplicasConfig{Cores: 2, Handler: func(run *ReplicaRun) { run.Compute(time.Second, run.Finish) }})
	b.scale(t, 1)
	var ends []time.Duration
	b.at(0, func() {
		for range 4 {
			b.replicas.Invoke(nil, func(r Response) { ends = append(ends, r.End.Sub(epoch).Round(time.Microsecond)) })
		}
	})
	b.at(500*time.Millisecond, func() {
		if cpu := b.replicas.States()[0].CPU.Round(time.Microsecond); cpu != time.Second {
			t.Errorf("2 cores have worked for %v after 0.5 s", cpu)
		}
	})
	b.at(3*time.Second, func() { b.scale(t, 0) })
	b.run(t)
	if !slices.Equal(ends, []time.Duration{2 * time.Second, 2 * time.Second, 2 * time.Second, 2 * time.Second}) {
		t.Errorf("ended at %v", ends)
	}
	if cpu := b.replicas.CPU().Round(time.Microsecond); cpu != 4*time.Second {
		t.Errorf("the processor time is %v after all", cpu)
	}
}

// TestReplicasFailures checks failing runs, and second ends of a run.
func TestReplicasFailures(t *testing.T) {
	broken := errors.New("broken")
	b := newBed(t, ReplicasConfig{Handler: func(run *ReplicaRun) {
		run.Fail(broken)
		run.Finish()
	}})
	b.scale(t, 1)
	b.at(time.Second, func() {
		b.replicas.Invoke(nil, func(r Response) {
			if r.Status != http.StatusInternalServerError || !errors.Is(r.Err, broken) {
				t.Errorf("got %+v", r)
			}
		})
	})
	b.run(t)
	if c := b.replicas.Counts(); c != (ReplicasCounts{Arrived: 1, Done: 1, Failed: 1}) {
		t.Errorf("counts %+v", c)
	}
}

// TestQueueRetries checks the times between attempts, and that a message is dropped at last.
func TestQueueRetries(t *testing.T) {
	var sent []time.Duration
	var b *bed
	b = newBed(t, ReplicasConfig{Handler: func(run *ReplicaRun) {
		sent = append(sent, b.clock.Now().Sub(epoch))
		run.Fail(nil)
	}})
	b.scale(t, 1)
	for _, tt := range []struct {
		jitter Jitter
		within func(waited, full time.Duration) bool
	}{
		{NoJitter, func(waited, full time.Duration) bool { return waited == full }},
		{FullJitter, func(waited, full time.Duration) bool { return waited > 0 && waited < full }},
		{EqualJitter, func(waited, full time.Duration) bool { return waited >= full/2 && waited < full }},
	} {
		sent = nil
		q, err := NewMessageQueue(b.replicas, QueueConfig{Attempts: 7, Jitter: tt.jitter}, 1)
		if err != nil {
			t.Fatal(err)
		}
		dropped := false
		b.at(b.clock.Now().Sub(epoch), func() { q.Send(nil, func(r Response) { dropped = r.Status == http.StatusInternalServerError }) })
		b.run(t)
		if c := q.Counts(); !dropped || c != (QueueCounts{Sent: 1, Dropped: 1, Again: 6}) {
			t.Errorf("%d: counts %+v", tt.jitter, c)
		}
		for i, full := range []time.Duration{10, 20, 40, 80, 120, 120} {
			if waited := sent[i+1] - sent[i]; !tt.within(waited, full*time.Second) {
				t.Errorf("%d: waited %v before attempt %d, the full time is %v", tt.jitter, waited, i+2, full*time.Second)
			}
		}
	}
}

// TestReplicasErrors checks that what is out of range is named.
func TestReplicasErrors(t *testing.T) {
	clock := NewVirtualClock(epoch)
	for name, c := range map[string]ReplicasConfig{
		"no name": {Handler: sleeper(0)}, "no handler": {Name: "f"}, "limit": {Name: "f", Handler: sleeper(0), MaxInFlight: -1},
		"cores": {Name: "f", Handler: sleeper(0), Cores: -1}, "poll": {Name: "f", Handler: sleeper(0), Poll: -1},
		"delay": {Name: "f", Handler: sleeper(0), Creation: Delay{Min: -1}},
	} {
		if _, err := NewReplicas(clock, c, 1); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	r, err := NewReplicas(clock, ReplicasConfig{Name: "f", Handler: sleeper(0)}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []QueueConfig{{InFlight: -1}, {Initial: time.Hour}, {Attempts: -1}, {Jitter: 9}} {
		if _, err := NewMessageQueue(r, c, 1); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}

// TestReplicasProperties checks on random loads and scalings that the limit holds, that no request is lost, that no more processor time is
// used than there is, and that the same seed gives the same events.
func TestReplicasProperties(t *testing.T) {
	type step struct {
		at    time.Duration
		scale int // −1: a request
		async bool
		cpu   time.Duration
		sleep time.Duration
		fails bool
	}
	type work struct {
		cpu, sleep time.Duration
		fails      bool
	}
	rapid.Check(t, func(t *rapid.T) {
		ms := func(most int) *rapid.Generator[time.Duration] {
			return rapid.Map(rapid.IntRange(0, most), func(n int) time.Duration { return time.Duration(n) * time.Millisecond })
		}
		config := ReplicasConfig{
			Name: "f", MaxInFlight: rapid.IntRange(0, 3).Draw(t, "limit"), Cores: rapid.SampledFrom([]float64{0, 0.5, 1, 2}).Draw(t, "cores"),
			Creation: Delay{Median: ms(3000).Draw(t, "creation"), Sigma: 0.5}, Probe: ms(2000).Draw(t, "probe"),
			Polls: rapid.IntRange(1, 100).Draw(t, "polls"),
			Handler: func(run *ReplicaRun) {
				w := run.Params().(work)
				run.Sleep(w.sleep, func() {
					run.Compute(w.cpu, func() {
						if w.fails {
							run.Fail(nil)
							return
						}
						run.Finish()
					})
				})
			},
		}
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{
				at: ms(20_000).Draw(t, "at"), scale: rapid.IntRange(-6, 4).Draw(t, "scale"), async: rapid.Bool().Draw(t, "async"),
				cpu: ms(1500).Draw(t, "cpu"), sleep: ms(1500).Draw(t, "sleep"), fails: rapid.IntRange(0, 9).Draw(t, "fails") == 0,
			}
		}), 1, 60).Draw(t, "steps")
		attempts := rapid.IntRange(1, 4).Draw(t, "attempts")

		play := func() (log []string) {
			clock := NewVirtualClock(epoch)
			r, err := NewReplicas(clock, config, 7)
			if err != nil {
				t.Fatal(err)
			}
			q, err := NewMessageQueue(r, QueueConfig{Attempts: attempts, InFlight: 3, Jitter: FullJitter}, 7)
			if err != nil {
				t.Fatal(err)
			}
			used := map[int]time.Duration{}
			begun := map[int]time.Time{}
			r.Watch(func(e Event) {
				log = append(log, fmt.Sprintf("%v %v %s/%d", e.At.Sub(epoch), e.Kind, e.ID, e.Container))
				if e.Kind == Starting {
					begun[e.Container] = e.At
				}
				c := r.Counts()
				if c.Arrived != c.Done+c.Refused+uint64(c.Waiting)+uint64(c.InFlight) {
					t.Fatalf("requests are lost: %+v", c)
				}
				n, inFlight := 0, 0
				for _, s := range r.States() {
					if !s.Leaving {
						n++
					}
					inFlight += s.InFlight
					if config.MaxInFlight > 0 && s.InFlight > config.MaxInFlight {
						t.Fatalf("%d in flight in a replica, at most %d", s.InFlight, config.MaxInFlight)
					}
					if s.CPU < used[s.ID] {
						t.Fatalf("the processor time of replica %d fell from %v to %v", s.ID, used[s.ID], s.CPU)
					}
					used[s.ID] = s.CPU
					if lived := e.At.Sub(begun[s.ID]); config.Cores > 0 && float64(s.CPU) > config.Cores*float64(lived)+1e3 {
						t.Fatalf("replica %d has used %v in %v with %v cores", s.ID, s.CPU, lived, config.Cores)
					}
				}
				if inFlight != c.InFlight {
					t.Fatalf("%d in flight in the replicas, %d counted", inFlight, c.InFlight)
				}
			})
			answers, messages, want := 0, 0, 0
			for _, s := range steps {
				if s.scale < 0 {
					want++
				}
				clock.AfterFunc(s.at, func() {
					w := work{s.cpu, s.sleep, s.fails}
					switch {
					case s.scale >= 0:
						if err := r.Scale(s.scale); err != nil {
							t.Fatal(err)
						}
						n := 0
						for _, st := range r.States() {
							if !st.Leaving {
								n++
							}
						}
						if n != s.scale {
							t.Fatalf("%d replicas after scaling to %d", n, s.scale)
						}
					case s.async:
						q.Send(w, func(Response) { messages++ })
					default:
						r.Invoke(w, func(Response) { answers++ })
					}
				})
			}
			if err := clock.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			c, qc := r.Counts(), q.Counts()
			if answers+messages != want || c.Waiting+c.InFlight != 0 || qc.Pending+qc.InFlight != 0 || qc.Sent != qc.Done+qc.Dropped {
				t.Fatalf("%d and %d of %d answered; %+v %+v", answers, messages, want, c, qc)
			}
			return log
		}
		if a, b := play(), play(); !slices.Equal(a, b) {
			t.Fatalf("the same seed gave\n%q\nand\n%q", a, b)
		}
	})
}

// BenchmarkReplicas measures requests that share the processors of 10 replicas.
func BenchmarkReplicas(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		clock := NewVirtualClock(epoch)
		r, err := NewReplicas(clock, ReplicasConfig{
			Name: "f", Cores: 1, MaxInFlight: 20, Handler: func(run *ReplicaRun) { run.Compute(80*time.Millisecond, run.Finish) },
		}, 1)
		if err != nil {
			b.Fatal(err)
		}
		events := 0
		r.Watch(func(Event) { events++ })
		if err := r.Scale(10); err != nil {
			b.Fatal(err)
		}
		sent := 0
		var send func()
		send = func() {
			r.Invoke(nil, nil)
			if sent++; sent < n {
				clock.callAfter(10*time.Millisecond, callFunc, send)
			}
		}
		clock.callAfter(time.Second, callFunc, send)
		if err := clock.Run(context.Background()); err != nil {
			b.Fatal(err)
		}
		if c := r.Counts(); c.Done != n {
			b.Fatalf("counts %+v", c)
		}
	}
	perInvocation(b, n)
}
