package controller

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/policy"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// The load of BenchmarkCore: chains of functions, each of which runs for about six seconds and then calls the next.
const (
	benchChain    = 10
	benchInFlight = 10000
	benchRun      = 6 * time.Second
	benchCalls    = 0.9 // probability that a function calls the next
)

// benchLoad makes observations of chains in order of time.
type benchLoad struct {
	random *rand.Rand
	items  []benchItem
	traces int
}

type benchItem struct {
	at prewarm.Time
	o  source.Observation
	n  int // in the chain
}

func (l *benchLoad) Len() int           { return len(l.items) }
func (l *benchLoad) Less(i, j int) bool { return l.items[i].at < l.items[j].at }
func (l *benchLoad) Swap(i, j int)      { l.items[i], l.items[j] = l.items[j], l.items[i] }
func (l *benchLoad) Push(x any)         { l.items = append(l.items, x.(benchItem)) }
func (l *benchLoad) Pop() any {
	last := l.items[len(l.items)-1]
	l.items = l.items[:len(l.items)-1]
	return last
}

func (l *benchLoad) begin(at prewarm.Time) {
	l.traces++
	l.call(at, fmt.Sprintf("%032x", l.traces), "", 0)
}

func (l *benchLoad) call(at prewarm.Time, trace, parent string, n int) {
	o := source.Observation{Function: fmt.Sprint("f", n), Trace: trace, Call: fmt.Sprint(n), ParentCall: parent, Wait: -1, Init: -1}
	run := benchRun/2 + time.Duration(l.random.Int64N(int64(benchRun)))
	for kind, at := range []prewarm.Time{at, at + 5*time.Millisecond, at + 5*time.Millisecond + run} {
		o.Kind, o.Time = source.Kind(kind), virtualEpoch.Add(at)
		if o.Kind != source.Invoked {
			o.Temperature = source.Warm
		}
		heap.Push(l, benchItem{at, o, n})
	}
}

// next returns the next observation. A chain that ends makes room for another one.
func (l *benchLoad) next() (prewarm.Time, *source.Observation) {
	item := heap.Pop(l).(benchItem)
	if item.o.Kind == source.Ended {
		if item.n+1 < benchChain && l.random.Float64() < benchCalls {
			l.call(item.at, item.o.Trace, item.o.Call, item.n+1)
		} else {
			l.begin(item.at + time.Duration(l.random.Int64N(int64(time.Second))))
		}
	}
	return item.at, &item.o
}

// BenchmarkCore measures the time of an observation while 10,000 requests are in flight: the mirror, the policy, the accounting, and commands whose
// results come a second later.
func BenchmarkCore(b *testing.B) {
	for _, spec := range []string{"keepalive:600", "newsvendor:2560:table", "newsvendor:2560"} {
		b.Run(spec, func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, 2))
			var functions []prewarm.Function
			r := prewarm.Recording{Name: "chain"}
			for n := range benchChain {
				functions = append(functions, prewarm.Function{Name: fmt.Sprint("f", n), MemoryMB: 256})
				r.Functions = append(r.Functions, n)
			}
			for range 200 {
				var t prewarm.Trace
				at := 0.0
				for n := range benchChain {
					end := at + 0.005 + benchRun.Seconds()*(0.5+random.Float64())
					t = append(t, prewarm.Invocation{Function: n, Parent: n - 1, Arrival: at, Start: at + 0.005, End: end})
					if at = end; random.Float64() >= benchCalls {
						break
					}
				}
				r.Warm = append(r.Warm, t)
				r.Gaps = append(r.Gaps, random.ExpFloat64()*0.006)
			}
			o := Options{
				Epoch: virtualEpoch, Platform: whisk, Functions: functions, Act: true, ServesAll: true,
				NewPolicy: func(functions []prewarm.Function) (prewarm.Policy, error) {
					return policy.New(spec, policy.Options{Platform: whisk, Functions: functions, Knowledge: prewarm.Knowledge{Applications: []prewarm.Recording{r}}, Seed: 1})
				},
			}
			m, err := mirror.New(mirror.Options{Epoch: o.Epoch, Platform: whisk, Functions: functions})
			if err != nil {
				b.Fatal(err)
			}
			core, err := NewCore(o, m)
			if err != nil {
				b.Fatal(err)
			}
			core.Begin(0, nil)
			l := &benchLoad{random: random}
			for range benchInFlight {
				l.begin(time.Duration(random.Int64N(int64(60 * time.Second))))
			}
			type result struct {
				at prewarm.Time
				id uint64
				n  int
			}
			var results []result
			step := func() {
				at, observation := l.next()
				for len(results) > 0 && results[0].at <= at {
					answers := make([]actuator.Result, results[0].n)
					core.Acted(results[0].at, results[0].id, answers)
					results = results[1:]
				}
				for core.Next() <= at {
					core.Pass(core.Next())
				}
				if err := core.Observe(at, observation); err != nil {
					b.Fatal(err)
				}
				for _, c := range core.Commands() {
					results = append(results, result{at + time.Second, c.ID, c.N})
				}
				core.Records()
				core.Releases()
			}
			for core.now < 61*time.Second {
				step()
			}
			b.ReportMetric(float64(len(core.requests.byID)), "requests")
			from, begun := core.now, time.Now()
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				step()
			}
			b.ReportMetric((core.now-from).Seconds()/time.Since(begun).Seconds(), "times-real")
			if core.faults > 0 {
				b.Errorf("%d events contradicted what was known", core.faults)
			}
		})
	}
}
