package report

import (
	"fmt"
	"html/template"
	"math"
	"time"

	"github.com/tppfaas/tppfaas/internal/htmlpage"
	"github.com/tppfaas/tppfaas/rightsize"
)

// Places in pictures.
const (
	left, right  = 50, htmlpage.Width - 6
	top, bottom  = 8, 150
	mostColumns  = 175 // of the line of usage
	recentShare  = 2   // the past of the second picture is so many times as long as the fan
	leastSamples = 2
)

// axis returns the scale of a resource up to a value.
func axis(p *htmlpage.Picture, resource rightsize.Resource, most float64, from, to float64) htmlpage.Scale {
	unit := 1.0
	if resource == rightsize.Memory {
		unit = 1 << 20
		if most > 4<<30 {
			unit = 1 << 30
		}
	}
	y, ticks := htmlpage.Linear(most/unit, bottom, top)
	y.High *= unit
	for _, t := range ticks {
		p.Line("grid", from, y.At(t*unit), to, y.At(t*unit))
		p.Label("end", from-4, y.At(t*unit)+3, amount(resource, t*unit))
	}
	return y
}

// wholeChart draws all usage, and the limits that would have been set.
func (p *Panel) wholeChart() template.HTML {
	if len(p.times) < leastSamples {
		return ""
	}
	return p.chart(0, 0, fmt.Sprintf("Usage of %s over time, and the limits that would have been set", p.Resource))
}

// fanChart draws the last usage, and what is forecast.
func (p *Panel) fanChart() template.HTML {
	if len(p.times) < leastSamples || len(p.Fan) == 0 {
		return ""
	}
	ahead := time.Duration(p.Fan[len(p.Fan)-1].Ahead).Milliseconds()
	from := 0
	for from < len(p.times)-leastSamples && p.times[from] < p.times[len(p.times)-1]-recentShare*ahead {
		from++
	}
	return p.chart(from, ahead, fmt.Sprintf("The last usage of %s, and quantiles of the largest usage from now on", p.Resource))
}

// chart draws usage from a sample on, and ahead ms of the forecast.
func (p *Panel) chart(from int, ahead int64, title string) template.HTML {
	times, values := p.times[from:], p.values[from:]
	begin, now := times[0], times[len(times)-1]
	pic := htmlpage.NewPicture(bottom + 30)
	most := 0.0
	for _, v := range values {
		if v > most { // NaN is not
			most = v
		}
	}
	limits, requests := since(p.Limits, begin), since(p.Requests, begin)
	for _, s := range limits {
		most = max(most, s.Value)
	}
	if ahead > 0 {
		for _, f := range p.Fan {
			most = max(most, f.Quantiles[len(f.Quantiles)-1])
		}
	}
	y := axis(pic, p.Resource, most, left, right)
	x := htmlpage.Scale{Low: float64(begin), High: float64(now + ahead), From: left, To: right}
	if ahead > 0 {
		p.fan(pic, x, y, now)
		pic.Line("cut", x.At(float64(now)), top, x.At(float64(now)), bottom)
	}
	for _, line := range columns(times, values, x, y) {
		pic.Polyline("warm", line)
	}
	if p.Resource == rightsize.CPU || !sameSteps(limits, requests) {
		for _, line := range stairs(requests, now+ahead, x, y) {
			pic.Polyline("dark dashed", line)
		}
	}
	for _, line := range stairs(limits, now+ahead, x, y) {
		pic.Polyline("cold", line)
	}
	for _, t := range timeTicks(begin, now+ahead) {
		at := x.At(float64(t.time))
		pic.Line("grid", at, bottom, at, bottom+4)
		pic.Label("middle", min(at, right-14), bottom+15, t.label)
	}
	return pic.Done(title)
}

// timeTick is a time on an axis.
type timeTick struct {
	time  int64 // ms since 1970
	label string
}

// mostTicks is how many times an axis has at most.
const mostTicks = 7

// tickSteps are the distances of ticks, in ms.
var tickSteps = []int64{
	1000, 5000, 15_000, 60_000, 5 * 60_000, 15 * 60_000, 3600_000, 3 * 3600_000, 6 * 3600_000, 12 * 3600_000, 24 * 3600_000, 2 * 24 * 3600_000, 7 * 24 * 3600_000, 30 * 24 * 3600_000,
}

// timeTicks returns round times (UTC) between two.
func timeTicks(begin, end int64) (ticks []timeTick) {
	step := tickSteps[0]
	for i := 1; i < len(tickSteps) && (end-begin)/step >= mostTicks; i++ {
		step = tickSteps[i]
	}
	for (end-begin)/step >= mostTicks {
		step *= 2
	}
	for at := (begin + step - 1) / step * step; at <= end; at += step {
		t, layout := time.UnixMilli(at).UTC(), "15:04"
		switch {
		case step >= 24*3600_000 || step >= 3600_000 && t.Hour() == 0:
			layout = "Jan 2"
		case step < 60_000:
			layout = "15:04:05"
		}
		ticks = append(ticks, timeTick{at, t.Format(layout)})
	}
	return ticks
}

