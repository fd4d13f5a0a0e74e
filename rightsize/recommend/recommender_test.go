package recommend

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/rightsize/synthetic"
)

// begin is a midnight.
var begin = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC).UnixMilli()

func at(minutes int) int64 { return begin + int64(minutes)*minute }

func TestKinds(t *testing.T) {
	for _, k := range Kinds() {
		r, err := New(k[0], Options{})
		require.NoError(t, err)
		set := Limits{1, 2, 3, 4}
		require.Equal(t, set, r.Recommend(set), "%s without samples", k[0])
		r.Observe(Sample{Time: at(0), Memory: 500 * mib, CPU: 0.5})
		r.Recommend(set)
		reasons := r.(Reasoned).Reasons()
		require.NotEmpty(t, reasons.Memory)
		require.NotEmpty(t, reasons.CPU)
	}
	_, err := New("oracle", Options{})
	require.ErrorContains(t, err, `"oracle"`)
}

// TestNothingUsed checks that a function that uses nothing gets the floors, and that what is not known is not taken for nothing.
func TestNothingUsed(t *testing.T) {
	for _, k := range Kinds() {
		o := Options{MemoryFloor: 16 * mib, CPUFloor: 0.02}
		zero, err := New(k[0], o)
		require.NoError(t, err)
		unknown, err := New(k[0], o)
		require.NoError(t, err)
		for i := range 3 * 1440 {
			zero.Observe(Sample{Time: at(i)})
			unknown.Observe(Sample{Time: at(i), Memory: math.NaN(), CPU: math.NaN()})
		}
		l := zero.Recommend(Limits{})
		require.Equal(t, [2]float64{16 * mib, 0.02}, [2]float64{l.MemoryRequest, l.CPURequest}, k[0])
		set := Limits{1, 2, 3, 4}
		require.Equal(t, set, unknown.Recommend(set), k[0])
		if k[0] != "vpa" { // whose reasons are percentiles
			require.Contains(t, zero.(Reasoned).Reasons().Memory, "above the maximum of 2d 23h, 0Mi")
			require.Equal(t, Reasons{Memory: noMemory, CPU: noMemory}, unknown.(Reasoned).Reasons())
		}
	}
}

// TestReasonsAgree checks that where the forecast that is told, and the margin, are not what is recommended, the reason says so.
func TestReasonsAgree(t *testing.T) {
	u, err := synthetic.New("daily", 1, synthetic.Options{Length: 4 * 24 * time.Hour, Step: 5 * time.Minute})
	require.NoError(t, err)
	f := NewForecast(Options{})
	var set Limits
	told := map[string]int{}
	for i := range u.Len() {
		f.Observe(Sample{Time: u.Times[i], Memory: u.Memory[i], CPU: u.CPU[i]})
		set = f.Recommend(set)
		if f.active < 0 {
			continue
		}
		s, reason := f.shadows[f.active], f.Reasons().Memory
		lower, higher := strings.Contains(reason, "it stands lower until usage comes within 12 % of it"), strings.Contains(reason, "it stands higher until")
		require.False(t, lower && higher, reason)
		switch ratio := s.limit / s.ahead; {
		case lower:
			told["lower"]++
			require.Less(t, ratio, 1+margin)
		case higher:
			told["higher"]++
			require.Greater(t, ratio, (1+margin)*(1+headroom))
		default:
			told["as forecast"]++
			require.True(t, ratio >= 1+margin || math.IsNaN(ratio), ratio)
		}
	}
	require.Greater(t, told["lower"], 10)
	require.Greater(t, told["higher"], 10)
}

// TestReasonsReach checks that reasons name no more than the 14 days that count.
func TestReasonsReach(t *testing.T) {
	for _, k := range Kinds() {
		if k[0] == "vpa" {
			continue
		}
		r, err := New(k[0], Options{})
		require.NoError(t, err)
		for i := range 40 {
			r.Observe(Sample{Time: at(i * 1440), Memory: 50 * mib, CPU: 0.1})
		}
		r.Recommend(Limits{})
		reasons := r.(Reasoned).Reasons()
		require.Contains(t, reasons.Memory, "above the maximum of 14d", k[0])
		require.Contains(t, reasons.CPU, " of 14d", k[0])
	}
}

