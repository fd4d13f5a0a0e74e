package guard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is an actuator that takes some time, and does with the nth command what it is told to.
type fake struct {
	takes time.Duration
	nth   func(ctx context.Context, n int, c actuator.Command) ([]actuator.Result, error) // nil results and error: as always

	mu     sync.Mutex
	begun  []actuator.Command
	at     []time.Time
	flying int
	most   int
	closed bool
}

func (f *fake) Name() string               { return "fake" }
func (f *fake) Platform() prewarm.Platform { return prewarm.Platform{Warm: true} }

func (f *fake) Act(ctx context.Context, c actuator.Command) ([]actuator.Result, error) {
	f.mu.Lock()
	n := len(f.begun)
	f.begun, f.at = append(f.begun, c), append(f.at, time.Now())
	f.flying += c.N
	f.most = max(f.most, f.flying)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.flying -= c.N
	}()
	if f.nth != nil {
		if results, err := f.nth(ctx, n, c); results != nil || err != nil {
			return results, err
		}
	}
	select {
	case <-time.After(f.takes):
		return actuator.Fill(nil, c, actuator.Result{Outcome: actuator.Created}), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *fake) Close(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

func (f *fake) commands() []actuator.Command {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.begun
}

func (f *fake) times() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at
}

// told collects what Done is told.
type told struct {
	mu  sync.Mutex
	all map[uint64][]actuator.Result
	at  map[uint64]time.Time
}

func (o *told) done(c actuator.Command, results []actuator.Result) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all == nil {
		o.all, o.at = map[uint64][]actuator.Result{}, map[uint64]time.Time{}
	}
	if _, ok := o.all[c.ID]; ok || len(results) != c.Results() {
		panic(fmt.Sprintf("command %d: told again, or with %d results", c.ID, len(results)))
	}
	o.all[c.ID], o.at[c.ID] = results, time.Now()
}

func (o *told) of(id uint64) []actuator.Result {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all[id]
}

// summary says what has become of a command: outcomes and how many of each in their order.
func (o *told) summary(id uint64) string {
	text := ""
	for _, r := range o.of(id) {
		text += r.Outcome.String()[:1]
	}
	return text
}

func warm(id uint64, function string, n int) actuator.Command {
	return actuator.Command{ID: id, Kind: actuator.Warm, Function: function, N: n, MemoryMB: 256, Until: time.Now().Add(time.Minute)}
}

func scale(id uint64, function string, n int) actuator.Command {
	c := warm(id, function, n)
	c.Kind = actuator.Scale
	return c
}

// guarded runs a test in virtual time with a Guard around a fake, and closes it.
func guarded(t *testing.T, f *fake, o Options, test func(t *testing.T, g *Guard, o *told)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		told := &told{}
		o.Done = told.done
		g, err := New(f, o)
		require.NoError(t, err)
		defer func() {
			if t.Failed() { // a test that ends early says why, and not that something goes on
				_ = g.Close(context.Background())
			}
		}()
		test(t, g, told)
		require.NoError(t, g.Close(t.Context()))
		require.True(t, f.closed)
		require.Zero(t, g.State().InFlight)
		require.Zero(t, g.State().Waiting)
		require.ErrorIs(t, g.Do(warm(1<<40, "late", 1)), ErrClosed)
	})
}

func TestCarriesOut(t *testing.T) {
	f := &fake{takes: 300 * time.Millisecond}
	guarded(t, f, Options{}, func(t *testing.T, g *Guard, o *told) {
		begin := time.Now()
		require.Equal(t, "fake", g.Name())
		require.True(t, g.Platform().Warm)
		require.NoError(t, g.Do(warm(1, "a", 2)))
		require.NoError(t, g.Do(warm(2, "b", 1)))
		synctest.Wait()
		require.Equal(t, State{InFlight: 3, Standing: 3, StandingMB: 768, Circuit: "closed"}, g.State())
		time.Sleep(time.Second)
		require.Equal(t, "cc", o.summary(1))
		require.Equal(t, "c", o.summary(2))
		require.Equal(t, begin, o.of(1)[1].Asked)
		require.Equal(t, begin.Add(300*time.Millisecond), o.of(1)[1].Ready)
		require.Equal(t, State{Standing: 3, StandingMB: 768, Circuit: "closed"}, g.State())
		g.Release(1, 1)
		require.Equal(t, 2, g.State().Standing)
		g.Release(1, 7)
		g.Release(99, 1)
		require.Equal(t, State{Standing: 1, StandingMB: 256, Circuit: "closed"}, g.State())
		time.Sleep(time.Minute)
		require.Zero(t, g.State().Standing, "its time is over")
	})
}

