package openfaas

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/internal/loopback"
	"github.com/tppfaas/tppfaas/internal/openfaastest"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/actuator/actuatortest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type gateway struct {
	*openfaastest.Gateway
	t *testing.T
}

func newGateway(t *testing.T, replicas int) *gateway {
	return &gateway{openfaastest.New(t, replicas), t}
}

func (g *gateway) actuator(o Options) *Actuator {
	g.t.Helper()
	o.Gateway, o.User, o.Password = g.Server.URL, openfaastest.User, openfaastest.Password
	a, err := New(o)
	require.NoError(g.t, err)
	return a
}

// closed closes an actuator at the end of the test.
func closed(t *testing.T, a *Actuator) *Actuator {
	t.Cleanup(func() { require.NoError(t, a.Close(context.Background())) })
	return a
}

func warm(id uint64, n int, lasts time.Duration) actuator.Command {
	return actuator.Command{ID: id, Kind: actuator.Warm, Function: "f1", N: n, Until: time.Now().Add(lasts)}
}

func scale(id uint64, n int, lasts time.Duration) actuator.Command {
	c := warm(id, n, lasts)
	c.Kind = actuator.Scale
	return c
}

func TestConforms(t *testing.T) {
	addresses, err := loopback.FreeAddresses(1)
	require.NoError(t, err)
	actuatortest.Run(t, actuatortest.Subject{
		Kinds: []actuator.Kind{actuator.Warm, actuator.Scale}, Function: "f1", Unknown: "unheard-of",
		New: func(t *testing.T) actuator.Actuator { return newGateway(t, 1).actuator(Options{}) },
		Unreachable: func(t *testing.T) actuator.Actuator {
			a, err := New(Options{Gateway: "http://" + addresses[0]})
			require.NoError(t, err)
			return a
		},
		Hanging: func(t *testing.T) actuator.Actuator {
			g := newGateway(t, 1)
			g.Silent = make(chan struct{})
			t.Cleanup(func() { close(g.Silent) })
			return g.actuator(Options{})
		},
	})
}

// over has the time of the first lease of f1 end now, whatever has passed of it.
func over(a *Actuator) {
	a.mu.Lock()
	a.functions["f1"].Leases[0].Until = time.Now()
	a.mu.Unlock()
	a.signal()
}

// TestWarmAndGiveBack checks that warm replicas are added to those that are there, waited for, and taken away when their time is over.
func TestWarmAndGiveBack(t *testing.T) {
	g := newGateway(t, 2)
	g.Start, g.Lag = 100*time.Millisecond, 3
	a := g.actuator(Options{IdleTimeout: time.Minute})
	require.Equal(t, prewarm.Platform{Warm: true, Late: prewarm.TakesStarting, IdleTimeout: time.Minute}, a.Platform())
	results, err := a.Act(t.Context(), warm(1, 2, time.Hour))
	require.NoError(t, err)
	require.Equal(t, actuator.Created, results[1].Outcome)
	require.GreaterOrEqual(t, results[0].Ready.Sub(results[0].Asked), 100*time.Millisecond)
	require.Equal(t, 4, g.Replicas())
	_, err = a.Act(t.Context(), warm(2, 1, time.Hour))
	require.NoError(t, err)
	_, err = a.Act(t.Context(), warm(2, 1, time.Hour))
	require.NoError(t, err, "the same command again")
	over(a)
	g.Eventually(3)
	require.Equal(t, "[4 5 3]", g.Asked())
	require.NoError(t, a.Close(t.Context()))
	require.Equal(t, 2, g.Replicas(), "closing gives back the rest")
	require.NoError(t, a.Close(t.Context()))
}

// TestNeverBelow checks that where somebody else has set the number of replicas, that is left alone, and nothing of it is taken away.
func TestNeverBelow(t *testing.T) {
	for name, test := range map[string]struct {
		others int
		want   int
	}{"the platform wants more": {7, 7}, "the platform wants fewer": {1, 1}} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, 2)
			a := g.actuator(Options{})
			_, err := a.Act(t.Context(), warm(1, 2, time.Hour))
			require.NoError(t, err)
			g.Set(test.others)
			_, err = a.Act(t.Context(), warm(2, 1, time.Hour))
			require.NoError(t, err)
			require.Equal(t, test.want+1, g.Replicas(), "one more than those of the platform")
			require.NoError(t, a.Close(t.Context()))
			require.Equal(t, test.want, g.Replicas())
		})
	}
}

// TestScale checks that a number of replicas is set where it is above the platform's own, and that it ends.
func TestScale(t *testing.T) {
	g := newGateway(t, 3)
	a := closed(t, g.actuator(Options{}))
	for i, step := range []struct{ n, want int }{{5, 5}, {4, 4}, {1, 3}, {6, 6}} {
		results, err := a.Act(t.Context(), scale(uint64(i), step.n, time.Hour))
		require.NoError(t, err)
		require.Len(t, results, 1)
		require.Equal(t, step.want, g.Replicas())
	}
	_, err := a.Act(t.Context(), scale(9, 6, 50*time.Millisecond))
	require.NoError(t, err)
	g.Eventually(3)
}

// TestLimit checks that a gateway which sets fewer replicas than it was asked for is believed: the rest has failed, and is not taken away later.
func TestLimit(t *testing.T) {
	g := newGateway(t, 3)
	g.Most = 5
	a := g.actuator(Options{})
	results, err := a.Act(t.Context(), warm(1, 4, time.Hour))
	require.EqualError(t, err, "f1: the gateway has 5 replicas in place of 7")
	require.Len(t, results, 4)
	require.Equal(t, actuator.Created, results[1].Outcome)
	require.Equal(t, actuator.Failed, results[2].Outcome)
	_, err = a.Act(t.Context(), warm(2, 1, time.Hour))
	require.Error(t, err)
	require.NoError(t, a.Close(t.Context()))
	require.Equal(t, 3, g.Replicas())
}

