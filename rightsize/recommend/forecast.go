package recommend

import (
	"fmt"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/rightsize/forecast"
)

// When a rule takes the place of KRR's.
const (
	leastHistory = 2 * day
	leastSaving  = 0.10
	leastRaises  = 2    // lowering is proven by raises that came in time
	stay         = 0.03 // as much less must another rule reserve to take the place of one
	fallbackNear = 0.05 // KRR's limit is renewed at once where usage and this reach it

	notWorth = 0.03 // as much less memory by KRR's rule is not worth a restart
	farCPU   = 0.2  // as much must the CPU request be off to change alone

	residualBuckets = int(7 * day / bucket) // that residuals are taken from
	gapBuckets      = 30                    // a longer gap counts as this
)

// Forecast follows usage: the memory limit is what is used now, or will be used until a horizon at the quantile 0.99 of a forecast, and a margin. It is
// raised at once, and lowered in steps when less was needed for a while. The horizon is how far apart the changes that are left of a day are, spread evenly over
// the rest of it, times a factor. Rules of how that is done (forecasts, factors, times) compete by what they would have reserved in the last seven days: one is in
// force only where it would have saved 10 % of what KRR reserves, with no more kills than KRR when usage is inflated by 10 %, and after two days of history.
// Otherwise KRR's rule is, except that its limit is raised at once where usage comes near. A kill raises the limit by 20 % and holds it for 12 h.
//
// The memory request is the limit. The CPU request is the 95th percentile of up to 14 days, as KRR's. A CPU limit is recommended only where one is set:
// 15 % above the maximum. Both change with memory, or when they are far off.
//
// Samples should come at least every five minutes.
type Forecast struct {
	options Options
	past    *history

	forecasters [sources]forecast.Forecaster
	number      int64   // of the running bucket, since 1970
	largest     float64 // in it, NaN where nothing is known
	sinceFall   float64 // largest in it since usage fell to less than half, as by a restart

	shadows   []*shadow
	reference struct { // KRR's limit, renewed daily, and what it would have done
		limit   float64
		renewed int64
		over    bool
		scores  scores
	}
	active  int // of shadows; −1: KRR's rule
	chosen  int64
	saving  float64 // of the active one, or of the best
	killsOf int     // the active one's kills when it was chosen

	fallback float64 // limit of KRR's rule
	hold     int64
	renew    bool // a day has passed: what is set may change by little

	made     budget
	returned Limits // the last recommendation
	asked    Limits // what was set then
}

// NewForecast returns a Forecast. Its own floors are 10 MiB and 10m.
func NewForecast(o Options) *Forecast {
	o = o.withDefaults(ownMemory, ownCPU)
	f := &Forecast{
		options: o, past: newHistory(), largest: math.NaN(), sinceFall: math.NaN(), active: -1, made: budget{most: o.MaxChanges},
		forecasters: [sources]forecast.Forecaster{forecast.NewConditional(residualBuckets), newDaily(int(day / bucket))},
	}
	for _, r := range rules() {
		f.shadows = append(f.shadows, &shadow{rule: r, floor: o.MemoryFloor, budget: budget{most: o.MaxChanges}, ahead: math.NaN()})
	}
	return f
}

// most returns what KRR would set now.
func (f *Forecast) most() float64 { return max(f.past.memory.of()*1.15, f.options.MemoryFloor) }

// Observe takes the next sample.
func (f *Forecast) Observe(s Sample) {
	step := int64(0)
	if f.past.last != 0 {
		step = min(s.Time-f.past.last, bucket)
	}
	f.bucketTo(s.Time)
	f.past.add(s)
	if !math.IsNaN(s.Memory) {
		if math.IsNaN(f.largest) || s.Memory > f.largest {
			f.largest = s.Memory
		}
		if !(f.sinceFall >= s.Memory) || s.Memory < f.sinceFall/2 {
			f.sinceFall = s.Memory
		}
		if s.Time-f.past.first >= day {
			f.meet(s, step)
		}
	}
	if s.Killed && f.active >= 0 && !(s.Memory*(1+margin) > f.returned.MemoryLimit) {
		f.shadows[f.active].scores.today(s.Time).kills++ // no sample shows it
	}
	f.krr(s)
	if s.Time-f.past.first >= leastHistory && (s.Time-f.chosen >= day || f.active < 0 && s.Time-f.chosen >= 6*hour || f.active >= 0 && f.shadows[f.active].scores.sum().kills > f.killsOf) {
		f.choose(s.Time)
	}
}

