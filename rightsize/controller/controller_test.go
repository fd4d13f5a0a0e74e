package controller

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/rightsize/recommend"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const mi = 1 << 20

// world is a source, an applier and what recommends, with one function. A sample comes at each minute.
type world struct {
	t         *testing.T
	use       func(now time.Time) (memory, cpu float64)
	killed    map[int64]bool // by minute
	restarts  int
	oom       int
	silent    bool
	sourceErr error
	down      atomic.Bool // may be set while a controller runs
	limits    recommend.Limits
	applyErr  error
	applied   int
	lost      bool // Apply does its work and fails
	want      func(last recommend.Sample, set recommend.Limits) recommend.Limits
	options   Options
	events    []Event
	observed  int
}

func newWorld(t *testing.T) *world {
	return &world{
		t: t, use: func(time.Time) (float64, float64) { return 40 * mi, 0.05 }, killed: map[int64]bool{},
		limits: recommend.Limits{MemoryLimit: 128 * mi, CPULimit: 0.2},
		want: func(recommend.Sample, recommend.Limits) recommend.Limits {
			return recommend.Limits{MemoryLimit: 100 * mi}
		},
		options: Options{Functions: []string{"f"}, Journal: filepath.Join(t.TempDir(), "journal"), Act: true, MinHistory: time.Hour},
	}
}

func (w *world) Samples(_ context.Context, _ string, after time.Time) (b Batch, err error) {
	if w.down.Load() {
		return b, errors.New("down")
	}
	if w.silent || w.sourceErr != nil {
		return b, w.sourceErr
	}
	now := time.Now()
	for m := max(after.Unix()/60+1, now.Add(-2*time.Hour).Unix()/60); m*60 <= now.Unix(); m++ {
		at := time.Unix(m*60, 0)
		s := recommend.Sample{Time: at.UnixMilli(), Killed: w.killed[m]}
		s.Memory, s.CPU = w.use(at)
		b.Samples = append(b.Samples, s)
	}
	b.Restarts, b.Kills = w.restarts, w.oom
	return b, nil
}

func (w *world) Limits(context.Context, string) (recommend.Limits, error) { return w.limits, nil }

func (w *world) Apply(_ context.Context, _ string, l recommend.Limits) error {
	if w.applyErr != nil && !w.lost {
		return w.applyErr
	}
	w.applied++
	w.limits = merge(l, w.limits)
	return w.applyErr
}

// recommender is one whose recommendations are those of the world.
type recommender struct {
	w    *world
	last recommend.Sample
}

func (r *recommender) Observe(s recommend.Sample) { r.last = s; r.w.observed++ }
func (r *recommender) Recommend(set recommend.Limits) recommend.Limits {
	return r.w.want(r.last, set)
}

// run runs a controller until just before a time has passed, and returns its events.
func (w *world) run(d time.Duration) []Event {
	w.t.Helper()
	o := w.options
	o.Source, o.Applier = w, w
	o.Recommender = func() (recommend.Recommender, error) { return &recommender{w: w}, nil }
	from := len(w.events)
	o.OnEvent = func(e Event) { w.events = append(w.events, e) }
	c, err := New(o)
	require.NoError(w.t, err)
	ctx, cancel := context.WithTimeout(w.t.Context(), d-time.Millisecond)
	defer cancel()
	require.NoError(w.t, c.Run(ctx))
	require.NoError(w.t, c.Close())
	time.Sleep(time.Millisecond)
	return w.events[from:]
}

func kinds(events []Event) string {
	var all []string
	for _, e := range events {
		all = append(all, string(e.Kind))
	}
	return strings.Join(all, " ")
}

func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) { f(t, newWorld(t)) })
}

func TestChangesAndKeeps(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		events := w.run(150 * time.Second)
		require.Equal(t, "changed kept kept", kinds(events))
		require.Equal(t, "f: changed: memory limit 128Mi → 100Mi", events[0].String())
		require.Equal(t, recommend.Limits{MemoryLimit: 100 * mi, CPULimit: 0.2}, w.limits)
		require.Equal(t, 121, events[0].Samples)
		require.Equal(t, 1, events[1].Samples)
	})
}