// fan draws the forecast: between neighbouring quantiles an area that is the darker the more likely.
func (p *Panel) fan(pic *htmlpage.Picture, x, y htmlpage.Scale, now int64) {
	low := p.values[len(p.values)-1]
	if math.IsNaN(low) {
		low = p.Fan[0].Quantiles[0]
	}
	base := [2]float64{x.At(float64(now)), y.At(low)}
	for k := range Levels {
		points := [][2]float64{base}
		for _, f := range p.Fan {
			points = append(points, [2]float64{x.At(float64(now + time.Duration(f.Ahead).Milliseconds())), y.At(f.Quantiles[k])})
		}
		end := points[len(points)-1]
		points = append(points, [2]float64{end[0], base[1]})
		pic.Polygon("fan", points)
	}
}

// columns returns lines through the smallest and the largest value of each column of a picture; a line ends where values are missing.
func columns(times []int64, values []float64, x, y htmlpage.Scale) (lines [][][2]float64) {
	var line [][2]float64
	width := (right - left) / float64(mostColumns)
	column, lowest, highest := -1, math.Inf(1), math.Inf(-1)
	flush := func() {
		if !math.IsInf(lowest, 1) {
			at := left + (float64(column)+0.5)*width
			a, b := lowest, highest
			if len(line) > 0 && math.Abs(line[len(line)-1][1]-y.At(highest)) < math.Abs(line[len(line)-1][1]-y.At(lowest)) {
				a, b = highest, lowest
			}
			line = append(line, [2]float64{at, y.At(a)})
			if a != b {
				line = append(line, [2]float64{at, y.At(b)})
			}
		}
		lowest, highest = math.Inf(1), math.Inf(-1)
	}
	for i, v := range values {
		c := min(int((x.At(float64(times[i]))-left)/width), mostColumns-1)
		if c != column {
			flush()
			column = c
		}
		if math.IsNaN(v) {
			flush()
			if len(line) > 0 {
				lines = append(lines, line)
			}
			line = nil
			continue
		}
		lowest, highest = min(lowest, v), max(highest, v)
	}
	flush()
	if len(line) > 0 {
		lines = append(lines, line)
	}
	return lines
}

// since returns steps from a time on, the one that holds then first.
func since(steps []Step, from int64) []Step {
	for i := len(steps) - 1; i >= 0; i-- {
		if steps[i].Time <= from {
			return append([]Step{{from, steps[i].Value}}, steps[i+1:]...)
		}
	}
	return steps
}

func sameSteps(a, b []Step) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// stairs returns lines through steps; a line ends where there is no value.
func stairs(steps []Step, until int64, x, y htmlpage.Scale) (lines [][][2]float64) {
	var line [][2]float64
	for i, s := range steps {
		end := until
		if i+1 < len(steps) {
			end = steps[i+1].Time
		}
		if s.Value == 0 {
			if len(line) > 0 {
				lines = append(lines, line)
			}
			line = nil
			continue
		}
		line = append(line, [2]float64{x.At(float64(s.Time)), y.At(s.Value)}, [2]float64{x.At(float64(end)), y.At(s.Value)})
	}
	if len(line) > 0 {
		lines = append(lines, line)
	}
	return lines
}

// bars draws what recommenders would have reserved.
func (f *Function) bars() template.HTML {
	if len(f.Backtest) == 0 {
		return ""
	}
	const row, from, to = 22, 80, htmlpage.Width - 110
	height := 4 + row*float64(len(f.Backtest))
	pic := htmlpage.NewPicture(height + 30)
	most := 0.0
	for _, r := range f.Backtest {
		most = max(most, r.Reserved)
	}
	unit := 1.0
	if most < 1 {
		unit = 1.0 / 1024
	}
	x, ticks := htmlpage.Linear(most/unit, from, to)
	x.High *= unit
	for _, t := range ticks {
		pic.Line("grid", x.At(t*unit), 4, x.At(t*unit), height)
		pic.Label("middle", x.At(t*unit), height+12, amount(rightsize.Memory, t*unit*(1<<30)))
	}
	for i, r := range f.Backtest {
		class := "rest"
		if i == 0 {
			class = "warm"
		}
		at := 4 + row*float64(i)
		pic.Label("end", from-6, at+14, htmlpage.Shortened(r.Recommender, 14))
		pic.Rect(class, from, at+4, x.At(r.Reserved)-from, 14)
		pic.Label("start", x.At(r.Reserved)+4, at+14, fmt.Sprintf("%s, %s a day", count(r.Kills, "kill"), count(r.Changes, "change")))
	}
	pic.Label("middle", (from+to)/2, height+26, "memory reserved in the mean")
	return pic.Done("Memory that recommenders would have reserved")
}

// count writes how many of something there are.
func count(n float64, name string) string {
	text := htmlpage.Digits(n)
	if text != "1" {
		name += "s"
	}
	return text + " " + name
}
