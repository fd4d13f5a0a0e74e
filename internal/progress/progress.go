package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

const (
	// Faster than this the eye does not follow.
	terminalInterval = 100 * time.Millisecond
	// A log should not drown in progress, and a run shorter than this needs none.
	logInterval = 10 * time.Second
)

// Progress counts up to a total and shows the count. Its methods may be called from several goroutines, and on a nil
// *Progress, which shows nothing.
type Progress struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool
	width    func() int // columns of the terminal
	now      func() time.Time

	total    int
	unit     string
	count    int
	note     string
	start    time.Time
	shown    time.Time // when the last line was written
	visible  bool      // a line stands on the terminal
	reported bool      // the log has a line
	done     bool
}

// New returns a Progress that writes to w, from 0 to total units; a total of 0 is unknown. Nothing appears before the
// first call of Set or Add. The line updates itself if w is a terminal that can do so.
func New(w io.Writer, total int, unit string) *Progress {
	p := &Progress{w: w, total: total, unit: unit, now: time.Now}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		p.terminal = true
		p.width = func() int {
			if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
				return columns
			}
			return 80
		}
	}
	p.begin()
	return p
}

func (p *Progress) begin() {
	p.start = p.now()
	p.shown = p.start
}

// Set sets the count and the note behind it, and shows them if the last time is long enough ago.
func (p *Progress) Set(n int, note string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(n, note)
}

// Add adds to the count; otherwise it is Set.
func (p *Progress) Add(n int, note string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(p.count+n, note)
}

func (p *Progress) set(n int, note string) {
	p.count, p.note = n, note
	if p.done {
		return
	}
	interval := logInterval
	if p.terminal {
		interval = terminalInterval
	}
	now := p.now()
	if now.Sub(p.shown) < interval {
		return
	}
	p.shown = now
	p.show(now)
}

// Print writes a line of text that stays, above the line that updates itself.
func (p *Progress) Print(text string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	again := p.visible
	p.clear()
	fmt.Fprintln(p.w, text)
	if again {
		p.show(p.now())
	}
}

// Done takes the line off the terminal, so that what is written next stands in its place; a log that has shown progress
// gets a last line. Later calls of any method show nothing.
func (p *Progress) Done() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		return
	}
	p.done = true
	p.clear()
	if p.reported {
		fmt.Fprintln(p.w, p.line(p.now()))
	}
}

func (p *Progress) show(now time.Time) {
	if !p.terminal {
		fmt.Fprintln(p.w, p.line(now))
		p.reported = true
		return
	}
	line := p.line(now)
	// One column less: some terminals wrap when the last one is written.
	if room := p.width() - 1; utf8.RuneCountInString(line) > room {
		line = string([]rune(line)[:max(room, 0)])
	}
	fmt.Fprint(p.w, "\r", line, "\x1b[K")
	p.visible = true
}

func (p *Progress) clear() {
	if p.visible {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.visible = false
	}
}

const barWidth = 24

func (p *Progress) line(now time.Time) string {
	var b strings.Builder
	elapsed := now.Sub(p.start)
	if p.total > 0 {
		share := min(max(float64(p.count)/float64(p.total), 0), 1)
		if p.terminal {
			full := int(share * barWidth)
			fmt.Fprintf(&b, "%s%s ", strings.Repeat("█", full), strings.Repeat("░", barWidth-full))
		}
		fmt.Fprintf(&b, "%3.0f %% %d/%d %s", 100*share, p.count, p.total, p.unit)
		if share > 0 && share < 1 {
			left := time.Duration(float64(elapsed) * (1 - share) / share)
			fmt.Fprintf(&b, ", %s left", short(left))
		} else {
			fmt.Fprintf(&b, ", %s", short(elapsed))
		}
	} else {
		fmt.Fprintf(&b, "%d %s, %s", p.count, p.unit, short(elapsed))
	}
	if p.note != "" {
		b.WriteString("  " + p.note)
	}
	return b.String()
}

// short is a duration to the second, as people read it.
func short(d time.Duration) string {
	d = d.Round(time.Second)
	if d < time.Minute {
		return fmt.Sprintf("%d s", d/time.Second)
	}
	if d < time.Hour {
		return fmt.Sprintf("%d:%02d min", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d:%02d h", d/time.Hour, d%time.Hour/time.Minute)
}
