package main

import (
	"flag"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/actuator/openwhisk"
	"github.com/tppfaas/tppfaas/prewarm/controller/serve"
	whisk "github.com/tppfaas/tppfaas/sampler/openwhisk"
)

// actuatorOptions choose what carries decisions out, and where it is.
type actuatorOptions struct {
	kind        string
	pack        string
	linger      time.Duration
	idleTimeout time.Duration
}

// actuatorKind is a kind of actuators.
type actuatorKind struct {
	name string
	// options are those on the line that only this kind has, and help is a line on them.
	options []string
	help    string
	// make makes the actuator; an error says what is wrong with the line.
	make func(fs *flag.FlagSet, o *actuatorOptions) (actuator.Actuator, error)
}

var actuatorKinds = []actuatorKind{
	{
		name: "dry", help: "nothing is ever done; what the platform can do is taken to be as of OpenWhisk",
		make: func(_ *flag.FlagSet, o *actuatorOptions) (actuator.Actuator, error) {
			is := serve.Default()
			is.IdleTimeout = o.idleTimeout
			return actuator.DryRun{Is: is}, nil
		},
	},
	{
		name: "openwhisk", options: []string{"apihost", "auth", "insecure", "package", "linger"},
		help: "OpenWhisk: it is invoked with a marker that the functions answer at once, see docs/instrument.md. Address and key come from -apihost and -auth, the environment (OW_APIHOST, OW_AUTH) or .wskprops, as for the sampler",
		make: newOpenWhisk,
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
	fs.DurationVar(&o.idleTimeout, "idle-timeout", 10*time.Minute, "`time` after which the platform removes an idle container by itself")
	flags := whisk.Flags()
	fs.String("apihost", "", "openwhisk: "+flags["apihost"])
	fs.String("auth", "", "openwhisk: "+flags["auth"])
	fs.Bool("insecure", false, "openwhisk: "+flags["insecure"])
	fs.StringVar(&o.pack, "package", "", "openwhisk: `package` of the functions")
	fs.DurationVar(&o.linger, "linger", 50*time.Millisecond, "openwhisk: `time` for which a warm-up occupies its container, so that several need several")
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
			if k.name != o.kind && cli.IsSet(fs, option) && !slices.Contains(actuatorKinds[i].options, option) {
				return cli.Usagef("-%s: only with -actuator %s", option, k.name)
			}
		}
	}
	a, err := actuatorKinds[i].make(fs, o)
	if err != nil {
		return err
	}
	s.Actuator = a
	return nil
}

// newOpenWhisk makes the actuator of OpenWhisk.
func newOpenWhisk(fs *flag.FlagSet, o *actuatorOptions) (actuator.Actuator, error) {
	given := map[string]string{}
	for _, name := range []string{"apihost", "auth", "insecure"} {
		if cli.IsSet(fs, name) {
			value := fs.Lookup(name).Value.String()
			if value == "" {
				return nil, cli.Usagef("-%s: it is empty", name)
			}
			given[name] = value
		}
	}
	settings, err := whisk.Find(whisk.Sources{Flags: given, Getenv: os.Getenv})
	if err != nil {
		return nil, cli.Usagef("%v", err)
	}
	a, err := openwhisk.New(openwhisk.Options{
		APIHost: settings.APIHost.Value, Key: settings.Auth.Value, Insecure: settings.Insecure.Value == "true", Package: o.pack, Linger: o.linger, IdleTimeout: o.idleTimeout,
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}
