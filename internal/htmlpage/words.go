package htmlpage

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Seconds writes a time for people.
func Seconds(s float64) string {
	switch a := math.Abs(s); {
	case math.IsInf(s, 1) || s == -1:
		return "for ever"
	case a == 0:
		return "0"
	case a < 0.0095:
		return Trimmed(fmt.Sprintf("%.1f", 1000*s)) + " ms"
	case a < 0.9995:
		return fmt.Sprintf("%.0f ms", 1000*s)
	case a < 9.995:
		return Trimmed(fmt.Sprintf("%.2f", s)) + " s"
	case a < 120:
		return Trimmed(fmt.Sprintf("%.1f", s)) + " s"
	case a < 7200:
		return Trimmed(fmt.Sprintf("%.1f", s/60)) + " min"
	case a < 48*3600:
		return Trimmed(fmt.Sprintf("%.1f", s/3600)) + " h"
	}
	return Trimmed(fmt.Sprintf("%.1f", s/86400)) + " days"
}

// Trimmed takes zeros off the end of decimals.
func Trimmed(s string) string {
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// Amount writes a large number for people, with three digits: 1.35 M.
func Amount(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e12, "\u00a0T"}, {1e9, "\u00a0G"}, {1e6, "\u00a0M"}, {1e3, "\u00a0k"}} {
		if math.Abs(v) >= unit.size*0.9995 {
			return Digits(v/unit.size) + unit.name
		}
	}
	return Digits(v)
}

// Digits writes three digits.
func Digits(v float64) string {
	switch a := math.Abs(v); {
	case a >= 99.95 || a == 0:
		return fmt.Sprintf("%.0f", v)
	case a >= 9.995:
		return Trimmed(fmt.Sprintf("%.1f", v))
	}
	return Trimmed(fmt.Sprintf("%.2f", v))
}

// Percent writes a share.
func Percent(share float64) string {
	switch {
	case share == 0 || share >= 0.9995:
		return fmt.Sprintf("%.0f\u00a0%%", 100*share)
	case share < 0.001:
		return fmt.Sprintf("%.2f\u00a0%%", 100*share)
	}
	return fmt.Sprintf("%.1f\u00a0%%", 100*share)
}

// Tick writes a share on an axis.
func Tick(share float64) string { return fmt.Sprintf("%.3g\u00a0%%", 100*share) }

// Shortened cuts a name for a picture.
func Shortened(name string, most int) string {
	r := []rune(name)
	if len(r) <= most {
		return name
	}
	return string(r[:most/2]) + "…" + string(r[len(r)-(most-most/2-1):])
}

// Clock writes how long after the beginning something was.
func Clock(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if s >= 48*3600 {
		return Trimmed(fmt.Sprintf("%.1f", s/86400)) + " d"
	}
	return fmt.Sprintf("%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}

// Printable takes out of a text what could move the cursor of a terminal.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return '\ufffd'
		}
		return r
	}, text)
}
