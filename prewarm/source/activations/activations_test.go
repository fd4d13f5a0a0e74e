package activations

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestObservation(t *testing.T) {
	start := time.UnixMilli(1_790_000_000_000)
	listed := func(change func(*whisk.Listed)) whisk.Listed {
		r := whisk.Listed{ID: "aa", Name: "f", Version: "0.0.1", Kind: "go:1.20", HasWait: true}
		r.Start, r.End, r.Wait = start, start.Add(time.Second), 8*time.Millisecond
		change(&r)
		return r
	}
	warm := source.Observation{
		Kind: source.Ended, Function: "f", Version: "0.0.1", Call: "aa", Activation: "aa", Clock: source.OpenWhiskClock,
		Time: start.Add(time.Second), Begin: start, Wait: 8 * time.Millisecond, Temperature: source.Warm,
	}
	with := func(change func(*source.Observation)) source.Observation {
		o := warm
		change(&o)
		return o
	}
	for _, test := range []struct {
		name string
		r    whisk.Listed
		want source.Observation // zero: none
		err  string
	}{
		{"warm", listed(func(*whisk.Listed) {}), warm, ""},
		{"cold", listed(func(r *whisk.Listed) { r.Cold, r.Init = true, 60*time.Millisecond }), with(func(o *source.Observation) {
			o.Temperature, o.Init, o.Begin = source.Cold, 60*time.Millisecond, start.Add(60*time.Millisecond)
		}), ""},
		{"a part of a sequence that failed", listed(func(r *whisk.Listed) { r.Cause, r.Failed = "bb", true }), with(func(o *source.Observation) {
			o.ParentCall, o.Failed = "bb", true
		}), ""},
		{"no wait", listed(func(r *whisk.Listed) { r.HasWait, r.Wait = false, 0 }), with(func(o *source.Observation) { o.Wait = -1 }), ""},
		{"an initialisation that takes longer than all", listed(func(r *whisk.Listed) { r.Cold, r.Init = true, time.Minute }), with(func(o *source.Observation) {
			o.Temperature, o.Init, o.Begin = source.Cold, time.Minute, o.Time
		}), ""},
		{"a sequence", listed(func(r *whisk.Listed) { r.Kind = "sequence" }), source.Observation{}, ""},
		{"a trigger", listed(func(r *whisk.Listed) { r.Kind, r.End = "", time.Time{} }), source.Observation{}, ""},
		{"a warm-up", listed(func(r *whisk.Listed) { r.Prewarmed = true }), source.Observation{}, ""},
		{"a long name", listed(func(r *whisk.Listed) { r.Name = strings.Repeat("x", 257) }), source.Observation{}, "its name or version has more than 256 bytes"},
		{"no time", listed(func(r *whisk.Listed) { r.Start = time.UnixMilli(1) }), source.Observation{}, "it has no time"},
	} {
		o, is, err := observation(&test.r)
		if test.err != "" {
			require.ErrorContains(t, err, test.err, test.name)
			require.False(t, is)
			continue
		}
		require.NoError(t, err, test.name)
		require.Equal(t, test.want.Function != "", is, test.name)
		require.Equal(t, test.want, o, test.name)
	}
}

// TestRun checks that what ends after the first question is told once and in the order of ends, whenever its record becomes readable, also where OpenWhisk's
// clock is another.
func TestRun(t *testing.T) {
	for _, skew := range []time.Duration{0, -time.Hour, time.Hour} {
		t.Run(skew.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, s := &fake{skew: skew}, &sink{}
				f.add(record{name: "before"}, 0)
				one, _ := run(t, Options{Client: f.client(t, 0)}, s)
				synctest.Wait()
				require.Empty(t, s.ids(), "what was there before is not told")
				a := f.add(record{name: "a", duration: time.Second, wait: 5, init: 20}, 0)
				long := f.add(record{name: "long", duration: 4 * time.Minute}, 50*time.Millisecond)
				b := f.add(record{name: "b", duration: 10 * time.Millisecond}, 0)
				f.add(record{name: "a", prewarmed: true, init: 20}, 0)
				time.Sleep(time.Second)
				synctest.Wait()
				require.Equal(t, []string{a.id, b.id}, s.ids())
				c := f.add(record{name: "c"}, 3*time.Second)
				time.Sleep(4 * time.Second)
				synctest.Wait()
				require.Equal(t, []string{a.id, b.id, c.id}, s.ids(), "a record that becomes readable late")
				time.Sleep(15 * time.Second)
				synctest.Wait()
				require.Equal(t, []string{a.id, b.id, c.id, long.id}, s.ids(), "a run that began long ago")
				time.Sleep(2 * time.Minute)
				d := f.add(record{name: "d"}, 0)
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				require.Equal(t, []string{a.id, b.id, c.id, long.id, d.id}, s.ids(), "nothing is told twice when questions look far back")
				counts := one.Counts()
				require.EqualValues(t, 5, counts.Observations)
				require.Empty(t, counts.Error)
				require.Equal(t, "a", s.took[0].Function)
				require.Equal(t, source.Cold, s.took[0].Temperature)
				require.Equal(t, a.id, s.took[0].Trace)
			})
		})
	}
}

