package container

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestLogsAreComplete checks that what an action has written before its answer is in the logs as soon as the answer is there, in order for
// each stream.
func TestLogsAreComplete(t *testing.T) {
	c := started(t, newRuntime(t, Options{}), spec(t, "INIT_SAY", "starting"))
	require.Equal(t, Success, run(c, `{"mode": "logs", "size": 1}`).Kind)
	lines := texts(c.Logs("id"))
	require.ElementsMatch(t, []string{"stdout: starting", "stdout: stdout line 0", "stderr: stderr line 0"}, lines)
	for range 100 {
		begin := time.Now()
		require.Equal(t, Success, run(c, `{"mode": "logs", "size": 200}`).Kind)
		lines := c.Logs("id")
		require.Len(t, lines, 400)
		for i := range 200 {
			require.True(t, slices.ContainsFunc(lines, func(l Line) bool { return l.Text == fmt.Sprint("stderr line ", i) && l.Stream == "stderr" }))
		}
		for _, l := range lines {
			require.False(t, l.Time.Before(begin) || l.Time.After(time.Now()))
		}
	}
}

// TestLogsAreBounded checks that a limit of 1 MiB allows 980 lines of 1000 characters and a message, as on the recorded server.
func TestLogsAreBounded(t *testing.T) {
	r := newRuntime(t, Options{})
	c := started(t, r, spec(t))
	require.Equal(t, Success, run(c, `{"mode": "print", "size": 20000}`).Kind)
	lines := texts(c.Logs("id"))
	require.InDelta(t, 981, len(lines), 2)
	require.Equal(t, "stdout: "+strings.Repeat("x", 1000), lines[0])
	require.Equal(t, "stderr: Logs were truncated because the total bytes size exceeds the limit of 1048576 bytes.", lines[len(lines)-1])
	require.Equal(t, Success, run(c, `{}`).Kind)
	require.Equal(t, []string{"stdout: Hello log stranger"}, texts(c.Logs("id")), "the next activation has its own limit")

	// What is written between two runs belongs to the next one and its limit, and does not block the action.
	require.Equal(t, Success, run(c, `{"mode": "later", "size": 20000}`).Kind)
	require.Equal(t, Success, run(c, `{}`).Kind)
	var all []string
	all = append(all, texts(c.Logs("id"))...)
	require.Equal(t, "stdout: "+strings.Repeat("y", 1000), all[0])
	require.Less(t, len(all), 1000)

	s := spec(t)
	s.LogMB = 0
	silent := started(t, r, s)
	require.Equal(t, Success, run(silent, `{"mode": "print", "size": 20000}`).Kind)
	require.Empty(t, silent.Logs("id"))
	require.Equal(t, DeveloperError, run(silent, `{"mode": "crash"}`).Kind)
	require.Empty(t, silent.Logs("id"))
}

// TestLineSplitter checks that the lines do not depend on how the output is cut into pieces.
func TestLineSplitter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"", "\n", "a\nb\n", "no end"}).Draw(t, "text")
		for range rapid.IntRange(0, 5).Draw(t, "lines") {
			text += strings.Repeat("z", rapid.SampledFrom([]int{0, 1, 10, maxLine - 1, maxLine, maxLine + 1, 2 * maxLine, 40_000}).Draw(t, "length")) + "\n"
		}
		b := &logBuffer{limit: 1 << 30}
		s := &lineSplitter{buffer: b, stream: "stdout"}
		for rest := text; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			s.write([]byte(rest[:n]), time.Now())
			rest = rest[n:]
		}
		s.flush()
		var want []string
		for line := range strings.Lines(text) {
			for len(line) > maxLine && line[maxLine:] != "\n" {
				want = append(want, line[:maxLine])
				line = line[maxLine:]
			}
			want = append(want, strings.TrimSuffix(line, "\n"))
		}
		var got []string
		for _, l := range b.take("") {
			got = append(got, l.Text)
		}
		if !slices.Equal(want, got) {
			t.Fatalf("%d lines instead of %d", len(got), len(want))
		}
	})
}

// TestAnswerLine checks that the last line that is not blank is held back, and that the others go to the logs.
func TestAnswerLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.SampledFrom([]string{"a", `{"x": 1}`, "some words", "  {}"}), 0, 6).Draw(t, "lines")
		text := strings.Join(lines, "\n") + rapid.SampledFrom([]string{"", "\n", "\n\n", "\n \n\t\n"}).Draw(t, "end")
		b := &logBuffer{limit: 1 << 30}
		l := &answerLine{logs: &lineSplitter{buffer: b, stream: "stdout"}}
		for rest := text; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			l.write([]byte(rest[:n]), time.Now())
			rest = rest[n:]
		}
		want := ""
		if len(lines) > 0 {
			want = lines[len(lines)-1]
			lines = lines[:len(lines)-1]
		}
		if string(l.held) != want && strings.TrimSpace(string(l.held)) != strings.TrimSpace(want) {
			t.Fatalf("held %q instead of %q", l.held, want)
		}
		if got := b.take(""); len(got) != len(lines) {
			t.Fatalf("%d lines of logs instead of %d", len(got), len(lines))
		}
	})
}
