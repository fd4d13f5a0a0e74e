package drive

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"
)

// Summary says what came of the calls.
type Summary struct {
	Calls     int         // that have ended
	Failed    int         // of these
	Earlier   int         // of these, calls of earlier runs
	BrokenOff int         // calls that were under way when this run was ended; they do not count
	ByStatus  map[int]int // calls by status of HTTP, 0 where there was no answer
	Bytes     int64       // of payloads
	MaxLate   float64     // the latest call was sent so many ms after its time
	LastError string      // "" for none

	latencies []float64 // of calls that did not fail, in ms
}

func newSummary() *Summary { return &Summary{ByStatus: map[int]int{}} }

func (s *Summary) add(c Call) {
	s.Calls++
	s.ByStatus[c.Status]++
	s.Bytes += int64(c.Size)
	s.MaxLate = max(s.MaxLate, c.Late)
	if c.Error != "" {
		s.Failed++
		s.LastError = c.Error
		return
	}
	s.latencies = append(s.latencies, c.Latency)
}

// Latency returns the quantiles of the latency of calls that did not fail at these levels, in ms; nil if there are no such calls.
func (s *Summary) Latency(levels ...float64) []float64 {
	if len(s.latencies) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(s.latencies))
	quantiles := make([]float64, len(levels))
	for i, level := range levels {
		quantiles[i] = stat.Quantile(level, stat.Empirical, sorted, nil)
	}
	return quantiles
}

// WriteText writes the summary for people.
func (s *Summary) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d calls", s.Calls)
	if s.Earlier > 0 {
		fmt.Fprintf(&b, " (%d of an earlier run)", s.Earlier)
	}
	fmt.Fprintf(&b, ", %d failed", s.Failed)
	if s.BrokenOff > 0 {
		fmt.Fprintf(&b, ", %d broken off", s.BrokenOff)
	}
	fmt.Fprintf(&b, "; %d bytes of payload", s.Bytes)
	if s.MaxLate >= 100 {
		fmt.Fprintf(&b, "; up to %.0f ms late", s.MaxLate)
	}
	b.WriteByte('\n')
	for _, status := range slices.Sorted(maps.Keys(s.ByStatus)) {
		name := fmt.Sprintf("status %d", status)
		if status == 0 {
			name = "no answer"
		}
		fmt.Fprintf(&b, "%-11s %d\n", name, s.ByStatus[status])
	}
	if q := s.Latency(0.5, 0.9, 0.99, 1); q != nil {
		fmt.Fprintf(&b, "latency     median %.4g ms, 90 %% %.4g ms, 99 %% %.4g ms, longest %.4g ms\n", q[0], q[1], q[2], q[3])
	}
	if s.LastError != "" {
		fmt.Fprintf(&b, "last error  %s\n", s.LastError)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
