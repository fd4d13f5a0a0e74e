package controller

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/rightsize/recommend"
)

// wild is a world in which anything may happen: kills, usage that is missing, changes that fail, or are made and the answer is lost, and a process that
// ends in the middle of them. It notes each change that is really made.
type wild struct {
	world
	random  *rand.Rand
	changes []made
	kills   []time.Time
	newest  time.Time // of the samples that were given
	cancel  context.CancelFunc
}

type made struct {
	at, newest time.Time
	from, to   recommend.Limits
}

func (w *wild) chance(percent int) bool { return w.random.IntN(100) < percent }

// pick returns one of several values.
func pick[T any](w *wild, of ...T) T { return of[w.random.IntN(len(of))] }

func (w *wild) Samples(_ context.Context, _ string, after time.Time) (b Batch, err error) {
	if w.chance(10) {
		return b, errors.New("no usage")
	}
	now := time.Now()
	from := max(after.Unix()/600+1, now.Add(-2*time.Hour).Unix()/600)
	for m := from; m*600 <= now.Unix(); m++ {
		at := time.Unix(m*600, 0)
		s := recommend.Sample{Time: at.UnixMilli(), Memory: 10 * mi, CPU: 0.01}
		if s.Killed = w.chance(1); s.Killed {
			w.kills = append(w.kills, at)
		}
		b.Samples = append(b.Samples, s)
		w.newest = at
	}
	return b, nil
}

func (w *wild) Apply(_ context.Context, _ string, l recommend.Limits) error {
	switch pick(w, "works", "works", "works", "fails", "ends before", "ends after", "lost") {
	case "fails":
		return errors.New("it fails")
	case "ends before":
		w.cancel()
		return context.Canceled
	case "ends after":
		defer w.cancel()
		w.make(l)
		return context.Canceled
	case "lost":
		w.make(l)
		return errors.New("the answer is lost")
	}
	w.make(l)
	return nil
}

func (w *wild) make(l recommend.Limits) {
	to := merge(l, w.limits)
	w.changes = append(w.changes, made{time.Now(), w.newest, w.limits, to})
	w.limits = to
}

// TestAnythingMayHappen checks what a controller promises, whatever happens: the cap on changes a day, the bounds of a change, the hold after kills, and
// that nothing is changed on old usage.
func TestAnythingMayHappen(t *testing.T) {
	changes := 0
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) { changes += anything(t, seed) })
	}
	require.Greater(t, changes, 150, "enough happens")
}

// anything lets anything happen for 36 h, and returns how many changes were made.
func anything(t *testing.T, seed uint64) int {
	w := &wild{random: rand.New(rand.NewPCG(seed, 1))}
	w.limits = recommend.Limits{MemoryLimit: 500 * mi, CPULimit: 0.5}
	var want recommend.Limits
	w.want = func(recommend.Sample, recommend.Limits) recommend.Limits {
		if w.chance(10) {
			want = recommend.Limits{
				MemoryLimit: (11 + 4000*w.random.Float64()) * mi, MemoryRequest: 4000 * mi * w.random.Float64(),
				CPULimit: 4 * w.random.Float64(), CPURequest: 4 * w.random.Float64(),
			}
		}
		return want
	}
	o := Options{
		Functions: []string{"f"}, Source: w, Applier: w, Recommender: func() (recommend.Recommender, error) { return &recommender{w: &w.world}, nil },
		Journal: filepath.Join(t.TempDir(), "journal"), Act: true, Interval: 10 * time.Minute, MaxAge: 25 * time.Minute, MaxChanges: 4, Hold: 5 * time.Hour, MinHistory: time.Hour,
	}
	for end := time.Now().Add(36 * time.Hour); time.Now().Before(end); {
		c, err := New(o)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), pick(w, 30*time.Minute, 5*time.Hour, 20*time.Hour))
		w.cancel = cancel
		require.NoError(t, c.Run(ctx))
		cancel()
		require.NoError(t, c.Close())
		time.Sleep(pick(w, time.Second, time.Hour))
	}
	w.check(t, o)
	return len(w.changes)
}

func (w *wild) check(t *testing.T, o Options) {
	for i, c := range w.changes {
		day := 0
		for _, before := range w.changes[:i+1] {
			if c.at.Sub(before.at) < 24*time.Hour {
				day++
			}
		}
		require.LessOrEqual(t, day, o.MaxChanges, "changes in a day")
		require.LessOrEqual(t, c.at.Sub(c.newest), o.MaxAge, "the age of usage")
		isLowered := false
		for _, v := range values {
			from, to := *v.of(&c.from), *v.of(&c.to)
			isLowered = isLowered || to < from
			if from > 0 {
				require.LessOrEqual(t, to, 4*from*1.05, v.name) // rounding is up to 4 %
				// A request follows its limit down.
				require.GreaterOrEqual(t, to, from/2*0.999, v.name)
			}
		}
		for _, kill := range w.kills {
			if since := c.at.Sub(kill); since >= 0 && since < o.Hold {
				require.False(t, isLowered, "%v after a kill: %v", since, difference(c.from, c.to))
			}
		}
		require.LessOrEqual(t, c.to.MemoryRequest, c.to.MemoryLimit)
		require.LessOrEqual(t, c.to.CPURequest, c.to.CPULimit)
		require.GreaterOrEqual(t, c.to.MemoryLimit, 10.0*mi, "what is used")
	}
}
