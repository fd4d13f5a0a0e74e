package acquire

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/prometheus/common/model"

	"github.com/tppfaas/tppfaas/rightsize"
)

// grid is what Prometheus answered: series whose points lie at first + i·step, i < n, in ms.
type grid struct {
	first, step int64
	n           int
	series      [2]map[model.Fingerprint]*series // by resource
	points      int
	bad         [2]int // points that are no amount, by resource
	// container is that of the function, restarted the pods in which it took the place of another one; set by samples.
	container string
	restarted []string
}

// series is a series of a container.
type series struct {
	pod, container, id string
	counter            bool // its values are those of a counter
	index              []int32
	values             []float64
}

func newGrid(first, step int64, n int) *grid {
	return &grid{first: first, step: step, n: n, series: [2]map[model.Fingerprint]*series{{}, {}}}
}

// add takes an answer; answers come in the order of their times.
func (g *grid) add(r rightsize.Resource, answer model.Matrix) error {
	for _, stream := range answer {
		if len(stream.Histograms) > 0 {
			return errors.New("it results in histograms, values are due")
		}
		key := stream.Metric.Fingerprint()
		s := g.series[r][key]
		if s == nil {
			s = newSeries(stream.Metric)
			if s.counter && r == rightsize.Memory {
				return fmt.Errorf("%s is a counter, an amount of memory is due", stream.Metric[model.MetricNameLabel])
			}
			g.series[r][key] = s
		}
		for _, p := range stream.Values {
			i := (int64(p.Timestamp) - g.first) / g.step
			v := float64(p.Value)
			switch last := len(s.index) - 1; {
			case i < 0 || i >= int64(g.n) || last >= 0 && int64(s.index[last]) >= i:
				return fmt.Errorf("it results in a point at %d ms, which was not asked for", int64(p.Timestamp))
			case !(v >= 0 && v < 1<<63): // a small negative amount, of what counts without a sign, is above
				g.bad[r]++
				continue
			}
			if g.points++; g.points > 4*maxSamples {
				return fmt.Errorf("it results in more than %d points in all: a longer step, or a shorter time", 4*maxSamples)
			}
			s.index, s.values = append(s.index, int32(i)), append(s.values, v) //nolint:gosec // at most maxSamples
		}
	}
	return nil
}

func newSeries(labels model.Metric) *series {
	s := &series{
		pod: string(labels["pod"]), container: string(labels["container"]), id: string(labels["id"]),
		counter: strings.HasSuffix(string(labels[model.MetricNameLabel]), "_total"), // functions like rate take the name away
	}
	if s.pod == "" { // of a query that adds up, or names its labels otherwise
		rest := labels.Clone()
		for _, label := range []model.LabelName{model.MetricNameLabel, "id", "name", "image", "container"} {
			delete(rest, label)
		}
		s.pod = rest.String()
	}
	return s
}

// samples returns the samples of a function: at each time the largest value of its containers.
func (g *grid) samples(function, wanted string, window int64, result *Result) ([]Sample, error) {
	var names []string
	for _, all := range g.series {
		for _, s := range all {
			names = append(names, s.container)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	container, err := chooseContainer(function, wanted, names)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(names))), func(n string) bool { return n == container })
	if len(names) > 0 {
		result.note("left out, as %s has the container %s: the containers %s", function, container, strings.Join(names, ", "))
	}
	var values [2][]float64
	for r, all := range g.series {
		values[r] = make([]float64, g.n)
		for i := range values[r] {
			values[r][i] = math.NaN()
		}
		for _, s := range all {
			if s.container == container {
				g.raise(values[r], s, window, result)
			}
		}
		if g.bad[r] > 0 {
			result.note("left out: %d points of %s that are NaN, negative, or 2^63 and more", g.bad[r], rightsize.Resource(r))
		}
	}
	g.container = container
	pods := g.countPods(container, result)
	var samples []Sample
	for i := range g.n {
		s := Sample{Time: g.first + int64(i)*g.step, Memory: values[rightsize.Memory][i], CPU: values[rightsize.CPU][i], Pods: int(pods[i])}
		if !math.IsNaN(s.Memory) || !math.IsNaN(s.CPU) {
			samples = append(samples, s)
		}
	}
	return samples, nil
}

// raise raises the values to those of a series.
func (g *grid) raise(values []float64, s *series, window int64, result *Result) {
	own, index := s.values, s.index
	if s.counter {
		times := make([]int64, len(index))
		for k, i := range index {
			times[k] = int64(i) * g.step
		}
		var resets int
		own, resets = rates(times, s.values, max(window, g.step))
		index = index[min(1, len(index)):]
		result.Resets += resets
	}
	for k, i := range index {
		values[i] = larger(values[i], own[k])
	}
}

// countPods returns how many pods there were at each time, and sets how many there were in all, and how many of their containers took the place of another.
func (g *grid) countPods(container string, result *Result) []int32 {
	byPod := map[string][]*series{}
	ids := map[string]map[string]bool{} // by pod
	for _, all := range g.series {
		for _, s := range all {
			if s.container != container || len(s.index) == 0 {
				continue
			}
			byPod[s.pod] = append(byPod[s.pod], s)
			if s.id != "" {
				if ids[s.pod] == nil {
					ids[s.pod] = map[string]bool{}
				}
				ids[s.pod][s.id] = true
			}
		}
	}
	counts := make([]int32, g.n)
	seen := make([]bool, g.n)
	for _, all := range byPod {
		clear(seen)
		for _, s := range all {
			for _, i := range s.index {
				if !seen[i] {
					seen[i] = true
					counts[i]++
				}
			}
		}
	}
	result.Pods = len(byPod)
	for pod, different := range ids {
		result.Restarts += len(different) - 1
		if len(different) > 1 {
			g.restarted = append(g.restarted, pod)
		}
	}
	return counts
}
