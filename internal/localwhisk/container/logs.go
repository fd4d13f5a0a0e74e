package container

import (
	"bytes"
	"fmt"
	"sync"
	"time"
)

// lineOverhead is the number of bytes that count against the log limit for each line besides its text: OpenWhisk counts the bytes of
// Docker's log file, which has a JSON object per line.
const lineOverhead = 71

// maxLine is the length at which long lines are split, as Docker does.
const maxLine = 16 << 10

// logBuffer holds the log lines of a container until they are collected.
type logBuffer struct {
	mu        sync.Mutex
	limit     int // in bytes; 0: nothing is kept
	lines     []Line
	size      int
	truncated bool
}

func (b *logBuffer) setLimit(bytes int) {
	b.mu.Lock()
	b.limit = bytes
	b.mu.Unlock()
}

// add appends a line, unless the limit is exceeded.
func (b *logBuffer) add(l Line) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch size := len(l.Text) + lineOverhead; {
	case b.limit == 0 || b.truncated:
	case b.size+size > b.limit:
		b.truncated = true
	default:
		b.size += size
		b.lines = append(b.lines, l)
	}
}

// take returns the lines and empties the buffer. A warning that is not empty becomes the last line.
func (b *logBuffer) take(warning string) []Line {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := b.lines
	if b.truncated {
		lines = append(lines, Line{time.Now(), "stderr", fmt.Sprintf("Logs were truncated because the total bytes size exceeds the limit of %d bytes.", b.limit)})
	}
	if warning != "" && b.limit > 0 {
		lines = append(lines, Line{time.Now(), "stderr", warning})
	}
	b.lines, b.size, b.truncated = nil, 0, false
	return lines
}

// sink receives the bytes that a process writes.
type sink interface {
	write(p []byte, at time.Time)
	// flush ends an unfinished line.
	flush()
}

// lineSplitter splits a stream into lines and adds them to a buffer.
type lineSplitter struct {
	buffer  *logBuffer
	stream  string    // stdout or stderr
	partial []byte    // the beginning of an unfinished line
	began   time.Time // when partial was begun
}

func (s *lineSplitter) write(p []byte, at time.Time) {
	for len(p) > 0 {
		line, rest, ended := bytes.Cut(p, []byte("\n"))
		if room := maxLine - len(s.partial); len(line) > room {
			line, rest, ended = p[:room], p[room:], true
		}
		if len(s.partial) == 0 {
			s.began = at
		}
		if p = rest; !ended {
			s.partial = append(s.partial, line...)
			return
		}
		if len(s.partial) == 0 {
			s.buffer.add(Line{s.began, s.stream, string(line)})
			continue
		}
		s.partial = append(s.partial, line...)
		s.flush()
	}
}

func (s *lineSplitter) flush() {
	if len(s.partial) > 0 {
		s.buffer.add(Line{s.began, s.stream, string(s.partial)})
		s.partial = s.partial[:0]
	}
}

// answerLine holds back the last line that is not blank, which is the answer of an action that has one process per invocation. Earlier lines
// go to the logs.
type answerLine struct {
	logs  *lineSplitter
	held  []byte // the line, at most maxAnswer bytes of it
	size  int    // of the whole line, including the newline
	began time.Time
	ended bool // the line has its newline
}

func (l *answerLine) write(p []byte, at time.Time) {
	for len(p) > 0 {
		if l.ended {
			if p = bytes.TrimLeft(p, " \t\r\n"); len(p) == 0 {
				return
			}
			l.release()
		}
		line, rest, ended := bytes.Cut(p, []byte("\n"))
		p = rest
		if l.size == 0 {
			l.began = at
		}
		l.held = append(l.held, line[:min(len(line), maxAnswer-len(l.held))]...)
		l.size += len(line)
		if ended {
			l.size++
			l.ended = len(bytes.TrimSpace(l.held)) > 0
			if !l.ended {
				l.held, l.size = l.held[:0], 0
			}
		}
	}
}

// release passes the held line to the logs: it is no answer.
func (l *answerLine) release() {
	if l.size == 0 {
		return
	}
	l.logs.write(append(l.held, '\n'), l.began)
	l.held, l.size, l.ended = nil, 0, false
}

// flush does nothing: an unfinished line may still be the answer.
func (l *answerLine) flush() {}
