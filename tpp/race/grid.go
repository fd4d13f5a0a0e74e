package race

import (
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/internal/nn"
)

// grid holds the times from now at which a prediction was computed, in ascending order, to integrate over the time of the next event.
type grid struct {
	times []float64
	after []float64 // at each time
	later []float64 // times × rows
	tail  []float64 // times × slots
	order []int     // the index of each time in later and tail
	rival []float64 // of each cell: the mass of all but the likeliest row
	cells []float64 // cells × rows: the masses, in the order of cell
	cell  []int     // the index of each cell in cells
}

const (
	maxGrid   = 64
	gridDone  = 5e-3 // the largest mass of rivals in a cell that is not divided any further
	gridRange = 1e-4 // how much of the mass lies beyond the grid
)

// solve computes the median and the probabilities of the marks.
func (p *prediction) solve(marks []float64) {
	g := &p.grid
	g.times, g.after, g.later, g.tail, g.order = g.times[:0], g.after[:0], g.later[:0], g.tail[:0], g.order[:0]
	tick := p.m.encoder.tick
	p.put(0, 0)
	t := tick / 2
	for len(g.times) < maxGrid/2 {
		p.put(len(g.times), t)
		if g.after[len(g.after)-1] < gridRange*p.comes {
			break
		}
		t *= 4
	}
	target, i := p.comes/2, 1
	for i < len(g.times)-1 && g.after[i] > target {
		i++
	}
	if p.comes == 0 {
		p.median = math.Inf(1)
	} else {
		p.median = p.quick(g.times[i-1], g.times[i], g.after[i-1], g.after[i], target)
	}
	clear(marks)
	if len(p.rows) > 1 {
		p.refine()
	}
	p.integrate(marks)
}

// quick returns the root of after − target between two times whose values are known, to about a thousandth of it.
func (p *prediction) quick(lo, hi, atLo, atHi, target float64) float64 {
	tick := p.m.encoder.tick
	for i := range 40 {
		if hi-lo <= 2e-3*tick+1e-4*lo {
			break
		}
		mid := (lo + hi) / 2
		if i%3 != 2 && atLo > atHi {
			mid = lo + (hi-lo)*(atLo-target)/(atLo-atHi)
			mid = min(max(mid, lo+(hi-lo)/32), hi-(hi-lo)/32)
		}
		if v := p.after(mid); v > target {
			lo, atLo = mid, v
		} else {
			hi, atHi = mid, v
		}
	}
	if atLo > atHi {
		return lo + (hi-lo)*min(max((atLo-target)/(atLo-atHi), 0), 1)
	}
	return (lo + hi) / 2
}

// put computes the prediction at a time and inserts it as entry i of the grid.
func (p *prediction) put(i int, t float64) {
	g := &p.grid
	after := p.after(t)
	index := len(g.order)
	g.later, g.tail = append(g.later, p.later...), append(g.tail, p.tail...)
	g.times, g.after, g.order = append(g.times, 0), append(g.after, 0), append(g.order, 0)
	copy(g.times[i+1:], g.times[i:])
	copy(g.after[i+1:], g.after[i:])
	copy(g.order[i+1:], g.order[i:])
	g.times[i], g.after[i], g.order[i] = t, after, index
}

// refine divides the cells in which several rows compete.
func (p *prediction) refine() {
	g := &p.grid
	g.rival, g.cell = g.rival[:0], g.cell[:0]
	g.cells = nn.Resize(g.cells, maxGrid*len(p.rows))
	for i := range len(g.times) - 1 {
		g.cell = append(g.cell, i)
		g.rival = append(g.rival, p.rivals(i))
	}
	tick := p.m.encoder.tick
	for len(g.times) < maxGrid {
		worst := 0
		for i, v := range g.rival {
			if v > g.rival[worst] {
				worst = i
			}
		}
		if g.rival[worst] < gridDone {
			break
		}
		a, b := math.Asinh(g.times[worst]/tick), math.Asinh(g.times[worst+1]/tick)
		mid := tick * math.Sinh((a+b)/2)
		if !(mid > g.times[worst] && mid < g.times[worst+1]) {
			break
		}
		p.put(worst+1, mid)
		g.cell = slices.Insert(g.cell, worst+1, len(g.cell))
		g.rival = slices.Insert(g.rival, worst+1, 0)
		g.rival[worst], g.rival[worst+1] = p.rivals(worst), p.rivals(worst+1)
	}
}

// masses computes the masses of the rows in cell i and returns them with their sum, which is that of the race: shares of the hazards.
func (p *prediction) masses(i int) (own []float64, whole float64) {
	g, rows, slots := &p.grid, len(p.rows), len(p.never)
	masses := g.cells[g.cell[i]*rows : (g.cell[i]+1)*rows]
	a, b := g.order[i], g.order[i+1]
	laterA, laterB := g.later[a*rows:(a+1)*rows], g.later[b*rows:(b+1)*rows]
	tailA, tailB := g.tail[a*slots:(a+1)*slots], g.tail[b*slots:(b+1)*slots]
	survival, hazard := 1-p.background, 0.0
	for j := range slots {
		survival *= tailA[j]
		own := tailA[j] - tailB[j]
		h := 0.0
		if own > 0 {
			h = math.Log(max(tailA[j], tiny) / max(tailB[j], tiny))
		}
		for r := p.slots[j]; r < p.slots[j+1]; r++ {
			masses[r] = 0
			if own > 0 {
				masses[r] = h * max(laterA[r]-laterB[r], 0) / own
			}
		}
		hazard += h
	}
	if hazard <= 0 {
		return masses, 0
	}
	whole = survival * -math.Expm1(-hazard)
	for r := range masses {
		masses[r] *= whole / hazard
	}
	return masses, whole
}

// rivals returns the mass of all but the likeliest row in cell i, as a part of the probability that there is a next event.
func (p *prediction) rivals(i int) float64 {
	masses, whole := p.masses(i)
	most := 0.0
	for _, v := range masses {
		most = max(most, v)
	}
	return (whole - most) / max(p.comes, tiny)
}

// integrate sets the probabilities of the marks.
func (p *prediction) integrate(marks []float64) {
	g := &p.grid
	last := len(g.times) - 1
	switch len(p.rows) {
	case 0:
	case 1:
		marks[p.marks[0]] = g.after[0] - g.after[last] - p.background*(p.backgroundAfter(0)-p.backgroundAfter(g.times[last]))
	default:
		for _, cell := range g.cell {
			for r, v := range g.cells[cell*len(p.rows) : (cell+1)*len(p.rows)] {
				marks[p.marks[r]] += v
			}
		}
	}
	// Beyond the grid, by what is left of each row.
	beyond, left := 0.0, g.later[g.order[last]*len(p.rows):(g.order[last]+1)*len(p.rows)]
	for _, v := range left {
		beyond += v
	}
	if beyond > 0 {
		rest := max(g.after[last]-p.background*p.backgroundAfter(g.times[last]), 0)
		for r, v := range left {
			marks[p.marks[r]] += rest * v / beyond
		}
	}
	if p.background > 0 {
		for m, v := range p.m.background.marks {
			marks[m] += p.background * v
		}
	}
	sum := 0.0
	for _, v := range marks {
		sum += v
	}
	for m := range marks {
		if sum > 0 {
			marks[m] /= sum
		} else {
			marks[m] = p.m.background.marks[m]
		}
	}
}
