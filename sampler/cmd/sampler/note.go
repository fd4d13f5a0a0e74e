package main

import (
	"fmt"
	"sync"
	"time"
)

// sendNote is the note beside the progress bar that says how many requests were sent.
type sendNote struct {
	total int // requests

	mu   sync.Mutex
	text string
}

// set sets the note and returns it.
func (s *sendNote) set(sent int, left time.Duration) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = fmt.Sprintf("%d sent", sent)
	if sent < s.total {
		s.text += fmt.Sprintf(", the last in %v", max(left, 0).Round(time.Second))
	}
	return s.text
}

// get returns the note.
func (s *sendNote) get() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text
}
