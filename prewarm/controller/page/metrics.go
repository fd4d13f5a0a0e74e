package page

import (
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tppfaas/tppfaas/prewarm/controller"
)

const (
	// mostLabels is how many functions, models and sources have metrics of their own each. What is beyond is counted under other.
	mostLabels = 200
	other      = "(others)"
	mebibyte   = 1 << 20
)

// metrics make metrics of states. Their names begin with tppfaas_prewarm_.
type metrics struct {
	source Source

	mutex sync.Mutex
	known map[string]map[string]bool // the names that have metrics of their own, by kind: the first that were seen, so that no counter ever falls
}

func newMetrics(source Source) *metrics {
	return &metrics{source: source, known: map[string]map[string]bool{}}
}

// metricsHandler serves the metrics of a source, and those of the Go runtime and the process.
func metricsHandler(source Source) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(newMetrics(source), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("tppfaas_prewarm_"+name, help, labels, nil)
}

var (
	descInfo     = desc("info", "1, with the version of the controller, its policy and its actuator.", "version", "policy", "platform")
	descMode     = desc("mode", "1 for the mode that the controller is in (dry_run, acting or paused), 0 for the others.", "mode")
	descBegun    = desc("state_created_timestamp_seconds", "When the state began that counters count from.")
	descRequests = desc("requests_total", "Requests that were observed.")
	descInFlight = desc("requests_in_flight", "Requests that have not ended.")
	descStarts   = desc("starts_total", "Invocations by how they came to their containers: warm, late (the container was still starting) or cold.", "start")
	descCalls    = desc("invocations_total", "Invocations that were observed.")
	descWarmups  = desc("warmups_total", "Containers that were asked for.")
	descOutcomes = desc("warmup_outcomes_total", "Containers that were asked for by what became of them: hit (taken by an invocation), wasted (never used), collapsed (the platform used one that was there) or failed.", "outcome")
	descRenewals = desc("renewals_total", "Idle containers whose idle time was to be renewed, by what became of that: done, or failed (none was idle, or the platform did not do it).", "outcome")
	descKept     = desc("kept_memory_byte_seconds_total", "The part of idle_memory_byte_seconds_total of containers for as long as they were idle beyond the platform's idle timeout.")
	descSaved    = desc("estimated_saved_seconds", "By how much invocations have waited less than on the platform alone, estimated; negative if they have waited longer.")
	descSpent    = desc("idle_memory_byte_seconds_total", "Memory times time of containers that were starting or idle.")
	descAlone    = desc("estimated_alone_idle_memory_byte_seconds_total", "What idle_memory_byte_seconds_total would be on the platform alone, estimated.")
	descPool     = desc("containers", "Containers by what they do: starting, warmed (and not used yet), idle (after a use) or busy.", "state")

	descFunctionServed = desc("function_served", "1 if decisions are made on the function, 0 if not.", "function")
	descFunctionStarts = desc("function_starts_total", "Invocations of the function by how they came to their containers.", "function", "start")
	descFunctionHits   = desc("function_hits_total", "Containers of the function that were asked for and taken by an invocation.", "function")
	descFunctionWasted = desc("function_wasted_total", "Containers of the function that were asked for and never used.", "function")
	descFunctionPool   = desc("function_containers", "Containers of the function by what they do.", "function", "state")
	descFunctionStart  = desc("function_start_time_seconds", "Median of the start times that were measured.", "function")

	descModelAgrees    = desc("model_agrees", "1 if the model's probabilities agree with what came, 0 if it is not used because they do not.", "model")
	descModelPredicted = desc("model_predicted_invocations", "Sum of the probabilities of what the model has predicted lately.", "model")
	descModelCame      = desc("model_came_invocations", "Invocations that came of those that the model has predicted lately.", "model")

	descSourceObservations = desc("source_observations_total", "Observations that came from the source.", "source")
	descSourceRefused      = desc("source_refused_total", "Observations that were refused because there was no room.", "source")
	descSourceInvalid      = desc("source_invalid_total", "Observations that were no valid ones.", "source")
	descSourceLast         = desc("source_last_observation_timestamp_seconds", "When the last observation came from the source.", "source")

	descPartitions = desc("partitions", "Partitions of a topic that the controller has, of those that several share: of spans, or of demands.", "of")
	descRebuilding = desc("partitions_rebuilding", "Those of them of which it is still reading what was before it had them.", "of")

	descActuatorInFlight = desc("actuator_commands_in_flight", "Commands that the actuator has not answered yet.")
	descCircuit          = desc("actuator_circuit", "1 for the state of the actuator's circuit (closed, open or half_open), 0 for the others.", "state")

	descLateness = desc("decision_lateness_seconds", "By how much decisions were made later than they were due.")
	descNotice   = desc("warmup_notice_seconds", "How long before the invocation that took it a container was asked for.")
)

