package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"runtime/debug"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
	"github.com/tppfaas/tppfaas/internal/localwhisk/rest"
	"github.com/tppfaas/tppfaas/internal/whisk"
)

const platformUsage = `Usage: sampler platform [options]

Runs an OpenWhisk-compatible platform in the foreground, in real time: the REST API of OpenWhisk, and a process of its own for each
container. Any client of OpenWhisk can use it: this program, wsk, the Serverless Framework. It ends with Ctrl-C, and all containers with it.

Without -listen it listens where clients look for it: at OW_APIHOST, where that is an http address of this machine, else at 127.0.0.1:3233.
The functions are ordinary processes on this machine, no sandboxes: deploy only what you would run yourself.

Its key is OW_AUTH, or one that is drawn once and kept where only you can read it, in tppfaas/local-platform.key in your configuration
folder. This program and the collector find it there; other clients are given it. Web pages are refused.

Examples:
  sampler platform                                    on 127.0.0.1:3233
  wsk --apihost http://127.0.0.1:3233 --auth "$(cat ~/.config/tppfaas/local-platform.key)" action list
  sampler platform -listen 127.0.0.1:0 -json          on a free port; one JSON object says which, and where the key is
  sampler platform -per-minute 0 -concurrent 0        without throttles
  sampler platform -starts cluster                    cold starts as slow as those of a real cluster
  sampler platform -guest -cors '*'                   open to all, as OpenWhisk's standalone server is
  OW_AUTH=UUID:KEY sampler platform -listen :3233 -cert cert.pem -key key.pem     for other machines too, over HTTPS
`

// defaultMemoryMB holds a container for each function of every application of this project, at the 256 MiB that a function has by default, and
// some more: with less, functions would push each other out and nearly every start would be cold. Only what processes use is taken.
const defaultMemoryMB = 8192

// platformOptions are the options of a platform.
type platformOptions struct {
	options rest.Options
	runtime container.Options
	keyFile string // where the key of the namespace is; "": it is OW_AUTH, or the guest key
	json    bool
}

// accessOptions say who can use a platform.
type accessOptions struct {
	namespace, cert, key string
	guest, plain         bool
}

// platform is the subcommand platform: it serves until the context is done.
func platform(fs *flag.FlagSet) cli.Run {
	parsed := platformFlags(fs)
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		o, err := parsed(args, stderr)
		if err != nil {
			return err
		}
		return o.serve(ctx, stdout)
	}
}

// serve serves until the context is done.
func (o *platformOptions) serve(ctx context.Context, stdout io.Writer) error {
	if os.Getenv("GOGC") == "" {
		// Memory is for the containers; collecting twice as often costs some percent of the processor time.
		defer debug.SetGCPercent(debug.SetGCPercent(50))
	}
	runtime, err := container.NewProcessRuntime(o.runtime)
	if err != nil {
		return err
	}
	o.options.Runtime = runtime
	server, err := rest.Start(ctx, o.options)
	if err != nil {
		return err
	}
	if err := o.announce(stdout, server); err != nil {
		server.Close()
		return err
	}
	<-server.Done()
	return server.Close()
}

// platformFlags declares the options. What it returns checks them once they are parsed; the platform logs to stderr.
func platformFlags(fs *flag.FlagSet) func(args []string, stderr io.Writer) (platformOptions, error) {
	var o platformOptions
	throttles := rest.DefaultThrottles()
	fs.StringVar(&o.options.Listen, "listen", whereClientsLook("OW_APIHOST", "127.0.0.1:3233"), "the `address` to listen on, HOST:PORT")
	var access accessOptions
	fs.StringVar(&access.namespace, "namespace", "guest", "the `name` of the namespace; its key is OW_AUTH, UUID:KEY, or one that is drawn once and kept")
	fs.BoolVar(&access.guest, "guest", false, "the key is that of OpenWhisk's standalone server, which everybody knows")
	fs.StringVar(&o.options.Origin, "cors", "", "`origin` whose web pages may make requests, scheme://host:port, or * for all; without: none")
	fs.StringVar(&access.cert, "cert", "", "`file` with a certificate (PEM), to speak HTTPS; with -key")
	fs.StringVar(&access.key, "key", "", "`file` with the certificate's private key (PEM)")
	fs.BoolVar(&access.plain, "plain", false, "listen beyond this machine without HTTPS: whoever is on the way can read the key")
	fs.IntVar(&o.options.MemoryMB, "memory", defaultMemoryMB, "memory for containers in `MiB`; where there is no more, one is removed for another")
	fs.DurationVar(&o.options.PauseGrace, "pause-grace", 10*time.Second, "how `long` an idle container goes on before it is paused")
	fs.DurationVar(&o.options.IdleTimeout, "idle-timeout", 10*time.Minute, "how `long` an idle container is kept")
	fs.IntVar(&throttles.InvocationsPerMinute, "per-minute", throttles.InvocationsPerMinute, "most `invocations` in a calendar minute; 0: no throttle")
	fs.IntVar(&throttles.FiresPerMinute, "fires", throttles.FiresPerMinute, "most `firings` of triggers in a calendar minute; 0: no throttle")
	fs.IntVar(&throttles.ConcurrentInvocations, "concurrent", throttles.ConcurrentInvocations, "most `invocations` in flight; 0: no throttle")
	starts := fs.String("starts", "local", "a container's start takes as long as on this `platform`: local (some milliseconds), standalone (0.27 s), or cluster (2 s, more under load)")
	atOnce := fs.Int("starts-at-once", 0, "with -starts: so many `starts` go at full speed at the same time, and more share that; 0: as many as there, on a standalone with two cores 1")
	user := fs.String("user", "", "whom functions run as, `UID:GID`, if that is not this user: only root can")
	level := slog.LevelWarn
	fs.TextVar(&level, "log", slog.LevelWarn, "what is logged: `level` debug (requests), info (containers), warn or error")
	fs.BoolVar(&o.json, "json", false, "print one JSON object instead of text when it is ready")
	return func(args []string, stderr io.Writer) (platformOptions, error) {
		if err := noArguments(args); err != nil {
			return o, err
		}
		for _, f := range []struct {
			name  string
			value int
		}{{"per-minute", throttles.InvocationsPerMinute}, {"fires", throttles.FiresPerMinute}, {"concurrent", throttles.ConcurrentInvocations}} {
			if f.value < 0 {
				return o, cli.Usagef("-%s: must not be negative, and is %d", f.name, f.value)
			}
		}
		if o.options.MemoryMB < 128 {
			return o, cli.Usagef("-memory: the smallest container needs 128 MiB, and there are %d", o.options.MemoryMB)
		}
		if o.options.PauseGrace <= 0 || o.options.IdleTimeout <= 0 {
			return o, cli.Usagef("-pause-grace and -idle-timeout: must be positive")
		}
		if *atOnce < 0 || *atOnce > 0 && *starts == "local" {
			return o, cli.Usagef("-starts-at-once: needs -starts standalone or cluster, and a number that is not negative")
		}
		switch *starts {
		case "local":
		case "standalone", "cluster":
			config := localwhisk.StandaloneConfig()
			if *starts == "cluster" {
				config = localwhisk.DefaultConfig()
			}
			if *atOnce > 0 {
				config.Capacity = *atOnce
			}
			o.options.Starts, o.options.StartSeed = &config, rand.Uint64()
		default:
			return o, cli.Usagef("-starts: must be local, standalone or cluster, and is %q", *starts)
		}
		if *user != "" {
			if n, err := fmt.Sscanf(*user, "%d:%d", &o.runtime.UID, &o.runtime.GID); n != 2 || err != nil || o.runtime.UID < 0 || o.runtime.GID < 0 {
				return o, cli.Usagef("-user: %q is not of the form UID:GID", *user)
			}
		}
		if err := o.setAccess(access); err != nil {
			return o, err
		}
		o.options.Limits = throttles
		o.options.Log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
		o.runtime.Log, o.runtime.HidePlatform = o.options.Log, true
		return o, nil
	}
}