// TestNearly checks that what is not worth a restart is not changed.
func TestNearly(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.limits.MemoryLimit = 130 * mi
		w.want = func(recommend.Sample, recommend.Limits) recommend.Limits {
			return recommend.Limits{MemoryLimit: 131 * mi}
		}
		require.Equal(t, "f: kept: what is recommended is nearly that", w.run(time.Second)[0].String())
	})
}

// TestMinHistory checks that nothing is lowered before enough of usage is known, and that raising does not wait.
func TestMinHistory(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.options.MinHistory = 3 * time.Hour // two are known at first
		w.want = func(recommend.Sample, recommend.Limits) recommend.Limits {
			return recommend.Limits{MemoryLimit: 100 * mi, CPULimit: 0.3}
		}
		events := w.run(time.Second)
		require.Contains(t, events[0].String(), "changed: CPU limit 200m → 300m: nothing is lowered before 3h of usage are known")
		events = w.run(2 * time.Hour)
		require.Equal(t, "held", string(events[58].Kind))
		require.Equal(t, "changed", string(events[60].Kind))
		require.Equal(t, 100.0*mi, w.limits.MemoryLimit)
	})
}

// TestFirstLimits checks that limits where there were none are taken for lowered ones: they wait for as much usage, and for the end of a hold, are not below what is used,
// and are not what the last change of a day is for.
func TestFirstLimits(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.limits = recommend.Limits{MemoryRequest: 50 * mi}
		w.options.MinHistory = 3 * time.Hour // two are known at first
		w.want = func(recommend.Sample, recommend.Limits) recommend.Limits {
			return recommend.Limits{MemoryRequest: 60 * mi, MemoryLimit: 60 * mi, CPURequest: 0.1}
		}
		events := w.run(time.Second)
		require.Equal(t, "f: changed: memory request 50Mi → 60Mi, CPU request none → 100m: nothing is lowered before 3h of usage are known", events[0].String())
		require.Equal(t, recommend.Limits{MemoryRequest: 60 * mi, CPURequest: 0.1}, w.limits)
		w.run(2 * time.Hour)
		require.Equal(t, 60.0*mi, w.limits.MemoryLimit)
	})
	bubble(t, func(t *testing.T, w *world) {
		w.limits = recommend.Limits{}
		w.killed[time.Now().Unix()/60] = true
		events := w.run(time.Minute + time.Second)
		require.Contains(t, events[1].String(), "f: not changed: memory limit none → 100Mi: nothing is lowered, since a container was killed for its memory")
	})
	bubble(t, func(t *testing.T, w *world) {
		w.limits = recommend.Limits{}
		w.use = func(time.Time) (float64, float64) { return 110 * mi, 0.05 }
		events := w.run(time.Second)
		require.Equal(t, "f: not changed: memory limit none → 100Mi: not lowered below what is used now", events[0].String())
	})
	bubble(t, func(t *testing.T, w *world) {
		w.options.MaxChanges = 2
		w.limits = recommend.Limits{MemoryLimit: 200 * mi}
		require.Equal(t, "changed", kinds(w.run(time.Second)))
		w.limits = recommend.Limits{}
		events := w.run(2*time.Minute + time.Second)
		require.Contains(t, events[2].String(), "memory limit none → 100Mi: it was changed once within 24 h, and the last change is kept for raising")
	})
}

