package guarded

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/net/netutil"
)

// Options says where to listen, and who may come.
type Options struct {
	// Address is host:port. A host that is missing is every interface of the machine.
	Address string
	// CertFile and KeyFile have the certificate and its key in PEM. Both or none; they are read again when they change.
	CertFile, KeyFile string
	// TokenFile has the token that clients have to send as "Authorization: Bearer TOKEN"; it is read again when it changes. Token is the token itself.
	TokenFile, Token string
	// Open are paths of HTTP that are answered without the token, such as /healthz for probes. The health service of gRPC always is.
	Open []string
	// MaxConnections bounds connections; 0 stands for 256.
	MaxConnections int
}

// minToken is the length of the shortest token that is taken, in bytes: shorter ones can be guessed.
const minToken = 16

// receiveTimeout bounds a message, from its headers to its end: a client that sends half of one keeps no memory for longer.
const receiveTimeout = 15 * time.Second

// Guard is who listens, and decides who may come.
type Guard struct {
	address     string
	connections int
	loopback    bool
	tls         *tls.Config
	token       func() digest // nil: none is asked for
	open        []string
	receive     time.Duration // bounds how long a message may take, over gRPC or HTTP
}

// digest is the hash of a token. Hashes have one length, so that comparing them takes one time.
type digest [sha256.Size]byte

// New returns a Guard. An address beyond loopback without both certificate and token is an error, and so are files that cannot be used.
func New(o Options) (*Guard, error) {
	g := &Guard{address: o.Address, connections: o.MaxConnections, open: o.Open, receive: receiveTimeout}
	if g.connections == 0 {
		g.connections = 256
	}
	host, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		return nil, fmt.Errorf("the address to listen on, %q, is not of the form host:port: %w", o.Address, err)
	}
	g.loopback = isLoopback(host)
	switch {
	case (o.CertFile == "") != (o.KeyFile == ""):
		return nil, fmt.Errorf("%s: a certificate needs its key, and a key its certificate", o.Address)
	case o.CertFile != "":
		if err := g.loadCertificate(o.CertFile, o.KeyFile); err != nil {
			return nil, err
		}
	}
	switch {
	case o.Token != "" && o.TokenFile != "":
		return nil, fmt.Errorf("%s: a token or a file of one, not both", o.Address)
	case o.Token != "":
		if err := checkToken(o.Token); err != nil {
			return nil, fmt.Errorf("%s: %w", o.Address, err)
		}
		fixed := digest(sha256.Sum256([]byte(o.Token)))
		g.token = func() digest { return fixed }
	case o.TokenFile != "":
		file := &reloaded[digest]{files: []string{o.TokenFile}, parse: func() (digest, error) { return readToken(o.TokenFile) }}
		if err := file.load(); err != nil {
			return nil, err
		}
		g.token = file.get
	}
	if !g.loopback && (g.tls == nil || g.token == nil) {
		var missing []string
		if g.tls == nil {
			missing = append(missing, "a certificate with its key")
		}
		if g.token == nil {
			missing = append(missing, "a token")
		}
		return nil, fmt.Errorf("%s is reached from other machines: to listen there it needs %s", o.Address, strings.Join(missing, " and "))
	}
	return g, nil
}

func (g *Guard) loadCertificate(certFile, keyFile string) error {
	pair := &reloaded[*tls.Certificate]{files: []string{certFile, keyFile}, parse: func() (*tls.Certificate, error) {
		c, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return nil, fmt.Errorf("the certificate %s with the key %s: %w", certFile, keyFile, err)
		}
		return &c, nil
	}}
	if err := pair.load(); err != nil {
		return err
	}
	g.tls = &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.get(), nil },
	}
	return nil
}

func readToken(file string) (digest, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return digest{}, fmt.Errorf("the token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if err := checkToken(token); err != nil {
		return digest{}, fmt.Errorf("%s: %w", file, err)
	}
	return sha256.Sum256([]byte(token)), nil
}

// checkToken says what is wrong with a token, without saying the token.
func checkToken(token string) error {
	switch {
	case len(token) < minToken:
		return fmt.Errorf("the token has %d bytes, fewer than %d", len(token), minToken)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("the token has characters that do not fit into a header")
	}
	return nil
}

// isLoopback reports whether only this machine can reach a host. A name other than localhost is not asked for: whoever answers may answer
// otherwise later.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	host, _, _ = strings.Cut(host, "%")
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Secure reports whether clients have to speak TLS.
func (g *Guard) Secure() bool { return g.tls != nil }

// Listen listens. The listener is that of the connections below TLS; [Guard.ServeHTTP] and [Guard.NewServer] add it.
func (g *Guard) Listen(ctx context.Context) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", g.address)
	if err != nil {
		return nil, err
	}
	return netutil.LimitListener(l, g.connections), nil
}

// admits reports whether the value of an Authorization header is the token, in a time that does not depend on where they differ.
func (g *Guard) admits(authorization string) bool {
	if g.token == nil {
		return true
	}
	scheme, token, _ := strings.Cut(authorization, " ")
	token = strings.TrimSpace(token)
	if strings.EqualFold(scheme, "Basic") { // browsers ask for a name and a password: the token is the password, whatever the name
		pair, err := base64.StdEncoding.DecodeString(token)
		if err != nil {
			return false
		}
		_, token, _ = strings.Cut(string(pair), ":")
	} else if !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	given, want := digest(sha256.Sum256([]byte(token))), g.token()
	return subtle.ConstantTimeCompare(given[:], want[:]) == 1
}
