package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	client "github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/actuator/keda"
	"github.com/tppfaas/tppfaas/prewarm/actuator/openfaas"
	"github.com/tppfaas/tppfaas/prewarm/actuator/openwhisk"
	"github.com/tppfaas/tppfaas/prewarm/actuator/webhook"
	"github.com/tppfaas/tppfaas/prewarm/controller/serve"
	"github.com/tppfaas/tppfaas/prewarm/source"
	"github.com/tppfaas/tppfaas/prewarm/source/activations"
	"github.com/tppfaas/tppfaas/prewarm/source/prometheus"
	whisk "github.com/tppfaas/tppfaas/sampler/openwhisk"
)

// actuatorOptions choose what carries decisions out, and where it is.
type actuatorOptions struct {
	kind        string
	pack        string
	linger      time.Duration
	renew       bool
	idleTimeout time.Duration
	gateway     string
	user        string
	password    string // file
	namespace   string
	keda        string
	webhook     string
	secret      string // file
	activations bool
	prometheus  string
}

// actuatorKind is a kind of actuators.
type actuatorKind struct {
	name string
	// options are those on the line that only this kind has, and help is a line on them.
	options []string
	help    string
	// scales says that it can set numbers of replicas.
	scales bool
	// make makes the actuator; an error says what is wrong with the line.
	make func(fs *flag.FlagSet, o *actuatorOptions, s *serve.Options) (actuator.Actuator, error)
}

var actuatorKinds = []actuatorKind{
	{
		name: "dry", options: []string{"renew"}, help: "nothing is ever done; what the platform can do is taken to be as of OpenWhisk",
		make: func(_ *flag.FlagSet, o *actuatorOptions, _ *serve.Options) (actuator.Actuator, error) {
			is := serve.Default()
			is.IdleTimeout, is.Renew = o.idleTimeout, o.renew
			return actuator.DryRun{Is: is}, nil
		},
	},
	{
		name: "openwhisk", options: []string{"apihost", "auth", "insecure", "package", "linger", "renew"},
		help: "OpenWhisk: it is invoked with a marker that the functions answer at once, see docs/instrument.md. Address and key come from -apihost and -auth, the environment (OW_APIHOST, OW_AUTH) or .wskprops, as for the sampler",
		make: newOpenWhisk,
	},
	{
		name: "openfaas", options: []string{"gateway", "gateway-user", "gateway-password-file", "namespace", "insecure"}, scales: true,
		help: "OpenFaaS: the gateway at -gateway sets numbers of replicas, and takes away what was added once its time is over",
		make: newOpenFaaS,
	},
	{
		name: "keda", options: []string{"keda"}, scales: true,
		help: "KEDA: an external scaler on -keda, for a ScaledObject of each function, see docs/actuators.md; with -cert and -key over TLS",
		make: newKEDA,
	},
	{
		name: "webhook", options: []string{"webhook", "webhook-secret-file", "insecure"}, scales: true,
		help: "a program of your own at -webhook, which is sent commands as JSON, signed with the secret in -webhook-secret-file, see docs/actuators.md",
		make: newWebhook,
	},
}

// actuators are the names of the kinds.
func actuators() []string {
	var names []string
	for _, k := range actuatorKinds {
		names = append(names, k.name)
	}
	return names
}

// actuatorsHelp explains the kinds.
func actuatorsHelp() string {
	var b strings.Builder
	for _, k := range actuatorKinds {
		explainForm(&b, k.name, k.help)
	}
	return b.String()
}