// TestClockSetBack checks that nothing is changed, and that this is said, where the newest usage is of a time to come: it is not what is used now.
func TestClockSetBack(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		r := sampleRecord(recommend.Sample{Time: time.Now().Add(48 * time.Hour).UnixMilli(), Memory: 40 * mi, CPU: 0.05})
		r.Function = "f"
		sample, err := r.line()
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(w.options.Journal, []byte(header+"\n"+string(sample)+"\n"), 0o666))
		events := w.run(time.Second)
		require.Equal(t, "f: waiting: the newest usage is of a time to come, in 48h: was the clock set back?", events[0].String())
		w.run(50 * time.Hour)
		require.Equal(t, 100.0*mi, w.limits.MemoryLimit, "it is not to come any more")
	})
}

// TestImpossibleUsage checks that what cannot be used of memory is no usage.
func TestImpossibleUsage(t *testing.T) {
	for _, memory := range []float64{-1, 1 << 63, math.Inf(1), 1e300} {
		bubble(t, func(t *testing.T, w *world) {
			w.use = func(time.Time) (float64, float64) { return memory, 0.05 }
			require.Equal(t, "f: waiting: no usage is known", w.run(time.Second)[0].String())
		})
	}
}

func TestDry(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.options.Act = false
		events := w.run(90 * time.Second)
		require.Equal(t, "would would", kinds(events))
		require.Zero(t, w.applied)
		require.Equal(t, 128.0*mi, w.limits.MemoryLimit)
	})
}

// TestNothingOnMissingUsage checks that nothing is changed while there is no usage, while it is old, unknown, or cannot be read.
func TestNothingOnMissingUsage(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.silent = true
		events := w.run(30 * time.Second)
		require.Equal(t, "f: waiting: no usage is known", events[0].String())

		w.silent, w.sourceErr = false, errors.New("Prometheus is down")
		events = w.run(30 * time.Second)
		require.Equal(t, "f: failed: Prometheus is down", events[0].String())

		w.sourceErr = nil
		w.want = func(_ recommend.Sample, set recommend.Limits) recommend.Limits { return set }
		require.Equal(t, "kept", kinds(w.run(30*time.Second)))
		w.silent = true
		w.want = func(recommend.Sample, recommend.Limits) recommend.Limits {
			return recommend.Limits{MemoryLimit: 300 * mi}
		}
		events = w.run(5 * time.Minute)
		require.Equal(t, "changed kept kept waiting waiting", kinds(events), "the samples of the journal get old")
		require.Equal(t, "f: waiting: the newest usage is 3m30s old", events[3].String())
	})
	bubble(t, func(t *testing.T, w *world) {
		w.use = func(time.Time) (float64, float64) { return math.NaN(), math.NaN() }
		require.Equal(t, "f: waiting: the newest usage is not known", w.run(30 * time.Second)[0].String())
		w.use = func(time.Time) (float64, float64) { return math.NaN(), 0.1 }
		w.want = func(recommend.Sample, recommend.Limits) recommend.Limits {
			return recommend.Limits{MemoryLimit: 100 * mi, CPULimit: 0.3}
		}
		w.run(2 * time.Minute)
		require.Equal(t, recommend.Limits{MemoryLimit: 128 * mi, CPULimit: 0.3}, w.limits, "of memory nothing is known")
	})
}