// Describe sends the descriptions of all metrics.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descInfo, descMode, descBegun, descRequests, descInFlight, descStarts, descCalls, descWarmups, descOutcomes, descRenewals, descKept, descSaved, descSpent, descAlone, descPool,
		descFunctionServed, descFunctionStarts, descFunctionHits, descFunctionWasted, descFunctionPool, descFunctionStart,
		descModelAgrees, descModelPredicted, descModelCame, descSourceObservations, descSourceRefused, descSourceInvalid, descSourceLast,
		descPartitions, descRebuilding, descActuatorInFlight, descCircuit, descLateness, descNotice,
	} {
		out <- d
	}
}

// Collect sends the metrics of the state as it is now.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	s := m.source.Snapshot()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	counter := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value, labels...)
	}
	one := func(d *prometheus.Desc, is string, all ...string) {
		for _, name := range all {
			gauge(d, truth(name == is), strings.ReplaceAll(name, " ", "_"))
		}
	}
	gauge(descInfo, 1, valid(s.Version), valid(s.Policy), valid(s.Platform))
	one(descMode, string(s.Mode), string(controller.DryRun), string(controller.Acting), string(controller.Paused))
	if !s.Begun.IsZero() {
		gauge(descBegun, float64(s.Begun.UnixMilli())/1000)
	}
	t := &s.Totals
	counter(descRequests, float64(t.Requests))
	gauge(descInFlight, float64(s.InFlight))
	counter(descCalls, float64(t.Invocations))
	counter(descStarts, float64(t.Warm), "warm")
	counter(descStarts, float64(t.Late), "late")
	counter(descStarts, float64(t.Cold), "cold")
	counter(descWarmups, float64(t.Warmups))
	counter(descOutcomes, float64(t.Hits), "hit")
	counter(descOutcomes, float64(t.Wasted), "wasted")
	counter(descOutcomes, float64(t.Collapsed), "collapsed")
	counter(descOutcomes, float64(t.Failed), "failed")
	counter(descRenewals, float64(t.Renewals-min(t.RenewalsFailed, t.Renewals)), "done")
	counter(descRenewals, float64(t.RenewalsFailed), "failed")
	counter(descKept, t.KeptMBs*mebibyte)
	gauge(descSaved, t.SavedSeconds)
	counter(descSpent, t.SpentMBs*mebibyte)
	counter(descAlone, t.AloneMBs*mebibyte)

	var pool controller.FunctionState
	m.mutex.Lock()
	functions := group(m, "function", s.Functions, func(f *controller.FunctionState) string { return f.Name }, func(sum, f *controller.FunctionState) {
		sum.Served = sum.Served || f.Served
		sum.Starting, sum.Warmed, sum.Idle, sum.Busy = sum.Starting+f.Starting, sum.Warmed+f.Warmed, sum.Idle+f.Idle, sum.Busy+f.Busy
		sum.Warm, sum.Late, sum.Cold = sum.Warm+f.Warm, sum.Late+f.Late, sum.Cold+f.Cold
		sum.Hits, sum.Wasted = sum.Hits+f.Hits, sum.Wasted+f.Wasted
		sum.StartSeconds = max(sum.StartSeconds, f.StartSeconds)
	})
	models := group(m, "model", s.Models, func(o *controller.ModelState) string { return o.Name }, func(sum, o *controller.ModelState) {
		sum.Agrees = sum.Agrees && o.Agrees
		sum.Predicted, sum.Came = sum.Predicted+o.Predicted, sum.Came+o.Came
	})
	sources := group(m, "source", s.Sources, func(o *controller.SourceState) string { return o.Name }, func(sum, o *controller.SourceState) {
		sum.Observations, sum.Refused, sum.Invalid = sum.Observations+o.Observations, sum.Refused+o.Refused, sum.Invalid+o.Invalid
		if sum.Last == nil || o.Last != nil && o.Last.After(*sum.Last) {
			sum.Last = o.Last
		}
	})
	m.mutex.Unlock()
	for name, f := range functions {
		gauge(descFunctionServed, truth(f.Served), name)
		counter(descFunctionStarts, float64(f.Warm), name, "warm")
		counter(descFunctionStarts, float64(f.Late), name, "late")
		counter(descFunctionStarts, float64(f.Cold), name, "cold")
		counter(descFunctionHits, float64(f.Hits), name)
		counter(descFunctionWasted, float64(f.Wasted), name)
		gauge(descFunctionPool, float64(f.Starting), name, "starting")
		gauge(descFunctionPool, float64(f.Warmed), name, "warmed")
		gauge(descFunctionPool, float64(f.Idle), name, "idle")
		gauge(descFunctionPool, float64(f.Busy), name, "busy")
		if f.StartSeconds > 0 && name != other {
			gauge(descFunctionStart, f.StartSeconds, name)
		}
		pool.Starting, pool.Warmed, pool.Idle, pool.Busy = pool.Starting+f.Starting, pool.Warmed+f.Warmed, pool.Idle+f.Idle, pool.Busy+f.Busy
	}
	gauge(descPool, float64(pool.Starting), "starting")
	gauge(descPool, float64(pool.Warmed), "warmed")
	gauge(descPool, float64(pool.Idle), "idle")
	gauge(descPool, float64(pool.Busy), "busy")
	for name, o := range models {
		gauge(descModelAgrees, truth(o.Agrees), name)
		gauge(descModelPredicted, o.Predicted, name)
		gauge(descModelCame, o.Came, name)
	}
	for name, o := range sources {
		counter(descSourceObservations, float64(o.Observations), name)
		counter(descSourceRefused, float64(o.Refused), name)
		counter(descSourceInvalid, float64(o.Invalid), name)
		if o.Last != nil {
			gauge(descSourceLast, float64(o.Last.UnixMilli())/1000, name)
		}
	}
	for i := range s.Shares {
		share := &s.Shares[i]
		gauge(descPartitions, float64(len(share.Partitions)), valid(share.Of))
		gauge(descRebuilding, float64(len(share.Rebuilding)), valid(share.Of))
	}
	gauge(descActuatorInFlight, float64(s.Actuator.InFlight))
	one(descCircuit, s.Actuator.Circuit, "closed", "open", "half open")
	histogram(out, descLateness, s.Lateness)
	histogram(out, descNotice, s.Notice)
}

