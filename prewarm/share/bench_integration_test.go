//go:build integration

package share

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tppfaas/tppfaas/internal/kafkatest"
	"github.com/tppfaas/tppfaas/internal/loopback"
	"github.com/tppfaas/tppfaas/prewarm/lab"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// applications are those of the benchmark: 98 functions.
var applications = []string{"checkout", "fanout_large", "fanout_small", "parallel_large", "parallel_small", "sequence", "tree_large", "tree_small"}

// timed is a span with when it is sent.
type timed struct {
	at time.Duration
	o  source.Observation
}

// traffic returns the spans of requests of all applications, of which so many spans come in a second, for a time, on a platform on which everything is warm.
func traffic(b *testing.B, workloads []*lab.Workload, rate float64, during time.Duration, number int) []timed {
	var all []timed
	var spans float64
	for i := 0; ; i++ {
		w := workloads[i%len(workloads)]
		plan, err := w.Plan(b.Context(), 1)
		require.NoError(b, err)
		request := &plan.Requests[i/len(workloads)%len(plan.Requests)]
		begin := time.Duration(spans / rate * float64(time.Second))
		if begin > during {
			break
		}
		trace := fmt.Sprintf("%016x%016x", number, i+1)
		var invoke func(index, parent int, at time.Duration)
		invoke = func(index, parent int, at time.Duration) {
			spans += 3
			c := &request.Calls[index]
			o := source.Observation{Function: w.Functions[c.Function].Name, Trace: trace, Call: fmt.Sprint(trace, "-", index), Temperature: source.Warm}
			if parent >= 0 {
				o.ParentCall = fmt.Sprint(trace, "-", parent)
			}
			all = append(all, timed{at, o})
			at += 3 * time.Millisecond
			o.Kind = source.Started
			all = append(all, timed{at, o})
			at += c.Sleep
			for _, k := range c.Invokes {
				invoke(k, index, at)
				at += 15 * time.Millisecond
			}
			o.Kind = source.Ended
			all = append(all, timed{at, o})
		}
		invoke(0, -1, begin)
	}
	slices.SortStableFunc(all, func(x, y timed) int { return cmp.Compare(x.at, y.at) })
	free, last, of := map[string][]string{}, 0, map[string]string{}
	for i := range all {
		o := &all[i].o
		switch o.Kind {
		case source.Started:
			list := free[o.Function]
			if len(list) == 0 {
				last++
				list = []string{fmt.Sprint("c", number, "-", last)}
			}
			of[o.Call] = list[len(list)-1]
			free[o.Function] = list[:len(list)-1]
		case source.Ended:
			free[o.Function] = append(free[o.Function], of[o.Call])
		}
		o.Instance = of[o.Call]
	}
	return all
}

// cpu returns the processor time that a process has used.
func cpu(b *testing.B, pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(b, err)
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// BenchmarkShare measures how many spans a second one, two and four processes decide on, with the newsvendor and a model of each of eight applications, beside the broker and
// who sends on the same machine: rates are raised until what waits would take more than two seconds.
func BenchmarkShare(b *testing.B) {
	const parts, during = 8, 10 * time.Second
	var workloads []*lab.Workload
	args := []string{"-policy", "newsvendor:2560"}
	for _, name := range applications {
		w, err := lab.NewWorkload(name, "poisson:1200", lab.Options{Requests: 200})
		require.NoError(b, err)
		workloads = append(workloads, w)
		args = append(args, "-model", "../../models/high_"+name+"_rand.race.safetensors")
	}
	for _, n := range []int{1, 2, 4} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			broker := kafkatest.Start(b)
			client, err := kgo.NewClient(kgo.SeedBrokers(broker.Address), kgo.UnknownTopicRetries(-1), kgo.MaxBufferedRecords(1_000_000))
			require.NoError(b, err)
			defer client.Close()
			topics(b, client, parts)
			addresses, err := loopback.FreeAddresses(n)
			require.NoError(b, err)
			var instances []*process
			for _, address := range addresses {
				instances = append(instances, begin(b, address, broker.Address, args...))
			}
			balanced(b, parts, instances...)
			admin := kadm.NewClient(client)
			waiting := func(sent int) (spans, demands int) {
				ends, err := admin.ListEndOffsets(b.Context(), demandsTopic)
				require.NoError(b, err)
				ends.Each(func(o kadm.ListedOffset) { demands += int(o.Offset) })
				spans = sent
				for _, p := range instances {
					for _, s := range p.state(b).Sources {
						switch s.Name {
						case "kafka":
							spans -= int(s.Observations)
						case "kafka-demands":
							demands -= int(s.Observations)
						}
					}
				}
				return spans, demands
			}
			sent, best, perSpan, perMessage := 0, 0.0, 0.0, 0.0
			for step, rate := 0, 500.0; ; step, rate = step+1, rate*2 {
				all := traffic(b, workloads, rate, during, step+1)
				records := make([]*kgo.Record, len(all))
				used := time.Duration(0)
				for _, p := range instances {
					used -= cpu(b, p.pid)
				}
				offsets := endOf(b, admin)
				begun := time.Now()
				var failed atomic.Int64
				for i := range all {
					v := &all[i]
					v.o.Time = begun.Add(v.at)
					records[i] = &kgo.Record{Topic: spansTopic, Key: []byte(v.o.Trace), Value: spanOf(b, &v.o)}
					time.Sleep(time.Until(v.o.Time))
					client.Produce(b.Context(), records[i], func(_ *kgo.Record, err error) {
						if err != nil {
							failed.Add(1)
						}
					})
				}
				sent += len(all)
				took := time.Since(begun)
				spans, demands := waiting(sent)
				for _, p := range instances {
					used += cpu(b, p.pid)
				}
				messages := endOf(b, admin) - offsets
				actual := float64(len(all)) / took.Seconds()
				late := max(float64(spans)/actual, float64(demands)/(float64(messages)/took.Seconds()))
				b.Logf("%d processes, %.0f spans/s: %.1f messages of demands a span, %.0f µs of processor a span, %.2f s behind (%d spans, %d messages)", n, actual, float64(messages)/float64(len(all)),
					float64(used.Microseconds())/float64(len(all)), late, spans, demands)
				require.Zero(b, failed.Load())
				if late > 2 && step > 0 { // at first it is learned when requests come
					break
				}
				if late > 2 {
					require.Eventually(b, func() bool { x, y := waiting(sent); return x+y < 100 }, time.Minute, 100*time.Millisecond)
				}
				best = max(best, actual)
				perSpan, perMessage = float64(used.Microseconds())/float64(len(all)), float64(messages)/float64(len(all))
				if actual < 0.7*rate { // who sends cannot
					break
				}
			}
			b.ReportMetric(best, "spans/s")
			b.ReportMetric(perSpan, "µs/span")
			b.ReportMetric(perMessage, "messages/span")
		})
	}
}

func endOf(b *testing.B, admin *kadm.Client) (sum int) {
	ends, err := admin.ListEndOffsets(b.Context(), demandsTopic)
	require.NoError(b, err)
	ends.Each(func(o kadm.ListedOffset) { sum += int(o.Offset) })
	return sum
}
