package recommend

// Floors of KRR: what it recommends at least.
const (
	krrMemory = 100 << 20
	krrCPU    = 0.01
)

// KRR is the "simple" strategy of Robusta's Kubernetes Resource Recommender, carried out daily: memory request and limit are the maximum of up to
// 14 days and a margin, the CPU request is their 95th percentile, and there is no CPU limit.
type KRR struct {
	margin  float64
	options Options
	past    *history
	renewed int64 // 0: never
	limits  Limits
}

// NewKRR returns a KRR with a margin; its own is 0.15. Its own floors are 100 MiB and 10m.
func NewKRR(margin float64, o Options) *KRR {
	return &KRR{margin: margin, options: o.withDefaults(krrMemory, krrCPU), past: newHistory()}
}

// Observe takes the next sample.
func (k *KRR) Observe(s Sample) { k.past.add(s) }

// Recommend returns the limits of the last renewal, which it makes a day after the one before.
func (k *KRR) Recommend(set Limits) Limits {
	if !k.past.memory.known() {
		return set
	}
	if k.renewed == 0 || k.past.last-k.renewed >= day {
		k.renewed = k.past.last
		memory := max(k.past.memory.of()*(1+k.margin), k.options.MemoryFloor)
		k.limits = Limits{MemoryRequest: memory, MemoryLimit: memory, CPURequest: max(k.past.cpuPercentile(0.95), k.options.CPUFloor)}
	}
	if !k.past.knowsCPU() {
		return Limits{k.limits.MemoryRequest, k.limits.MemoryLimit, set.CPURequest, set.CPULimit}
	}
	return k.limits
}

// Reasons returns the rule.
func (k *KRR) Reasons() Reasons {
	if !k.past.memory.known() {
		return nothingKnown
	}
	r := Reasons{Memory: krrReason(k.margin, k.past), CPU: noCPU}
	if k.past.knowsCPU() {
		r.CPU = "the 95th percentile of " + length(k.past.reach()) + " as the request, and no limit"
	}
	return r
}

// noCPU is the reason where CPU is left as it is set.
const noCPU = "as it is set: no usage of CPU is known"

// noMemory is the reason where limits are left as they are set.
const noMemory = "as it is set: no usage of memory is known"

// nothingKnown are the reasons where limits are left as they are set, those of CPU too.
var nothingKnown = Reasons{Memory: noMemory, CPU: noMemory}

func krrReason(margin float64, past *history) string {
	return percent(margin) + " above the maximum of " + length(past.reach()) + ", " + memoryText(past.memory.of())
}

// Floors of those who bring none of their own.
const (
	ownMemory = 10 << 20
	ownCPU    = 0.01
)

// Fixed is the maximum so far and 20 %, set once, and anew after a kill.
type Fixed struct {
	options Options
	past    *history
	killed  bool
	limits  Limits
}

// NewFixed returns a Fixed.
func NewFixed(o Options) *Fixed {
	return &Fixed{options: o.withDefaults(ownMemory, ownCPU), past: newHistory()}
}

// Observe takes the next sample.
func (f *Fixed) Observe(s Sample) {
	f.past.add(s)
	f.killed = f.killed || s.Killed
}

// Recommend returns the limits.
func (f *Fixed) Recommend(set Limits) Limits {
	if !f.past.memory.known() {
		return set
	}
	if f.limits == (Limits{}) || f.killed {
		memory, cpu := max(1.2*f.past.memory.of(), f.options.MemoryFloor), max(1.2*f.past.cpu.of(), f.options.CPUFloor)
		f.limits = Limits{memory, memory, cpu, cpu}
	}
	f.killed = false
	if !f.past.knowsCPU() {
		return Limits{f.limits.MemoryRequest, f.limits.MemoryLimit, set.CPURequest, set.CPULimit}
	}
	return f.limits
}

// Reasons returns the rule.
func (f *Fixed) Reasons() Reasons {
	if !f.past.memory.known() {
		return nothingKnown
	}
	r := Reasons{Memory: krrReason(0.2, f.past), CPU: noCPU}
	if f.past.knowsCPU() {
		r.CPU = "20 % above the maximum of " + length(f.past.reach()) + ", " + cpuText(f.past.cpu.of())
	}
	return r
}
