package recommend

import "math"

// rule is a way to follow usage with a memory limit. Those whose limits would have been right are chosen among (see Forecast).
type rule struct {
	source  int     // of forecasts: residualSource, dailySource
	horizon int64   // ms: a limit is lowered to what is needed until then
	rise    int64   // ms: and raised to what is needed until then; 0: to what KRR would set
	below   int64   // ms: it is lowered when what is needed has been less for so long, or at once after a restart
	least   float64 // of the limit: lowering by less is not worth a change
}

// Sources of forecasts.
const (
	residualSource = iota
	dailySource
	sources
)

// What all rules have in common.
const (
	bucket = 5 * minute // of which the largest value counts

	level      = 0.99
	margin     = 0.10  // above the forecast; usage is inflated by as much where a rule is validated
	headroom   = 0.02  // above that, so that the next sample does not raise again
	nearMargin = 0.115 // a limit is raised where usage and this reach it

	mostLowering = 0.60 // in a step
	holdAfter    = 12 * hour
	bumpAfter    = 0.20
)

var horizons = []int64{hour, 2 * hour, 3 * hour, 4 * hour, 5 * hour, 6 * hour, 7 * hour, 8 * hour}

// rules are all that compete.
func rules() []rule {
	var out []rule
	for source := range sources {
		for _, horizon := range horizons {
			for _, below := range []int64{15 * minute, hour, 3 * hour} {
				for _, least := range []float64{0.1, 0.25} {
					for _, rise := range []int64{0, 3 * hour, horizon} {
						if rise < horizon || rise != 3*hour {
							out = append(out, rule{source: source, horizon: horizon, rise: rise, below: below, least: least})
						}
					}
				}
			}
		}
	}
	return out
}

// shadow carries a rule out beside what is really set, and counts what that would have meant.
type shadow struct {
	rule
	floor   float64
	limit   float64 // 0 before the first
	budget  budget
	current float64 // largest value of the last bucket
	ahead   float64 // forecast of the largest until the horizon, at the end of the last bucket; NaN where it is not known
	rising  float64 // of that until the horizon of raising
	climb   float64 // of that in the next hour
	needs   []need  // of the time below: those that no later one exceeds
	since   int64   // since when needs are known
	hold    int64   // until when nothing is lowered
	over    bool    // inflated usage is above the limit
	scores  scores
}

// need is what a limit would be, had it been set anew at a time.
type need struct {
	at    int64
	value float64
}

// score is what a shadow did in a day.
type score struct {
	day      int64
	reserved float64 // bytes·ms
	kills    int     // of inflated usage
	raises   int     // that came in time
}

// validatedDays is how many of them count, the running one among them.
const validatedDays = 7

type scores struct{ days []score }

func (s *scores) today(time int64) *score {
	if n := len(s.days); n == 0 || s.days[n-1].day != time/day {
		s.days = append(s.days, score{day: time / day})
	}
	if len(s.days) > validatedDays {
		s.days = s.days[1:]
	}
	return &s.days[len(s.days)-1]
}

func (s *scores) sum() (sum score) {
	for _, d := range s.days {
		sum.reserved += d.reserved
		sum.kills += d.kills
		sum.raises += d.raises
	}
	return sum
}

// wanted returns the limit for usage that is at a value now. most is the largest that makes sense: what KRR would set at this moment.
func (s *shadow) wanted(expected, value, most float64) float64 {
	if s.source == residualSource && value > s.current {
		expected += value - s.current // the forecast is a distance to what is used
	}
	if math.IsNaN(expected) {
		return most
	}
	return max(min(max(expected, value)*(1+margin)*(1+headroom), max(most, value*(1+nearMargin)*(1+headroom))), s.floor)
}

// usage has the limit meet a sample that stands for a time.
func (s *shadow) usage(now, step int64, value, most float64) {
	if s.limit == 0 {
		s.limit = max(most, s.floor)
	}
	today := s.scores.today(now)
	today.reserved += s.limit * float64(step)
	over := value*(1+margin) > s.limit
	switch {
	case over && !s.over:
		today.kills++
		s.hold = now + holdAfter
		s.raise(now, max(value*(1+margin)*(1+bumpAfter), s.wanted(s.rising, value, most)), most)
	case value*(1+nearMargin) > s.limit:
		if s.raise(now, s.wanted(s.rising, value, most), most) {
			today.raises++
		}
	}
	s.over = over
}

// isBelow reports whether the limit is below what is forecast and the margin: it is raised by what is needed sooner.
func (s *shadow) isBelow() bool { return s.limit < s.ahead*(1+margin) }

// raise sets a higher limit; it reports whether it did. The last changes of a day are to the most. From near the most it is raised to what is needed
// in the next hour, be that more.
func (s *shadow) raise(now int64, to, most float64) bool {
	if s.rise == 0 || s.budget.left(now) <= 1 || s.budget.leftAt(now+s.rise) <= 2 {
		to = max(to, most)
	}
	if s.limit*(1+nearMargin) >= most && s.climb > 0 { // usage is near its record: each one in a climb would take a change
		to = max(to, s.climb*(1+margin)*(1+headroom))
	}
	if to <= s.limit*(1+headroom) || !s.budget.spend(now) {
		return false
	}
	s.limit = to
	return true
}

// forecast has the limit follow forecasts of the largest value: soon, until the horizon, until that of raising, in the rest of the day, and in the next
// hour. Where the latest sample is far below the largest of its bucket, the container has restarted since, and the limit is not raised.
func (s *shadow) forecast(now int64, current, latest, soon, ahead, rising, rest, climb, most float64) {
	if math.IsNaN(current) {
		return // nothing new
	}
	restarted := current < s.current/2 // by itself: what it needed before says nothing
	s.current, s.ahead, s.rising, s.climb = current, ahead, rising, climb
	if math.IsNaN(ahead) || s.limit == 0 {
		s.needs, s.since = s.needs[:0], 0
		return
	}
	if latest >= current/2 && min(min(soon, ahead)*(1+margin), most) > s.limit {
		if s.raise(now, s.wanted(s.rising, current, most), most) {
			s.scores.today(now).raises++
		}
	}
	if restarted {
		s.needs, s.since = s.needs[:0], now-s.below
	}
	if s.since == 0 {
		s.since = now
	}
	n := need{now, s.wanted(s.ahead, current, most)}
	for len(s.needs) > 0 && s.needs[len(s.needs)-1].value <= n.value {
		s.needs = s.needs[:len(s.needs)-1]
	}
	s.needs = append(s.needs, n)
	for now-s.needs[0].at > s.below {
		s.needs = s.needs[1:]
	}
	to := max(s.needs[0].value, s.limit*(1-mostLowering))
	if now-s.since < s.below || now < s.hold || to > s.limit*(1-s.least) || s.budget.left(now) < 1 || s.budget.left(now) < 2 && !(s.wanted(rest, current, most) <= to) {
		return // what is lowered must be raised again some time: tomorrow, where the forecast says that it lasts until then
	}
	s.budget.spend(now)
	s.limit = to
}
