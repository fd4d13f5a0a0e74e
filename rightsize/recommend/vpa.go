package recommend

import (
	"fmt"
	"math"
)

// Of the Vertical Pod Autoscaler.
const (
	vpaMemory = 250 << 20 // floor of a pod of one container, bytes
	vpaCPU    = 0.025     // cores

	vpaMargin         = 0.15
	vpaMaxAmount      = 1e14
	vpaCPUWeight      = 0.1
	vpaMemoryWindow   = day
	vpaOOMRatio       = 1.2
	vpaOOMBytes       = 100 << 20
	vpaLifetime       = 12 * hour   // of a pod, from which on differences inside the bounds count
	vpaMinDifference  = 0.1         // of requests, summed over resources
	vpaQuickOOM       = 10 * minute // after the start of a container
	vpaConfidenceDays = day
)

// amount is how VPA counts: bytes or millicores, whole.
type amount int64

func amountOf(x float64) amount {
	switch {
	case x < 0:
		return 0
	case x > vpaMaxAmount:
		return vpaMaxAmount
	}
	return amount(x)
}

func (a amount) times(factor float64) amount { return amountOf(float64(a) * factor) }

// VPA is the Vertical Pod Autoscaler of Kubernetes with its defaults: the recommender, and the updater's rule of when a pod is evicted to get what is
// recommended. Evictions are never held up by the number of replicas. Limits keep their ratio to the requests.
//
// It counts memory in bytes and CPU in millicores, as its metrics do.
type VPA struct {
	options Options

	cpu, memory *decayingHistogram
	// Times of CPU samples, and their number.
	firstSample, lastSample int64
	samples                 int

	windowEnd      int64 // of memory; 0 before the first sample
	peak, oomPeak  amount
	podStart       int64 // 0 before the first sample
	containerStart int64
	quickOOM       bool
	set            Limits // what runs, as far as is known
	target         vpaResources
	lower, upper   vpaResources
	now            int64
}

// vpaResources are amounts of both resources.
type vpaResources struct{ memory, cpu amount }

// NewVPA returns a VPA. Its own floors are 250 MiB and 25m, for a pod of one container.
func NewVPA(o Options) *VPA {
	return &VPA{
		options: o.withDefaults(vpaMemory, vpaCPU),
		cpu:     newHistogram(0.01, 1000), memory: newHistogram(1e7, 1e12),
	}
}

// Observe takes the next sample.
func (v *VPA) Observe(s Sample) {
	v.now = s.Time
	if v.podStart == 0 {
		v.podStart, v.containerStart = s.Time, s.Time
	}
	if s.Killed {
		v.recordOOM(s.Time)
		v.quickOOM = s.Time-v.containerStart < vpaQuickOOM
		v.containerStart = s.Time
	}
	if !math.IsNaN(s.Memory) {
		v.addMemory(s.Time, amountOf(math.Ceil(s.Memory-1e-6)), false)
	}
	if !math.IsNaN(s.CPU) {
		v.addCPU(s.Time, amountOf(math.Ceil(s.CPU*1000-1e-9)))
	}
}

func (v *VPA) addCPU(time int64, usage amount) {
	v.cpu.add(float64(usage)/1000, vpaCPUWeight, time)
	if v.samples == 0 {
		v.firstSample = time
	}
	v.lastSample = time
	v.samples++
}

// addMemory keeps one peak for each window of 24 h in the histogram.
func (v *VPA) addMemory(time int64, usage amount, oom bool) {
	if v.windowEnd == 0 {
		v.windowEnd = time
	}
	switch old := max(v.peak, v.oomPeak); {
	case time >= v.windowEnd:
		v.windowEnd += (time-v.windowEnd)/vpaMemoryWindow*vpaMemoryWindow + vpaMemoryWindow
		v.peak, v.oomPeak = 0, 0
	case old != 0 && usage > old:
		v.memory.subtract(float64(old), 1, v.windowEnd)
	default:
		return
	}
	v.memory.add(float64(usage), 1, v.windowEnd)
	if oom {
		v.oomPeak = usage
	} else {
		v.peak = usage
	}
}