// TestHolds checks each reason for which commands are held, and that the words of the reason say so.
func TestHolds(t *testing.T) {
	fail := func(context.Context, int, actuator.Command) ([]actuator.Result, error) {
		return nil, errors.New("no such function")
	}
	for name, test := range map[string]struct {
		options  Options
		nth      func(context.Context, int, actuator.Command) ([]actuator.Result, error)
		before   []actuator.Command
		between  time.Duration
		over     time.Duration // less of the time that it has
		command  actuator.Command
		want     string
		err      error
		contains string
	}{
		"more than in flight": {options: Options{InFlight: 2}, command: warm(9, "a", 3), want: "cch", err: ErrLimit, contains: "at most 2 are asked for at once"},
		"function's limit": {
			options: Options{PerFunction: 3}, before: []actuator.Command{warm(1, "a", 2), warm(2, "b", 2)}, command: warm(9, "a", 2),
			want: "ch", err: ErrLimit, contains: "at most 3 of a function, and there are 2",
		},
		"limit of all": {
			options: Options{Containers: 4}, before: []actuator.Command{warm(1, "a", 2), warm(2, "b", 2)}, command: warm(9, "c", 1),
			want: "h", err: ErrLimit, contains: "at most 4 in all, and there are 4",
		},
		"memory": {
			options: Options{MemoryMB: 1000}, before: []actuator.Command{warm(1, "a", 2)}, command: warm(9, "b", 2),
			want: "ch", err: ErrLimit, contains: "at most 1000 MiB in all, and there are 512",
		},
		"time is over":       {over: time.Minute, command: warm(9, "b", 2), want: "hh", err: ErrTooLate, contains: "its effect should have ended"},
		"interval":           {options: Options{Interval: time.Second}, before: []actuator.Command{warm(1, "a", 1)}, between: 600 * time.Millisecond, command: warm(9, "a", 1), want: "h", err: ErrInterval, contains: "400ms"},
		"of another":         {options: Options{Interval: time.Second}, before: []actuator.Command{warm(1, "b", 1)}, between: 600 * time.Millisecond, command: warm(9, "a", 1), want: "c"},
		"after the interval": {options: Options{Interval: time.Second}, before: []actuator.Command{warm(1, "a", 1)}, between: time.Second, command: warm(9, "a", 1), want: "c"},
		"cool-down":          {nth: fail, before: []actuator.Command{warm(1, "a", 1)}, between: 4 * time.Second, command: warm(9, "a", 1), want: "h", err: ErrCoolDown, contains: "1s: no such function"},
		"no cool-down":       {options: Options{CoolDown: -1}, nth: fail, before: []actuator.Command{warm(1, "a", 1)}, command: warm(9, "a", 1), want: "f", contains: "no such function"},
		"replicas": {
			options: Options{PerFunction: 3}, before: []actuator.Command{scale(1, "a", 3)}, between: time.Second, command: scale(9, "a", 5),
			want: "c", err: ErrLimit, contains: "at most 3 of a function, and there are 0",
		},
		"no replica": {
			options: Options{Containers: 3}, before: []actuator.Command{scale(1, "b", 3)}, between: time.Second, command: scale(9, "a", 5),
			want: "h", err: ErrLimit, contains: "at most 3 in all",
		},
		"fewer replicas": {options: Options{Containers: 3}, before: []actuator.Command{scale(1, "a", 3)}, between: time.Second, command: scale(9, "a", 2), want: "c"},
		"none at all":    {command: scale(9, "a", 0), want: "c"},
		"warms nothing":  {command: warm(9, "a", 0), want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			guarded(t, &fake{takes: 100 * time.Millisecond, nth: test.nth}, test.options, func(t *testing.T, g *Guard, o *told) {
				for _, c := range append(test.before, test.command) {
					if c.ID == 9 {
						time.Sleep(test.between)
					}
					c.Until = time.Now().Add(time.Minute - test.over)
					require.NoError(t, g.Do(c))
				}
				time.Sleep(time.Second)
				require.Equal(t, test.want, o.summary(9))
				if test.err == nil && test.contains == "" {
					return
				}
				last := o.of(9)[len(o.of(9))-1]
				if test.err != nil {
					require.ErrorIs(t, last.Err, test.err)
				}
				require.ErrorContains(t, last.Err, test.contains)
			})
		})
	}
}