// TestKRR checks the rule, and that it is renewed daily.
func TestKRR(t *testing.T) {
	k := NewKRR(0.15, Options{})
	var set Limits
	changes := 0
	for i := range 3 * 1440 {
		memory := 100.0 * mib
		switch i {
		case 7, 2000:
			memory = 200 * mib
		case 1500:
			memory = 300 * mib
		}
		k.Observe(Sample{Time: at(i), Memory: memory, CPU: float64(i%100) / 100})
		if next := k.Recommend(set); next != set {
			set = next
			changes++
			switch i {
			case 0:
				require.Equal(t, Limits{115 * mib, 115 * mib, 0.01, 0}, roundFloats(set))
			case 1440:
				require.InDelta(t, 230*mib, set.MemoryLimit, 1)
			case 2880:
				require.InDelta(t, 345*mib, set.MemoryLimit, 1)
			default:
				t.Errorf("a change at %d", i)
			}
		}
	}
	require.InDelta(t, 0.94, set.CPURequest, 0.02)
	require.Equal(t, set.MemoryLimit, set.MemoryRequest)
	require.Zero(t, set.CPULimit)
	require.Equal(t, 3, changes)
}

func roundFloats(l Limits) Limits {
	return Limits{math.Round(l.MemoryRequest), math.Round(l.MemoryLimit), math.Round(l.CPURequest*1e9) / 1e9, math.Round(l.CPULimit*1e9) / 1e9}
}

// TestKRRForgets checks that what is older than 14 days does not count.
func TestKRRForgets(t *testing.T) {
	k := NewKRR(0.15, Options{})
	for i := range 16 * 24 {
		memory, cpu := 200.0*mib, 0.1
		if i < 24 {
			memory, cpu = 900*mib, 2
		}
		k.Observe(Sample{Time: at(60 * i), Memory: memory, CPU: cpu})
		l := k.Recommend(Limits{})
		if i >= 24+14*24 {
			require.InDelta(t, 230*mib, l.MemoryLimit, 1, i)
			require.InDelta(t, 0.1, l.CPURequest, 1e-12)
		} else if i < 14*24-1 {
			require.InDelta(t, 1035*mib, l.MemoryLimit, 1, i)
		}
	}
}

// TestPercentile checks the quantile against that of Prometheus.
func TestPercentile(t *testing.T) {
	h := newHistory()
	for i, v := range []float64{4, 1, math.NaN(), 3, 2} {
		h.add(Sample{Time: at(2 * i), CPU: v, Memory: math.NaN()})
	}
	require.InDelta(t, 3.85, h.cpuPercentile(0.95), 1e-12)
	require.InDelta(t, 2.5, h.cpuPercentile(0.5), 1e-12)
	require.Zero(t, newHistory().cpuPercentile(0.5))
	// Of samples that are close to each other all count in the first hour, and the last of each step later on.
	h = newHistory()
	for i := range 4 * 3600 {
		h.add(Sample{Time: begin + int64(i)*1000, CPU: float64(i % 25), Memory: 1})
		switch i {
		case 49:
			require.InDelta(t, 12, h.cpuPercentile(0.5), 1e-12)
		case 3600:
			require.Nil(t, h.begin)
		}
	}
	require.Len(t, h.steps, 4*48)
	require.InDelta(t, 24, h.cpuPercentile(0.5), 1e-12)
}

func TestLength(t *testing.T) {
	for ms, want := range map[int64]string{0: "0s", 12_000: "12s", 45 * minute: "45m", 2 * hour: "2h", 5*hour + 20*minute: "5h 20m", 3 * day: "3d", 3*day + 4*hour + minute: "3d 4h"} {
		require.Equal(t, want, length(ms))
	}
}

// TestMaximum checks the trailing maximum against a plain one.
func TestMaximum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := maximum{hours: 5}
		type value struct {
			hour  int64
			value float64
		}
		var all []value
		now := int64(1000) * hour
		for range rapid.IntRange(1, 60).Draw(t, "n") {
			now += rapid.Int64Range(1, 3*hour).Draw(t, "step")
			v := rapid.Float64Range(0, 10).Draw(t, "value")
			m.add(now, v)
			all = append(all, value{now / hour, v})
			want := 0.0
			for _, a := range all {
				if a.hour > now/hour-5 {
					want = max(want, a.value)
				}
			}
			require.Equal(t, want, m.of())
			require.LessOrEqual(t, len(m.values), 6)
		}
	})
}

// TestFixed checks that limits are set once, and anew after a kill.
func TestFixed(t *testing.T) {
	f := NewFixed(Options{})
	f.Observe(Sample{Time: at(0), Memory: 100 * mib, CPU: 0.5})
	l := f.Recommend(Limits{})
	require.Equal(t, Limits{120 * mib, 120 * mib, 0.6, 0.6}, l)
	f.Observe(Sample{Time: at(1), Memory: 200 * mib, CPU: 1})
	require.Equal(t, l, f.Recommend(l))
	f.Observe(Sample{Time: at(2), Memory: 150 * mib, CPU: 1, Killed: true})
	require.Equal(t, Limits{240 * mib, 240 * mib, 1.2, 1.2}, f.Recommend(l))
}

