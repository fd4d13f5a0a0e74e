package guarded

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/prewarm/internal/guarded/guardedtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testToken = "a-token-of-some-length"

// TestOptions checks that nobody listens beyond loopback without a certificate and a token.
func TestOptions(t *testing.T) {
	cert, key, _ := guardedtest.Certificate(t)
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte(testToken+"\n"), 0o600))
	short := filepath.Join(t.TempDir(), "short")
	require.NoError(t, os.WriteFile(short, []byte("secret"), 0o600))
	for _, test := range []struct {
		name string
		o    Options
		err  string
	}{
		{"loopback", Options{Address: "127.0.0.1:0"}, ""},
		{"another of loopback", Options{Address: "127.9.9.9:0"}, ""},
		{"loopback in IPv6", Options{Address: "[::1]:0"}, ""},
		{"localhost", Options{Address: "LocalHost:1"}, ""},
		{"everywhere", Options{Address: ":4317"}, ":4317 is reached from other machines: to listen there it needs a certificate with its key and a token"},
		{"everywhere by number", Options{Address: "0.0.0.0:1"}, "needs a certificate with its key and a token"},
		{"a name", Options{Address: "localhost.example.com:1"}, "needs a certificate with its key and a token"},
		{"mapped address", Options{Address: "[::ffff:10.0.0.1]:1"}, "needs a certificate"},
		{"no token", Options{Address: "[::]:1", CertFile: cert, KeyFile: key}, "needs a token"},
		{"no certificate", Options{Address: "[::]:1", TokenFile: token}, "needs a certificate with its key"},
		{"both", Options{Address: ":1", CertFile: cert, KeyFile: key, TokenFile: token}, ""},
		{"both, the token itself", Options{Address: ":1", CertFile: cert, KeyFile: key, Token: testToken}, ""},
		{"two tokens", Options{Address: ":1", Token: testToken, TokenFile: token}, "a token or a file of one, not both"},
		{"half a certificate", Options{Address: "127.0.0.1:1", CertFile: cert}, "a certificate needs its key"},
		{"another's key", Options{Address: "127.0.0.1:1", CertFile: cert, KeyFile: token}, "the certificate " + cert + " with the key " + token},
		{"no such file", Options{Address: "127.0.0.1:1", CertFile: cert, KeyFile: cert + "x"}, "read " + cert + "x: no such file"},
		{"no such token", Options{Address: "127.0.0.1:1", TokenFile: token + "x"}, "read " + token + "x: no such file"},
		{"a short token", Options{Address: "127.0.0.1:1", TokenFile: short}, "the token has 6 bytes, fewer than 16"},
		{"a token of two words", Options{Address: "127.0.0.1:1", Token: "a token of many words"}, "do not fit into a header"},
		{"no port", Options{Address: "127.0.0.1"}, `"127.0.0.1", is not of the form host:port`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := New(test.o)
			if test.err == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.err)
			require.NotContains(t, err.Error(), "secret")
		})
	}
}

// serve starts an HTTP server behind a Guard, and returns its address. It answers with the body, and a request for /stream as long as the client listens.
func serve(t *testing.T, o Options) string {
	t.Helper()
	return serveFor(t, o, receiveTimeout)
}

// serveFor is like serve, for bodies that take no longer than a timeout.
func serveFor(t *testing.T, o Options, timeout time.Duration) string {
	t.Helper()
	g, err := New(o)
	require.NoError(t, err)
	g.receive = timeout
	l, err := g.Listen(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- g.ServeHTTP(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/stream" {
				for r.Context().Err() == nil {
					_, _ = io.WriteString(w, "x")
					_ = http.NewResponseController(w).Flush()
					select {
					case <-r.Context().Done():
					case <-time.After(10 * time.Millisecond):
					}
				}
				return
			}
			text, err := io.ReadAll(r.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusRequestTimeout)
				return
			}
			_, _ = w.Write(text)
		}))
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return l.Addr().String()
}

func TestHTTP(t *testing.T) {
	cert, key, pool := guardedtest.Certificate(t)
	address := serve(t, Options{Address: "127.0.0.1:0", CertFile: cert, KeyFile: key, Token: testToken, Open: []string{"/healthz"}})
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	ask := func(path, authorization string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+path, nil)
		require.NoError(t, err)
		if authorization != "" {
			request.Header.Set("Authorization", authorization)
		}
		answer, err := transport.RoundTrip(request)
		require.NoError(t, err)
		defer answer.Body.Close()
		require.Equal(t, 2, answer.ProtoMajor)
		if answer.StatusCode == http.StatusUnauthorized {
			require.Equal(t, "Bearer", answer.Header.Get("WWW-Authenticate"))
		}
		return answer.StatusCode
	}
	for authorization, want := range map[string]int{
		"Bearer " + testToken: 200, "bearer " + testToken: 200, "": 401, "Bearer ": 401, "Bearer": 401, testToken: 401, "Basic " + testToken: 401,
		"Bearer " + testToken + "x": 401, "Bearer " + testToken[1:]: 401,
	} {
		require.Equal(t, want, ask("/", authorization), authorization)
	}
	require.Equal(t, 200, ask("/healthz", ""))
	require.Equal(t, 401, ask("/healthz/x", ""))
	// In the clear nobody is answered.
	plain := &http.Transport{}
	defer plain.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address, nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+testToken)
	answer, err := plain.RoundTrip(request)
	require.NoError(t, err)
	answer.Body.Close()
	require.Equal(t, http.StatusBadRequest, answer.StatusCode)
}

