package requests

import "math"

// sums are the laws of the sums of 1, 2, … independent times of one law.
type sums struct {
	laws []*law
}

// maxSums is the number of sums that are tabulated; longer ones have the shape of the last.
const maxSums = 64

func newSums(l *law) *sums {
	s := &sums{laws: []*law{l}}
	for k := 2; k <= maxSums; k++ { // of halves, so that rounding does not add up
		s.laws = append(s.laws, s.laws[k/2-1].plus(s.laws[k-k/2-1], s.laws[k-2]))
	}
	return s
}

// read returns a law and how to read from it that the sum of k ≥ 1 times is at most t: at shift + factor·t. Beyond the sums that are tabulated,
// the deviation from the mean grows as the root of the number of terms, by the central limit theorem.
func (s *sums) read(k int) (l *law, shift, factor float64) {
	if k <= len(s.laws) {
		return s.laws[k-1], 0, 1
	}
	n, mean := float64(len(s.laws)), s.laws[0].mean
	factor = math.Sqrt(n / float64(k))
	return s.laws[len(s.laws)-1], n*mean - float64(k)*mean*factor, factor
}

// cdf returns the probability that the sum of k ≥ 1 times is at most t.
func (s *sums) cdf(k int, t float64) float64 {
	l, shift, factor := s.read(k)
	return l.cdf(shift + factor*t)
}

// rest is what follows the next request: gaps of one law, or, if places is not nil, those of bursts.
type rest struct {
	gaps  *sums   // of a renewal process, or between bursts
	scale float64 // seconds in which gaps are counted
	// Of bursts:
	short      *sums // of the gaps within
	shortScale float64
	places     *places
	place      int // of the next request in its burst, from 1
}

// cdf returns the probability that the k ≥ 1 gaps after the next request take at most t seconds.
func (r *rest) cdf(k int, t float64) float64 {
	if !(t > 0) {
		return 0
	}
	if r.places == nil {
		return r.gaps.cdf(k, t/r.scale)
	}
	if k > maxPlaces {
		t -= float64(k-maxPlaces) * (r.places.breaks*r.gaps.laws[0].mean*r.scale + (1-r.places.breaks)*r.short.laws[0].mean*r.shortScale)
		k = maxPlaces
		if !(t > 0) {
			return 0
		}
	}
	row := r.places.row(r.place, k)
	p := 0.0
	for i, weight := range row.weights {
		if weight == 0 {
			continue
		}
		// So many gaps between bursts, and the others within. Those within are much shorter: beside the others only their mean counts.
		long := row.least + i
		short := k - long
		q := 1.0
		if long > 0 {
			q = r.gaps.cdf(long, (t-float64(short)*r.short.laws[0].mean*r.shortScale)/r.scale)
		}
		if short > 0 && q > 0 {
			q = min(q, r.short.cdf(short, t/r.shortScale))
		}
		p += weight * q
	}
	return p
}

// spread returns the spread of the k gaps after the next request, if there are gaps of both kinds among them that of the narrower.
func (r *rest) spread(k int) float64 {
	row := r.places.row(r.place, min(k, maxPlaces))
	least := math.Inf(1)
	for i, weight := range row.weights {
		switch long := row.least + i; {
		case weight == 0:
		case long > 0:
			l, _, factor := r.gaps.read(long)
			least = min(least, l.spread()/factor*r.scale)
		default:
			l, _, factor := r.short.read(k)
			least = min(least, l.spread()/factor*r.shortScale)
		}
	}
	return least
}

// places has the distribution of the number of gaps between bursts among the next k gaps, by the place in its burst of the request before them.
type places struct {
	ends   []float64 // probability that a burst ends with its j-th request, given that it has one; ends[0] = 1, the last holds beyond
	breaks float64   // share of the gaps that are between bursts
	rows   []placesRow
}

const (
	// maxPlaces is the largest number of gaps that are tabulated.
	maxPlaces = 64
	// placesWidth is how many numbers of gaps between bursts have a weight of their own; fewer and more are counted as the least and the most.
	placesWidth = 8
)

type placesRow struct {
	least   int
	weights [placesWidth]float64
}

func (p *places) row(place, k int) *placesRow {
	return &p.rows[min(place, len(p.ends)-1)*maxPlaces+k-1]
}

// newPlaces tabulates from the probabilities that a burst ends.
func newPlaces(ends []float64) *places {
	p := &places{ends: ends, rows: make([]placesRow, len(ends)*maxPlaces)}
	size, alive := 0.0, 1.0
	for _, e := range ends[1:] {
		size += alive
		alive *= 1 - e
	}
	size += alive / max(ends[len(ends)-1], 1e-9)
	p.breaks = 1 / size
	// before[j] and now[j] are the distributions of the number for k − 1 and k gaps.
	before, now := make([][]float64, len(ends)), make([][]float64, len(ends))
	for j := range ends {
		before[j], now[j] = make([]float64, maxPlaces+1), make([]float64, maxPlaces+1)
		before[j][0] = 1
	}
	for k := 1; k <= maxPlaces; k++ {
		for j, e := range ends {
			next := before[min(j+1, len(ends)-1)]
			mean := 0.0
			for n := range k + 1 {
				now[j][n] = (1 - e) * next[n]
				if n > 0 {
					now[j][n] += e * before[min(1, len(ends)-1)][n-1]
				}
				mean += float64(n) * now[j][n]
			}
			row := p.row(j, k)
			row.least = max(int(mean)-placesWidth/2+1, 0)
			for n := range k + 1 {
				row.weights[min(max(n-row.least, 0), placesWidth-1)] += now[j][n]
			}
			row.leaveOutRare()
		}
		before, now = now, before
	}
	return p
}

// rare is the weight below which a number is counted as the likeliest one.
const rare = 3e-4

func (r *placesRow) leaveOutRare() {
	likeliest := 0
	for i, w := range r.weights {
		if w > r.weights[likeliest] {
			likeliest = i
		}
	}
	for i, w := range r.weights {
		if w < rare && i != likeliest {
			r.weights[likeliest] += w
			r.weights[i] = 0
		}
	}
}