// drive has a recommender set limits of a series from a minute on, with kills as they come, and returns the limits of each sample.
func drive(r Recommender, memory, cpu []float64, from int) []Limits {
	return driveAt(r, memory, cpu, from, 1)
}

// driveAt is drive with samples some minutes apart.
func driveAt(r Recommender, memory, cpu []float64, from, step int) []Limits {
	var out []Limits
	var set Limits
	over := false
	for i := range memory {
		s := Sample{Time: at(i * step), Memory: memory[i], CPU: cpu[i]}
		above := set.MemoryLimit > 0 && memory[i] > set.MemoryLimit
		s.Killed, over = above && !over, above
		r.Observe(s)
		if i >= from {
			set = r.Recommend(set)
		}
		out = append(out, set)
	}
	return out
}

// TestForecastHolds checks, on usage of all sorts, that a forecast stays above the floor, keeps to the changes of a day, requests what it limits, and
// raises its limit at once after a kill.
func TestForecastHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 8).Draw(t, "most")
		floor := float64(rapid.IntRange(1, 200).Draw(t, "floor")) * mib
		n := rapid.IntRange(1, 5*288).Draw(t, "n")
		memory, cpu := make([]float64, n), make([]float64, n)
		level, slope := 100.0, 0.0
		pieces := rapid.SliceOfN(rapid.Float64Range(0, 400), 40, 40).Draw(t, "levels")
		for i := range n {
			if i%30 == 0 {
				level, slope = pieces[i/30%40], (pieces[(i/30+1)%40]-200)/60
			}
			memory[i] = max(level+slope*float64(i%30), 0) * mib * (1 + 0.05*math.Sin(float64(i*i)))
			cpu[i] = level / 400
			if int(pieces[i%40])%17 == 0 {
				memory[i] = math.NaN()
			}
		}
		r := NewForecast(Options{MemoryFloor: floor, CPUFloor: 0.02, MaxChanges: most})
		days := map[int64]int{}
		var before Limits
		killed := false
		for i, l := range driveAt(r, memory, cpu, 12, 5) {
			if l == (Limits{}) {
				continue
			}
			require.False(t, math.IsNaN(l.MemoryLimit+l.CPURequest), "sample %d", i)
			require.GreaterOrEqual(t, l.MemoryLimit, floor)
			require.GreaterOrEqual(t, l.CPURequest, 0.02)
			require.Equal(t, l.MemoryLimit, l.MemoryRequest)
			kills := before.MemoryLimit > 0 && memory[i] > before.MemoryLimit
			if l != before {
				days[at(5*i)/day]++
			} else if kills && !killed {
				require.Equal(t, most, days[at(5*i)/day], "sample %d: a kill and no change", i)
			}
			before, killed = l, kills
		}
		for _, n := range days {
			require.LessOrEqual(t, n, most)
		}
	})
}

// TestForecastAsKRR checks that in the first two days, and where following usage brings nothing, the limit is KRR's.
func TestForecastAsKRR(t *testing.T) {
	u, err := synthetic.New("idle", 3, synthetic.Options{Length: 5 * 24 * time.Hour})
	require.NoError(t, err)
	krr := drive(NewKRR(0.15, Options{MemoryFloor: 1}), u.Memory, u.CPU, 1440)
	f := NewForecast(Options{MemoryFloor: 1})
	own := drive(f, u.Memory, u.CPU, 1440)
	for i := range own {
		require.True(t, own[i].MemoryLimit >= krr[i].MemoryLimit*0.999 && own[i].MemoryLimit <= krr[i].MemoryLimit*1.031, i)
	}
	require.Contains(t, f.Reasons().Memory, "as following usage saves less than 10 %")
	require.Contains(t, f.Reasons().CPU, "no limit, as none is set")

	u, err = synthetic.New("daily", 3, synthetic.Options{Length: 4 * 24 * time.Hour})
	require.NoError(t, err)
	f = NewForecast(Options{MemoryFloor: 1})
	krr = drive(NewKRR(0.15, Options{MemoryFloor: 1}), u.Memory, u.CPU, 1440)
	own = drive(f, u.Memory, u.CPU, 1440)
	require.InEpsilon(t, krr[2000].MemoryLimit, own[2000].MemoryLimit, 1e-9)
	require.Contains(t, f.Reasons().Memory, "less than KRR's rule in the last 2d 23h")
	sum, of := 0.0, 0.0
	for i := 3 * 1440; i < len(own); i++ {
		sum, of = sum+own[i].MemoryLimit, of+krr[i].MemoryLimit
	}
	require.Less(t, sum, 0.9*of)
}

