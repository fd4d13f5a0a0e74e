package recommend

import (
	"bufio"
	"encoding/json"
	"math"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const mib = 1 << 20

// TestBuckets checks in which buckets values fall, and where these end.
func TestBuckets(t *testing.T) {
	cpu, memory := newHistogram(0.01, 1000), newHistogram(1e7, 1e12)
	require.Len(t, cpu.weights, 176)
	require.Len(t, memory.weights, 176)
	require.Equal(t, 16, cpu.bucket(0.25))
	require.InDelta(t, 0.25840, cpu.start(17), 5e-6)
	require.Equal(t, 14, memory.bucket(2e8))
	require.InDelta(t, 215785635, memory.start(15), 1)
	require.Equal(t, 0, cpu.bucket(0))
	require.Equal(t, 175, cpu.bucket(1e9))
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Float64Range(0, 900).Draw(t, "cores")
		b := cpu.bucket(v)
		require.LessOrEqual(t, cpu.start(b), v*(1+1e-12))
		require.Greater(t, cpu.start(b+1)*(1+1e-12), v)
	})
}

// TestVPAExample checks a recommendation for 21 CPU samples of one time, and for peaks of memory on three days.
func TestVPAExample(t *testing.T) {
	v := NewVPA(Options{})
	begin := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC).UnixMilli()
	for i := range 21 {
		cores := 0.1
		if i >= 11 {
			cores = 0.25
		}
		if i == 20 {
			cores = 1
		}
		v.cpu.add(cores, vpaCPUWeight, begin)
	}
	require.InDelta(t, 0.11027, v.cpu.percentile(0.5), 5e-6)
	require.InDelta(t, 0.25840, v.cpu.percentile(0.9), 5e-6)
	require.InDelta(t, 0.25840, v.cpu.percentile(0.95), 5e-6)
	v.firstSample, v.lastSample, v.samples = begin, begin+day, 24*60 // as if it had been a day
	for i, peak := range []float64{1e8, 2e8, 3e8} {
		v.addMemory(begin+int64(i)*day, amount(peak), false)
	}
	v.estimate()
	require.Equal(t, vpaResources{351198544, 296}, v.target)
	require.Equal(t, amount(592), v.upper.cpu)
	require.Equal(t, amount(125), v.lower.cpu) // 126 · 1.001⁻²
	require.Equal(t, "335Mi", memoryText(float64(v.target.memory)))

	one := NewVPA(Options{MemoryFloor: 1})
	one.addMemory(begin, 1e8, false)
	one.samples, one.lastSample = 1, 1
	one.estimate()
	require.InDelta(t, 126.8e6, float64(one.target.memory), 0.05e6)
	one = NewVPA(Options{})
	one.addMemory(begin, 1e8, false)
	one.samples, one.lastSample = 1, 1
	one.estimate()
	require.Equal(t, amount(250*mib), one.target.memory)
}

// TestVPAConfidence checks how the age of a history widens the bounds.
func TestVPAConfidence(t *testing.T) {
	for _, c := range []struct {
		days         float64
		lower, upper float64
	}{{5.0 / (24 * 60), 0.603, 289}, {0.5, 0.996, 3}, {1, 0.998, 2}, {7, 0.9997, 1.143}} {
		v := NewVPA(Options{MemoryFloor: 1, CPUFloor: 0.001})
		v.addMemory(1, 4e9, false)
		v.firstSample, v.lastSample, v.samples = 1, 1+int64(c.days*float64(day)), int(c.days*24*60)
		v.estimate()
		require.InEpsilon(t, c.lower, float64(v.lower.memory)/float64(v.target.memory), 0.001)
		require.InEpsilon(t, c.upper, float64(v.upper.memory)/float64(v.target.memory), 0.001)
	}
}

// TestVPAOOM checks what a kill counts as.
func TestVPAOOM(t *testing.T) {
	for request, want := range map[float64]amount{200 * mib: 300 * mib, 600 * mib: 720 * mib} {
		v := NewVPA(Options{})
		v.set = Limits{MemoryRequest: request}
		v.recordOOM(1)
		require.Equal(t, want, v.oomPeak)
		v = NewVPA(Options{})
		v.addMemory(1, amount(request), false)
		v.recordOOM(2)
		require.Equal(t, want, v.oomPeak)
	}
}

// TestVPARatio checks that limits keep their ratio to requests.
func TestVPARatio(t *testing.T) {
	require.Zero(t, proportional(0, 100, 200))
	require.Equal(t, 200.0, proportional(100, 0, 200))
	require.Equal(t, 200.0, proportional(100, 100, 200))
	require.Equal(t, 400.0, proportional(300, 150, 200))
}

// TestVPAAgainstKubernetes replays two series that k8s.io/autoscaler/vertical-pod-autoscaler v1.4.1 was given, whose recommender and updater
// wrote testdata/vpa.jsonl: six days of a sample a minute, and 130 days of one in half an hour, with kills. There a recommendation was made at
// every sample, and each 97th and each at which the pod was evicted was written.
func TestVPAAgainstKubernetes(t *testing.T) {
	type row struct {
		Case                 string
		I                    int
		Target, Lower, Upper [2]int64
		Evicted              bool
	}
	file, err := os.Open("testdata/vpa.jsonl")
	require.NoError(t, err)
	defer file.Close()
	rows := map[string][]row{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var r row
		require.NoError(t, json.Unmarshal(lines.Bytes(), &r))
		rows[r.Case] = append(rows[r.Case], r)
	}
	for _, c := range []struct {
		name    string
		n, step int
	}{{"days", 6 * 1440, 60}, {"months", 130 * 48, 1800}} {
		t.Run(c.name, func(t *testing.T) {
			x := uint64(1)
			next := func() float64 { x = x*6364136223846793005 + 1442695040888963407; return float64(x>>11) / (1 << 53) }
			begin := time.Date(2026, 3, 2, 7, 13, 0, 0, time.UTC).UnixMilli()
			set := Limits{300 * mib, 300 * mib, 0.2, 0.2}
			v := NewVPA(Options{})
			v.set = set
			level, cpu := 4e8, 0.1
			want := rows[c.name]
			require.NotEmpty(t, want)
			for i := range c.n {
				if i%(c.n/7) == c.n/7-1 {
					level = 5e7 * (1 + 19*next()*next())
					cpu = 2 * next() * next()
				}
				memory, cores := level*(1+0.3*next()), cpu*(0.5+next())
				s := Sample{Time: begin + int64(i)*int64(c.step)*1000, Memory: math.Floor(memory), CPU: math.Floor(cores*1000) / 1000}
				s.Killed = next() < 0.001*float64(c.step)/60 || (i > c.n/2 && i < c.n/2+8)
				v.Observe(s)
				changed := v.Recommend(set)
				evicted := changed != set
				set = changed
				if !evicted && i%97 != 0 {
					continue
				}
				require.NotEmpty(t, want, "sample %d", i)
				got := row{
					Case: c.name, I: i, Evicted: evicted, Target: [2]int64{int64(v.target.memory), int64(v.target.cpu)},
					Lower: [2]int64{int64(v.lower.memory), int64(v.lower.cpu)}, Upper: [2]int64{int64(v.upper.memory), int64(v.upper.cpu)},
				}
				require.Equal(t, want[0], got)
				want = want[1:]
			}
			require.Empty(t, want)
		})
	}
}