// setAccess sets the namespace, its key, and the certificate.
func (o *platformOptions) setAccess(a accessOptions) error {
	if (a.cert == "") != (a.key == "") {
		return cli.Usagef("-cert and -key: HTTPS needs both")
	}
	outside, err := listensOutside(o.options.Listen)
	switch {
	case err != nil:
		return cli.Usagef("-listen: %v", err)
	case outside && a.guest:
		return cli.Usagef("-guest: %s is reached from other machines, and everybody knows the key", o.options.Listen)
	case outside && a.cert == "" && !a.plain:
		return cli.Usagef("-listen: %s is reached from other machines: give a certificate with -cert and -key, or -plain to do without", o.options.Listen)
	}
	auth := os.Getenv("OW_AUTH")
	switch {
	case a.guest && auth != "" && auth != rest.GuestKey:
		return cli.Usagef("-guest: OW_AUTH has another key")
	case a.guest:
		auth = rest.GuestKey
	case auth == rest.GuestKey:
		return cli.Usagef("OW_AUTH: everybody knows this key; unset it, and the platform has one of its own, or give -guest")
	case auth == "":
		if auth, o.keyFile, err = whisk.LocalKey(); err != nil {
			return fmt.Errorf("%w (a key in OW_AUTH, UUID:KEY, does without the file)", err)
		}
	}
	if a.cert != "" {
		certificate, err := tls.LoadX509KeyPair(a.cert, a.key)
		if err != nil {
			return fmt.Errorf("-cert and -key: %w", err)
		}
		o.options.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}
	o.options.Identities = []rest.Identity{{Namespace: a.namespace, Auth: auth}}
	return nil
}

// whereClientsLook returns HOST:PORT of the URL in an environment variable, if that is a loopback address, else the other address.
func whereClientsLook(variable, otherwise string) string {
	u, err := url.Parse(os.Getenv(variable))
	if err != nil || u.Scheme != "http" || u.Port() == "" {
		return otherwise
	}
	if outside, err := listensOutside(u.Host); err != nil || outside {
		return otherwise
	}
	return u.Host
}

// listensOutside reports whether other machines can reach the address.
func listensOutside(address string) (bool, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false, err
	}
	if host == "localhost" {
		return false, nil
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsLoopback(), nil
}

// announce prints where the platform is and how clients find it.
func (o *platformOptions) announce(w io.Writer, s *rest.Server) error {
	if o.json {
		return json.NewEncoder(w).Encode(struct {
			APIHost   string `json:"apihost"`
			Namespace string `json:"namespace"`
			KeyFile   string `json:"key_file,omitempty"`
			PID       int    `json:"pid"`
		}{s.URL(), s.Namespace(), o.keyFile, os.Getpid()})
	}
	key := "the key in OW_AUTH"
	switch {
	case o.keyFile != "":
		key = "the key in " + o.keyFile
	case s.Auth() == rest.GuestKey:
		key = "the key of OpenWhisk's standalone server"
	}
	_, err := fmt.Fprintf(w, "OpenWhisk on %s, namespace %s, %s; Ctrl-C ends it\n", s.URL(), s.Namespace(), key)
	return err
}