// TestForecastReplays checks that usage whose limits were never set gives a recommendation too.
func TestForecastReplays(t *testing.T) {
	u, err := synthetic.New("leak", 3, synthetic.Options{Length: 5 * 24 * time.Hour})
	require.NoError(t, err)
	f := NewForecast(Options{})
	for i := range u.Times {
		f.Observe(Sample{Time: u.Times[i], Memory: u.Memory[i], CPU: u.CPU[i]})
	}
	set := Limits{MemoryLimit: 1 << 34, MemoryRequest: 1 << 34, CPULimit: 1, CPURequest: 1}
	l := f.Recommend(set)
	require.Greater(t, l.MemoryLimit, u.Memory[u.Len()-1]*1.1)
	require.Less(t, l.MemoryLimit, 12*u.Memory[u.Len()-1]+1<<30)
	require.Positive(t, l.CPULimit)
	require.Contains(t, f.Reasons().Memory, "by the distances of the last 7 days")
	require.Contains(t, f.Reasons().CPU, "as the limit")
	// Nobody sets it: nothing else is said, and what is set rounded is not changed again.
	require.Equal(t, l, f.Recommend(set))
	require.Equal(t, 1, len(f.made.times))
	rounded := Round(l)
	require.Equal(t, rounded, f.Recommend(rounded))
	require.Equal(t, 1, len(f.made.times))
}

// TestDaily checks forecasts by the same time of days before on a square wave.
func TestDaily(t *testing.T) {
	d := newDaily(24)
	out := make([]float64, 1)
	wave := func(i int) float64 { return 1 + float64(i%24/12) } // 1 until noon, then 2
	for i := range 24 * 6 {
		d.Quantiles(3, []float64{0.99}, out)
		if i < 24 {
			require.True(t, math.IsNaN(out[0]))
		} else if i > 60 {
			require.InDelta(t, max(wave(i), wave(i+1), wave(i+2)), out[0], 1e-9, i)
		}
		d.Observe(wave(i))
	}
	d.Quantiles(25, []float64{0.99}, out)
	require.True(t, math.IsNaN(out[0]), "more than a day")
	late := newDaily(24)
	for i := range 24 * 6 {
		late.Observe(wave(i))
	}
	late.Quantiles(3, []float64{0.99}, out)
	require.InDelta(t, 1, out[0], 1e-9, "a horizon that is asked for late")
}

// TestBudget checks that a day has its changes.
func TestBudget(t *testing.T) {
	b := budget{most: 2}
	require.True(t, b.spend(at(0)))
	require.True(t, b.spend(at(1439)))
	require.False(t, b.spend(at(1439)))
	require.True(t, b.spend(at(1440)))
}

// TestKilledUnseen checks that a kill raises the limit at which it happened, where no sample shows it.
func TestKilledUnseen(t *testing.T) {
	for _, memory := range []float64{math.NaN(), 50 * mib} {
		f := NewForecast(Options{})
		for i := range 60 {
			f.Observe(Sample{Time: at(i), Memory: 100 * mib, CPU: 0.1})
		}
		set := f.Recommend(Limits{})
		require.InDelta(t, 115*mib, set.MemoryLimit, 1)
		f.Observe(Sample{Time: at(60), Memory: memory, CPU: math.NaN(), Killed: true})
		set = f.Recommend(set)
		require.InDelta(t, 1.2*115*mib, set.MemoryLimit, 1)
		require.Contains(t, f.Reasons().Memory, "20 % above what a container was killed at")
	}
	// The same of a rule that follows usage.
	u, err := synthetic.New("daily", 3, synthetic.Options{Length: 4 * 24 * time.Hour})
	require.NoError(t, err)
	f := NewForecast(Options{})
	limits := drive(f, u.Memory, u.CPU, 1440)
	require.GreaterOrEqual(t, f.active, 0)
	set := limits[len(limits)-1]
	f.Observe(Sample{Time: at(len(limits) + 1440), Memory: math.NaN(), CPU: math.NaN(), Killed: true})
	require.GreaterOrEqual(t, f.Recommend(set).MemoryLimit, 1.2*set.MemoryLimit*(1-1e-9))
}

// TestWithoutCPU checks that limits of CPU stay as they are set where its usage is not known.
func TestWithoutCPU(t *testing.T) {
	for _, k := range Kinds() {
		r, err := New(k[0], Options{})
		require.NoError(t, err)
		for i := range 100 {
			r.Observe(Sample{Time: at(i), Memory: 500 * mib, CPU: math.NaN()})
		}
		l := r.Recommend(Limits{CPURequest: 0.3, CPULimit: 0.7})
		require.Equal(t, 0.3, l.CPURequest, k[0])
		require.Equal(t, 0.7, l.CPULimit, k[0])
		if k[0] != "vpa" {
			require.Greater(t, l.MemoryLimit, 500.0*mib)
			require.Equal(t, noCPU, r.(Reasoned).Reasons().CPU)
		}
	}
}
