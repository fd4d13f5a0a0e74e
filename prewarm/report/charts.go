package report

import (
	"fmt"
	"html/template"
	"math"

	"github.com/tppfaas/tppfaas/internal/htmlpage"
)

// mostRows is how many functions pictures and tables have.
const mostRows = 40

// latencyChart draws what functions wait: the 5 to 95 % quantiles thin, 25 to 75 % thick, the median a dot.
func (r *Report) latencyChart() template.HTML {
	rows := r.Functions[:min(len(r.Functions), mostRows)]
	least, most := math.Inf(1), 0.0
	n := 0
	for _, f := range rows {
		for _, d := range []*Distribution{f.Cold, f.Warm} {
			if d != nil {
				least, most = min(least, d.P5), max(most, d.P95)
				n++
			}
		}
	}
	if n == 0 {
		return ""
	}
	const rowHeight, top = 30, 4
	p := htmlpage.NewPicture(top + rowHeight*float64(len(rows)) + 18)
	x, ticks := htmlpage.TimeScale(least, most, 8, htmlpage.Width-8)
	bottom := top + rowHeight*float64(len(rows))
	for _, t := range ticks {
		p.Line("grid", x.At(t), top, x.At(t), bottom)
		p.Label("middle", min(max(x.At(t), 16), htmlpage.Width-18), bottom+12, htmlpage.Seconds(t))
	}
	for i, f := range rows {
		y := top + rowHeight*float64(i)
		p.Label("start", 8, y+9, htmlpage.Shortened(f.Name, 60))
		for k, d := range []*Distribution{f.Cold, f.Warm} {
			if d == nil {
				continue
			}
			class, at := [2]string{"cold", "warm"}[k], y+15+8*float64(k)
			p.Line(class+" thin", x.At(d.P5), at, x.At(d.P95), at)
			p.Line(class+" thick", x.At(d.P25), at, x.At(d.P75), at)
			p.Circle(class, x.At(d.P50), at, 3)
		}
	}
	return p.Done("Time from arrival to start, cold and warm, by function")
}

// loadChart draws what invocations wait by how many others start.
func (r *Report) loadChart() template.HTML {
	if len(r.Loads) == 0 {
		return ""
	}
	least, most := math.Inf(1), 0.0
	for _, l := range r.Loads {
		for _, d := range []*Distribution{l.Cold, l.Warm} {
			if d != nil {
				least, most = min(least, d.P50), max(most, d.P95)
			}
		}
	}
	p := htmlpage.NewPicture(180)
	const left, top, bottom = 46, 8, 146
	y, ticks := htmlpage.TimeScale(least, most, bottom, top)
	for _, t := range ticks {
		p.Line("grid", left, y.At(t), htmlpage.Width-4, y.At(t))
		p.Label("end", left-4, y.At(t)+3, htmlpage.Seconds(t))
	}
	width := (htmlpage.Width - 4 - left) / float64(len(r.Loads))
	for i, l := range r.Loads {
		at := left + width*(float64(i)+0.5)
		p.Label("middle", at, bottom+13, l.Name())
		for k, d := range []*Distribution{l.Cold, l.Warm} {
			if d == nil {
				continue
			}
			class, x := [2]string{"cold", "warm"}[k], at+[2]float64{-6, 6}[k]
			p.Line(class+" thick", x, y.At(d.P50), x, y.At(d.P95))
			p.Circle(class, x, y.At(d.P50), 3)
		}
	}
	p.Label("middle", (left+htmlpage.Width)/2, bottom+28, "others starting at the arrival")
	return p.Done("Time from arrival to start by how many others were starting")
}

// Name returns the range in a few letters.
func (l Load) Name() string {
	switch {
	case l.Most < 0:
		return fmt.Sprintf("%d+", l.Least)
	case l.Most == l.Least:
		return fmt.Sprint(l.Least)
	}
	return fmt.Sprintf("%d–%d", l.Least, l.Most)
}