// recordOOM takes a kill for a sample of more than was requested.
func (v *VPA) recordOOM(time int64) {
	used := max(amountOf(v.set.MemoryRequest), v.peak)
	v.addMemory(time, max(used+vpaOOMBytes, used.times(vpaOOMRatio)), true)
}

// estimate computes target and bounds.
func (v *VPA) estimate() {
	confidence := min(float64(v.lastSample-v.firstSample)/float64(vpaConfidenceDays), float64(v.samples)/(24*60))
	minMemory, minCPU := amountOf(v.options.MemoryFloor), amountOf(v.options.CPUFloor*1000)
	at := func(p float64, factor func(amount) amount) vpaResources {
		one := func(base amount, least amount) amount {
			base += base.times(vpaMargin)
			return max(factor(base), least)
		}
		return vpaResources{one(amountOf(v.memory.percentile(p)), minMemory), one(amountOf(v.cpu.percentile(p)*1000), minCPU)}
	}
	scaled := func(multiplier, exponent float64) func(amount) amount {
		factor := math.Pow(1+multiplier/confidence, exponent)
		return func(a amount) amount { return a.times(factor) }
	}
	v.target = at(0.9, func(a amount) amount { return a })
	v.lower = at(0.5, scaled(0.001, -2))
	v.upper = at(0.95, scaled(1, 1))
}

// Recommend returns what pods get once the updater evicts them.
func (v *VPA) Recommend(set Limits) Limits {
	v.set = set
	if v.samples == 0 || v.windowEnd == 0 {
		return set
	}
	v.estimate()
	if !v.evicts(set) {
		return set
	}
	v.set = Limits{
		MemoryRequest: float64(v.target.memory), MemoryLimit: proportional(set.MemoryLimit, set.MemoryRequest, float64(v.target.memory)),
		CPURequest: float64(v.target.cpu) / 1000, CPULimit: proportional(set.CPULimit*1000, set.CPURequest*1000, float64(v.target.cpu)) / 1000,
	}
	v.podStart, v.containerStart, v.quickOOM = v.now, v.now, false
	return v.set
}

// proportional returns a limit that stands to what is requested now as the limit stood to the request.
func proportional(limit, request, now float64) float64 {
	switch {
	case limit == 0:
		return 0
	case request == 0 || math.Abs(request-limit) < 1e-6:
		return now
	}
	return math.Floor(limit * now / request)
}

// evicts is the rule of the updater.
func (v *VPA) evicts(set Limits) bool {
	outside, difference := false, 0.0
	for _, r := range []struct{ request, least, target, lower, upper float64 }{
		{set.MemoryRequest, 0.001, float64(v.target.memory), float64(v.lower.memory), float64(v.upper.memory)},
		{math.Ceil(set.CPURequest*1000 - 1e-9), 1, float64(v.target.cpu), float64(v.lower.cpu), float64(v.upper.cpu)},
	} {
		if r.request == 0 || r.request < r.lower || r.request > r.upper {
			outside = true
		}
		request := max(r.request, r.least)
		difference += math.Abs(request-r.target) / request
	}
	if !outside && !v.quickOOM && (v.now-v.podStart < vpaLifetime || difference < vpaMinDifference) {
		return false
	}
	return !v.quickOOM || difference != 0
}

// Reasons returns the percentiles.
func (v *VPA) Reasons() Reasons {
	text := func(of string, low, target, high string) string {
		return fmt.Sprintf("the 90th percentile of %s and 15 %% are %s; changed when the request leaves %s to %s, or differs by 10 %% after 12h", of, target, low, high)
	}
	return Reasons{
		Memory: text("daily peaks", memoryText(float64(v.lower.memory)), memoryText(float64(v.target.memory)), memoryText(float64(v.upper.memory))),
		CPU:    text("usage", cpuText(float64(v.lower.cpu)/1000), cpuText(float64(v.target.cpu)/1000), cpuText(float64(v.upper.cpu)/1000)),
	}
}
