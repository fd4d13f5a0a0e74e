package recommend

import "math"

// rule is a way to follow usage with a memory limit. Those whose limits would have been right are chosen among (see Forecast).
//
// Rules spread the changes that are left of a day evenly over the rest of it, which gives a distance between them, and set a limit to what is needed for a multiple
// of that: far ahead where few are left, near where many are, or the day ends and they are counted anew.
type rule struct {
	source int     // of forecasts: residualSource, dailySource
	raise  float64 // a limit is raised to what is needed for so many times the distance of changes
	soon   int     // of soonLevels: it is raised where the next bucket may reach it
	below  int64   // ms: it is lowered when what is needed has been less for so long, or at once after a restart
	least  float64 // of the limit: lowering by less is not worth a change
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
	nearMargin = 0.115 // a limit is raised where usage and this reach it
	headroom   = 0.02  // above that, so that the next sample does not raise again

	lowerFor     = 1.4  // distances of changes for which a limit is lowered to what is needed
	mostLowering = 0.60 // in a step
	holdAfter    = 12 * hour
	bumpAfter    = 0.20
)

// soonLevels are those of the largest value in the next bucket: at the higher one limits are raised earlier, and pass by fewer noisy values closely.
var soonLevels = [...]float64{0.99, 0.999}

// furthest is how many hours forecasts reach.
const furthest = 8

// outlook holds forecasts of the largest values to come, at a level; NaN where nothing is known.
type outlook struct {
	soon  [len(soonLevels)]float64 // in the next bucket, at each of soonLevels
	hours [furthest]float64        // in the next hour, in the next two, …
}

// hoursUntil returns the whole hours that a time (ms) reaches into, as far as forecasts reach.
func hoursUntil(time float64) int { return min(max(int(math.Ceil(time/float64(hour))), 1), furthest) }

// until returns what is forecast of a time (ms), to the next hour.
func (o *outlook) until(time float64) float64 { return o.hours[hoursUntil(time)-1] }

// today returns what is forecast until the day ends, and changes are counted anew; NaN where that is further than forecasts reach.
func (o *outlook) today(now int64) float64 {
	rest := day - now%day
	if rest > furthest*hour {
		return math.NaN()
	}
	return o.until(float64(rest))
}

// rules are all that compete.
func rules() []rule {
	var out []rule
	for source := range sources {
		for _, below := range []int64{15 * minute, 3 * hour} {
			for _, least := range []float64{0.1, 0.25} {
				for _, raise := range []float64{0.7, 1.4} {
					for soon := range soonLevels {
						out = append(out, rule{source: source, raise: raise, soon: soon, below: below, least: least})
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
	current float64 // largest value of the last bucket, since a restart in it
	reach   int64   // ms: how far a limit that is lowered must last
	ahead   float64 // forecast of the largest in that time, at the end of the last bucket; NaN where it is not known
	rising  float64 // of that until a raised limit must last
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
	least := value * (1 + nearMargin) * (1 + headroom)
	return max(least, min(expected*(1+margin), most), s.floor)
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
		s.lift(now, max(value*(1+margin)*(1+bumpAfter), s.wanted(s.rising, value, most)), most)
	case value*(1+nearMargin) > s.limit:
		if s.lift(now, s.wanted(s.rising, value, most), most) {
			today.raises++
		}
	}
	s.over = over
}

// isBelow reports whether the limit is below what is forecast and the margin: it is raised by what is needed sooner.
func (s *shadow) isBelow() bool { return s.limit < s.ahead*(1+margin) }

// apart returns how far apart changes are (ms) that are spread evenly over the rest of the day.
func (s *shadow) apart(now int64) float64 {
	return float64(day-now%day) / float64(max(s.budget.left(now), 1))
}

// lift sets a higher limit; it reports whether it did. The last change of a day is to the most. From near the most it is raised to what is needed in the next
// hour, be that more.
func (s *shadow) lift(now int64, to, most float64) bool {
	if s.budget.left(now) <= 1 {
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

// forecast has the limit follow what is forecast from the last bucket, in which usage was at a value (the largest since a restart) in the end.
func (s *shadow) forecast(now int64, current float64, o *outlook, most float64) {
	if math.IsNaN(current) {
		return // nothing new
	}
	restarted := current < s.current/2 // by itself: what it needed before says nothing
	apart := s.apart(now)
	s.reach = int64(hoursUntil(lowerFor*apart)) * hour
	s.current, s.ahead, s.rising, s.climb = current, o.until(lowerFor*apart), o.until(s.raise*apart), o.until(0)
	if math.IsNaN(s.ahead) || s.limit == 0 {
		s.needs, s.since = s.needs[:0], 0
		return
	}
	if min(min(o.soon[s.soon], s.ahead)*(1+margin), most) > s.limit {
		if s.lift(now, s.wanted(s.rising, current, most), most) {
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
	if now-s.since < s.below || now < s.hold || to > s.limit*(1-s.least) || s.budget.left(now) < 1 || s.budget.left(now) < 2 && !(s.wanted(o.today(now), current, most) <= to) {
		return // what is lowered must be raised again some time: tomorrow, where the forecast says that it lasts until then
	}
	s.budget.spend(now)
	s.limit = to
}
