package serve

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/actuator/guard"
	"github.com/tppfaas/tppfaas/prewarm/internal/guarded"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// Options are what a server is made with.
type Options struct {
	// Listen is the address for HTTP, and GRPC that for OTLP over gRPC, "" for none. A host that is not loopback needs Cert, Key and TokenFile.
	Listen, GRPC string
	// Cert and Key are files in PEM, and TokenFile has what clients have to send as a bearer token, or as the password of basic authentication. They
	// are read again when they change.
	Cert, Key, TokenFile string

	// Policy is a spec as of policy.New. That of a newsvendor needs Models, or Learn.
	Policy string
	// NewPolicy makes a policy of your own, which Policy then only names. It is called again when there are more functions.
	NewPolicy func(platform prewarm.Platform, functions []prewarm.Function) (prewarm.Policy, error)
	// Models are files of models. Each function may be in one of them.
	Models []string
	// Learn has the newsvendor learn from what it sees. It then needs no model.
	Learn bool
	// Applications names the application of a function, for people; nil if it is not known.
	Applications func(function string) string
	// MemoryMB is the memory of a container of functions of which it is not known (256).
	MemoryMB int

	// Act says that decisions are carried out by the Actuator. Without it nothing is done, and Actuator only says what the platform can do.
	Act      bool
	Actuator actuator.Actuator
	// Scales says that the actuator can set numbers of replicas, which some policies want.
	Scales bool
	// Limits bound what is asked for.
	Limits guard.Options

	// Sources are observed beside what comes over HTTP and gRPC, by name. Loads says that one of them tells the numbers of replicas.
	Sources map[string]source.Source
	Loads   bool

	// Share has the server share its work with others, by Kafka; nil for one that works alone.
	Share *Share

	// State is the folder with what must survive; "" for none.
	State string
	// Version is that of the program, and Log is told what happens; nil for nobody.
	Version string
	Log     *slog.Logger
	// Shutdown is how long what is under way is waited for at the end (10 s).
	Shutdown time.Duration
}

// Default is what a platform is taken to be able to do if there is no actuator: OpenWhisk.
func Default() prewarm.Platform {
	return prewarm.Platform{Warm: true, Arrivals: true, FirstCall: true, Late: prewarm.OwnContainer, IdleTimeout: 10 * time.Minute}
}

// Check returns what is wrong with the options, as far as that can be seen without opening anything but certificate and token.
func (o *Options) Check() error {
	switch {
	case o.Listen == "":
		return errors.New("there is no address for HTTP")
	case o.Act && o.Actuator == nil:
		return errors.New("there is no actuator that could act")
	case o.MemoryMB < 0:
		return fmt.Errorf("the memory of a function is %d MiB, must not be negative", o.MemoryMB)
	}
	if o.Share != nil {
		if err := o.checkShare(); err != nil {
			return err
		}
	}
	for _, address := range []string{o.Listen, o.GRPC} {
		if address == "" {
			continue
		}
		if _, err := o.guarded(address); err != nil {
			return err
		}
	}
	return nil
}

// guarded returns who may come to an address.
func (o *Options) guarded(address string) (*guarded.Guard, error) {
	return guarded.New(guarded.Options{
		Address: address, CertFile: o.Cert, KeyFile: o.Key, TokenFile: o.TokenFile, Open: []string{"/healthz", "/readyz"},
	})
}

// Loopback reports whether only this machine reaches a host.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
