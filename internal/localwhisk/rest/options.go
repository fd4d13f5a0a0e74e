package rest

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
	"github.com/tppfaas/tppfaas/internal/whisk"
)

// GuestKey is the key, UUID:KEY, of the namespace guest of OpenWhisk's standalone server. It is public and protects nothing.
const GuestKey = whisk.GuestKey

// Options configures a [Server]. Only Runtime must be set; the defaults are right for a test: a free port of loopback, the namespace guest with
// a key of its own, and OpenWhisk's default limits, but no throttles.
type Options struct {
	// Listen is the address to listen on, host:port; "" means a free port of 127.0.0.1.
	Listen string
	// TLS has the certificate with which the server speaks HTTPS; nil means plain HTTP.
	TLS *tls.Config
	// Origin is the origin (scheme://host:port) whose web pages may make requests, or * for all; "" means none. An OpenWhisk allows all.
	Origin string
	// Identities are the namespaces and their keys; none means guest with a new key, see [Server.Auth].
	Identities []Identity
	// MemoryMB is the memory for containers in MiB; 0 means 2048.
	MemoryMB int
	// PauseGrace and IdleTimeout are the times after which an idle container is paused and removed; 0 means 10 s and 10 min.
	PauseGrace, IdleTimeout time.Duration
	// Limits limits entities and invocations; zero fields mean OpenWhisk's defaults.
	Limits Limits
	// InstantRecords makes the record of an activation readable as soon as its logs are collected. Otherwise that takes 9 to 50 ms from its end,
	// as on an OpenWhisk: a client that reads a record right after a blocking answer often gets 404.
	InstantRecords bool
	// Starts makes starts of containers take as long as those of the platform of that configuration, if they do not take longer: its Creation, Init,
	// Removal, Capacity and ParallelCreations count. Without, they take as long as they take: some milliseconds. StartSeed is for what is drawn.
	Starts    *localwhisk.Config
	StartSeed uint64
	// Runtime starts the containers. It must be set; the server closes it.
	Runtime container.Runtime
	// Log receives requests (level debug), container starts (info) and errors; nil discards them.
	Log *slog.Logger

	now   func() time.Time                  // the clock of the throttles
	timer func(d time.Duration) *time.Timer // limits how long a blocking invocation waits
}

// Identity is a namespace and its key.
type Identity struct {
	// Namespace is the name of the namespace.
	Namespace string
	// Auth is the key, UUID:KEY.
	Auth string
}

// Limits limits entities and invocations.
type Limits struct {
	// InvocationsPerMinute, FiresPerMinute and ConcurrentInvocations limit each namespace; 0 means no limit.
	// OpenWhisk's defaults are 60, 60 and 30.
	InvocationsPerMinute, FiresPerMinute, ConcurrentInvocations int
	// MinMemoryMB and MaxMemoryMB bound an action's memory; 0 means 128 and 512.
	MinMemoryMB, MaxMemoryMB int
	// MinTimeout and MaxTimeout bound an action's time limit; 0 means 100 ms and 5 min.
	MinTimeout, MaxTimeout time.Duration
	// BlockingWait is how long a blocking invocation waits at most before it is answered with 202; 0 means 60 s.
	BlockingWait time.Duration
	// PayloadBytes is the maximum size of parameters, annotations and payloads; 0 means 1 MiB.
	PayloadBytes int
	// CodeBytes is the maximum size of an action's code as it is sent, in base64 if it is binary; 0 means 48 MiB.
	CodeBytes int
	// SequenceLength is the maximum number of actions in a sequence; 0 means 50.
	SequenceLength int
	// Activations and ActivationBytes limit the activation records that are kept, by number and by size in memory, where most are compressed.
	// The oldest are removed first. 0 means 50,000 and 32 MiB.
	Activations, ActivationBytes int
}

// DefaultThrottles returns OpenWhisk's default throttles: 60 invocations and 60 firings in a calendar minute, 30 invocations at once.
func DefaultThrottles() Limits {
	return Limits{InvocationsPerMinute: 60, FiresPerMinute: 60, ConcurrentInvocations: 30}
}

// setDefault sets a variable that has the zero value.
func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

func (o *Options) defaults() {
	setDefault(&o.Listen, "127.0.0.1:0")
	if len(o.Identities) == 0 {
		o.Identities = []Identity{{"guest", whisk.NewKey()}}
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
	if o.Origin != "" && o.Origin != "*" {
		u, err := url.Parse(o.Origin)
		if err != nil || u.Scheme == "" || u.Host == "" || o.Origin != u.Scheme+"://"+u.Host {
			return fmt.Errorf("localwhisk: the origin %q is neither * nor of the form scheme://host:port", o.Origin)
		}
	}
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