// depthChart draws the share of cold starts by depth.
func (r *Report) depthChart() template.HTML {
	if len(r.Depths) == 0 || !r.KnowsCold {
		return ""
	}
	depths := r.Depths[:min(len(r.Depths), 20)]
	most := 0.0
	for _, d := range depths {
		most = max(most, share(d.ColdStarts, d.Invocations))
	}
	const rowHeight = 18
	bottom := 4 + rowHeight*float64(len(depths))
	p := htmlpage.NewPicture(bottom + 30)
	x, ticks := htmlpage.Linear(most, 66, htmlpage.Width-90)
	for _, t := range ticks {
		p.Line("grid", x.At(t), 4, x.At(t), bottom)
		p.Label("middle", x.At(t), bottom+12, htmlpage.Tick(t))
	}
	for i, d := range depths {
		y, s := 4+rowHeight*float64(i), share(d.ColdStarts, d.Invocations)
		name := fmt.Sprintf("depth %d", d.Depth)
		if d.Depth == 0 {
			name = "root"
		}
		p.Label("end", 60, y+12, name)
		p.Rect("cold", x.At(0), y+3, x.At(s)-x.At(0), 12)
		p.Label("start", x.At(s)+4, y+12, fmt.Sprintf("%d of %d", d.ColdStarts, d.Invocations))
	}
	p.Label("middle", (66+htmlpage.Width-90)/2, bottom+26, "cold starts")
	return p.Done("Share of cold starts by depth")
}

// chart draws starts and latencies over time.
func (t *Timeline) chart() template.HTML {
	p := htmlpage.NewPicture(230)
	const left, top, middle, low, bottom = 46, 14, 84, 110, 200
	const right = htmlpage.Width - 6
	minute := 60 / t.Seconds
	most, least, highest := 0.0, math.Inf(1), 0.0
	for _, v := range t.Intervals {
		most = max(most, float64(v.Starts)*minute)
		if v.N > 0 {
			least, highest = min(least, v.P50), max(highest, v.P95)
		}
	}
	n := float64(len(t.Intervals))
	x := htmlpage.Scale{Low: 0, High: n, From: left, To: right}
	starts, ticks := htmlpage.Linear(most, middle, top)
	for _, v := range ticks {
		p.Line("grid", left, starts.At(v), right, starts.At(v))
		p.Label("end", left-4, starts.At(v)+3, htmlpage.Digits(v))
	}
	p.Label("start", left, top-4, "cold starts a minute")
	for i, v := range t.Intervals {
		if v.Starts > 0 {
			at := starts.At(float64(v.Starts) * minute)
			p.Rect("cold", x.At(float64(i)), at, max(x.At(1)-x.At(0)-0.4, 0.6), middle-at)
		}
	}
	y, times := htmlpage.TimeScale(least, highest, bottom, low)
	for _, v := range times {
		p.Line("grid", left, y.At(v), right, y.At(v))
		p.Label("end", left-4, y.At(v)+3, htmlpage.Seconds(v))
	}
	what := "time to start: "
	if t.Requests {
		what = "latency of requests: "
	}
	p.Label("start", left, low-6, what+"median (line), 95 % (dots)")
	var line [][2]float64
	end := func() {
		if len(line) > 1 {
			p.Polyline("warm", line)
		}
		line = line[:0]
	}
	cuts := t.Cuts
	for i, v := range t.Intervals {
		for len(cuts) > 0 && cuts[0] < (float64(i)+0.5)*t.Seconds {
			end()
			cuts = cuts[1:]
		}
		if v.N == 0 {
			end()
			continue
		}
		at := x.At(float64(i) + 0.5)
		line = append(line, [2]float64{at, y.At(v.P50)})
		p.Circle("warm", at, y.At(v.P50), 1.6)
		p.Circle("dark", at, y.At(v.P95), 1.6)
	}
	end()
	for _, cut := range t.Cuts[:min(len(t.Cuts), mostIntervals)] {
		p.Line("cut", x.At(cut/t.Seconds), top, x.At(cut/t.Seconds), bottom)
	}
	for k := range 5 {
		s := n * t.Seconds * float64(k) / 4
		anchor := [5]string{"start", "middle", "middle", "middle", "end"}[k]
		p.Label(anchor, left+(right-left)*float64(k)/4, bottom+14, htmlpage.Clock(s))
	}
	p.Label("middle", (left+right)/2, bottom+27, "time since the first arrival")
	return p.Done("Cold starts a minute, and latency, over time")
}

