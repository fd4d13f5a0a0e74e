package main

import (
	"flag"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/prewarm/controller/serve"
	"github.com/tppfaas/tppfaas/prewarm/source/kafka"
)

// kafkaOptions say where spans are read from.
type kafkaOptions struct {
	brokers string
	o       kafka.Options
	share   bool
	shared  serve.Share
}

func (k *kafkaOptions) define(fs *flag.FlagSet) {
	fs.StringVar(&k.brokers, "kafka", "", "also read spans from Kafka, at these `brokers`, host:port,...: those with the same -kafka-group share them")
	fs.StringVar(&k.o.Topic, "kafka-topic", "otlp_spans", "kafka: `topic` with the spans")
	fs.StringVar(&k.o.Group, "kafka-group", "prewarm", "kafka: `group` that reads them")
	fs.BoolVar(&k.share, "share", false, "with -kafka and -model or -learned: share the work with others of the same -kafka-group, of which one decides on each function")
	fs.StringVar(&k.shared.Demands, "kafka-demands", "prewarm_demands", "kafka: `topic` by which those who -share tell each other what they expect")
	fs.StringVar(&k.shared.Supplies, "kafka-supplies", "prewarm_supplies", "kafka: `topic` by which those who -share tell each other what containers there are")
	fs.StringVar(&k.shared.Learned, "learned", "", "with -share: the `folder` of the -state of a controller that learns (-learn), beside -model or instead of it: what it had learned when this one begins")
	fs.DurationVar(&k.shared.Rebuild, "kafka-rebuild", 11*time.Minute, "kafka: with -share, `time` for which what was written is read again by who gets functions of another")
	fs.BoolVar(&k.o.TLS, "kafka-tls", false, "kafka: the brokers speak TLS")
	fs.StringVar(&k.o.CAFile, "kafka-ca", "", "kafka: `file` with the certificates of those who sign the brokers' (without: the system's)")
	fs.StringVar(&k.o.CertFile, "kafka-cert", "", "kafka: `file` with the certificate to show to the brokers")
	fs.StringVar(&k.o.KeyFile, "kafka-key", "", "kafka: `file` with the key of -kafka-cert")
	fs.StringVar(&k.o.User, "kafka-user", "", "kafka: `user` for the brokers (without: no authentication)")
	fs.StringVar(&k.o.PasswordFile, "kafka-password-file", "", "kafka: `file` with the password")
	fs.StringVar(&k.o.Mechanism, "kafka-mechanism", kafka.Mechanisms[0], "kafka: `mechanism` of authentication: "+strings.Join(kafka.Mechanisms, ", "))
}

// check adds the source to those of s.
func (k *kafkaOptions) check(fs *flag.FlagSet, s *serve.Options) error {
	if k.brokers == "" {
		var stray error
		fs.Visit(func(f *flag.Flag) {
			if stray == nil && strings.HasPrefix(f.Name, "kafka-") {
				stray = cli.Usagef("-%s: only with -kafka", f.Name)
			}
		})
		if stray == nil && k.share {
			stray = cli.Usagef("-share: only with -kafka")
		}
		if stray == nil && cli.IsSet(fs, "learned") {
			stray = cli.Usagef("-learned: only with -share")
		}
		if stray == nil && cli.IsSet(fs, "kafka") {
			stray = cli.Usagef("-kafka: it is empty")
		}
		return stray
	}
	k.o.Brokers = strings.Split(k.brokers, ",")
	source, err := kafka.New(k.o)
	if err != nil {
		return cli.Usagef("-kafka: %v", err)
	}
	if k.share {
		s.Share = &k.shared
		s.Share.Kafka = k.o
		return nil
	}
	for _, name := range []string{"kafka-demands", "kafka-supplies", "kafka-rebuild", "learned"} {
		if cli.IsSet(fs, name) {
			return cli.Usagef("-%s: only with -share", name)
		}
	}
	s.Sources["kafka"] = source
	return nil
}
