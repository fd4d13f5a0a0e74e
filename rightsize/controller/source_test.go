package controller

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/openfaastest"
	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/acquire"
	"github.com/tppfaas/tppfaas/rightsize/gateway"
	"github.com/tppfaas/tppfaas/rightsize/recommend"
)

// sourceFunc is a source by a function.
type sourceFunc func(ctx context.Context, r acquire.Request) (*acquire.Result, error)

func (f sourceFunc) Acquire(ctx context.Context, r acquire.Request) (*acquire.Result, error) {
	return f(ctx, r)
}

func TestPull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		after := now.Add(-5 * time.Minute)
		at := func(d time.Duration) int64 { return now.Add(d).UnixMilli() }
		var asked []acquire.Request
		restarts := []int{3, 1}
		p := Pull{Step: time.Minute, Source: sourceFunc(func(_ context.Context, r acquire.Request) (*acquire.Result, error) {
			asked = append(asked, r)
			u, err := rightsize.NewUsage("f", []int64{at(-6 * time.Minute), at(-5 * time.Minute), at(-4 * time.Minute)}, []float64{0, 1, 2}, []float64{0, 3, 4})
			require.NoError(t, err)
			result := &acquire.Result{Usage: u, Restarts: restarts[len(asked)-1], Kills: 1}
			if len(asked) == 1 {
				return result, errors.New("the rest is missing")
			}
			return result, nil
		})}
		b, err := p.Samples(t.Context(), "f", after)
		require.EqualError(t, err, "the rest is missing")
		require.Equal(t, Batch{Samples: []recommend.Sample{{Time: at(-4 * time.Minute), Memory: 2, CPU: 4}}, Restarts: 2, Kills: 1}, b, "one restart was known before")
		require.Equal(t, []acquire.Request{
			{Function: "f", From: after.Add(time.Minute - overlap), To: now, Step: time.Minute, Kills: true}, {Function: "f", From: after.Add(time.Minute - overlap), To: after, Step: time.Minute},
		}, asked)
		b, err = p.Samples(t.Context(), "f", now.Add(-time.Second))
		require.NoError(t, err, "nothing can be new")
		require.Empty(t, b.Samples)
		p.Source = sourceFunc(func(context.Context, acquire.Request) (*acquire.Result, error) { return nil, errors.New("down") })
		_, err = p.Samples(t.Context(), "f", now.Add(-time.Hour))
		require.EqualError(t, err, "down")
	})
}

func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ends := 0
		source := sourceFunc(func(ctx context.Context, r acquire.Request) (*acquire.Result, error) {
			for n := range 100_000 {
				if ends > 0 && n == 3 {
					ends--
					return nil, errors.New("no process any more")
				}
				select {
				case <-time.After(r.Step):
				case <-ctx.Done():
					return nil, nil
				}
				require.NoError(t, r.OnSample(acquire.Sample{Time: time.Now().UnixMilli(), Memory: 1}))
			}
			return nil, nil
		})
		l := NewLive(source, time.Second)
		_, err := within(t.Context(), 10*time.Millisecond, func(ctx context.Context) (Batch, error) { return l.Samples(ctx, "f", time.Time{}) })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		b, err := l.Samples(t.Context(), "f", time.Time{})
		require.NoError(t, err)
		require.Len(t, b.Samples, 1, "it waits for the first")
		time.Sleep(10*time.Second + time.Millisecond)
		b, err = l.Samples(t.Context(), "f", time.Time{})
		require.NoError(t, err)
		require.Len(t, b.Samples, 10)
		time.Sleep(20_000 * time.Second)
		b, err = l.Samples(t.Context(), "f", time.Time{})
		require.NoError(t, err)
		require.Len(t, b.Samples, mostWaiting)
		l.Close()
		_, err = l.Samples(t.Context(), "f", time.Time{})
		require.ErrorContains(t, err, "closed")

		ends = 1
		l = NewLive(source, time.Second)
		b, err = l.Samples(t.Context(), "g", time.Time{})
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		b, err = l.Samples(t.Context(), "g", time.Time{})
		require.EqualError(t, err, "no process any more")
		require.Len(t, b.Samples, 2, "what was taken before is not lost")
		b, err = l.Samples(t.Context(), "g", time.Time{})
		require.NoError(t, err, "it begins anew")
		require.Len(t, b.Samples, 1)
		l.Close()
	})
}

// TestFile checks that a controller writes what is recommended into a file, and nothing else.
func TestFile(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		path := filepath.Join(t.TempDir(), "stack.yml")
		const before = "functions:\n  f: # one\n    limits: {memory: 128Mi, cpu: 199.5m}\n"
		require.NoError(t, os.WriteFile(path, []byte(before), 0o666))
		backups := 0
		f := File{Path: path, OnBackup: func(string) { backups++ }}
		w.options.Source, w.options.Applier = w, f
		w.options.Recommender = func() (recommend.Recommender, error) { return &recommender{w: w}, nil }
		w.want = func(recommend.Sample, recommend.Limits) recommend.Limits {
			return recommend.Limits{MemoryLimit: 99.5 * mi, MemoryRequest: 50 * mi, CPURequest: 0.05}
		}
		var events []Event
		w.options.OnEvent = func(e Event) { events = append(events, e) }
		c, err := New(w.options)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 119*time.Second)
		defer cancel()
		require.NoError(t, c.Run(ctx))
		require.NoError(t, c.Close())
		require.Equal(t, "changed kept", kinds(events))
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "functions:\n  f: # one\n    limits: {memory: 100Mi, cpu: 199.5m}\n    requests:\n      memory: 50Mi\n      cpu: 50m\n", string(text))
		require.Equal(t, 1, backups)
		_, err = f.Limits(t.Context(), "g")
		require.ErrorContains(t, err, path+": it has no g")
		require.NoError(t, os.WriteFile(path, []byte("functions: {f: {limits: {memory: much}}}"), 0o666))
		_, err = f.Limits(t.Context(), "f")
		require.ErrorContains(t, err, `f: memory limit: quantity "much"`)
		require.ErrorContains(t, File{Path: path + ".none"}.Apply(t.Context(), "f", recommend.Limits{CPULimit: 1}), "no such file")
	})
}

func TestGateway(t *testing.T) {
	server := openfaastest.New(t, 1)
	client, err := gateway.New(gateway.Options{Address: server.Server.URL, User: openfaastest.User, Password: openfaastest.Password})
	require.NoError(t, err)
	defer client.Close()
	g := Gateway{client}
	l, err := g.Limits(t.Context(), "f1")
	require.NoError(t, err)
	require.Equal(t, recommend.Limits{MemoryLimit: 128 * mi}, l)
	require.NoError(t, g.Apply(t.Context(), "f1", recommend.Limits{MemoryLimit: 64 * mi, CPURequest: 0.05}))
	l, err = g.Limits(t.Context(), "f1")
	require.NoError(t, err)
	require.Equal(t, recommend.Limits{MemoryLimit: 64 * mi, CPURequest: 0.05}, l)
	_, err = g.Limits(t.Context(), "f2")
	require.ErrorContains(t, err, "404")
}