// bucketTo ends the buckets before a time.
func (f *Forecast) bucketTo(time int64) {
	number := time / bucket
	if f.past.last == 0 {
		f.number = number
		return
	}
	if number == f.number {
		return
	}
	gap := min(number-f.number-1, gapBuckets)
	value := f.largest
	for i := int64(0); i <= gap; i++ {
		for _, forecaster := range f.forecasters {
			forecaster.Observe(value)
		}
		value = math.NaN()
	}
	if f.past.last-f.past.first >= day {
		f.forecast(time)
	}
	f.number, f.largest, f.sinceFall = number, math.NaN(), math.NaN()
}

// forecast tells the shadows what the last bucket says of the next ones.
func (f *Forecast) forecast(now int64) {
	var ahead [sources]outlook
	levels, out := [1]float64{level}, [1]float64{}
	for source, forecaster := range f.forecasters {
		for i := range furthest {
			forecaster.Quantiles((i+1)*int(hour/bucket), levels[:], out[:])
			ahead[source].hours[i] = out[0]
		}
	}
	fallen := f.largest - f.sinceFall // distances are from what is used after a restart, not before
	for i := range furthest {
		ahead[residualSource].hours[i] -= fallen
	}
	for i, l := range soonLevels {
		levels[0] = l
		f.forecasters[residualSource].Quantiles(1, levels[:], out[:])
		for source := range ahead {
			ahead[source].soon[i] = out[0] - fallen
		}
	}
	for _, s := range f.shadows {
		s.forecast(now, f.sinceFall, &ahead[s.source], f.most())
	}
}

// meet has the limits of all rules meet a sample.
func (f *Forecast) meet(s Sample, step int64) {
	most := f.most()
	for _, shadow := range f.shadows {
		shadow.usage(s.Time, step, s.Memory, most)
	}
	r := &f.reference
	if r.limit == 0 || s.Time-r.renewed >= day {
		r.limit, r.renewed, f.renew = most, s.Time, true
	}
	today := r.scores.today(s.Time)
	today.reserved += f.fallback * float64(step)
	over := s.Memory*(1+margin) > r.limit
	if over && !r.over {
		today.kills++
	}
	r.over = over
}

// krr keeps the limit of KRR's rule.
func (f *Forecast) krr(s Sample) {
	most := f.most()
	switch {
	case s.Killed:
		used := f.returned.MemoryLimit // at which it was killed, whatever was seen
		if s.Memory > used {
			used = s.Memory
		}
		f.fallback, f.hold = max(most, used*(1+bumpAfter)), s.Time+holdAfter
	case f.fallback == 0, s.Memory*(1+fallbackNear) > f.fallback:
		f.fallback = most
	case f.renew && s.Time >= f.hold:
		f.fallback = most
	}
}

// choose makes the rule active that would have reserved least, or KRR's.
func (f *Forecast) choose(now int64) {
	f.chosen = now
	krr := f.reference.scores.sum()
	best, least := -1, math.Inf(1)
	for i, s := range f.shadows {
		sum := s.scores.sum()
		reserved := sum.reserved
		if i == f.active {
			reserved *= 1 - stay
		}
		if sum.kills <= krr.kills && sum.raises >= leastRaises && reserved < least {
			best, least = i, reserved
		}
	}
	f.saving = 0
	if best >= 0 {
		f.saving = 1 - f.shadows[best].scores.sum().reserved/krr.reserved
	}
	if f.saving < leastSaving || now < f.hold {
		best = -1
	}
	if best >= 0 {
		if best != f.active && f.made.left(now) < 3 {
			// The limit of another rule may be low, and must then be raised: later.
			f.chosen = now - day + hour
			best = f.active
		}
	}
	if f.active = best; best >= 0 {
		f.killsOf = f.shadows[best].scores.sum().kills
		if f.returned != (Limits{}) {
			f.shadows[best].budget.times = slices.Clone(f.made.times)
		}
	}
}

