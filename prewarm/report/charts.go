package report

import (
	"fmt"
	"html/template"
	"math"
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
	p := newPicture(top + rowHeight*float64(len(rows)) + 18)
	x, ticks := timeScale(least, most, 8, pictureWidth-8)
	bottom := top + rowHeight*float64(len(rows))
	for _, t := range ticks {
		p.line("grid", x.at(t), top, x.at(t), bottom)
		p.label("middle", min(max(x.at(t), 16), pictureWidth-18), bottom+12, seconds(t))
	}
	for i, f := range rows {
		y := top + rowHeight*float64(i)
		p.label("start", 8, y+9, shortened(f.Name, 60))
		for k, d := range []*Distribution{f.Cold, f.Warm} {
			if d == nil {
				continue
			}
			class, at := [2]string{"cold", "warm"}[k], y+15+8*float64(k)
			p.line(class+" thin", x.at(d.P5), at, x.at(d.P95), at)
			p.line(class+" thick", x.at(d.P25), at, x.at(d.P75), at)
			p.circle(class, x.at(d.P50), at, 3)
		}
	}
	return p.done("Time from arrival to start, cold and warm, by function")
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
	p := newPicture(180)
	const left, top, bottom = 46, 8, 146
	y, ticks := timeScale(least, most, bottom, top)
	for _, t := range ticks {
		p.line("grid", left, y.at(t), pictureWidth-4, y.at(t))
		p.label("end", left-4, y.at(t)+3, seconds(t))
	}
	width := (pictureWidth - 4 - left) / float64(len(r.Loads))
	for i, l := range r.Loads {
		at := left + width*(float64(i)+0.5)
		p.label("middle", at, bottom+13, l.Name())
		for k, d := range []*Distribution{l.Cold, l.Warm} {
			if d == nil {
				continue
			}
			class, x := [2]string{"cold", "warm"}[k], at+[2]float64{-6, 6}[k]
			p.line(class+" thick", x, y.at(d.P50), x, y.at(d.P95))
			p.circle(class, x, y.at(d.P50), 3)
		}
	}
	p.label("middle", (left+pictureWidth)/2, bottom+28, "others starting at the arrival")
	return p.done("Time from arrival to start by how many others were starting")
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
	p := newPicture(bottom + 30)
	x, ticks := linear(most, 66, pictureWidth-90)
	for _, t := range ticks {
		p.line("grid", x.at(t), 4, x.at(t), bottom)
		p.label("middle", x.at(t), bottom+12, tick(t))
	}
	for i, d := range depths {
		y, s := 4+rowHeight*float64(i), share(d.ColdStarts, d.Invocations)
		name := fmt.Sprintf("depth %d", d.Depth)
		if d.Depth == 0 {
			name = "root"
		}
		p.label("end", 60, y+12, name)
		p.rect("cold", x.at(0), y+3, x.at(s)-x.at(0), 12)
		p.label("start", x.at(s)+4, y+12, fmt.Sprintf("%d of %d", d.ColdStarts, d.Invocations))
	}
	p.label("middle", (66+pictureWidth-90)/2, bottom+26, "cold starts")
	return p.done("Share of cold starts by depth")
}

