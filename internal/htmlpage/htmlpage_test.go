package htmlpage

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestPicture checks that a picture is one element of XML, whatever texts it has.
func TestPicture(t *testing.T) {
	p := NewPicture(100)
	require.Equal(t, 400.0, p.Width())
	p.Line("grid", 0, 1.26, 2, 3)
	p.Rect("cold", 1, 2, -3, 4)
	p.Circle("warm", 1, 2, 3)
	p.Label("end", 1, 2, `<b>"&'`)
	p.Polyline("warm", [][2]float64{{1, 2}, {3, 4}})
	p.Polygon("fan", [][2]float64{{1, 2}, {3, 4}, {5, 6}})
	text := string(p.Done(`<a> & "b"`))
	require.Contains(t, text, `<line class="grid" x1="0" y1="1.3" x2="2" y2="3"/>`)
	require.Contains(t, text, `width="0"`)
	require.Contains(t, text, `<polygon class="fan" points="1,2 3,4 5,6"/>`)
	d := xml.NewDecoder(strings.NewReader(text))
	n := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if _, ok := token.(xml.StartElement); ok {
			n++
		}
	}
	require.Equal(t, 7, n)
}

// TestScales checks that scales hold their values, and that ticks lie on them.
func TestScales(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.Float64Range(1e-6, 1e12).Draw(t, "most")
		s, ticks := Linear(most, 100, 0)
		require.GreaterOrEqual(t, s.High, most*(1-1e-9))
		require.LessOrEqual(t, s.High, 2*most)
		require.True(t, len(ticks) >= 3 && len(ticks) <= 9, "%v", ticks)
		require.InDelta(t, 0, s.At(ticks[len(ticks)-1]), 1e-6)
		require.InDelta(t, 100, s.At(-1), 1e-9)
		least := rapid.Float64Range(0, most).Draw(t, "least")
		s, ticks = TimeScale(least, most, 0, 100)
		require.LessOrEqual(t, len(ticks), 8)
		require.False(t, math.IsNaN(s.At(least)))
	})
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		Seconds(0.0012): "1.2 ms", Seconds(math.Inf(1)): "for ever", Seconds(90): "90 s", Seconds(600): "10 min", Seconds(86400 * 3): "3 days",
		Amount(1234567): "1.23\u00a0M", Amount(12): "12", Percent(0.1234): "12.3\u00a0%", Percent(1): "100\u00a0%", Percent(0.0004): "0.04\u00a0%",
		Shortened("abcdefghij", 5): "ab…ij", Shortened("ä", 5): "ä", Clock(3661): "1:01:01", Clock(86400 * 3): "3 d", Tick(0.125): "12.5\u00a0%", Digits(0.123456): "0.12",
		Trimmed("1.50"): "1.5",
	} {
		require.Equal(t, want, got)
	}
	require.Contains(t, string(Style()), "prefers-color-scheme:dark")
}