// TestNeverBlocks checks that Do returns while the actuator hangs and while nobody takes what Done tells, and that it takes no more than there is
// room for.
func TestNeverBlocks(t *testing.T) {
	f := &fake{takes: time.Hour}
	guarded(t, f, Options{InFlight: 2, Queue: 3, Wait: time.Minute, PerFunction: -1, Containers: -1, MemoryMB: -1}, func(t *testing.T, g *Guard, o *told) {
		for i := range uint64(2) {
			require.NoError(t, g.Do(warm(i, "a", 1)))
		}
		synctest.Wait()
		for i := range uint64(3) {
			require.NoError(t, g.Do(warm(2+i, "a", 1)))
		}
		begin := time.Now()
		err := g.Do(warm(5, "a", 1))
		require.ErrorIs(t, err, ErrFull)
		require.EqualError(t, err, "too many commands are waiting: 3")
		require.Equal(t, begin, time.Now())
		require.Equal(t, State{Waiting: 3, InFlight: 2, Standing: 2, StandingMB: 512, Circuit: "closed"}, g.State())
		time.Sleep(31 * time.Second)
		require.ErrorIs(t, o.of(0)[0].Err, ErrTimeout)
		require.Equal(t, 2, f.most)
	})
}

// TestWaits checks that commands wait for their turn in the order in which they came, and not for longer than they may.
func TestWaits(t *testing.T) {
	f := &fake{takes: 200 * time.Millisecond}
	guarded(t, f, Options{InFlight: 1}, func(t *testing.T, g *Guard, o *told) {
		for i := range uint64(9) {
			require.NoError(t, g.Do(warm(i+1, fmt.Sprint("f", i), 1)))
		}
		time.Sleep(5 * time.Second)
		for i, c := range f.commands() {
			require.Equal(t, uint64(i+1), c.ID)
		}
		require.Len(t, f.commands(), 6)
		for id := uint64(7); id <= 9; id++ {
			require.Equal(t, "h", o.summary(id))
			require.ErrorIs(t, o.of(id)[0].Err, ErrTooLate)
			require.Equal(t, time.Second+time.Nanosecond, o.at[id].Sub(o.at[1].Add(-f.takes)))
		}
	})
}

func TestPace(t *testing.T) {
	f := &fake{}
	guarded(t, f, Options{Pace: 100 * time.Millisecond}, func(t *testing.T, g *Guard, _ *told) {
		require.NoError(t, g.Do(warm(1, "a", 3)))
		require.NoError(t, g.Do(warm(2, "b", 1)))
		require.NoError(t, g.Do(scale(3, "c", 7)))
		require.NoError(t, g.Do(warm(4, "d", 1)))
		time.Sleep(time.Second)
		at := f.times()
		require.Len(t, at, 4)
		for i, want := range []time.Duration{0, 300, 400, 500} {
			require.Equal(t, want*time.Millisecond, at[i].Sub(at[0]))
		}
	})
}

// TestCoolDownDoubles checks for how long a function is left alone after failures in a row, and that a success ends that.
func TestCoolDownDoubles(t *testing.T) {
	works := false
	f := &fake{nth: func(context.Context, int, actuator.Command) ([]actuator.Result, error) {
		if works {
			return nil, nil
		}
		return nil, errors.New("broken")
	}}
	guarded(t, f, Options{CoolDown: time.Second, MaxCoolDown: 3 * time.Second, Failures: -1}, func(t *testing.T, g *Guard, o *told) {
		id := uint64(0)
		tried := func() bool {
			id++
			n := len(f.commands())
			require.NoError(t, g.Do(warm(id, "a", 1)))
			synctest.Wait()
			return len(f.commands()) > n
		}
		for _, pause := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Second} {
			require.True(t, tried())
			require.EqualError(t, g.State().Err, "broken")
			time.Sleep(pause - 1)
			require.False(t, tried())
			require.Contains(t, o.of(id)[0].Err.Error(), "it has failed lately, it is left alone for")
			time.Sleep(time.Nanosecond)
		}
		works = true
		require.True(t, tried())
		require.NoError(t, g.State().Err)
		require.True(t, tried())
		works = false
		require.True(t, tried())
		time.Sleep(time.Second)
		require.True(t, tried(), "it begins anew")
	})
}

