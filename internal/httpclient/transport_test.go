package httpclient

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// file writes a file of the test, and returns its path.
func file(t *testing.T, name, text string) string {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// fetch posts a body to a server, and returns the answer.
func fetch(t *testing.T, address string, o Options) (status int, text string, err error) {
	t.Helper()
	base, err := url.Parse(address)
	require.NoError(t, err)
	transport, err := New("the server", base, o)
	require.NoError(t, err)
	defer transport.CloseIdleConnections()
	shown := *base
	shown.User = nil
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, shown.String(), strings.NewReader("question"))
	require.NoError(t, err)
	response, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return 0, "", Plain(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, string(answer), err
}

// TestSecrets checks what a server is told of who asks.
func TestSecrets(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Authorization"))
	}))
	defer server.Close()
	withUser := strings.Replace(server.URL, "//", "//me:secret@", 1)
	for _, test := range []struct {
		address string
		o       Options
		want    string
	}{
		{server.URL, Options{}, ""},
		{server.URL, Options{Token: "abc"}, "Bearer abc"},
		{server.URL, Options{TokenFile: file(t, "token", " abc\n")}, "Bearer abc"},
		{server.URL, Options{Username: "me", Password: "secret"}, "Basic bWU6c2VjcmV0"},
		{server.URL, Options{Username: "me", PasswordFile: file(t, "password", "secret\n")}, "Basic bWU6c2VjcmV0"},
		{withUser, Options{}, "Basic bWU6c2VjcmV0"},
	} {
		_, got, err := fetch(t, test.address, test.o)
		require.NoError(t, err)
		require.Equal(t, test.want, got)
	}
	for _, secret := range []Options{{TokenFile: "/nowhere"}, {TokenFile: file(t, "token", "\n")}, {Username: "me", PasswordFile: file(t, "password", "a\nb")}} {
		secret.Attempts = 5
		_, _, err := fetch(t, server.URL, secret)
		require.ErrorContains(t, err, secret.TokenFile+secret.PasswordFile)
	}
}

// TestRedirect checks that no other server is told a secret.
func TestRedirect(t *testing.T) {
	var got []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = append(got, r.Header.Get("Authorization")) }))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	_, _, err := fetch(t, server.URL, Options{Token: "abc"})
	require.NoError(t, err)
	require.Equal(t, []string{""}, got)
}

func TestMistakes(t *testing.T) {
	far, err := url.Parse("http://example.org")
	require.NoError(t, err)
	secure, err := url.Parse("https://example.org")
	require.NoError(t, err)
	for want, test := range map[string]struct {
		base *url.URL
		o    Options
	}{
		"it needs https":                       {far, Options{Token: "x"}},
		"a secret, or a file with it":          {secure, Options{Token: "x", TokenFile: "y"}},
		"a token, or a user":                   {secure, Options{Token: "x", Username: "me", Password: "y"}},
		"a user needs a password":              {secure, Options{Username: "me"}},
		"and a password its user":              {secure, Options{Password: "x"}},
		"a certificate needs its key":          {secure, Options{CertFile: "x"}},
		"/nowhere":                             {secure, Options{CAFile: "/nowhere"}},
		"doc.go has no certificates":           {secure, Options{CAFile: "doc.go"}},
		"the client's certificate doc.go: tls": {secure, Options{CertFile: "doc.go", KeyFile: "doc.go"}},
	} {
		_, err := New("the server", test.base, test.o)
		require.ErrorContains(t, err, "the server: ")
		require.ErrorContains(t, err, want)
	}
}

