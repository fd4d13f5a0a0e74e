package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Mechanisms are the ways to prove who one is.
var Mechanisms = []string{"SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"}

// Options says where the spans are. Only Brokers must be set.
type Options struct {
	// Name is that of its counts; "" stands for kafka.
	Name string
	// Brokers are addresses, host:port, of some of the cluster's brokers.
	Brokers []string
	// Topic is where the spans are; "" stands for otlp_spans. Group is that of the readers that share them; "" stands for prewarm.
	Topic, Group string

	// TLS says that the brokers speak it. CAFile has the certificates of those who sign theirs (without: the system's), CertFile and KeyFile have that of
	// the reader, if they ask for one; InsecureSkipVerify trusts any broker.
	TLS                       bool
	CAFile, CertFile, KeyFile string
	InsecureSkipVerify        bool
	// User and PasswordFile, which is read at each connection, prove who the reader is, by a Mechanism of Mechanisms; "" stands for the first.
	User, PasswordFile, Mechanism string

	// MaxAge is how old a message may be, by its time stamp: an older one is counted as refused. 0 stands for 10 min.
	MaxAge time.Duration
	// MaxMessage bounds a message, in bytes; 0 stands for 8 MiB.
	MaxMessage int
}

// check returns what is wrong with the options, and completes them.
func (o *Options) check() error {
	if o.Name == "" {
		o.Name = "kafka"
	}
	if o.Topic == "" {
		o.Topic = "otlp_spans"
	}
	if o.Group == "" {
		o.Group = "prewarm"
	}
	if o.Mechanism == "" {
		o.Mechanism = Mechanisms[0]
	}
	if o.MaxAge == 0 {
		o.MaxAge = 10 * time.Minute
	}
	if o.MaxMessage == 0 {
		o.MaxMessage = 8 << 20
	}
	switch {
	case len(o.Brokers) == 0:
		return errors.New("no broker is named")
	case o.MaxAge < 0 || o.MaxMessage < 0:
		return errors.New("bounds of messages cannot be negative")
	case !o.TLS && (o.CAFile != "" || o.CertFile != "" || o.KeyFile != "" || o.InsecureSkipVerify):
		return errors.New("certificates are for TLS, which is off")
	case (o.CertFile == "") != (o.KeyFile == ""):
		return errors.New("a certificate of the reader needs its key, and a key its certificate")
	case (o.User == "") != (o.PasswordFile == ""):
		return errors.New("a user needs a password, and a password a user")
	case !slices.Contains(Mechanisms, o.Mechanism):
		return fmt.Errorf("there is no mechanism %q; there are %s", o.Mechanism, strings.Join(Mechanisms, ", "))
	}
	for _, b := range o.Brokers {
		host, port, err := net.SplitHostPort(b)
		if n, wrong := strconv.ParseUint(port, 10, 16); err != nil || wrong != nil || host == "" || n == 0 {
			return fmt.Errorf("the broker %q is not of the form host:port", b)
		}
		if ip := net.ParseIP(host); o.User != "" && o.Mechanism == "PLAIN" && !o.TLS && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return fmt.Errorf("the mechanism PLAIN would send the password to %s for everyone to read: that needs TLS", b)
		}
	}
	return nil
}

// security returns the options of a client on TLS and on who the reader is.
func (o *Options) security() ([]kgo.Opt, error) {
	var all []kgo.Opt
	if o.TLS {
		config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.InsecureSkipVerify}
		if o.CAFile != "" {
			text, err := os.ReadFile(o.CAFile)
			if err != nil {
				return nil, fmt.Errorf("the brokers' certificates: %w", err)
			}
			config.RootCAs = x509.NewCertPool()
			if !config.RootCAs.AppendCertsFromPEM(text) {
				return nil, fmt.Errorf("the brokers' certificates: %s has none in PEM", o.CAFile)
			}
		}
		if o.CertFile != "" {
			if _, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile); err != nil {
				return nil, fmt.Errorf("the reader's certificate: %w", err)
			}
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { // anew, since it may have been replaced
				pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
				return &pair, err
			}
		}
		all = append(all, kgo.DialTLSConfig(config))
	}
	if o.User != "" {
		if _, err := o.password(); err != nil {
			return nil, err
		}
		all = append(all, kgo.SASL(o.mechanism()))
	}
	return all, nil
}

// password reads the file with the password.
func (o *Options) password() (string, error) {
	text, err := os.ReadFile(o.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("the password for Kafka: %w", err)
	}
	password := strings.TrimSpace(string(text))
	if password == "" {
		return "", fmt.Errorf("the password for Kafka: %s is empty", o.PasswordFile)
	}
	return password, nil
}

// mechanism returns what proves who the reader is.
func (o *Options) mechanism() sasl.Mechanism {
	shared := func(context.Context) (scram.Auth, error) {
		password, err := o.password()
		return scram.Auth{User: o.User, Pass: password}, err
	}
	switch o.Mechanism {
	case "SCRAM-SHA-256":
		return scram.Sha256(shared)
	case "PLAIN":
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			password, err := o.password()
			return plain.Auth{User: o.User, Pass: password}, err
		})
	}
	return scram.Sha512(shared)
}
