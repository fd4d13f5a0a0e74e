package classical

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
	"github.com/tppfaas/tppfaas/tpp/live"
)

// drawn draws n windows of a process.
func drawn(t *testing.T, m tpp.Model, n int, window float64) []tpp.Sequence {
	t.Helper()
	s, err := live.Simulate(t.Context(), m, n, live.SimulateOptions{Window: window, Seed: 3, MaxEvents: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// meanAndVariance returns both of a sample.
func meanAndVariance(sample []float64) (mean, variance float64) {
	for _, v := range sample {
		mean += v / float64(len(sample))
	}
	for _, v := range sample {
		variance += (v - mean) * (v - mean) / float64(len(sample)-1)
	}
	return mean, variance
}

// TestPoissonFromRates checks that counts of each mark have the mean and the variance rate·window, and that gaps are exponential.
func TestPoissonFromRates(t *testing.T) {
	const n, window = 2000, 50.0
	rates := []float64{0.5, 1.5}
	m, err := NewPoisson(rates, ProcessOptions{MarkNames: []string{"a", "b"}, TimeUnit: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if !within(m.Rate(), 2, 1e-6) || m.TimeUnit() != "s" {
		t.Errorf("a rate of %v per %s", m.Rate(), m.TimeUnit())
	}
	counts := make([][]float64, 2)
	var gaps []float64
	for _, s := range drawn(t, m, n, window) {
		var count [2]float64
		for _, mark := range s.Marks {
			count[mark]++
		}
		for mark, c := range count {
			counts[mark] = append(counts[mark], c)
		}
		gap, _ := s.GapBefore(0) // one of each window: the others are censored by its end
		gaps = append(gaps, -math.Expm1(-2*gap))
	}
	for mark, rate := range rates {
		want := rate * window
		mean, variance := meanAndVariance(counts[mark])
		if !within(mean, want, 4*math.Sqrt(want/n)) || !within(variance, want, 4*want*math.Sqrt(2.0/n)) {
			t.Errorf("mark %d: counts have mean %v and variance %v, want %v of both", mark, mean, variance, want)
		}
	}
	if ks := tpptest.Uniformity(gaps); ks > 1.95 {
		t.Errorf("gaps are not exponential: Kolmogorov–Smirnov statistic %v", ks)
	}
}

// erlang is the distribution of the sum of two exponential times of rate 1, with no more than the four methods that a distribution needs.
type erlang struct{}

func (erlang) LogProb(t float64) float64     { return math.Log(t) - t }
func (erlang) CDF(t float64) float64         { return 1 - (1+t)*math.Exp(-t) }
func (erlang) LogSurvival(t float64) float64 { return math.Log1p(t) - t }
func (e erlang) Quantile(p float64) float64 {
	low, high := 0.0, 800.0
	for range 200 {
		if mid := (low + high) / 2; e.CDF(mid) < p {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// TestRenewalFromDistribution checks that gaps have the distribution that was given, marks their weights, and that the count of a renewal process
// of Erlang gaps has the mean and the variance of every second event of a Poisson process of rate 1.
func TestRenewalFromDistribution(t *testing.T) {
	mix := dist.LogNormMix{LogWeights: []float64{0, math.Log(3), math.Inf(-1)}, Mu: []float64{0, 2, 5}, Sigma: []float64{0.5, 1, 1}}
	const n, window = 2000, 40.0
	for name, gaps := range map[string]dist.Distribution{"log-normal": &mix, "log-normal by value": mix, "Erlang": erlang{}} {
		m, err := NewRenewal(gaps, []float64{3, 1}, ProcessOptions{MarkNames: []string{"a", "b"}})
		if err != nil {
			t.Fatal(err)
		}
		var us, counts []float64
		first, all := 0.0, 0.0
		for _, s := range drawn(t, m, n, window) {
			gap := window
			if s.Len() > 0 {
				gap, _ = s.GapBefore(0)
			}
			if c := gaps.CDF(gap); gap < window {
				us = append(us, c/gaps.CDF(window))
			}
			counts = append(counts, float64(s.Len()))
			for _, mark := range s.Marks {
				all++
				if mark == 0 {
					first++
				}
			}
		}
		if ks := tpptest.Uniformity(us); ks > 1.95 {
			t.Errorf("%s: gaps have another distribution: Kolmogorov–Smirnov statistic %v", name, ks)
		}
		if share := first / all; !within(share, 0.75, 4*math.Sqrt(0.75*0.25/all)) {
			t.Errorf("%s: %v of the marks are the first, want 0.75", name, share)
		}
		err = m.Encode(&bytes.Buffer{})
		if name != "Erlang" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "mixture of log-normals") {
			t.Errorf("an Erlang process was written: %v", err)
		}
		// E⌊N/2⌋ = (λ − P(N odd))/2 with P(N odd) = (1 − e^{−2λ})/2; E⌊N/2⌋² = (E N² − 2 E[N; odd] + P(odd))/4 with
		// E[N; odd] = λ (1 + e^{−2λ})/2.
		left := math.Exp(-2 * window)
		odd := (1 - left) / 2
		mean := (window - odd) / 2
		variance := (window*window+window-window*(1+left)+odd)/4 - mean*mean
		gotMean, gotVariance := meanAndVariance(counts)
		if !within(gotMean, mean, 4*math.Sqrt(variance/n)) || !within(gotVariance, variance, 4*variance*math.Sqrt(2.0/n)) {
			t.Errorf("counts have mean %v and variance %v, want %v and %v", gotMean, gotVariance, mean, variance)
		}
	}
}

// mutual is a stable Hawkes process of two marks, each with its own decays.
var mutual = HawkesParameters{
	Base:      []float64{0.2, 0.1},
	Branching: [][]float64{{0.3, 0.4}, {0.2, 0.1}},
	Decay:     [][]float64{{2, 1}, {3, 0.5}},
}

// TestHawkesStationaryRates checks the rates (I − Aᵀ)⁻¹ μ by hand, and that a long simulation has them.
func TestHawkesStationaryRates(t *testing.T) {
	h, err := NewHawkes(mutual, ProcessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if names := h.MarkNames(); !slices.Equal(names, []string{"0", "1"}) {
		t.Errorf("the marks are called %q", names)
	}
	for from, row := range h.Branching() {
		for to, v := range row {
			if !within(v, mutual.Branching[from][to], 1e-6) {
				t.Errorf("branching from %d to %d is %v", from, to, v)
			}
		}
	}
	// A has the trace 0.4 and the determinant −0.05: its eigenvalues are 0.5 and −0.1.
	if r := h.SpectralRadius(); !within(r, 0.5, 1e-6) {
		t.Errorf("the spectral radius is %v, want 0.5", r)
	}
	det := 0.7*0.9 - 0.2*0.4
	want := []float64{(0.9*0.2 + 0.2*0.1) / det, (0.4*0.2 + 0.7*0.1) / det}
	rates, err := h.StationaryRates()
	if err != nil {
		t.Fatal(err)
	}
	const n, burn, window = 400, 100.0, 600.0
	counts := [2][]float64{}
	for _, s := range drawn(t, h, n, window) {
		var count [2]float64
		for i, at := range s.ArrivalTimes {
			if at > burn {
				count[s.Marks[i]]++
			}
		}
		for m := range count {
			counts[m] = append(counts[m], count[m]/(window-burn))
		}
	}
	for m := range want {
		mean, variance := meanAndVariance(counts[m])
		if !within(rates[m], want[m], 1e-6) || !within(mean, want[m], 4*math.Sqrt(variance/n)) {
			t.Errorf("mark %d: a stationary rate of %v, simulated %v, want %v", m, rates[m], mean, want[m])
		}
	}
}

// TestHawkesCounts checks the variance of the counts of a stationary Hawkes process of one mark in a window of length T: with λ = μ/(1 − η), γ =
// β(1 − η), and the covariance density C e^{−γτ}, C = λ α (2β − α)/(2(β − α)) (Hawkes 1971), it is λT + 2C (T/γ − (1 − e^{−γT})/γ²).
func TestHawkesCounts(t *testing.T) {
	const mu, eta, beta = 0.5, 0.6, 2.0
	const n, burn, window = 4000, 40.0, 10.0
	h, err := NewHawkes(HawkesParameters{Base: []float64{mu}, Branching: [][]float64{{eta}}, Decay: [][]float64{{beta}}}, ProcessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var counts []float64
	for _, s := range drawn(t, h, n, burn+window) {
		c := 0.0
		for _, at := range s.ArrivalTimes {
			if at > burn {
				c++
			}
		}
		counts = append(counts, c)
	}
	alpha, rate, gamma := eta*beta, mu/(1-eta), beta*(1-eta)
	c := rate * alpha * (2*beta - alpha) / (2 * (beta - alpha))
	want := rate*window + 2*c*(window/gamma+math.Expm1(-gamma*window)/(gamma*gamma))
	mean, variance := meanAndVariance(counts)
	// The sample's variance has a relative error of √((κ − 1)/n), where the kurtosis κ of such counts is below 6.
	if !within(mean, rate*window, 4*math.Sqrt(want/n)) || !within(variance, want, 4*want*math.Sqrt(5.0/n)) {
		t.Errorf("counts have mean %v and variance %v, want %v and %v", mean, variance, rate*window, want)
	}
}

// TestHawkesTimeRescaling checks that the compensators between the events of each mark, summed kernel by kernel from the parameters that were given,
// are exponential times of rate 1 (Papangelou 1972).
func TestHawkesTimeRescaling(t *testing.T) {
	const n, window = 20, 500.0
	for name, decay := range map[string][][]float64{"a decay for each pair": mutual.Decay, "one decay": {{1.5}}} {
		h, err := NewHawkes(HawkesParameters{Base: mutual.Base, Branching: mutual.Branching, Decay: decay}, ProcessOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for mark := range 2 {
			var us []float64
			for _, s := range drawn(t, h, n, window) {
				compensator := func(at float64) float64 {
					sum := mutual.Base[mark] * at
					for i, before := range s.ArrivalTimes {
						if before >= at {
							break
						}
						beta := decay[0][0]
						if len(decay) > 1 {
							beta = decay[s.Marks[i]][mark]
						}
						sum -= mutual.Branching[s.Marks[i]][mark] * math.Expm1(-beta*(at-before))
					}
					return sum
				}
				last := 0.0
				for i, at := range s.ArrivalTimes {
					if s.Marks[i] == mark {
						now := compensator(at)
						us, last = append(us, -math.Expm1(last-now)), now
					}
				}
			}
			if ks := tpptest.Uniformity(us); ks > 1.95 {
				t.Errorf("%s: mark %d: Kolmogorov–Smirnov statistic %v of %d rescaled gaps", name, mark, ks, len(us))
			}
		}
	}
}

// TestConstructorsRefuse checks that parameters without a process are one clear error.
func TestConstructorsRefuse(t *testing.T) {
	hawkes := func(base []float64, branching, decay [][]float64, o ProcessOptions) error {
		_, err := NewHawkes(HawkesParameters{Base: base, Branching: branching, Decay: decay}, o)
		return err
	}
	poisson := func(o ProcessOptions, rates ...float64) error { _, err := NewPoisson(rates, o); return err }
	renewal := func(d dist.Distribution, weights ...float64) error {
		_, err := NewRenewal(d, weights, ProcessOptions{})
		return err
	}
	one := [][]float64{{1}}
	for _, c := range []struct {
		err  error
		want string
	}{
		{poisson(ProcessOptions{}), "no rate is above 0"},
		{poisson(ProcessOptions{}, 1, -1), "a rate is -1"},
		{poisson(ProcessOptions{}, math.NaN()), "a rate is NaN"},
		{poisson(ProcessOptions{End: 1}, 1), "a probability of the end of 1"},
		{poisson(ProcessOptions{Resolution: -1}, 1), "the resolution is -1"},
		{poisson(ProcessOptions{MarkNames: []string{"a"}}, 1, 2), "1 names for 2 marks"},
		{poisson(ProcessOptions{MarkNames: []string{"a", "a"}}, 1, 2), `both called "a"`},
		{renewal(nil), "no distribution"},
		{renewal(dist.Exponential{}), "rate"},
		{renewal(erlang{}, 0, 0), "no weight of a mark is above 0"},
		{renewal(dist.Point{}), "the median of the gaps is 0"},
		{hawkes(nil, nil, one, ProcessOptions{}), "no base intensity is above 0"},
		{hawkes([]float64{1}, one, one, ProcessOptions{}), "not stable: the spectral radius of its branching matrix is 1,"},
		{hawkes([]float64{1, 1}, [][]float64{{0.1, 2}, {0.6, 0.1}}, one, ProcessOptions{}), "not stable: the spectral radius"},
		{hawkes([]float64{1}, [][]float64{{0.5}}, [][]float64{{0}}, ProcessOptions{}), "a decay is 0"},
		{hawkes([]float64{1}, [][]float64{{0.5}}, [][]float64{{1e-46}}, ProcessOptions{}), "a decay is 1e-46, it must be at least 1.18e-38"},
		{hawkes([]float64{1, 1}, [][]float64{{0.5, 0}}, one, ProcessOptions{}), "the branching matrix has 1 rows"},
		{hawkes([]float64{1}, [][]float64{{0.5, 0.1}}, one, ProcessOptions{}), "row 0 of the branching matrix has 2 numbers"},
		{hawkes([]float64{1}, [][]float64{{-0.5}}, one, ProcessOptions{}), "a number of the branching matrix is -0.5"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) || strings.Contains(c.err.Error(), "\n") {
			t.Errorf("error %v, want one with %q", c.err, c.want)
		}
	}
	// A process that ends may be as excited as it will.
	h, err := NewHawkes(HawkesParameters{Base: []float64{1}, Branching: [][]float64{{3}}, Decay: one}, ProcessOptions{End: 0.2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.StationaryRates(); err == nil {
		t.Error("it has stationary rates")
	}
	events := 0
	for _, s := range drawn(t, h, 1000, math.Inf(1)) {
		events += s.Len()
	}
	if mean := float64(events) / 1000; !within(mean, 5, 4*math.Sqrt(20.0/1000)) {
		t.Errorf("sequences have %v events on average, want 5", mean)
	}
}

// TestConstructedModelsAreRead checks that processes from parameters are models like those that are fitted: files, and what is read back.
func TestConstructedModelsAreRead(t *testing.T) {
	p, err := NewPoisson([]float64{1, 2}, ProcessOptions{End: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRenewal(&dist.LogNormMix{LogWeights: []float64{0}, Mu: []float64{1}, Sigma: []float64{2}}, nil, ProcessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := NewHawkes(mutual, ProcessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []tpp.FileModel{p, r, h} {
		text := tpptest.Encoded(t, m)
		back, err := tpp.ReadModel(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v", m.Kind(), err)
		}
		if tpptest.Encoded(t, back.(tpp.FileModel)) != text {
			t.Errorf("%s: another file once it is read", m.Kind())
		}
	}
}