// TestTLS checks that a server has to be one that is trusted, and that it is shown the client's certificate.
func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) > 0 {
			_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Issuer.String())
		}
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	key, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	require.NoError(t, err)
	pauses := 0
	_, _, err = fetch(t, server.URL, Options{Attempts: 5, OnPause: func(error, time.Duration) { pauses++ }})
	require.ErrorContains(t, err, "certificate")
	require.Zero(t, pauses, "it is asked again who will not be trusted either")
	ca := file(t, "ca.pem", certificate)
	for _, o := range []Options{{CAFile: ca}, {InsecureSkipVerify: true}} {
		_, text, err := fetch(t, server.URL, o)
		require.NoError(t, err)
		require.Empty(t, text)
	}
	_, text, err := fetch(t, server.URL, Options{CAFile: ca, CertFile: ca, KeyFile: file(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))})
	require.NoError(t, err)
	require.Equal(t, server.Certificate().Issuer.String(), text)
}

// TestAgain lets a server fail in many ways before it answers: each attempt has the whole question, and no answer that is cut passes.
func TestAgain(t *testing.T) {
	for name, test := range map[string]struct {
		fail     func(w http.ResponseWriter)
		attempts int
		pauses   int
		status   int
		err      string
	}{
		"busy":                {func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) }, 5, 2, 200, ""},
		"broken":              {func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }, 3, 2, 200, ""},
		"broken for longer":   {func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }, 2, 1, 502, ""},
		"once":                {func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }, 0, 0, 502, ""},
		"wrong":               {func(w http.ResponseWriter) { w.WriteHeader(http.StatusUnauthorized) }, 5, 0, 401, ""},
		"hangs up":            {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, 5, 2, 200, ""},
		"hangs up for longer": {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, 2, 1, 0, "EOF"},
		"cuts": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "some")
			panic(http.ErrAbortHandler)
		}, 5, 2, 200, ""},
		"too long": {func(w http.ResponseWriter) { _, _ = w.Write(make([]byte, 1001)) }, 5, 0, 0, "the answer has more than 1000 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				question, _ := io.ReadAll(r.Body)
				if string(question) != "question" {
					t.Errorf("attempt %d: it is asked %q", asked, question)
				}
				if asked < 3 {
					test.fail(w)
					return
				}
				_, _ = io.WriteString(w, "answer")
			}))
			defer server.Close()
			pauses := 0
			status, text, err := fetch(t, server.URL, Options{Attempts: test.attempts, FirstPause: time.Microsecond, MaxAnswer: 1000, Timeout: time.Minute, OnPause: func(err error, _ time.Duration) {
				pauses++
				if err == nil {
					t.Error("a pause without a reason")
				}
			}})
			require.Equal(t, test.pauses, pauses)
			require.Equal(t, test.status, status)
			if test.err != "" {
				require.ErrorContains(t, err, test.err)
				return
			}
			require.NoError(t, err)
			if status == 200 {
				require.Equal(t, "answer", text)
			}
		})
	}
}

// TestTimeout checks that an attempt that hangs is given up, and the next one made. A slow machine may have given one up before the server sees it.
func TestTimeout(t *testing.T) {
	var asked atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked.Store(true)
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer server.Close()
	for attempts, want := range []int{1, 1, 2, 3} {
		made := 1
		o := Options{Attempts: attempts, FirstPause: time.Microsecond, Timeout: 20 * time.Millisecond, OnPause: func(error, time.Duration) { made++ }}
		_, _, err := fetch(t, server.URL, o)
		require.EqualError(t, err, "no answer in time")
		require.Equal(t, want, made)
	}
	require.Eventually(t, func() bool {
		_, _, err := fetch(t, server.URL, Options{Timeout: 20 * time.Millisecond})
		return err != nil && asked.Load()
	}, time.Minute, time.Millisecond)
}

func TestRetryAfter(t *testing.T) {
	for header, want := range map[string]time.Duration{"": 0, "3": 3 * time.Second, "86400": time.Minute, "-1": 0, "Wed, 21 Oct 2026 07:28:00 GMT": 0} {
		require.Equal(t, want, retryAfter(header))
	}
	require.Equal(t, "x", Plain(&url.Error{Op: "Get", URL: "http://x", Err: errors.New("x")}).Error())
}