func (o *actuatorOptions) define(fs *flag.FlagSet) {
	fs.StringVar(&o.kind, "actuator", "dry", "`platform` that decisions are for, and with -act are carried out on: "+strings.Join(actuators(), ", "))
	fs.DurationVar(&o.idleTimeout, "idle-timeout", 10*time.Minute, "`time` after which the platform removes an idle container by itself; the controller cannot ask it")
	flags := whisk.Flags()
	fs.String("apihost", "", "openwhisk: "+flags["apihost"])
	fs.String("auth", "", "openwhisk: "+flags["auth"])
	fs.Bool("insecure", false, "openwhisk, openfaas, webhook: do not check the platform's certificate")
	fs.StringVar(&o.pack, "package", "", "openwhisk: `package` of the functions (without: each is looked for in all)")
	fs.StringVar(&o.gateway, "gateway", "http://127.0.0.1:8080", "openfaas: `address` of the gateway (without scheme: https)")
	fs.StringVar(&o.user, "gateway-user", "admin", "openfaas: `user` of the gateway")
	fs.StringVar(&o.password, "gateway-password-file", "", "openfaas: `file` with the password of the gateway (without: no authentication)")
	fs.StringVar(&o.namespace, "namespace", "", "openfaas: `namespace` of the functions (without: the gateway's own)")
	fs.StringVar(&o.webhook, "webhook", "", "webhook: `address` that takes commands (without scheme: https)")
	fs.StringVar(&o.secret, "webhook-secret-file", "", "webhook: `file` with the secret that commands are signed with")
	fs.StringVar(&o.keda, "keda", "127.0.0.1:4322", "keda: `address` for KEDA's questions")
	fs.BoolVar(&o.activations, "activations", false, "also observe OpenWhisk's records of activations, at -apihost: of functions that send no spans")
	fs.StringVar(&o.prometheus, "prometheus", "", "also observe the load and the replicas of OpenFaaS's functions, by the Prometheus at this `address`")
	fs.DurationVar(&o.linger, "linger", 50*time.Millisecond, "openwhisk: `time` for which a warm-up occupies its container, so that several need several")
	fs.BoolVar(&o.renew, "renew", true, "openwhisk: where keeping an idle container is worth its memory, keep it: a warm-up that it runs begins its idle time anew")
}

// check makes the actuator, and sets in s what is about it.
func (o *actuatorOptions) check(fs *flag.FlagSet, s *serve.Options) error {
	i := slices.IndexFunc(actuatorKinds, func(k actuatorKind) bool { return k.name == o.kind })
	switch {
	case i < 0:
		return cli.Usagef("-actuator: there is no %q; there are %s", o.kind, strings.Join(actuators(), ", "))
	case s.Act && o.kind == "dry":
		return cli.Usagef("-act: by which -actuator?")
	case o.idleTimeout <= 0:
		return cli.Usagef("-idle-timeout: must be positive")
	case o.linger < 0:
		return cli.Usagef("-linger: must not be negative")
	}
	for _, k := range actuatorKinds {
		for _, option := range k.options {
			if k.name == "openwhisk" && o.activations {
				continue
			}
			if k.name != o.kind && cli.IsSet(fs, option) && !slices.Contains(actuatorKinds[i].options, option) {
				return cli.Usagef("-%s: only with -actuator %s", option, withOption(option))
			}
		}
	}
	a, err := actuatorKinds[i].make(fs, o, s)
	if err != nil {
		return err
	}
	s.Actuator, s.Scales = a, actuatorKinds[i].scales
	return o.addSources(fs, s)
}

// withOption returns the actuators that have an option.
func withOption(option string) string {
	var names []string
	for _, k := range actuatorKinds {
		if slices.Contains(k.options, option) {
			names = append(names, k.name)
		}
	}
	return strings.Join(names, " or ")
}

