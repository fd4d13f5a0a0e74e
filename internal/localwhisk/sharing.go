package localwhisk

import (
	"sync"
	"time"
)

// processorSharing simulates a server that works on all its jobs at the same time: up to capacity jobs at full rate, more of them at equal
// shares of the capacity. Adding and finishing a job takes time logarithmic in the number of jobs.
type processorSharing struct {
	clock    Clock
	capacity float64 // jobs at full rate; 0: no limit

	mu sync.Mutex
	// progress is the work, in ns at full rate, that a job has received until the time at if it has been there since jobs was last empty.
	// A job is finished when progress reaches its end.
	progress float64
	used     float64 // the work, in ns at full rate, that all jobs together have received until the time at
	at       time.Time
	jobs     jobHeap
	stop     func() bool // stops the timer of the job that ends first; nil if there is none
	timers   int         // number of timers ever set; in real time a timer may fire after it was stopped
}

// job is work that is finished when the progress has reached end.
type job struct {
	end   float64
	order int // breaks ties of end
	begun time.Time
	done  func(took time.Duration)
}

// add starts a job that takes d at full rate, and calls done with the time that it has taken.
func (s *processorSharing) add(d time.Duration, done func(took time.Duration)) {
	if s.capacity == 0 {
		s.clock.AfterFunc(d, func() { done(d) })
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	s.jobs.push(job{end: s.progress + float64(d), begun: s.at, done: done})
	s.setTimer()
}

// rate is the share of the full rate that each job receives.
func (s *processorSharing) rate() float64 { return min(1, s.capacity/float64(len(s.jobs.jobs))) }

// advance updates progress to the present time.
func (s *processorSharing) advance() {
	now := s.clock.Now()
	if len(s.jobs.jobs) == 0 {
		s.progress = 0
	} else {
		received := float64(now.Sub(s.at)) * s.rate()
		s.progress += received
		s.used += received * float64(len(s.jobs.jobs))
	}
	s.at = now
}

// work returns the work, at full rate, that all jobs have received until now. With capacity 0 it is not counted.
func (s *processorSharing) work() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	used := s.used
	if n := len(s.jobs.jobs); n > 0 {
		used += float64(s.clock.Now().Sub(s.at)) * s.rate() * float64(n)
	}
	return time.Duration(used)
}

// setTimer sets the timer for the job that ends first.
func (s *processorSharing) setTimer() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
	if len(s.jobs.jobs) == 0 {
		return
	}
	left := max(s.jobs.jobs[0].end-s.progress, 0) / s.rate()
	s.timers++
	timer := s.timers
	s.stop = s.clock.AfterFunc(time.Duration(min(left, float64(longestDelay))), func() {
		for _, j := range s.finish(timer) {
			j.done(s.clock.Now().Sub(j.begun))
		}
	})
}

// finish removes and returns the finished jobs. It does nothing if the timer is not the last one.
func (s *processorSharing) finish(timer int) []job {
	s.mu.Lock()
	defer s.mu.Unlock()
	if timer != s.timers {
		return nil
	}
	s.stop = nil
	s.advance()
	var finished []job
	// One nanosecond is the resolution of the clock.
	for len(s.jobs.jobs) > 0 && s.jobs.jobs[0].end <= s.progress+1 {
		finished = append(finished, s.jobs.pop())
	}
	s.setTimer()
	return finished
}

// jobHeap is a heap of jobs by their ends; jobs that end together are in the order in which they were added.
type jobHeap struct {
	jobs  []job
	added int // number of jobs ever added
}

func (h *jobHeap) less(i, j int) bool {
	a, b := &h.jobs[i], &h.jobs[j]
	return a.end < b.end || a.end == b.end && a.order < b.order
}

func (h *jobHeap) push(j job) {
	j.order = h.added
	h.added++
	h.jobs = append(h.jobs, j)
	for i := len(h.jobs) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.less(i, up) {
			return
		}
		h.jobs[i], h.jobs[up] = h.jobs[up], h.jobs[i]
		i = up
	}
}

func (h *jobHeap) pop() job {
	top, last := h.jobs[0], len(h.jobs)-1
	h.jobs[0] = h.jobs[last]
	h.jobs[last] = job{}
	h.jobs = h.jobs[:last]
	for i := 0; ; {
		least := i
		for _, k := range [2]int{2*i + 1, 2*i + 2} {
			if k < last && h.less(k, least) {
				least = k
			}
		}
		if least == i {
			return top
		}
		h.jobs[i], h.jobs[least] = h.jobs[least], h.jobs[i]
		i = least
	}
}