func TestBounds(t *testing.T) {
	for name, test := range map[string]struct{ want, to recommend.Limits }{
		"raise":             {recommend.Limits{MemoryLimit: 2048 * mi}, recommend.Limits{MemoryLimit: 512 * mi, CPULimit: 0.2}},
		"lower":             {recommend.Limits{MemoryLimit: 45 * mi, CPULimit: 0.01}, recommend.Limits{MemoryLimit: 64 * mi, CPULimit: 0.1}},
		"no number":         {recommend.Limits{MemoryLimit: math.NaN(), CPULimit: 0.3}, recommend.Limits{MemoryLimit: 128 * mi, CPULimit: 0.3}},
		"infinite":          {recommend.Limits{MemoryLimit: math.Inf(1), CPULimit: 0.3}, recommend.Limits{MemoryLimit: 128 * mi, CPULimit: 0.3}},
		"request above":     {recommend.Limits{MemoryLimit: 100 * mi, MemoryRequest: 200 * mi, CPURequest: 0.4}, recommend.Limits{MemoryLimit: 100 * mi, MemoryRequest: 100 * mi, CPULimit: 0.2, CPURequest: 0.2}},
		"rounded":           {recommend.Limits{MemoryLimit: 99.5 * mi, CPULimit: 0.1234}, recommend.Limits{MemoryLimit: 100 * mi, CPULimit: 0.124}},
		"below what is now": {recommend.Limits{MemoryLimit: 70 * mi, CPULimit: 0.15}, recommend.Limits{MemoryLimit: 128 * mi, CPULimit: 0.15}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				if name == "below what is now" {
					w.use = func(time.Time) (float64, float64) { return 90 * mi, 0.1 }
				}
				w.want = func(recommend.Sample, recommend.Limits) recommend.Limits { return test.want }
				events := w.run(time.Second)
				require.Equal(t, "changed", kinds(events))
				require.Equal(t, test.to, w.limits)
			})
		})
	}
}

// TestNoNumber checks that an event of what is recommended, and is no number, can be written as JSON.
func TestNoNumber(t *testing.T) {
	for _, x := range []float64{math.NaN(), math.Inf(1)} {
		bubble(t, func(t *testing.T, w *world) {
			w.want = func(recommend.Sample, recommend.Limits) recommend.Limits {
				return recommend.Limits{MemoryLimit: x, CPURequest: x}
			}
			event := w.run(time.Second)[0]
			require.Equal(t, "f: not changed: what is recommended is no number", event.String())
			_, err := json.Marshal(event)
			require.NoError(t, err)
		})
	}
}

// TestKeptValues checks that a value that does not change is not rounded, and that one of which nothing is known stays.
func TestKeptValues(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.limits = recommend.Limits{MemoryLimit: 129.5 * mi, MemoryRequest: 63 * mi, CPULimit: 0.2}
		w.use = func(time.Time) (float64, float64) { return math.NaN(), 0.05 }
		w.want = func(recommend.Sample, recommend.Limits) recommend.Limits {
			return recommend.Limits{MemoryLimit: 300 * mi, CPULimit: 0.1}
		}
		require.Equal(t, "changed", kinds(w.run(time.Second)))
		require.Equal(t, recommend.Limits{MemoryLimit: 129.5 * mi, MemoryRequest: 63 * mi, CPULimit: 0.1}, w.limits)
	})
}

// TestChangesADay checks the cap, that the last change is kept for raising, and that a restart does not forget.
func TestChangesADay(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.options.MaxChanges = 3
		w.want = func(recommend.Sample, recommend.Limits) recommend.Limits {
			return recommend.Limits{MemoryLimit: w.limits.MemoryLimit - 4*mi}
		}
		events := w.run(3*time.Minute + time.Second)
		require.Equal(t, "changed changed held held", kinds(events))
		require.Contains(t, events[3].Text, "the last change is kept for raising")
		w.want = func(recommend.Sample, recommend.Limits) recommend.Limits {
			return recommend.Limits{MemoryLimit: w.limits.MemoryLimit + 4*mi}
		}
		require.Equal(t, "changed held", kinds(w.run(2*time.Minute)))
		events = w.run(2 * time.Minute)
		require.Equal(t, "held held", kinds(events))
		require.Equal(t, "it was changed 3 times within 24 h", events[1].Text)
		events = w.run(24 * time.Hour)
		require.Contains(t, kinds(events), "changed")
		require.Equal(t, 6, w.applied, "as many again a day later")
	})
}