// group returns what is to have metrics by name: the first mostLabels names that were ever seen, and one sum of the others. What has the same name
// is one. The caller holds the mutex.
func group[T any](m *metrics, kind string, list []T, name func(*T) string, add func(sum, one *T)) map[string]*T {
	known := m.known[kind]
	if known == nil {
		known = map[string]bool{}
		m.known[kind] = known
	}
	sums := map[string]*T{}
	for i := range list {
		n := valid(name(&list[i]))
		switch {
		case known[n]:
		case len(known) < mostLabels:
			known[n] = true
		default:
			n = other
		}
		if sum := sums[n]; sum != nil {
			add(sum, &list[i])
		} else {
			first := list[i]
			sums[n] = &first
		}
	}
	return sums
}

// histogram sends a histogram. One without counts, of a state that has none yet, is empty.
func histogram(out chan<- prometheus.Metric, d *prometheus.Desc, h controller.Histogram) {
	if len(h.Counts) != len(h.Bounds)+1 {
		if len(h.Counts) != 0 {
			out <- prometheus.NewInvalidMetric(d, fmt.Errorf("%d counts for %d bounds", len(h.Counts), len(h.Bounds)))
			return
		}
		h.Counts = make([]uint64, len(h.Bounds)+1)
	}
	buckets := make(map[float64]uint64, len(h.Bounds))
	sum := uint64(0)
	for i, bound := range h.Bounds {
		sum += h.Counts[i]
		buckets[bound] = sum
	}
	out <- prometheus.MustNewConstHistogram(d, sum+h.Counts[len(h.Bounds)], h.Sum, buckets)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// valid returns a name as it may be a label.
func valid(name string) string { return strings.ToValidUTF8(name, "�") }
