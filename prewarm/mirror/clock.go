package mirror

import (
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// A clock of another machine is off by an offset, and what it has stamped comes with a delay: receipt − stamp = offset + delay. Delays are not
// negative, so that the least of these differences is the offset and the least delay; with it stamps are corrected, which are then late by the
// least delay, a few milliseconds. It is looked for among the last differences:
//
//   - They are in blocks, which end after 16 differences or a minute; the last 8 blocks count. So a clock that drifts, and one that is set back
//     (whose differences grow), is followed after 8 blocks at most.
//   - A clock that is set forward has smaller differences, which count at once.
//   - A clock that is set back by more than 30 s, which is longer than anything is on its way but after a fault, is noticed when four observations
//     one after the other say so. If they were only late, the next that is not corrects that.
//   - Single stamps that are far in the future would be the least for 8 blocks. Therefore with 16 differences or more the second least is taken,
//     with 32 the third, which two such stamps do not change.
//
// The clock of the controller itself needs no correction, unless it is set: its offset is 0 while the least difference is not below −1 ms or
// above 30 s.

const (
	blockSize   = 16
	blockAge    = time.Minute
	clockBlocks = 8
	clockLeast  = 3 // differences that are kept of a block

	longestDelay = 30 * time.Second
	stepReadings = 4                // one after the other that say that a clock was set back
	clockRead    = time.Millisecond // by which two reads of one clock may be apart

	// furthest is the furthest time from the epoch that is told apart.
	furthest = 100 * 365 * 24 * time.Hour
)

// block has the least differences of some that were observed one after the other, in ascending order.
type block struct {
	begun prewarm.Time
	n     int
	least [clockLeast]time.Duration
}

func (b *block) add(d time.Duration) {
	i := min(b.n, clockLeast)
	b.n++
	for ; i > 0 && b.least[i-1] > d; i-- {
		if i < clockLeast {
			b.least[i] = b.least[i-1]
		}
	}
	if i < clockLeast {
		b.least[i] = d
	}
}

// clock estimates the offset of a clock from that of the controller.
type clock struct {
	own    bool // it is that of the controller
	blocks [clockBlocks]block
	begun  int // blocks that were begun
	offset time.Duration
	behind block        // the last differences, if they say that it was set back
	last   prewarm.Time // when it was heard of last
}

// observe takes a stamp of the clock that came at now.
func (c *clock) observe(now, stamp prewarm.Time) {
	c.last = now
	b := &c.blocks[(c.begun+clockBlocks-1)%clockBlocks]
	if c.begun == 0 || b.n == blockSize || now-b.begun > blockAge {
		b = &c.blocks[c.begun%clockBlocks]
		c.begun++
		*b = block{begun: now}
	}
	d := now - stamp
	b.add(d)
	if c.begun == 1 && b.n == 1 || d <= c.offset+longestDelay {
		c.behind = block{}
	} else if c.behind.add(d); c.behind.n == stepReadings {
		behind := c.behind
		*c = clock{own: c.own, begun: 1, last: now}
		c.blocks[0] = behind
		c.blocks[0].begun = now
	}
	c.offset = c.estimate()
}

// estimate returns the least difference, of many the second or third least.
func (c *clock) estimate() time.Duration {
	all := block{}
	n := 0
	for i := range c.blocks {
		b := &c.blocks[i]
		n += b.n
		for _, d := range b.least[:min(b.n, clockLeast)] {
			all.add(d)
		}
	}
	d := all.least[min(n/blockSize, clockLeast-1, all.n-1)]
	if c.own && d >= -clockRead && d <= longestDelay {
		return 0
	}
	return d
}

// clocks are all clocks that were heard of. Stamps of one that finds no room are not corrected.
type clocks struct {
	own    clock
	others map[string]*clock
	limit  int
	swept  prewarm.Time
}

// forgottenAfter is how long a clock is remembered of which nothing is heard.
const forgottenAfter = 10 * time.Minute

// get returns the clock with a name, nil if there is no room for it.
func (c *clocks) get(now prewarm.Time, name string) *clock {
	if name == "" {
		c.own.own = true
		return &c.own
	}
	k := c.others[name]
	if k != nil {
		return k
	}
	if len(c.others) >= c.limit {
		if now-c.swept < time.Minute {
			return nil
		}
		c.swept = now
		for name, k := range c.others {
			if now-k.last > forgottenAfter {
				delete(c.others, name)
			}
		}
		if len(c.others) >= c.limit {
			return nil
		}
	}
	k = &clock{}
	c.others[clone(name)] = k
	return k
}

// since returns a stamp as a time since the epoch, not further away than a century.
func since(epoch, stamp time.Time) prewarm.Time {
	return min(max(stamp.Sub(epoch), -furthest), furthest)
}