// TestHoldsAfterKill checks that nothing is lowered for hours after a kill, across a restart, and that raising goes on.
func TestHoldsAfterKill(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.killed[time.Now().Unix()/60] = true
		w.want = func(recommend.Sample, recommend.Limits) recommend.Limits {
			return recommend.Limits{MemoryLimit: 100 * mi, CPULimit: 0.3}
		}
		events := w.run(time.Second)
		require.Equal(t, 1, events[0].Kills)
		require.Equal(t, recommend.Limits{MemoryLimit: 128 * mi, CPULimit: 0.3}, w.limits)
		events = w.run(2 * time.Minute)
		require.Equal(t, "kept held", kinds(events))
		require.Contains(t, events[1].String(), "f: not changed: memory limit 128Mi → 100Mi: nothing is lowered, since a container was killed for its memory")
		w.run(6 * time.Hour)
		require.Equal(t, 100.0*mi, w.limits.MemoryLimit)
	})
}

// TestRestartNearLimit checks that a restart is taken for a kill where memory was near its limit, and not otherwise.
func TestRestartNearLimit(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.restarts = 1
		w.want = func(_ recommend.Sample, set recommend.Limits) recommend.Limits { return set }
		events := w.run(2 * time.Minute)
		require.Zero(t, events[0].Kills+events[1].Kills)
		w.use = func(time.Time) (float64, float64) { return 120 * mi, 0.05 }
		events = w.run(time.Minute)
		require.Equal(t, 1, events[0].Kills)
	})
}

// TestRestartKnownAsKill checks that a restart is a kill where the source knows it, however little memory was seen in use: usage rises between two samples.
func TestRestartKnownAsKill(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.restarts, w.oom = 1, 1
		w.want = func(_ recommend.Sample, set recommend.Limits) recommend.Limits { return set }
		events := w.run(2 * time.Minute)
		require.Zero(t, events[0].Kills, "nothing is known of before")
		require.Equal(t, 1, events[1].Kills)
	})
}

// TestFailedChange checks that a change that fails does not count and is tried again, and that one whose answer was lost counts.
func TestFailedChange(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.options.MaxChanges = 2
		w.want = func(recommend.Sample, recommend.Limits) recommend.Limits {
			return recommend.Limits{MemoryLimit: 200 * mi}
		}
		w.applyErr = errors.New("the gateway fails")
		require.Equal(t, "failed failed failed failed", kinds(w.run(3*time.Minute+time.Second)))
		w.lost = true
		require.Equal(t, "kept failed", kinds(w.run(time.Minute+time.Second)))
		w.applyErr, w.lost = nil, false
		require.Equal(t, "kept", kinds(w.run(time.Second)))
		w.want = func(recommend.Sample, recommend.Limits) recommend.Limits {
			return recommend.Limits{MemoryLimit: 100 * mi}
		}
		events := w.run(2 * time.Minute)
		require.Equal(t, "kept held", kinds(events))
		require.Contains(t, events[1].Text, "it was changed once")
	})
}

// TestSomebodyElse checks that limits that somebody else has set are those that the recommender is told.
func TestSomebodyElse(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.want = func(_ recommend.Sample, set recommend.Limits) recommend.Limits { return set }
		w.run(time.Second)
		w.limits.MemoryLimit = 256 * mi
		w.want = func(recommend.Sample, recommend.Limits) recommend.Limits {
			return recommend.Limits{MemoryLimit: 128 * mi}
		}
		events := w.run(time.Minute - time.Second)
		require.Equal(t, "f: kept: there is no usage yet since they were set", events[0].String())
		require.Equal(t, 256.0*mi, w.limits.MemoryLimit)
	})
}

// TestKill checks that a journal that ends in the middle of a line, at any byte, is taken up.
func TestKill(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.run(2 * time.Minute)
		text, err := os.ReadFile(w.options.Journal)
		require.NoError(t, err)
		short := text[:400]
		for n := range len(short) {
			require.NoError(t, os.WriteFile(w.options.Journal, short[:n], 0o666))
			s, err := openStore(w.options.Journal, func(record) error { return nil })
			require.NoError(t, err)
			require.NoError(t, s.write([]byte(`{"f":"f","t":1}`), false))
			require.NoError(t, s.close())
			s, err = openStore(w.options.Journal, func(record) error { return nil })
			require.NoError(t, err)
			require.NoError(t, s.close())
		}
		require.NoError(t, os.WriteFile(w.options.Journal, text[:len(text)-3], 0o666))
		require.Equal(t, "kept", kinds(w.run(time.Second)))
	})
}