// TestCircuit checks that failures in a row open the circuit, which then lets one command through after each pause, longer and longer, until one
// succeeds; and that one function alone does not open it.
func TestCircuit(t *testing.T) {
	down := true
	f := &fake{takes: 10 * time.Millisecond, nth: func(context.Context, int, actuator.Command) ([]actuator.Result, error) {
		if down {
			return nil, errors.New("down")
		}
		return nil, nil
	}}
	guarded(t, f, Options{Failures: 3, Pause: 2 * time.Second, MaxPause: 3 * time.Second, CoolDown: -1}, func(t *testing.T, g *Guard, o *told) {
		id := uint64(0)
		do := func(function string) string {
			id++
			require.NoError(t, g.Do(warm(id, function, 1)))
			time.Sleep(20 * time.Millisecond)
			return o.summary(id)
		}
		for range 5 {
			require.Equal(t, "f", do("a"))
		}
		require.Equal(t, State{Circuit: "closed", Failures: 1, Err: g.State().Err}, g.State())
		require.Equal(t, "f", do("b"))
		require.Equal(t, "f", do("c"))
		require.Equal(t, "open", g.State().Circuit)
		require.Equal(t, "h", do("a"))
		require.ErrorIs(t, o.of(id)[0].Err, ErrOpen)
		require.ErrorContains(t, o.of(id)[0].Err, "left alone for 1.98s")
		time.Sleep(2 * time.Second)
		require.Equal(t, "half open", g.State().Circuit)
		require.NoError(t, g.Do(warm(1000, "a", 1)))
		require.NoError(t, g.Do(warm(1001, "b", 1)))
		synctest.Wait()
		require.Equal(t, "h", o.summary(1001), "one at a time")
		require.ErrorContains(t, o.of(1001)[0].Err, "and is being tried")
		time.Sleep(20 * time.Millisecond)
		require.Equal(t, "f", o.summary(1000))
		require.Equal(t, "open", g.State().Circuit)
		time.Sleep(2900 * time.Millisecond)
		require.Equal(t, "h", do("a"))
		down = false
		time.Sleep(100 * time.Millisecond)
		require.Equal(t, "c", do("a"))
		require.Equal(t, "closed", g.State().Circuit)
		require.Equal(t, "c", do("b"))
	})
}

// TestRemovedFunctions checks that functions which are not there do not open the circuit, however many they are, that each is left alone, and that
// one in the place of a trial leaves it to the next command.
func TestRemovedFunctions(t *testing.T) {
	failure := error(&actuator.NoFunctionError{Err: errors.New("gone")})
	f := &fake{takes: 10 * time.Millisecond, nth: func(_ context.Context, _ int, c actuator.Command) ([]actuator.Result, error) {
		if c.Function == "there" {
			return nil, nil
		}
		return nil, fmt.Errorf("%s: %w", c.Function, failure)
	}}
	guarded(t, f, Options{Failures: 3, Pause: 2 * time.Second, CoolDown: time.Minute}, func(t *testing.T, g *Guard, o *told) {
		id := uint64(0)
		do := func(function string) string {
			id++
			require.NoError(t, g.Do(warm(id, function, 1)))
			time.Sleep(20 * time.Millisecond)
			return o.summary(id)
		}
		for i := range 10 {
			require.Equal(t, "f", do(fmt.Sprint("gone", i)))
		}
		require.Equal(t, "closed", g.State().Circuit)
		require.Equal(t, "h", do("gone0"))
		require.Equal(t, "c", do("there"))

		failure = errors.New("down")
		for i := range 3 {
			require.Equal(t, "f", do(fmt.Sprint("broken", i)))
		}
		require.Equal(t, "h", do("there"))
		time.Sleep(2 * time.Second)
		failure = &actuator.NoFunctionError{Err: errors.New("gone")}
		require.Equal(t, "f", do("another"))
		require.Equal(t, "c", do("there"))
		require.Equal(t, "closed", g.State().Circuit)
	})
}

