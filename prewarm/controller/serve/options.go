package serve

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/actuator/guard"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// Options are what a server is made with.
type Options struct {
	// Listen is the address for HTTP, and GRPC that for OTLP over gRPC, "" for none. A host that is not loopback needs Cert, Key and Token, unless
	// Insecure is set.
	Listen, GRPC string
	// Cert and Key are files in PEM, and Token is what clients have to send as a bearer token, or as the password of basic authentication.
	Cert, Key, Token string
	Insecure         bool

	// Policy is a spec as of policy.New. That of a newsvendor needs Models, or Learn.
	Policy string
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
	// Scales says that the actuator sets numbers of replicas, see controller.Options.
	Scales bool
	// Limits bound what is asked for.
	Limits guard.Options

	// Sources are observed beside what comes over HTTP and gRPC, by name. Loads says that one of them tells the numbers of replicas.
	Sources map[string]source.Source
	Loads   bool

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

// check returns what is wrong with the options.
func (o *Options) check() error {
	for _, address := range []struct{ name, value string }{{"the address for HTTP", o.Listen}, {"the address for gRPC", o.GRPC}} {
		if address.value == "" {
			continue
		}
		host, _, err := net.SplitHostPort(address.value)
		if err != nil {
			return fmt.Errorf("%s is %q, must be HOST:PORT", address.name, address.value)
		}
		if !Loopback(host) && !o.Insecure && (o.Cert == "" || o.Token == "") {
			return fmt.Errorf("%s is %s, which others can reach: that needs a certificate, its key and a token", address.name, address.value)
		}
	}
	switch {
	case o.Listen == "":
		return errors.New("there is no address for HTTP")
	case (o.Cert == "") != (o.Key == ""):
		return errors.New("a certificate and its key belong together: one of them is missing")
	case o.Act && o.Actuator == nil:
		return errors.New("there is no actuator that could act")
	case o.MemoryMB < 0:
		return fmt.Errorf("the memory of a function is %d MiB, must not be negative", o.MemoryMB)
	}
	return nil
}

// Loopback reports whether only this machine reaches a host.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
