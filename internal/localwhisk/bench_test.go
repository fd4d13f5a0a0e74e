package localwhisk

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// perInvocation reports the time per invocation of a benchmark with n invocations in each iteration.
func perInvocation(b *testing.B, n int) {
	b.Helper()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/invocation")
	b.ReportMetric(float64(b.N)*float64(n)/b.Elapsed().Seconds(), "invocations/s")
}

// roomy returns the default configuration with memory for n containers, which can all be created at once.
func roomy(n int) Config {
	c := DefaultConfig()
	c.MemoryMB = n * c.FunctionMemoryMB
	c.StemCells, c.Capacity = 0, 0
	c.Creation = Delay{Min: 2 * time.Second}
	return c
}

// BenchmarkInvoke measures invocations of a warm function that does nothing.
func BenchmarkInvoke(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		clock := NewVirtualClock(epoch)
		platform, err := New(clock, roomy(10), 1)
		if err != nil {
			b.Fatal(err)
		}
		if err := platform.Deploy(Function{Name: "f", Handler: (*Run).Finish}); err != nil {
			b.Fatal(err)
		}
		sent := 0
		var send func()
		send = func() {
			if _, err := platform.Invoke("f", nil, nil); err != nil {
				b.Error(err)
			}
			if sent++; sent < n {
				clock.callAfter(20*time.Millisecond, callFunc, send)
			}
		}
		send()
		if err := clock.Run(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	perInvocation(b, n)
}

// BenchmarkSequence measures invocations in requests to the sequence composition under low load.
func BenchmarkSequence(b *testing.B) { benchmarkSequence(b, nil) }

// BenchmarkSequenceWatched is BenchmarkSequence with a watcher.
func BenchmarkSequenceWatched(b *testing.B) {
	events := 0
	benchmarkSequence(b, func(*Platform, Event) { events++ })
	b.ReportMetric(float64(events)/float64(b.N)/10_000/float64(len(sequenceSleeps)+1), "events/invocation")
}

// BenchmarkSequenceHeld is BenchmarkSequence with a watcher that holds every container that becomes idle.
func BenchmarkSequenceHeld(b *testing.B) {
	benchmarkSequence(b, func(p *Platform, e Event) {
		if e.Kind == Idle {
			if err := p.Hold(e.Container, e.At.Add(10*time.Minute)); err != nil {
				b.Error(err)
			}
		}
	})
}

func benchmarkSequence(b *testing.B, watch func(*Platform, Event)) {
	const n = 10_000
	for b.Loop() {
		clock := NewVirtualClock(epoch)
		platform, err := New(clock, DefaultConfig(), 1)
		if err != nil {
			b.Fatal(err)
		}
		if watch != nil {
			platform.Watch(func(e Event) { watch(platform, e) })
		}
		for i := range len(sequenceSleeps) + 1 {
			next := sequenceName(i + 1)
			err := platform.Deploy(Function{Name: sequenceName(i), Handler: func(run *Run) {
				run.Sleep(sleepOf(i), func() {
					if i < len(sequenceSleeps) {
						if _, err := run.Invoke(next, nil); err != nil {
							b.Error(err)
						}
					}
					run.Finish()
				})
			}})
			if err != nil {
				b.Fatal(err)
			}
		}
		for _, at := range uniformRequests(n, 435*time.Millisecond, 742*time.Millisecond, 1) {
			clock.AfterFunc(at, func() {
				if _, err := platform.Invoke("main", nil, nil); err != nil {
					b.Error(err)
				}
			})
		}
		if err := clock.Run(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	perInvocation(b, n*(len(sequenceSleeps)+1))
}

// BenchmarkContainers measures invocations with many containers of ten functions: all busy at first, then idle; then with evictions for half of them.
func BenchmarkContainers(b *testing.B) {
	for _, containers := range []int{10, 100, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(containers), func(b *testing.B) {
			rounds := max(20, 100_000/containers)
			for b.Loop() {
				clock := NewVirtualClock(epoch)
				platform, err := New(clock, roomy(containers), 1)
				if err != nil {
					b.Fatal(err)
				}
				for i := range 20 {
					err := platform.Deploy(Function{Name: sequenceName(i), Handler: func(run *Run) { run.Sleep(time.Second, run.Finish) }})
					if err != nil {
						b.Fatal(err)
					}
				}
				round := 0
				var send func()
				send = func() {
					// Every tenth round invokes the other ten functions, which have no containers.
					first := 0
					if round%10 == 9 {
						first = 10
					}
					for i := range containers {
						if _, err := platform.Invoke(sequenceName(first+i%10), nil, nil); err != nil {
							b.Error(err)
						}
					}
					if round++; round < rounds {
						clock.callAfter(30*time.Second, callFunc, send)
					}
				}
				send()
				if err := clock.Run(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
			perInvocation(b, rounds*containers)
		})
	}
}

// BenchmarkQueue measures invocations that wait in a long queue for one of ten containers.
func BenchmarkQueue(b *testing.B) {
	for _, queued := range []int{10, 100, 1000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(queued), func(b *testing.B) {
			rounds := max(1, 100_000/queued)
			for b.Loop() {
				clock := NewVirtualClock(epoch)
				platform, err := New(clock, roomy(10), 1)
				if err != nil {
					b.Fatal(err)
				}
				err = platform.Deploy(Function{Name: "f", Handler: func(run *Run) { run.Sleep(100*time.Millisecond, run.Finish) }})
				if err != nil {
					b.Fatal(err)
				}
				for range rounds {
					for range queued {
						if _, err := platform.Invoke("f", nil, nil); err != nil {
							b.Fatal(err)
						}
					}
					if err := clock.Run(context.Background()); err != nil {
						b.Fatal(err)
					}
				}
			}
			perInvocation(b, rounds*queued)
		})
	}
}

// BenchmarkHold measures a new hold of one of many idle containers.
func BenchmarkHold(b *testing.B) {
	for _, containers := range []int{100, 10_000, 100_000} {
		b.Run(fmt.Sprint(containers), func(b *testing.B) {
			clock := NewVirtualClock(epoch)
			platform, err := New(clock, roomy(containers), 1)
			if err != nil {
				b.Fatal(err)
			}
			if err := platform.Deploy(Function{Name: "f", Handler: (*Run).Finish}); err != nil {
				b.Fatal(err)
			}
			for range containers {
				if _, err := platform.StartContainer("f"); err != nil {
					b.Fatal(err)
				}
			}
			for len(platform.idle.evictable) < containers {
				e := clock.events.pop()
				clock.now = e.at
				e.call(e.arg)
			}
			rng := randomStream(1, "benchmark")
			b.ReportAllocs()
			for b.Loop() {
				until := clock.Now().Add(time.Minute + time.Duration(rng.Int64N(int64(time.Hour))))
				if err := platform.Hold(1+rng.IntN(containers), until); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
