package manifest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// context is how many lines a diff shows around a change.
const context = 3

// step is a line of a comparison: kept (' '), removed ('-') or added ('+').
type step struct {
	kind byte
	line string
}

// Diff returns how a file changes in the unified format, as diff -u prints it; "" where nothing changes.
func Diff(name string, before, after []byte) string {
	if bytes.Equal(before, after) {
		return ""
	}
	steps := compare(splitLines(before), splitLines(after))
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s\n+++ %s\n", name, name)
	oldLine, newLine := 1, 1 // of steps[i]
	for i := 0; i < len(steps); {
		if steps[i].kind == ' ' {
			i, oldLine, newLine = i+1, oldLine+1, newLine+1
			continue
		}
		from, to := max(i-context, 0), i
		for j := i; j < len(steps) && j <= to+2*context; j++ {
			if steps[j].kind != ' ' {
				to = j + 1
			}
		}
		end := min(to+context, len(steps))
		hunk := steps[from:end]
		var olds, news int
		for _, s := range hunk {
			olds += b2i(s.kind != '+')
			news += b2i(s.kind != '-')
		}
		fmt.Fprintf(&b, "@@ -%s +%s @@\n", span(oldLine-(i-from), olds), span(newLine-(i-from), news))
		for _, s := range hunk {
			b.WriteByte(s.kind)
			b.WriteString(s.line)
			if !strings.HasSuffix(s.line, "\n") {
				b.WriteString("\n\\ No newline at end of file\n")
			}
		}
		for _, s := range steps[i:end] {
			oldLine += b2i(s.kind != '+')
			newLine += b2i(s.kind != '-')
		}
		i = end
	}
	return b.String()
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// span writes a range of lines as diff does.
func span(from, n int) string {
	switch n {
	case 0:
		return fmt.Sprintf("%d,0", from-1)
	case 1:
		return fmt.Sprint(from)
	}
	return fmt.Sprintf("%d,%d", from, n)
}

// splitLines returns the lines with their breaks.
func splitLines(text []byte) []string {
	lines := strings.SplitAfter(string(text), "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	}
	return lines
}

// compare returns the shortest way from one list of lines to another (Myers, An O(ND) Difference Algorithm, 1986).
func compare(a, b []string) []step {
	most := len(a) + len(b)
	ends := map[int]int{1: 0} // the furthest line of a, by diagonal: line of a − line of b
	var history []map[int]int
	for d := 0; d <= most; d++ {
		now := map[int]int{}
		for k := -d; k <= d; k += 2 {
			x := ends[k-1] + 1
			if k == -d || k != d && ends[k-1] < ends[k+1] {
				x = ends[k+1]
			}
			for x < len(a) && x-k < len(b) && a[x] == b[x-k] {
				x++
			}
			now[k] = x
			if x >= len(a) && x-k >= len(b) {
				return backward(a, b, append(history, now))
			}
		}
		history = append(history, now)
		ends = now
	}
	return nil
}

// backward finds the steps from how far each number of changes has come.
func backward(a, b []string, history []map[int]int) []step {
	var steps []step
	x, y := len(a), len(b)
	for d := len(history) - 1; d >= 0; d-- {
		k := x - y
		fromX, fromY := 0, 0
		if d > 0 {
			before := history[d-1]
			if k == -d || k != d && before[k-1] < before[k+1] {
				fromX = before[k+1]
				fromY = fromX - (k + 1)
			} else {
				fromX = before[k-1]
				fromY = fromX - (k - 1)
			}
		}
		for x > fromX && y > fromY {
			steps = append(steps, step{' ', a[x-1]})
			x, y = x-1, y-1
		}
		if d == 0 {
			break
		}
		if x > fromX {
			steps = append(steps, step{'-', a[x-1]})
		} else {
			steps = append(steps, step{'+', b[y-1]})
		}
		x, y = fromX, fromY
	}
	slices.Reverse(steps)
	return steps
}
