package container

import (
	"bytes"
	"fmt"
	"sync"
	"time"
)

// lineOverhead is what a line of logs counts for besides its text; OpenWhisk counts the bytes of the file that Docker keeps.
const lineOverhead = 71

// maxLine is the length at which a line is broken, as Docker does.
const maxLine = 16 << 10

// book has the logs of a container since they were taken last.
type book struct {
	mu        sync.Mutex
	limit     int // in bytes; at 0 nothing is kept
	lines     []Line
	size      int
	truncated bool
}

func (b *book) setLimit(bytes int) {
	b.mu.Lock()
	b.limit = bytes
	b.mu.Unlock()
}

func (b *book) add(l Line) {
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

// take returns the lines and forgets them; warning, if there is one, is the last.
func (b *book) take(warning string) []Line {
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

// sink takes what a process writes, as it comes.
type sink interface {
	write(p []byte, at time.Time)
	// flush ends a line that has no end yet.
	flush()
}

// splitter makes lines of what comes.
type splitter struct {
	book    *book
	stream  string
	partial []byte
	began   time.Time
}

func (s *splitter) write(p []byte, at time.Time) {
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
			s.book.add(Line{s.began, s.stream, string(line)})
			continue
		}
		s.partial = append(s.partial, line...)
		s.flush()
	}
}

func (s *splitter) flush() {
	if len(s.partial) > 0 {
		s.book.add(Line{s.began, s.stream, string(s.partial)})
		s.partial = s.partial[:0]
	}
}

// lastLine holds back the last line that is not blank, which is the answer of an action that runs once for each invocation. What
// comes before it is logs.
type lastLine struct {
	logs  *splitter
	held  []byte // at most maxAnswer bytes
	size  int    // of the line, with its end
	began time.Time
	ended bool
}

func (l *lastLine) write(p []byte, at time.Time) {
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

// release hands what was held to the logs: it was not the last line.
func (l *lastLine) release() {
	if l.size == 0 {
		return
	}
	l.logs.write(append(l.held, '\n'), l.began)
	l.held, l.size, l.ended = nil, 0, false
}

func (l *lastLine) flush() {}