// keepChart draws the share of cold starts over the memory that keep-alives take.
func (r *Report) keepChart() template.HTML {
	if len(r.KeepAlives) == 0 {
		return ""
	}
	least, most, rare, cold := math.Inf(1), 0.0, math.Inf(1), 0.0
	see := func(c *Change) {
		if m := c.Idle + c.Starting; m > 0 {
			least, most = min(least, m), max(most, m)
		}
		if c.Share > 0 {
			rare, cold = min(rare, c.Share), max(cold, c.Share)
		}
	}
	for i := range r.KeepAlives {
		see(&r.KeepAlives[i])
	}
	for i := range r.Prices {
		if r.Prices[i].Rule == "ski rental" {
			see(&r.Prices[i])
		}
	}
	if most == 0 || cold == 0 {
		return ""
	}
	least = max(least, most/1e9)
	p := htmlpage.NewPicture(216)
	const left, top, bottom, right = 46, 16, 174, htmlpage.Width - 14
	x := htmlpage.Scale{Low: math.Pow(10, math.Floor(math.Log10(least)*2+1e-9)/2), High: math.Pow(10, math.Ceil(math.Log10(most)*2-1e-9)/2), From: left, To: right, Log: true}
	y := htmlpage.Scale{Low: math.Pow(10, math.Floor(math.Log10(rare)+1e-9)), High: math.Pow(10, math.Ceil(math.Log10(cold)-1e-9)), From: bottom, To: top, Log: true}
	if y.Low == y.High {
		y.Low /= 10
	}
	for t := y.Low; t <= y.High*1.01; t *= 10 {
		p.Line("grid", left, y.At(t), right, y.At(t))
		p.Label("end", left-4, y.At(t)+3, htmlpage.Tick(t))
	}
	for t := math.Pow(10, math.Ceil(math.Log10(x.Low)-1e-9)); t <= x.High*1.01; t *= 10 {
		p.Line("grid", x.At(t), top, x.At(t), bottom)
		p.Label("middle", x.At(t), bottom+13, htmlpage.Amount(t))
	}
	var line [][2]float64
	for i := range r.KeepAlives {
		c := &r.KeepAlives[i]
		line = append(line, [2]float64{x.At(c.Idle + c.Starting), y.At(c.Share)})
	}
	p.Polyline("cold", line)
	var named [][2]float64
	mark := func(class string, x, y float64, text string) {
		p.Circle(class, x, y, 3)
		for _, other := range named {
			if math.Abs(other[0]-x) < 44 && math.Abs(other[1]-y) < 11 {
				return // it would lie on another name
			}
		}
		named = append(named, [2]float64{x, y})
		if x > right-50 {
			p.Label("end", x-5, y-5, text)
		} else {
			p.Label("start", x+4, y-5, text)
		}
	}
	for i, at := range line {
		mark("cold", at[0], at[1], htmlpage.Seconds(*r.KeepAlives[i].Keep))
	}
	for i := range r.Prices {
		if c := &r.Prices[i]; c.Rule == "ski rental" {
			mark("warm", x.At(c.Idle+c.Starting), y.At(c.Share), "λ "+htmlpage.Amount(*c.Lambda))
		}
	}
	p.Label("middle", (left+right)/2, bottom+30, "MB·s a request, idle and starting")
	return p.Done("Share of cold starts over the memory that keep-alives take")
}

// gapChart draws the histogram of a function's gaps.
func (f *Function) gapChart() template.HTML {
	if len(f.Histogram) == 0 {
		return ""
	}
	p := htmlpage.NewPictureOf(6*float64(len(f.Histogram)), 20)
	most := 0
	for _, n := range f.Histogram {
		most = max(most, n)
	}
	p.Line("grid", 0, 19.5, p.Width(), 19.5)
	for i, n := range f.Histogram {
		if n > 0 {
			h := max(19*float64(n)/float64(most), 1)
			p.Rect("warm", 6*float64(i), 19.5-h, 5, h)
		}
	}
	return p.Done("How the gaps are distributed, from under 0.1 s to over a day")
}