// TestSequences checks that the parts of a sequence are of one trace and know what they are a part of, also of one within another.
func TestSequences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := &fake{}, &sink{}
		run(t, Options{Client: f.client(t, 0)}, s)
		synctest.Wait()
		f.add(record{id: "p1", name: "f", cause: "inner"}, 0)
		f.add(record{id: "inner", name: "inner", kind: "sequence", cause: "outer", duration: time.Second}, 0)
		f.add(record{id: "p2", name: "g", cause: "outer"}, 0)
		f.add(record{id: "ring1", name: "h", cause: "ring2"}, 0)
		f.add(record{id: "ring2", name: "h", cause: "ring1"}, 0)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		f.add(record{id: "outer", name: "outer", kind: "sequence", duration: 2 * time.Second}, 0)
		f.add(record{id: "p3", name: "g", cause: "inner"}, 0)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.ElementsMatch(t, []string{"p1", "p2", "p3", "ring1", "ring2"}, s.ids())
		for _, o := range s.took {
			switch o.Activation {
			case "p1", "p3":
				require.Equal(t, "inner", o.ParentCall)
				require.Equal(t, "outer", o.Trace)
			case "p2":
				require.Equal(t, "outer", o.ParentCall)
				require.Equal(t, "outer", o.Trace)
			}
		}
	})
}

// TestBusy checks that what a sink has no room for is told again.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := &fake{}, &sink{}
		one, _ := run(t, Options{Client: f.client(t, 0)}, s)
		synctest.Wait()
		s.failWith(source.ErrBusy)
		for range 2500 {
			f.add(record{name: "f"}, 0)
		}
		time.Sleep(3500 * time.Millisecond)
		synctest.Wait()
		require.Empty(t, s.ids())
		require.Positive(t, one.Counts().Refused)
		s.failWith(nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Len(t, s.ids(), 2500)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		require.Len(t, s.ids(), 2500)
	})
}

// TestOutage checks that an OpenWhisk that fails is asked ever more rarely, is named, and that what ended meanwhile is told afterwards.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := &fake{}, &sink{}
		one, _ := run(t, Options{Client: f.client(t, 0)}, s)
		synctest.Wait()
		a := f.add(record{name: "a"}, 0)
		time.Sleep(time.Second)
		synctest.Wait()
		f.failWith(503, `{"error": "it is overloaded"}`)
		before := f.questions()
		b := f.add(record{name: "b"}, 0)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		require.Less(t, f.questions()-before, 25)
		require.Contains(t, one.Counts().Error, "OpenWhisk at http://openwhisk")
		require.Contains(t, one.Counts().Error, "it is overloaded")
		f.failWith(401, "")
		time.Sleep(time.Minute)
		f.failWith(0, "")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []string{a.id, b.id}, s.ids())
		require.Empty(t, one.Counts().Error)
	})
}

// TestWrongKey checks that a key that is refused from the beginning ends it.
func TestWrongKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.failWith(401, "")
		one, err := New(Options{Client: f.client(t, 0)})
		require.NoError(t, err)
		require.Equal(t, source.Counts{Name: "activations"}, one.Counts())
		require.ErrorContains(t, one.Run(t.Context(), &sink{}), "records of activations: OpenWhisk at http://openwhisk does not accept the key (401)")
	})
}

// TestLongRecords checks that records whose logs are longer than an answer may be are asked for in smaller lists, and alone without their logs.
func TestLongRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := &fake{}, &sink{}
		run(t, Options{Client: f.client(t, 64<<10)}, s)
		synctest.Wait()
		const n = 300
		for i := range n {
			logs := 100
			switch {
			case i == 150:
				logs = 1 << 20
			case i%50 == 0:
				logs = 30 << 10
			}
			f.add(record{name: "f", logs: logs}, 0)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Len(t, s.ids(), n)
	})
}