// TestUnavailable checks that failures of the platform as a whole count each, whatever function they come with, blame no function, and that what it
// asks for is granted.
func TestUnavailable(t *testing.T) {
	var answer []actuator.Result
	f := &fake{nth: func(context.Context, int, actuator.Command) ([]actuator.Result, error) {
		return answer, &actuator.UnavailableError{Err: errors.New("429"), After: 9 * time.Second}
	}}
	guarded(t, f, Options{Failures: 2, Pause: time.Second}, func(t *testing.T, g *Guard, o *told) {
		for id := range uint64(3) {
			require.NoError(t, g.Do(warm(id, "a", 1)))
			synctest.Wait()
		}
		require.Equal(t, "f", o.summary(0))
		require.Equal(t, "f", o.summary(1))
		require.Equal(t, "h", o.summary(2))
		require.ErrorIs(t, o.of(2)[0].Err, ErrOpen)
		time.Sleep(9 * time.Second)
		answer = []actuator.Result{{Outcome: actuator.Created}}
		require.NoError(t, g.Do(warm(3, "a", 2)))
		synctest.Wait()
		require.Equal(t, "cf", o.summary(3))
		require.Equal(t, "closed", g.State().Circuit, "it has done something")
		require.NoError(t, g.Do(warm(4, "a", 2)))
		synctest.Wait()
		require.Equal(t, "hh", o.summary(4), "it asked to be left alone")
	})
}

// TestHangs checks that a command whose actuator does not return, and does not care for its context, is told of all the same, keeps its place in
// flight, and delays Close no longer than its context allows.
func TestHangs(t *testing.T) {
	release := make(chan struct{})
	f := &fake{nth: func(_ context.Context, n int, _ actuator.Command) ([]actuator.Result, error) {
		if n == 1 {
			<-release
		}
		return nil, nil
	}}
	synctest.Test(t, func(t *testing.T) {
		release = make(chan struct{})
		told := &told{}
		g, err := New(f, Options{InFlight: 2, Timeout: 4 * time.Second, CoolDown: time.Minute, Done: told.done})
		require.NoError(t, err)
		for id := range uint64(3) {
			require.NoError(t, g.Do(warm(id, fmt.Sprint("f", id), 1)))
			synctest.Wait()
		}
		require.Equal(t, "c", told.summary(0))
		require.Equal(t, "c", told.summary(2))
		time.Sleep(4600 * time.Millisecond)
		require.Equal(t, "f", told.summary(1))
		require.ErrorIs(t, told.of(1)[0].Err, ErrTimeout)
		require.EqualError(t, told.of(1)[0].Err, "no outcome in time, 4s")
		require.Equal(t, 1, g.State().InFlight)
		require.NoError(t, g.Do(warm(3, "f1", 1)))
		require.NoError(t, g.Do(warm(4, "f2", 1)))
		require.NoError(t, g.Do(warm(5, "f2", 2)))
		time.Sleep(2 * time.Second)
		require.ErrorIs(t, told.of(3)[0].Err, ErrCoolDown)
		require.Equal(t, "c", told.summary(4), "what does not hang goes on")
		require.ErrorIs(t, told.of(5)[0].Err, ErrTooLate, "there is no room for two")
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begin := time.Now()
		require.EqualError(t, g.Close(ctx), "fake has not come to an end: context deadline exceeded")
		require.Equal(t, 3*time.Second, time.Since(begin))
		require.True(t, f.closed, "it can give back all the same")
		close(release)
		synctest.Wait()
		require.Zero(t, g.State().InFlight)
		require.NoError(t, g.Close(t.Context()), "a second time")
	})
}

