package openwhisk

import (
	"math"
	"time"
)

// sentTimes stores when each request was sent, in eight bytes a request.
type sentTimes struct {
	epoch time.Time
	after []int64 // by request: ns after epoch, or notSent
	count int     // requests that were sent
}

const notSent = math.MinInt64

func (s *sentTimes) set(request int, at time.Time) {
	for len(s.after) <= request {
		s.after = append(s.after, notSent)
	}
	if s.after[request] == notSent {
		s.count++
	}
	s.after[request] = int64(at.Sub(s.epoch))
}

func (s *sentTimes) get(request int) (time.Time, bool) {
	if request >= len(s.after) || s.after[request] == notSent {
		return time.Time{}, false
	}
	return s.epoch.Add(time.Duration(s.after[request])), true
}
