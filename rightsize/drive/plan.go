package drive

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/seed"
)

// Range is a range of whole numbers, with both ends.
type Range struct{ Min, Max int }

// String returns the range as ParseRange reads it.
func (r Range) String() string {
	if r.Min == r.Max {
		return fmt.Sprint(r.Min)
	}
	return fmt.Sprintf("%d:%d", r.Min, r.Max)
}

// ParseRange reads a range: MIN:MAX, or a number for both.
func ParseRange(text string) (Range, error) {
	var r Range
	low, high, two := strings.Cut(text, ":")
	if !two {
		high = low
	}
	for _, end := range []struct {
		text string
		n    *int
	}{{low, &r.Min}, {high, &r.Max}} {
		if _, err := fmt.Sscanf(end.text, "%d", end.n); err != nil || fmt.Sprint(*end.n) != end.text {
			return Range{}, fmt.Errorf("%q is no range: want MIN:MAX of whole numbers, like 5:60", text)
		}
	}
	return r, r.check()
}

func (r Range) check() error {
	if r.Min < 0 || r.Max < r.Min {
		return fmt.Errorf("%d:%d is no range: want MIN:MAX, neither negative, the smaller first", r.Min, r.Max)
	}
	return nil
}

// draw returns a number of the range, each being as likely.
func (r Range) draw(random *rand.Rand) int { return r.Min + random.IntN(r.Max-r.Min+1) }

// call is one of the plan.
type call struct {
	minute, index int           // counted from 0, the index within the minute
	at            time.Duration // from the beginning of the plan
	size          int           // of its payload, in bytes
}

// plan returns the calls of a minute in the order of their times: how many there are, when, and how large their payloads are is uniform.
func plan(s uint64, calls, sizes Range, minute int) []call {
	random := rand.New(seed.Stream(s, fmt.Sprintf("minute %d", minute)))
	all := make([]call, calls.draw(random))
	times := make([]time.Duration, len(all))
	for i := range times {
		times[i] = time.Duration(random.Int64N(int64(time.Minute)))
	}
	slices.Sort(times)
	for i := range all {
		all[i] = call{minute, i, time.Duration(minute)*time.Minute + times[i], sizes.draw(random)}
	}
	return all
}

// letters are those of payloads: they need no escapes in JSON, URLs or XML.
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// payload returns the payload of a call: letters and digits.
func payload(s uint64, c call) []byte {
	random := rand.New(seed.Stream(s, fmt.Sprintf("payload %d %d", c.minute, c.index)))
	text := make([]byte, c.size)
	for i := 0; i < len(text); {
		for bits, n := random.Uint64(), 0; n < 10 && i < len(text); n++ {
			text[i] = letters[bits&63]
			bits >>= 6
			i++
		}
	}
	return text
}