// chart draws starts and latencies over time.
func (t *Timeline) chart() template.HTML {
	p := newPicture(230)
	const left, top, middle, low, bottom = 46, 14, 84, 110, 200
	const right = pictureWidth - 6
	minute := 60 / t.Seconds
	most, least, highest := 0.0, math.Inf(1), 0.0
	for _, v := range t.Intervals {
		most = max(most, float64(v.Starts)*minute)
		if v.N > 0 {
			least, highest = min(least, v.P50), max(highest, v.P95)
		}
	}
	n := float64(len(t.Intervals))
	x := scale{0, n, left, right, false}
	starts, ticks := linear(most, middle, top)
	for _, v := range ticks {
		p.line("grid", left, starts.at(v), right, starts.at(v))
		p.label("end", left-4, starts.at(v)+3, digits(v))
	}
	p.label("start", left, top-4, "cold starts a minute")
	for i, v := range t.Intervals {
		if v.Starts > 0 {
			at := starts.at(float64(v.Starts) * minute)
			p.rect("cold", x.at(float64(i)), at, max(x.at(1)-x.at(0)-0.4, 0.6), middle-at)
		}
	}
	y, times := timeScale(least, highest, bottom, low)
	for _, v := range times {
		p.line("grid", left, y.at(v), right, y.at(v))
		p.label("end", left-4, y.at(v)+3, seconds(v))
	}
	what := "time to start: "
	if t.Requests {
		what = "latency of requests: "
	}
	p.label("start", left, low-6, what+"median (line), 95 % (dots)")
	var line [][2]float64
	end := func() {
		if len(line) > 1 {
			p.polyline("warm", line)
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
		at := x.at(float64(i) + 0.5)
		line = append(line, [2]float64{at, y.at(v.P50)})
		p.circle("warm", at, y.at(v.P50), 1.6)
		p.circle("dark", at, y.at(v.P95), 1.6)
	}
	end()
	for _, cut := range t.Cuts[:min(len(t.Cuts), mostIntervals)] {
		p.line("cut", x.at(cut/t.Seconds), top, x.at(cut/t.Seconds), bottom)
	}
	for k := range 5 {
		s := n * t.Seconds * float64(k) / 4
		anchor := [5]string{"start", "middle", "middle", "middle", "end"}[k]
		p.label(anchor, left+(right-left)*float64(k)/4, bottom+14, clock(s))
	}
	p.label("middle", (left+right)/2, bottom+27, "time since the first arrival")
	return p.done("Cold starts a minute, and latency, over time")
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
	p := newPicture(216)
	const left, top, bottom, right = 46, 16, 174, pictureWidth - 14
	x := scale{math.Pow(10, math.Floor(math.Log10(least)*2+1e-9)/2), math.Pow(10, math.Ceil(math.Log10(most)*2-1e-9)/2), left, right, true}
	y := scale{math.Pow(10, math.Floor(math.Log10(rare)+1e-9)), math.Pow(10, math.Ceil(math.Log10(cold)-1e-9)), bottom, top, true}
	if y.low == y.high {
		y.low /= 10
	}
	for t := y.low; t <= y.high*1.01; t *= 10 {
		p.line("grid", left, y.at(t), right, y.at(t))
		p.label("end", left-4, y.at(t)+3, tick(t))
	}
	for t := math.Pow(10, math.Ceil(math.Log10(x.low)-1e-9)); t <= x.high*1.01; t *= 10 {
		p.line("grid", x.at(t), top, x.at(t), bottom)
		p.label("middle", x.at(t), bottom+13, amount(t))
	}
	var line [][2]float64
	for i := range r.KeepAlives {
		c := &r.KeepAlives[i]
		line = append(line, [2]float64{x.at(c.Idle + c.Starting), y.at(c.Share)})
	}
	p.polyline("cold", line)
	var named [][2]float64
	mark := func(class string, x, y float64, text string) {
		p.circle(class, x, y, 3)
		for _, other := range named {
			if math.Abs(other[0]-x) < 44 && math.Abs(other[1]-y) < 11 {
				return // it would lie on another name
			}
		}
		named = append(named, [2]float64{x, y})
		if x > right-50 {
			p.label("end", x-5, y-5, text)
		} else {
			p.label("start", x+4, y-5, text)
		}
	}
	for i, at := range line {
		mark("cold", at[0], at[1], seconds(*r.KeepAlives[i].Keep))
	}
	for i := range r.Prices {
		if c := &r.Prices[i]; c.Rule == "ski rental" {
			mark("warm", x.at(c.Idle+c.Starting), y.at(c.Share), "λ "+amount(*c.Lambda))
		}
	}
	p.label("middle", (left+right)/2, bottom+30, "MB·s a request, idle and starting")
	return p.done("Share of cold starts over the memory that keep-alives take")
}

// gapChart draws the histogram of a function's gaps.
func (f *Function) gapChart() template.HTML {
	if len(f.Histogram) == 0 {
		return ""
	}
	p := &picture{width: 6 * float64(len(f.Histogram)), height: 20}
	most := 0
	for _, n := range f.Histogram {
		most = max(most, n)
	}
	p.line("grid", 0, 19.5, p.width, 19.5)
	for i, n := range f.Histogram {
		if n > 0 {
			h := max(19*float64(n)/float64(most), 1)
			p.rect("warm", 6*float64(i), 19.5-h, 5, h)
		}
	}
	return p.done("How the gaps are distributed, from under 0.1 s to over a day")
}
