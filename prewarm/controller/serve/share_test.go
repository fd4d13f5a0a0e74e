package serve

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator/guard"
	"github.com/tppfaas/tppfaas/prewarm/controller"
	"github.com/tppfaas/tppfaas/prewarm/learn"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
	"github.com/tppfaas/tppfaas/prewarm/share"
	"github.com/tppfaas/tppfaas/prewarm/source"
	"github.com/tppfaas/tppfaas/prewarm/source/kafka"
)

// TestShareOptions checks that what does not go with sharing is said when a server is made.
func TestShareOptions(t *testing.T) {
	good := func() Options {
		return Options{
			Listen: "127.0.0.1:0", Policy: "newsvendor:2560", Models: []string{"m"},
			Share: &Share{Kafka: kafka.Options{Brokers: []string{"127.0.0.1:1"}, Group: "g"}, Demands: "d", Supplies: "s", Rebuild: time.Hour},
		}
	}
	o := good()
	require.NoError(t, o.Check())
	for want, change := range map[string]func(o *Options){
		"the policy keepalive cannot be shared":           func(o *Options) { o.Policy = "keepalive:600" },
		"learns no models":                                func(o *Options) { o.Learn = true },
		"needs a model":                                   func(o *Options) { o.Models = nil },
		"has its state in Kafka":                          func(o *Options) { o.State = "folder" },
		"observes by Kafka alone":                         func(o *Options) { o.Sources = map[string]source.Source{"x": nil} },
		"the topics of demands and of supplies":           func(o *Options) { o.Share.Supplies = "d" },
		"the topic of the spans is not":                   func(o *Options) { o.Share.Supplies, o.Share.Kafka.Topic = "x", "x" },
		"one of demands or of supplies too":               func(o *Options) { o.Share.Demands = "otlp_spans" },
		"written in the last 1s is too little":            func(o *Options) { o.Share.Rebuild = time.Second },
		"the memory of a function is -1 MiB, must not be": func(o *Options) { o.MemoryMB = -1 },
	} {
		o := good()
		change(&o)
		require.ErrorContains(t, o.Check(), want)
	}
	for want, change := range map[string]func(o *Options){
		"open m: no such file": func(*Options) {},
		"λ is \"x\"": func(o *Options) {
			o.Policy, o.Models = "newsvendor:x", []string{"../../../models/high_tree_small_rand.race.safetensors"}
		},
		"would have to be trained": func(o *Options) {
			o.Policy, o.Models = "newsvendor:1:race", []string{"../../../models/high_tree_small_rand.race.safetensors"}
		},
	} {
		o := good()
		change(&o)
		_, err := New(t.Context(), o)
		require.ErrorContains(t, err, want)
	}
}

// TestShareServes checks that a server that shares its work runs, says so, and ends while there is no broker.
func TestShareServes(t *testing.T) {
	o := Options{
		Listen: "127.0.0.1:0", Policy: "newsvendor:2560", Models: []string{"../../../models/high_tree_small_rand.race.safetensors"},
		Share: &Share{Kafka: kafka.Options{Brokers: []string{"127.0.0.1:1"}, Topic: "otlp_spans", Group: "g"}, Demands: "d", Supplies: "s", Rebuild: time.Hour},
	}
	s, err := New(t.Context(), o)
	require.NoError(t, err)
	s.o.Shutdown = time.Second
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	require.Eventually(t, func() bool {
		state := s.Controller().Snapshot()
		return len(state.Sources) > 2 && len(state.Shares) > 0 && state.Shares[len(state.Shares)-1].Of == "demands"
	}, time.Minute, time.Millisecond)
	stop()
	require.NoError(t, <-ended)
}

// TestShareLearned checks that what another server has learned is predicted, that no function is of that and of a model too, and that an empty folder is an error.
func TestShareLearned(t *testing.T) {
	o := Options{
		Listen: "127.0.0.1:0", Policy: "newsvendor:2560",
		Share: &Share{Kafka: kafka.Options{Brokers: []string{"127.0.0.1:1"}, Topic: "otlp_spans", Group: "g"}, Demands: "d", Supplies: "s", Rebuild: time.Hour, Learned: t.TempDir()},
	}
	require.NoError(t, o.Check())
	_, err := New(t.Context(), o)
	require.ErrorContains(t, err, "nothing was learned there")
	functions := []prewarm.Function{{Name: "f", MemoryMB: 256}, {Name: "tree_small-dev-main", MemoryMB: 256}}
	var calls []prewarm.Trace
	for range 10 {
		calls = append(calls, prewarm.Trace{{Function: 0, Parent: -1, End: 1}, {Function: 1, Parent: 0, Arrival: 0.5, Start: 0.5, End: 1}})
	}
	p, err := learn.New(t.Context(), learn.Options{
		Price: 1, Model: newsvendor.Table, Functions: functions, Knowledge: prewarm.Knowledge{Applications: []prewarm.Recording{{Name: "a", Functions: []int{0, 1}, Warm: calls}}},
	})
	require.NoError(t, err)
	require.NoError(t, p.Save(o.Share.Learned))
	require.NoError(t, p.Close())
	s, err := New(t.Context(), o)
	require.NoError(t, err)
	learned, err := learn.ReadLearned(o.Share.Learned)
	require.NoError(t, err)
	all, shown, err := o.applications(t.Context(), &controller.Options{Functions: functions}, nil, learned)
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, newsvendor.Table, all[0].Kind())
	require.Equal(t, []string{"f", "tree_small-dev-main"}, shown[0].Functions)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	stop()
	require.NoError(t, s.Run(ctx))
	o.Models = []string{"../../../models/high_tree_small_rand.race.safetensors"}
	_, err = New(t.Context(), o)
	require.ErrorContains(t, err, "function tree_small-dev-main is of the model "+o.Models[0])
}

// TestSharedLimits checks that the limits of the guard become those of all instances, and that the guard, which knows of one, has none but of what is in flight.
func TestSharedLimits(t *testing.T) {
	o := Options{Limits: guard.Options{Containers: 5, PerFunction: -1, InFlight: 3}}
	require.Equal(t, share.Limits{Containers: 5, PerFunction: 0, MemoryMB: guard.DefaultMemoryMB, InFlight: 3}, o.sharedLimits())
	require.Equal(t, guard.Options{Containers: -1, PerFunction: -1, MemoryMB: -1, InFlight: 3}, o.Limits)
}