// TestTooMany checks that questions are bounded, and that it says so.
func TestTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := &fake{}, &sink{}
		one, _ := run(t, Options{Client: f.client(t, 0), MaxRecords: 1000}, s)
		synctest.Wait()
		for range 3000 {
			f.add(record{name: "f"}, 0)
		}
		before := f.questions()
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		require.LessOrEqual(t, f.questions()-before, 5)
		require.Len(t, s.ids(), 600)
		require.Equal(t, errTooMany.Error(), one.Counts().Error)
	})
}

// TestEveryRecordOnce checks for random runs, however long, however late readable, while questions fail and the sink is busy, that each is told once.
func TestEveryRecordOnce(t *testing.T) {
	for seed := range uint64(15) {
		draw := rand.New(rand.NewPCG(seed, 0))
		n, busy := 1+draw.IntN(100), draw.IntN(4)
		longest, latest := time.Duration(1+draw.IntN(300))*time.Second, time.Duration(draw.IntN(6))*time.Second
		gap, failing := time.Duration(draw.IntN(201))*time.Millisecond, draw.IntN(6) // tenths of the questions
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			f, s := &fake{}, &sink{}
			f.add(record{name: "before"}, 0)
			run(t, Options{Client: f.client(t, 0)}, s)
			synctest.Wait()
			failures := rand.New(rand.NewPCG(seed, 2))
			f.failSometimes(func() bool { return failures.IntN(10) < failing })
			var want []string
			for i := range n {
				if busy > 0 && i%100 == 0 {
					s.failWith(map[bool]error{true: source.ErrBusy}[random.IntN(2) == 0])
				}
				r := f.add(record{name: "f", duration: time.Duration(random.Int64N(int64(longest)))}, time.Duration(random.Int64N(int64(latest)+1)))
				want = append(want, r.id)
				time.Sleep(time.Duration(random.Int64N(int64(gap) + 1)))
			}
			s.failWith(nil)
			f.failWith(0, "")
			time.Sleep(80 * time.Second) // the longest pause after failures, and the next question that looks far back
			synctest.Wait()
			got := s.ids()
			slices.Sort(got)
			slices.Sort(want)
			require.Equal(t, want, got, "seed %d", seed)
		})
	}
}

// TestPagesThatMove checks that no record is told twice, or left out, that stands on another page when that is asked for, because more have become readable.
func TestPagesThatMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := &fake{}, &sink{}
		run(t, Options{Client: f.client(t, 0)}, s)
		synctest.Wait()
		var want []string
		for range 500 {
			want = append(want, f.add(record{name: "f"}, 0).id)
		}
		f.mu.Lock()
		f.afterwards = func() {
			if len(f.records) < 510 {
				now := time.Now()
				r := &record{id: fmt.Sprintf("%032x", len(f.records)+1), name: "f", start: now, readable: now}
				f.records = append(f.records, r)
				want = append(want, r.id)
			}
		}
		f.mu.Unlock()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.ElementsMatch(t, want, s.ids())
	})
}

// TestKnown checks that what is remembered is bounded, and that the oldest are forgotten first.
func TestKnown(t *testing.T) {
	k := newKnown(100)
	begin := time.UnixMilli(1_790_000_000_000)
	for i := range 1000 {
		k.add(fmt.Sprint(i), begin.Add(time.Duration(i)*time.Second), fmt.Sprint("cause of ", i))
		k.add(fmt.Sprint(i), begin, "another")
		require.LessOrEqual(t, len(k.byID), 100)
		require.Less(t, len(k.order), 300)
	}
	require.False(t, k.has("899"))
	require.True(t, k.has("900"))
	require.Equal(t, "cause of 900", k.cause("900"))
	k.forget(begin.Add(950 * time.Second))
	require.False(t, k.has("949"))
	require.True(t, k.has("950"))
	k.forget(begin.Add(5000 * time.Second))
	require.Empty(t, k.byID)
	k.forget(begin.Add(6000 * time.Second))
}

func TestOptions(t *testing.T) {
	_, err := New(Options{})
	require.ErrorContains(t, err, "need a client of OpenWhisk")
	_, err = New(Options{Client: (&fake{}).client(t, 0), Every: -1})
	require.ErrorContains(t, err, "cannot be negative")
}