// TestLostAnswer checks that replicas are given back of which the gateway did not say that it has set them.
func TestLostAnswer(t *testing.T) {
	g := newGateway(t, 1)
	posts := 0
	g.Failed = func(r *http.Request) int {
		if r.Method != http.MethodPost {
			return 0
		}
		if posts++; posts > 1 {
			return 0
		}
		g.Set(3) // and the answer is an error
		return http.StatusInternalServerError
	}
	a := closed(t, g.actuator(Options{}))
	results, err := a.Act(t.Context(), warm(1, 2, time.Hour))
	require.ErrorContains(t, err, "f1: the OpenFaaS gateway at")
	require.Equal(t, actuator.Failed, results[0].Outcome)
	require.NotContains(t, err.Error(), openfaastest.Password)
	g.Eventually(1)
}

// TestGivesBackLater checks that giving back is tried again when the gateway was away.
func TestGivesBackLater(t *testing.T) {
	g := newGateway(t, 1)
	a := closed(t, g.actuator(Options{}))
	_, err := a.Act(t.Context(), warm(1, 2, time.Hour))
	require.NoError(t, err)
	tries := make(chan struct{}, 100)
	g.Failed = func(*http.Request) int {
		tries <- struct{}{}
		if len(tries) < 2 {
			return http.StatusServiceUnavailable
		}
		return 0
	}
	over(a)
	g.Eventually(1)
}

// TestSurvives checks that what was started before the program was killed is given back by the next one, and that a command which is sent again then
// starts nothing twice.
func TestSurvives(t *testing.T) {
	g := newGateway(t, 1)
	state := filepath.Join(t.TempDir(), "state.json")
	killed := g.actuator(Options{State: state})
	_, err := killed.Act(t.Context(), warm(1, 2, time.Hour))
	require.NoError(t, err)
	_, err = killed.Act(t.Context(), warm(2, 1, time.Hour))
	require.NoError(t, err)
	text, err := os.ReadFile(state)
	require.NoError(t, err)
	killed.end() // it does nothing any more
	<-killed.giving
	killed.http.CloseIdleConnections()
	require.Equal(t, 4, g.Replicas())

	require.NoError(t, os.WriteFile(state, text, 0o666))
	a := g.actuator(Options{State: state})
	_, err = a.Act(t.Context(), warm(2, 1, time.Hour))
	require.NoError(t, err)
	require.Equal(t, 4, g.Replicas())
	over(a)
	g.Eventually(2)
	require.NoError(t, a.Close(t.Context()))
	require.Equal(t, 1, g.Replicas())
	text, err = os.ReadFile(state)
	require.NoError(t, err)
	require.JSONEq(t, `{"functions": null}`, string(text))
}

func TestNames(t *testing.T) {
	g := newGateway(t, 1)
	a := closed(t, g.actuator(Options{Namespace: "own"}))
	for _, name := range []string{"", "a/b", "../x", "F1", "f1.b.c", "shop/next"} {
		_, err := a.Act(t.Context(), actuator.Command{Function: name, N: 1})
		require.ErrorContains(t, err, "is no name of a function of OpenFaaS", name)
	}
	require.Empty(t, g.Namespaces(), "no request is made with such a name")
	_, err := a.MemoryMB(t.Context(), "f1")
	require.NoError(t, err)
	mb, err := a.MemoryMB(t.Context(), "f1.other")
	require.NoError(t, err)
	require.Equal(t, 128, mb)
	require.Equal(t, []string{"own", "other"}, g.Namespaces())
}

func TestNew(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "state.json")
	require.NoError(t, os.WriteFile(broken, []byte(`{"functions": [{}]}`), 0o666))
	for want, o := range map[string]Options{
		`the gateway's address "ftp://x": `: {Gateway: "ftp://x"},
		"user and password of the gateway":  {Gateway: "x", User: "admin"},
		"a function without a name":         {Gateway: "x", State: broken},
		"what was started before":           {Gateway: "x", State: t.TempDir()},
	} {
		_, err := New(o)
		require.ErrorContains(t, err, want)
	}
}

// FuzzState checks that a file of the state is refused or read, and that what it says can be used.
func FuzzState(f *testing.F) {
	for _, text := range []string{
		`{"functions":null}`, `{"functions":[{"name":"f1","own":1,"set":3,"before":-1,"leases":[{"command":1,"n":2,"until":"2026-11-29T04:00:00Z"}]}]}`,
		`{"functions":[{"name":"f1","own":-1}]}`, `{"functions":[{"name":"f1","leases":[{"n":-1}]}]}`, `{"functions":[null]}`, `{"functions":[{"name":"f","scale":{"n":-5}}]}`, `[]`,
	} {
		f.Add([]byte(text))
	}
	path := filepath.Join(f.TempDir(), "state.json")
	f.Fuzz(func(t *testing.T, text []byte) {
		require.NoError(t, os.WriteFile(path, text, 0o666))
		functions, err := load(path)
		if err != nil {
			return
		}
		for name, f := range functions {
			f.due()
			f.expire(time.Now())
			if name == "" || f.want() < 0 {
				t.Fatalf("%s: %d replicas", name, f.want())
			}
		}
	})
}
