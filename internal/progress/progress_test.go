package progress

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

type watch struct{ t time.Time }

func (w *watch) now() time.Time { return w.t }

func (w *watch) advance(d time.Duration) { w.t = w.t.Add(d) }

func on(terminal bool, columns, total int) (*Progress, *bytes.Buffer, *watch) {
	var out bytes.Buffer
	clock := &watch{time.Date(2021, 6, 1, 0, 0, 0, 0, time.UTC)}
	p := &Progress{w: &out, terminal: terminal, width: func() int { return columns }, now: clock.now, total: total, unit: "requests"}
	p.begin()
	return p, &out, clock
}

func TestLog(t *testing.T) {
	p, out, clock := on(false, 0, 200)
	for range 100 {
		clock.advance(250 * time.Millisecond)
		p.Add(1, "")
	}
	p.Set(100, "nearly there")
	p.Print("a remark")
	p.Done()
	p.Done()
	p.Add(100, "late")
	want := ` 20 % 40/200 requests, 40 s left
 40 % 80/200 requests, 30 s left
a remark
 50 % 100/200 requests, 25 s left  nearly there
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestExpect checks that a run that goes by a plan shows the time until its planned end, whatever the count makes likely.
func TestExpect(t *testing.T) {
	p, out, clock := on(false, 0, 100)
	p.Expect(clock.now().Add(3 * time.Minute))
	clock.advance(16 * time.Second)
	p.Set(1, "")
	clock.advance(144 * time.Second)
	p.Set(80, "")
	clock.advance(40 * time.Second) // the plan has ended, and the last ones are late
	p.Set(80, "")
	want := `  1 % 1/100 requests, 2:44 min left
 80 % 80/100 requests, 20 s left
 80 % 80/100 requests, 50 s left
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestShortRunLeavesTheLogAlone(t *testing.T) {
	p, out, clock := on(false, 0, 10)
	for range 10 {
		clock.advance(900 * time.Millisecond)
		p.Add(1, "")
	}
	p.Done()
	if out.Len() != 0 {
		t.Errorf("a run of 9 s logged %q", out.String())
	}
}

func TestTerminal(t *testing.T) {
	p, out, clock := on(true, 80, 4)
	p.Set(1, "") // too early
	clock.advance(2 * time.Second)
	p.Set(2, "loss 3.21")
	p.Print("saved")
	p.Done()
	line := "\r████████████░░░░░░░░░░░░  50 % 2/4 requests, 2 s left  loss 3.21\x1b[K"
	clear := "\r\x1b[K"
	if got, want := out.String(), line+clear+"saved\n"+line+clear; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestTerminalIsNeverWrapped(t *testing.T) {
	for _, columns := range []int{0, 1, 10, 40} {
		p, out, clock := on(true, columns, 4)
		clock.advance(time.Second)
		p.Set(3, strings.Repeat("long ", 50))
		got := strings.TrimSuffix(strings.TrimPrefix(out.String(), "\r"), "\x1b[K")
		if n := len([]rune(got)); n != max(columns-1, 0) {
			t.Errorf("%d characters on a terminal of %d columns", n, columns)
		}
	}
}

func TestUnknownTotal(t *testing.T) {
	p, out, clock := on(false, 0, 0)
	clock.advance(time.Hour + 5*time.Minute)
	p.Set(7, "")
	if got, want := out.String(), "7 requests, 1:05 h\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNilShowsNothing(t *testing.T) {
	var p *Progress
	p.Set(1, "")
	p.Add(1, "")
	p.Print("")
	p.Done()
}

func TestConcurrentUse(t *testing.T) {
	var out bytes.Buffer
	p := New(&out, 1000, "requests")
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 100 {
				p.Add(1, "")
			}
		})
	}
	wg.Wait()
	if p.count != 1000 {
		t.Errorf("counted %d of 1000", p.count)
	}
}
