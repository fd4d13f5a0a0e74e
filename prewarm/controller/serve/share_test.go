package serve

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm/actuator/guard"
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

// TestSharedLimits checks that the limits of the guard become those of all instances, and that the guard, which knows of one, has none but of what is in flight.
func TestSharedLimits(t *testing.T) {
	o := Options{Limits: guard.Options{Containers: 5, PerFunction: -1, InFlight: 3}}
	require.Equal(t, share.Limits{Containers: 5, PerFunction: 0, MemoryMB: guard.DefaultMemoryMB, InFlight: 3}, o.sharedLimits())
	require.Equal(t, guard.Options{Containers: -1, PerFunction: -1, MemoryMB: -1, InFlight: 3}, o.Limits)
}
