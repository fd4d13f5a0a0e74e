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
	// terminalInterval is the time between two updates of the line on a terminal.
	terminalInterval = 100 * time.Millisecond
	// logInterval is the time between two lines in a log, and before the first.
	logInterval = 10 * time.Second
)

// Progress counts up to a total and shows the count. Its methods may be called by several goroutines, and on a nil *Progress, which shows nothing.
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
	end      time.Time // when the run is expected to end; zero if that follows from the count
	start    time.Time
	shown    time.Time // when the last line was written
	visible  bool      // the terminal shows a line that can be updated
	reported bool      // a line has been written to the log
	done     bool
}

// New returns a Progress from 0 to total units that writes to w; a total of 0 means that it is unknown. Nothing is written before the first call of
// Set or Add. If w is a terminal that can do so, one line is updated.
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

// Set sets the count and the note after it, and shows them if enough time has passed since the last time.
func (p *Progress) Set(n int, note string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(n, note)
}

// Add adds n to the count, and is like Set otherwise.
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

// Expect sets when the run is expected to end, for one that goes by a plan rather than as fast as it can. Until then the time left is
// that until then, afterwards what the count makes likely.
func (p *Progress) Expect(end time.Time) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end = end
}

// Print writes a line of text above the line that is updated.
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

// show writes the present line.
func (p *Progress) show(now time.Time) {
	if !p.terminal {
		fmt.Fprintln(p.w, p.line(now))
		p.reported = true
		return
	}
	line := p.line(now)
	// One column is left free: some terminals wrap when the last one is written to.
	if room := p.width() - 1; utf8.RuneCountInString(line) > room {
		line = string([]rune(line)[:max(room, 0)])
	}
	fmt.Fprint(p.w, "\r", line, "\x1b[K")
	p.visible = true
}

// clear removes the line from the terminal.
func (p *Progress) clear() {
	if p.visible {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.visible = false
	}
}

// barWidth is the width of the bar in columns.
const barWidth = 24

// line returns the text of the present line.
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
			if until := p.end.Sub(now); until > 0 {
				left = until
			}
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

// short returns a duration in seconds, minutes or hours for people to read.
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
