package rest

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
)

// GuestKey is the key, UUID:KEY, of the namespace guest where none other is set: the publicly known one of OpenWhisk's
// standalone server, which wsk and Serverless examples have. It keeps nobody out; a server that listens on more than loopback
// must be given a key of its own.
const GuestKey = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP"

// Options says what a [Server] is like. With a Runtime alone it is a good server for a test: a free port of loopback, the namespace
// guest with GuestKey, OpenWhisk's default limits, but no throttles.
type Options struct {
	// Listen is the address to listen on, host:port; "" stands for a free port of 127.0.0.1.
	Listen string
	// Identities are the namespaces and their keys; none stands for guest with GuestKey.
	Identities []Identity
	// MemoryMB is the memory for containers in MiB; 0 stands for 2048.
	MemoryMB int
	// PauseGrace and IdleTimeout say when an idle container is paused and removed; 0 stands for 10 s and 10 min.
	PauseGrace, IdleTimeout time.Duration
	// Limits bounds what an entity and an invocation may be; zero fields stand for OpenWhisk's defaults.
	Limits Limits
	// Runtime starts the containers; it must be set. Close closes it.
	Runtime container.Runtime
	// Log is told of requests (level debug), of containers (info) and of what goes wrong; nil discards it.
	Log *slog.Logger

	now   func() time.Time                  // the clock of the throttles
	timer func(d time.Duration) *time.Timer // bounds how long a blocking invocation waits
}

// Identity is a namespace and the key that opens it.
type Identity struct {
	// Namespace is its name.
	Namespace string
	// Auth is the key, UUID:KEY.
	Auth string
}

// Limits bounds entities and invocations.
type Limits struct {
	// InvocationsPerMinute, FiresPerMinute and ConcurrentInvocations throttle each namespace; 0 means no throttle.
	// OpenWhisk's defaults are 60, 60 and 30.
	InvocationsPerMinute, FiresPerMinute, ConcurrentInvocations int
	// MinMemoryMB and MaxMemoryMB bound an action's memory; 0 stands for 128 and 512.
	MinMemoryMB, MaxMemoryMB int
	// MinTimeout and MaxTimeout bound an action's duration; 0 stands for 100 ms and 5 min.
	MinTimeout, MaxTimeout time.Duration
	// BlockingWait is the longest time a blocking invocation waits before it is answered with 202; 0 stands for 60 s.
	BlockingWait time.Duration
	// PayloadBytes bounds parameters, annotations and results; 0 stands for 1 MiB.
	PayloadBytes int
	// CodeBytes bounds an action's code as it is sent, base64 where it is binary; 0 stands for 48 MiB.
	CodeBytes int
	// SequenceLength bounds the number of a sequence's actions; 0 stands for 50.
	SequenceLength int
	// Activations and ActivationBytes bound the records that are kept, the bytes as they are kept, most of them compressed; the
	// oldest are forgotten first. 0 stands for 50,000 and 32 MiB.
	Activations, ActivationBytes int
}

// DefaultThrottles returns OpenWhisk's default throttles: 60 invocations and 60 firings in a calendar minute, 30 invocations at once.
func DefaultThrottles() Limits {
	return Limits{InvocationsPerMinute: 60, FiresPerMinute: 60, ConcurrentInvocations: 30}
}

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

func (o *Options) defaults() {
	setDefault(&o.Listen, "127.0.0.1:0")
	if len(o.Identities) == 0 {
		o.Identities = []Identity{{"guest", GuestKey}}
	}
	setDefault(&o.MemoryMB, 2048)
	setDefault(&o.PauseGrace, 10*time.Second)
	setDefault(&o.IdleTimeout, 10*time.Minute)
	l := &o.Limits
	setDefault(&l.MinMemoryMB, 128)
	setDefault(&l.MaxMemoryMB, 512)
	setDefault(&l.MinTimeout, 100*time.Millisecond)
	setDefault(&l.MaxTimeout, 5*time.Minute)
	setDefault(&l.BlockingWait, time.Minute)
	setDefault(&l.PayloadBytes, 1<<20)
	setDefault(&l.CodeBytes, 48<<20)
	setDefault(&l.SequenceLength, 50)
	setDefault(&l.Activations, 50_000)
	setDefault(&l.ActivationBytes, 32<<20)
	if o.now == nil {
		o.now = time.Now
	}
	if o.timer == nil {
		o.timer = time.NewTimer
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

func (o *Options) validate() error {
	names, keys := map[string]bool{}, map[string]bool{}
	for _, id := range o.Identities {
		uuid, key, ok := strings.Cut(id.Auth, ":")
		switch {
		case id.Namespace == "" || id.Namespace == "_" || strings.ContainsAny(id.Namespace, "/?#"):
			return fmt.Errorf("localwhisk: %q is no name of a namespace", id.Namespace)
		case !ok || uuid == "" || key == "":
			return fmt.Errorf("localwhisk: the key of namespace %s is not of the form UUID:KEY", id.Namespace)
		case names[id.Namespace]:
			return fmt.Errorf("localwhisk: namespace %s is there twice", id.Namespace)
		case keys[id.Auth]:
			return fmt.Errorf("localwhisk: namespace %s has the key of another", id.Namespace)
		}
		names[id.Namespace], keys[id.Auth] = true, true
	}
	return nil
}
