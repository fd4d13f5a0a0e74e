package main

import (
	"fmt"
	"sync"
	"time"
)

// sending is how far the sending is, for the note of the progress.
type sending struct {
	total int

	mu   sync.Mutex
	text string
}

func (s *sending) set(sent int, left time.Duration) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = fmt.Sprintf("%d sent", sent)
	if sent < s.total {
		s.text += fmt.Sprintf(", the last in %v", max(left, 0).Round(time.Second))
	}
	return s.text
}

func (s *sending) get() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text
}
