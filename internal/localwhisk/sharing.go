package localwhisk

import (
	"sync"
	"time"
)

// sharing is work that goes on at once: up to capacity jobs at full speed, more of them at equal shares of it (processor
// sharing). Each step costs a logarithm of the number of jobs.
type sharing struct {
	clock    Clock
	capacity float64 // 0: no limit

	mu sync.Mutex
	// done is the work that a job has got done that has been there from the beginning, in ns, at the time at.
	done float64
	at   time.Time
	jobs jobHeap
	stop func() bool // the timer of the first to be done; nil if there is none
	turn int         // counts the timers: in real time one may fire after it was stopped
}

// job is work that is over when sharing.done has come to end.
type job struct {
	end   float64
	order int
	begun time.Time
	over  func(took time.Duration)
}

// add begins with work that takes d at full speed, and calls over with the time it took; at once if it is none.
func (s *sharing) add(d time.Duration, over func(took time.Duration)) {
	if s.capacity == 0 {
		s.clock.AfterFunc(d, func() { over(d) })
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	s.jobs.push(job{end: s.done + float64(d), begun: s.at, over: over})
	s.plan()
}

// speed is the share of its full speed that each job has.
func (s *sharing) speed() float64 { return min(1, s.capacity/float64(len(s.jobs.jobs))) }

// advance counts the work done until now.
func (s *sharing) advance() {
	now := s.clock.Now()
	if len(s.jobs.jobs) == 0 {
		s.done = 0
	} else {
		s.done += float64(now.Sub(s.at)) * s.speed()
	}
	s.at = now
}

// plan sets the timer.
func (s *sharing) plan() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
	if len(s.jobs.jobs) == 0 {
		return
	}
	left := max(s.jobs.jobs[0].end-s.done, 0) / s.speed()
	s.turn++
	turn := s.turn
	s.stop = s.clock.AfterFunc(time.Duration(min(left, float64(longestDelay))), func() {
		for _, j := range s.finish(turn) {
			j.over(s.clock.Now().Sub(j.begun))
		}
	})
}

// finish takes out the jobs that are done, if turn is that of the last timer.
func (s *sharing) finish(turn int) []job {
	s.mu.Lock()
	defer s.mu.Unlock()
	if turn != s.turn {
		return nil
	}
	s.stop = nil
	s.advance()
	var over []job
	// A nanosecond of work is the clock's resolution.
	for len(s.jobs.jobs) > 0 && s.jobs.jobs[0].end <= s.done+1 {
		over = append(over, s.jobs.pop())
	}
	s.plan()
	return over
}

// jobHeap has the job that ends first on top; of those that end together, the one that came first.
type jobHeap struct {
	jobs []job
	came int
}

func (h *jobHeap) less(i, j int) bool {
	a, b := &h.jobs[i], &h.jobs[j]
	return a.end < b.end || a.end == b.end && a.order < b.order
}

func (h *jobHeap) push(j job) {
	j.order = h.came
	h.came++
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