func TestJournalErrors(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		o := w.options
		o.Source, o.Applier = w, w
		o.Recommender = func() (recommend.Recommender, error) { return &recommender{w: w}, nil }
		c, err := New(o)
		require.NoError(t, err)
		_, err = New(o)
		require.ErrorContains(t, err, "another process is at work on it")
		require.NoError(t, c.Close())
		for text, want := range map[string]string{
			"a,b\n1,2\n":             "it is another file",
			strings.Repeat("x", 200): "it is another file",
			header + "\n{}\n":        ":2: a line without a function or a time",
			header + "\nx\n":         ":2: invalid character",
			header + "\n" + `{"f":"f","t":1,"set":{"MemoryLimit":-1}}` + "\n": ":2: memory limit -1",
		} {
			require.NoError(t, os.WriteFile(o.Journal, []byte(text), 0o666))
			_, err := New(o)
			require.ErrorContains(t, err, want)
			after, err := os.ReadFile(o.Journal)
			require.NoError(t, err)
			require.Equal(t, text, string(after), "another file stays as it is")
		}
	})
}

// TestCompact checks that a journal loses what is old, but for what is set.
func TestCompact(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.options.History = 4 * time.Hour
		w.run(2 * time.Hour)
		before, err := os.Stat(w.options.Journal)
		require.NoError(t, err)
		time.Sleep(24 * time.Hour)
		w.silent = true
		w.observed = 0
		w.run(time.Second)
		require.Zero(t, w.observed)
		after, err := os.Stat(w.options.Journal)
		require.NoError(t, err)
		require.Less(t, after.Size(), before.Size()/10)
		text, err := os.ReadFile(w.options.Journal)
		require.NoError(t, err)
		require.Contains(t, string(text), `"set":`)
	})
}

func TestOptions(t *testing.T) {
	w := newWorld(t)
	good := w.options
	good.Source, good.Applier = w, w
	good.Recommender = func() (recommend.Recommender, error) { return &recommender{w: w}, nil }
	for want, change := range map[string]func(*Options){
		"no function":             func(o *Options) { o.Functions = nil },
		"is empty or named twice": func(o *Options) { o.Functions = []string{"a", "a"} },
		"a source, an applier":    func(o *Options) { o.Source = nil },
		"must not be negative":    func(o *Options) { o.Interval = -1 },
		"must be above 1":         func(o *Options) { o.MaxLower = 1 },
		"no such recommender": func(o *Options) {
			o.Recommender = func() (recommend.Recommender, error) { return nil, errors.New("no such recommender") }
		},
		"journal: open " + t.TempDir() + "/x": func(o *Options) {},
	} {
		o := good
		change(&o)
		if strings.HasPrefix(want, "journal") {
			o.Journal = strings.TrimPrefix(want, "journal: open ") + "/y"
		}
		_, err := New(o)
		require.ErrorContains(t, err, want)
	}
}

func TestStatus(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		o := w.options
		o.Source, o.Applier = w, w
		o.Recommender = func() (recommend.Recommender, error) { return &recommender{w: w}, nil }
		c, err := New(o)
		require.NoError(t, err)
		require.False(t, c.Status().Healthy, "it has not looked yet")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		synctest.Wait()
		s := c.Status()
		require.True(t, s.Healthy)
		require.Equal(t, Changed, s.Functions[0].Kind)
		w.down.Store(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.False(t, c.Status().Healthy)
		w.down.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.True(t, c.Status().Healthy)
		cancel()
		require.NoError(t, <-done)
		time.Sleep(time.Hour)
		require.False(t, c.Status().Healthy, "it ended an hour ago")
		require.NoError(t, c.Close())
	})
}
