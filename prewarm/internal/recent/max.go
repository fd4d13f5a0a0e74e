// Package recent keeps what was seen lately.
//
//	late := recent.Max{Span: time.Minute}
//	late.Add(now, now-happened)
//	wait := 2 * late.Get()
package recent

import "time"

// Max is the largest of the values of the last time.
type Max struct {
	// Span is for how long at least a value is remembered, and at most for twice that.
	Span time.Duration

	begun          time.Duration
	present, older time.Duration
}

// Add adds a value at a time, which does not decrease.
func (m *Max) Add(now, v time.Duration) {
	if now-m.begun >= m.Span {
		m.older = m.present
		if now-m.begun >= 2*m.Span {
			m.older = 0
		}
		m.begun, m.present = now, 0
	}
	m.present = max(m.present, v)
}

// Get returns the largest value, 0 if there is none.
func (m *Max) Get() time.Duration { return max(m.present, m.older) }