// TestCloseBreaksOff checks that what waits and what is in flight is told of when the guard is closed.
func TestCloseBreaksOff(t *testing.T) {
	f := &fake{takes: time.Hour}
	synctest.Test(t, func(t *testing.T) {
		told := &told{}
		g, err := New(f, Options{InFlight: 1, Done: told.done})
		require.NoError(t, err)
		require.NoError(t, g.Do(warm(1, "a", 1)))
		require.NoError(t, g.Do(warm(2, "b", 1)))
		synctest.Wait()
		begin := time.Now()
		require.NoError(t, g.Close(t.Context()))
		require.Equal(t, begin, time.Now())
		require.Equal(t, "f", told.summary(1))
		require.ErrorIs(t, told.of(1)[0].Err, ErrClosed)
		require.Equal(t, "h", told.summary(2))
		require.ErrorIs(t, told.of(2)[0].Err, ErrClosed)
	})
}

func TestPause(t *testing.T) {
	f := &fake{takes: 300 * time.Millisecond}
	guarded(t, f, Options{InFlight: 1}, func(t *testing.T, g *Guard, o *told) {
		require.NoError(t, g.Do(warm(1, "a", 1)))
		require.NoError(t, g.Do(warm(2, "a", 1)))
		synctest.Wait()
		g.Pause("prewarm pause")
		require.Equal(t, "prewarm pause", g.State().Paused)
		require.NoError(t, g.Do(warm(3, "a", 1)))
		synctest.Wait()
		require.EqualError(t, o.of(2)[0].Err, "paused: prewarm pause")
		require.Equal(t, "h", o.summary(3))
		time.Sleep(time.Second)
		require.Equal(t, "c", o.summary(1), "what was in flight went on")
		g.Resume()
		require.NoError(t, g.Do(warm(4, "a", 1)))
		time.Sleep(time.Second)
		require.Equal(t, "c", o.summary(4))
		g.Pause("")
		require.NotEmpty(t, g.State().Paused)
	})
}

// TestScalesInOrder checks that a Scale waits for the one of its function that is in flight, replaces one that waits, and holds up nobody else.
func TestScalesInOrder(t *testing.T) {
	f := &fake{takes: 300 * time.Millisecond}
	guarded(t, f, Options{PerFunction: 9}, func(t *testing.T, g *Guard, o *told) {
		for id, n := range []int{4, 7, 2} {
			require.NoError(t, g.Do(scale(uint64(id), "a", n)))
			synctest.Wait()
		}
		require.NoError(t, g.Do(scale(3, "b", 5)))
		synctest.Wait()
		require.ErrorIs(t, o.of(1)[0].Err, ErrReplaced)
		require.Equal(t, State{Waiting: 1, InFlight: 2, Standing: 9, StandingMB: 9 * 256, Circuit: "closed"}, g.State())
		time.Sleep(time.Second)
		var order []uint64
		for _, c := range f.commands() {
			order = append(order, c.ID)
		}
		require.Equal(t, []uint64{0, 3, 2}, order)
		require.Equal(t, 7, g.State().Standing)
		f.nth = func(context.Context, int, actuator.Command) ([]actuator.Result, error) { return nil, errors.New("no") }
		require.NoError(t, g.Do(scale(4, "b", 9)))
		synctest.Wait()
		require.Equal(t, 7, g.State().Standing, "it has failed: there are as many as before")
		time.Sleep(time.Hour)
		require.Zero(t, g.State().Standing)
	})
}

// TestOptions checks which options are refused, and what is said then.
func TestOptions(t *testing.T) {
	done := func(actuator.Command, []actuator.Result) {}
	for want, o := range map[string]Options{
		"guard of fake: nobody is told what becomes of commands":              {},
		"guard of fake: the timeout must have a limit, and it is -1":          {Done: done, Timeout: -1},
		"guard of fake: the number in flight must have a limit, and it is -3": {Done: done, InFlight: -3},
		"guard of fake: the queue must have a limit, and it is -1":            {Done: done, Queue: -1},
	} {
		_, err := New(&fake{}, o)
		require.EqualError(t, err, want)
	}
	_, err := New(nil, Options{Done: done})
	require.EqualError(t, err, "a guard needs an actuator")
}

func TestAroundDryRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told, f := &told{}, &fake{}
		g, err := New(actuator.DryRun{Of: f}, Options{PerFunction: 2, Done: told.done})
		require.NoError(t, err)
		require.Equal(t, "fake (dry run)", g.Name())
		require.Equal(t, f.Platform(), g.Platform())
		require.NoError(t, g.Do(warm(1, "a", 3)))
		synctest.Wait()
		require.Equal(t, "ddh", told.summary(1), "limits hold as if something were done")
		require.NoError(t, g.Close(t.Context()))
		require.Empty(t, f.begun)
		require.True(t, f.closed)
		alone := actuator.DryRun{Is: prewarm.Platform{Hold: true}}
		require.Equal(t, "dry run", alone.Name())
		require.True(t, alone.Platform().Hold)
		require.NoError(t, alone.Close(t.Context()))
	})
}

// TestRenewals checks that containers whose idle time was renewed count for the limits until that is over or they are released, that renewals wait for no Interval, and
// that those which came to nothing count for nothing.
func TestRenewals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{nth: func(_ context.Context, n int, c actuator.Command) ([]actuator.Result, error) {
			if n == 1 {
				return nil, errors.New("no route")
			}
			if c.Kind == actuator.Renew {
				return actuator.Fill(nil, c, actuator.Result{Outcome: actuator.Collapsed}), nil
			}
			return nil, nil
		}}
		results := make(chan []actuator.Result, 1)
		g, err := New(f, Options{PerFunction: 3, Interval: time.Hour, CoolDown: -1, Done: func(_ actuator.Command, r []actuator.Result) { results <- r }})
		require.NoError(t, err)
		renew := func(id uint64, n int) []actuator.Result {
			require.NoError(t, g.Do(actuator.Command{ID: id, Kind: actuator.Renew, Function: "f", N: n, MemoryMB: 256, Until: time.Now().Add(10 * time.Second)}))
			return <-results
		}
		require.Len(t, renew(1, 2), 2)
		require.Equal(t, 2, g.State().Standing)
		require.Equal(t, actuator.Failed, renew(2, 1)[0].Outcome)
		require.Equal(t, 2, g.State().Standing)
		third := renew(3, 2)
		require.Equal(t, actuator.Collapsed, third[0].Outcome)
		require.ErrorIs(t, third[1].Err, ErrLimit)
		require.Equal(t, 768, g.State().StandingMB)
		g.Release(1, 1)
		require.Equal(t, 2, g.State().Standing)
		time.Sleep(11 * time.Second)
		require.Zero(t, g.State().Standing)
		require.NoError(t, g.Do(actuator.Command{ID: 4, Kind: actuator.Warm, Function: "f", N: 1, Until: time.Now().Add(time.Minute)}))
		require.Equal(t, actuator.Created, (<-results)[0].Outcome, "renewals begin no interval")
		require.NoError(t, g.Close(t.Context()))
	})
}

// TestReleaseWhileWaiting checks that a container which is gone before its command begins does not count when that has been carried out.
func TestReleaseWhileWaiting(t *testing.T) {
	f := &fake{takes: 100 * time.Millisecond}
	guarded(t, f, Options{InFlight: 2}, func(t *testing.T, g *Guard, o *told) {
		require.NoError(t, g.Do(warm(1, "a", 2)))
		require.NoError(t, g.Do(warm(2, "b", 2)))
		synctest.Wait()
		require.Equal(t, 1, g.State().Waiting)
		g.Release(2, 1)
		require.Equal(t, 2, g.State().Standing, "of the other command")
		time.Sleep(time.Second)
		require.Equal(t, "cc", o.summary(2))
		require.Equal(t, 3, g.State().Standing)
		g.Release(2, 1)
		require.Equal(t, 2, g.State().Standing)
	})
}

// TestWaitsWithoutEnd checks that commands wait for as long as it takes where that has no limit, and that meanwhile nothing is done.
func TestWaitsWithoutEnd(t *testing.T) {
	f := &fake{takes: 24 * time.Hour}
	guarded(t, f, Options{InFlight: 1, Wait: -1, Timeout: 48 * time.Hour}, func(t *testing.T, g *Guard, o *told) {
		require.NoError(t, g.Do(warm(1, "a", 1)))
		late := warm(2, "b", 1)
		late.Until = time.Time{}
		require.NoError(t, g.Do(late))
		time.Sleep(49 * time.Hour)
		require.Equal(t, "c", o.summary(1))
		require.Equal(t, "c", o.summary(2))
	})
}