// Recommend returns the limits. It takes what is set for what it returned last where that differs by rounding.
func (f *Forecast) Recommend(set Limits) Limits {
	if !f.past.memory.known() {
		return set
	}
	now := f.past.last
	asked := set
	if rounded(set, f.returned) {
		set = f.returned
	}
	want := f.want(set, now)
	ignored := asked == f.asked && !f.renew && want.MemoryLimit == f.returned.MemoryLimit // what was returned was not set
	f.renew, f.asked = false, asked
	switch {
	case want == set:
		f.returned = set
		return asked
	case ignored:
		return f.returned
	}
	if f.made.left(now) == 1 && want.MemoryLimit > set.MemoryLimit {
		want.MemoryLimit = max(want.MemoryLimit, f.most())
		want.MemoryRequest = want.MemoryLimit
	}
	if !f.made.spend(now) {
		return asked
	}
	if f.active >= 0 {
		// What is really changed counts for the rule, and what was changed before it was chosen.
		f.shadows[f.active].budget.times = slices.Clone(f.made.times)
	}
	f.returned = want
	return want
}

// rounded reports whether limits are others, rounded as people write them.
func rounded(a, b Limits) bool {
	near := func(a, b, step float64) bool {
		return (a == 0) == (b == 0) && math.Abs(a-b) <= max(step, roundShare*b)
	}
	return near(a.MemoryRequest, b.MemoryRequest, memoryStep) && near(a.MemoryLimit, b.MemoryLimit, memoryStep) &&
		near(a.CPURequest, b.CPURequest, cpuStep) && near(a.CPULimit, b.CPULimit, cpuStep)
}

// want returns the limits, however many changes are left.
func (f *Forecast) want(set Limits, now int64) Limits {
	memory := f.fallback
	if f.active >= 0 {
		memory = f.shadows[f.active].limit
	} else if set.MemoryLimit >= memory && set.MemoryLimit <= memory*(1+notWorth) {
		memory = set.MemoryLimit
	}
	want := set
	want.MemoryRequest, want.MemoryLimit = memory, memory
	first := f.returned == (Limits{})
	if want == set && !first && !f.renew || !f.past.knowsCPU() {
		return want
	}
	request := max(f.past.cpuPercentile(0.95), f.options.CPUFloor)
	limit := 0.0
	if set.CPULimit > 0 {
		limit = max(1.15*f.past.cpu.of(), f.options.CPUFloor)
	}
	far := math.Abs(request/set.CPURequest-1) > farCPU || set.CPULimit > 0 && f.past.cpu.of() > set.CPULimit
	if want != set || first || far && f.made.left(now) > 3 {
		want.CPURequest, want.CPULimit = request, limit
	}
	return want
}

// Reasons returns why.
func (f *Forecast) Reasons() Reasons {
	if !f.past.memory.known() {
		return nothingKnown
	}
	var r Reasons
	krr := krrReason(0.15, f.past)
	switch {
	case f.active >= 0:
		s := f.shadows[f.active]
		how := "by the distances of the last 7 days"
		if s.source == dailySource {
			how = "by the same time of the last 3 days"
		}
		r.Memory = fmt.Sprintf("%s now, at most %s in the next %s at 99 %% (%s), and %s; %s less than KRR's rule in the last %s", memoryText(s.current), memoryText(s.ahead),
			length(s.reach), how, percent(margin), percent(f.saving), length(min(f.past.last-f.past.first-day, validatedDays*day)))
		if s.isBelow() {
			r.Memory += fmt.Sprintf("; it stands lower until usage comes within %s of it", percent(nearMargin))
		}
		if s.limit > s.wanted(s.ahead, s.current, f.most())*(1+s.least) {
			r.Memory += fmt.Sprintf("; it stands higher until less was needed for %s and changes of the day are left", length(s.below))
		}
	case f.past.last < f.hold:
		r.Memory = fmt.Sprintf("%s above what a container was killed at, or %s, held for %s", percent(bumpAfter), krr, length(holdAfter))
	case f.past.last-f.past.first < leastHistory:
		r.Memory = krr + ", as there are less than 2d of history"
	default:
		r.Memory = krr + fmt.Sprintf(", as following usage saves less than %s", percent(leastSaving))
	}
	if !f.past.knowsCPU() {
		r.CPU = noCPU
		return r
	}
	r.CPU = fmt.Sprintf("the 95th percentile of %s as the request", length(f.past.reach()))
	if f.returned.CPULimit > 0 {
		r.CPU += fmt.Sprintf(", 15 %% above the maximum of %s as the limit", cpuText(f.past.cpu.of()))
	} else {
		r.CPU += ", and no limit, as none is set"
	}
	return r
}