// TestPagesOfOthers checks that without a token a web page of elsewhere cannot make the browser of this machine ask.
func TestPagesOfOthers(t *testing.T) {
	address := serve(t, Options{Address: "127.0.0.1:0"})
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for _, test := range []struct {
		host, origin string
		want         int
	}{
		{"", "", 200},
		{"localhost:" + port, "", 200},
		{"[::1]:" + port, "http://localhost:" + port, 200},
		{"127.0.0.1", "http://127.0.0.1:8080", 200},
		{"evil.example.com:" + port, "", 403},
		{"127.0.0.1.example.com", "", 403},
		{"", "https://example.com", 403},
		{"", "null", 403},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address, nil)
		require.NoError(t, err)
		request.Host = test.host
		if test.origin != "" {
			request.Header.Set("Origin", test.origin)
		}
		answer, err := transport.RoundTrip(request)
		require.NoError(t, err)
		answer.Body.Close()
		require.Equal(t, test.want, answer.StatusCode, test)
	}
}

// TestSlowBodies checks that a body that does not come is cut off, over HTTP/1.1 and HTTP/2, while an answer lasts for longer.
func TestSlowBodies(t *testing.T) {
	cert, key, pool := guardedtest.Certificate(t)
	const timeout = 100 * time.Millisecond
	plain := "http://" + serveFor(t, Options{Address: "127.0.0.1:0"}, timeout)
	secure := "https://" + serveFor(t, Options{Address: "127.0.0.1:0", CertFile: cert, KeyFile: key}, timeout)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	for _, address := range []string{plain, secure} {
		reader, writer := io.Pipe()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, reader)
		require.NoError(t, err)
		go func() { _, _ = writer.Write([]byte("half")) }()
		answer, err := transport.RoundTrip(request)
		if err == nil {
			answer.Body.Close()
			require.Equal(t, http.StatusRequestTimeout, answer.StatusCode)
		}
		reader.Close()

		ctx, cancel := context.WithCancel(t.Context())
		request, err = http.NewRequestWithContext(ctx, http.MethodGet, address+"/stream", nil)
		require.NoError(t, err)
		answer, err = transport.RoundTrip(request)
		require.NoError(t, err)
		_, err = io.ReadFull(answer.Body, make([]byte, 30)) // some three times the timeout
		require.NoError(t, err)
		cancel()
		answer.Body.Close()
	}
}

// TestConnectionsAreBounded checks that a connection of more than may be is answered only when another one has ended.
func TestConnectionsAreBounded(t *testing.T) {
	address := serve(t, Options{Address: "127.0.0.1:0", MaxConnections: 2})
	var open []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", address)
		require.NoError(t, err)
		defer c.Close()
		open = append(open, c)
		_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		require.NoError(t, err)
		_, err = c.Read(make([]byte, 1))
		require.NoError(t, err)
	}
	third, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer third.Close()
	_, err = io.WriteString(third, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	require.NoError(t, third.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = third.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, third.SetReadDeadline(time.Now().Add(time.Minute)))
	require.NoError(t, open[0].Close())
	_, err = third.Read(make([]byte, 1))
	require.NoError(t, err)
}

// TestRenewal checks that a token that is renewed counts from then on, and that one that cannot be read leaves the old one.
func TestRenewal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string, at time.Time) {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		require.NoError(t, os.Chtimes(file, at, at))
	}
	begin := time.Now().Add(-time.Hour)
	write(testToken, begin)
	r := &reloaded[digest]{files: []string{file}, parse: func() (digest, error) { return readToken(file) }}
	require.NoError(t, r.load())
	g := &Guard{token: r.get}
	later := func() { r.checked = r.checked.Add(-2 * checkEvery) }

	write("another-token-of-some-length", begin.Add(time.Second))
	require.True(t, g.admits("Bearer "+testToken), "files are looked at now and then")
	later()
	require.False(t, g.admits("Bearer "+testToken))
	require.True(t, g.admits("Bearer another-token-of-some-length"))
	write("short", begin.Add(2*time.Second))
	later()
	require.True(t, g.admits("Bearer another-token-of-some-length"))
	require.NoError(t, os.Remove(file))
	later()
	require.True(t, g.admits("Bearer another-token-of-some-length"))
	write(testToken, begin.Add(3*time.Second))
	later()
	require.True(t, g.admits("Bearer "+testToken))
}