// newOpenFaaS makes the actuator of OpenFaaS.
func newOpenFaaS(fs *flag.FlagSet, o *actuatorOptions, s *serve.Options) (actuator.Actuator, error) {
	options := openfaas.Options{Gateway: o.gateway, Namespace: o.namespace, IdleTimeout: o.idleTimeout, Insecure: fs.Lookup("insecure").Value.String() == "true"}
	if o.password != "" {
		text, err := os.ReadFile(o.password)
		if err != nil {
			return nil, cli.Usagef("-gateway-password-file: %v", err)
		}
		options.User, options.Password = o.user, strings.TrimSpace(string(text))
	}
	if s.State != "" {
		if err := os.MkdirAll(s.State, 0o777); err != nil {
			return nil, err
		}
		options.State = filepath.Join(s.State, "openfaas.json")
	}
	a, err := openfaas.New(options)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// newWebhook makes the actuator that calls a program of one's own.
func newWebhook(fs *flag.FlagSet, o *actuatorOptions, _ *serve.Options) (actuator.Actuator, error) {
	switch {
	case o.webhook == "":
		return nil, cli.Usagef("-actuator webhook: at which -webhook?")
	case o.secret == "":
		return nil, cli.Usagef("-actuator webhook: commands are signed with the secret in -webhook-secret-file, which is missing")
	}
	text, err := os.ReadFile(o.secret)
	if err != nil {
		return nil, cli.Usagef("-webhook-secret-file: %v", err)
	}
	a, err := webhook.New(webhook.Options{
		URL: o.webhook, Secret: strings.TrimSpace(string(text)), Insecure: fs.Lookup("insecure").Value.String() == "true",
		Is: prewarm.Platform{Warm: true, Arrivals: true, IdleTimeout: o.idleTimeout},
	})
	if err != nil {
		return nil, cli.Usagef("-webhook: %v", err)
	}
	return a, nil
}

// newKEDA makes the external scaler of KEDA.
func newKEDA(_ *flag.FlagSet, o *actuatorOptions, s *serve.Options) (actuator.Actuator, error) {
	host, _, err := net.SplitHostPort(o.keda)
	switch {
	case err != nil:
		return nil, cli.Usagef("-keda: %q is not of the form host:port", o.keda)
	case !serve.Loopback(host) && s.Cert == "":
		return nil, cli.Usagef("-keda: %s is reached from other machines: that needs -cert and -key", o.keda)
	}
	options := keda.Options{IdleTimeout: o.idleTimeout}
	if s.Cert != "" {
		pair, err := tls.LoadX509KeyPair(s.Cert, s.Key)
		if err != nil {
			return nil, cli.Usagef("-cert and -key: %v", err)
		}
		options.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	if options.Listener, err = net.Listen("tcp", o.keda); err != nil {
		return nil, fmt.Errorf("-keda: %w", err)
	}
	a, err := keda.New(options)
	if err != nil {
		return nil, errors.Join(err, options.Listener.Close())
	}
	return a, nil
}

// findOpenWhisk looks for the address and the key of OpenWhisk, as the sampler does.
func findOpenWhisk(fs *flag.FlagSet) (whisk.Settings, error) {
	given := map[string]string{}
	for _, name := range []string{"apihost", "auth", "insecure"} {
		if cli.IsSet(fs, name) {
			value := fs.Lookup(name).Value.String()
			if value == "" {
				return whisk.Settings{}, cli.Usagef("-%s: it is empty", name)
			}
			given[name] = value
		}
	}
	settings, err := whisk.Find(whisk.Sources{Flags: given, Getenv: os.Getenv})
	if err != nil {
		return settings, cli.Usagef("%v", err)
	}
	return settings, nil
}

// newOpenWhisk makes the actuator of OpenWhisk.
func newOpenWhisk(fs *flag.FlagSet, o *actuatorOptions, _ *serve.Options) (actuator.Actuator, error) {
	settings, err := findOpenWhisk(fs)
	if err != nil {
		return nil, err
	}
	a, err := openwhisk.New(openwhisk.Options{
		APIHost: settings.APIHost.Value, Key: settings.Auth.Value, Insecure: settings.Insecure.Value == "true", Package: o.pack, Linger: o.linger, IdleTimeout: o.idleTimeout, Renew: o.renew,
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// addSources adds the sources that are asked.
func (o *actuatorOptions) addSources(fs *flag.FlagSet, s *serve.Options) error {
	s.Sources = map[string]source.Source{}
	if o.activations {
		settings, err := findOpenWhisk(fs)
		if err != nil {
			return err
		}
		base, err := client.ParseAddress(settings.APIHost.Value)
		if err != nil {
			return cli.Usagef("OpenWhisk's address %q: %v", settings.APIHost.Value, err)
		}
		c, err := client.New(client.Options{Base: base, Key: settings.Auth.Value, HTTP: client.NewHTTPClient(settings.Insecure.Value == "true", 4), Timeout: 10 * time.Second})
		if err != nil {
			return cli.Usagef("-activations: %v", err)
		}
		a, err := activations.New(activations.Options{Client: c})
		if err != nil {
			return cli.Usagef("-activations: %v", err)
		}
		s.Sources["activations"] = a
	}
	if o.prometheus != "" {
		p, err := prometheus.New(prometheus.Options{Address: o.prometheus, Queries: prometheus.OpenFaaS(o.namespace)})
		if err != nil {
			return cli.Usagef("-prometheus: %v", err)
		}
		s.Sources["prometheus"], s.Loads = p, true
	}
	return nil
}
