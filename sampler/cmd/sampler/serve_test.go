//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/localwhisk/rest"
	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/sampler/openwhisk"
)

// serving runs a command that serves until the test ends, and returns the line that it prints when it is ready. It must end with
// status 0.
func serving(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		status := program.Run(ctx, args, w, &stderr)
		w.Close()
		ended <- status
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("sampler %s ended with status %d: %s", strings.Join(args, " "), <-ended, stderr.String())
	}
	t.Cleanup(func() {
		cancel()
		if status := <-ended; status != 0 {
			t.Errorf("sampler %s: status %d: %s", strings.Join(args, " "), status, stderr.String())
		}
	})
	return line
}

func answers(t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(url, response.Status, err)
	}
	return string(text)
}

// status makes a request with a key and returns the status of the answer.
func status(t *testing.T, url, key string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/v1/namespaces", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	user, password, _ := strings.Cut(key, ":")
	r.SetBasicAuth(user, password)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

// TestPlatform checks that a platform has a key that stays the same, which clients find in a file, and that the guest key opens it only with
// -guest.
func TestPlatform(t *testing.T) {
	ownConfigFolder(t)
	var ready struct {
		APIHost, Namespace string
		KeyFile            string `json:"key_file"`
	}
	if err := json.Unmarshal([]byte(serving(t, "platform", "-listen", "127.0.0.1:0", "-namespace", "shop", "-json")), &ready); err != nil {
		t.Fatal(err)
	}
	if ready.Namespace != "shop" || answers(t, ready.APIHost+"/ping") != "pong" {
		t.Errorf("it says %+v", ready)
	}
	key, file, err := whisk.ReadLocalKey()
	if err != nil || file != ready.KeyFile {
		t.Fatalf("the key is in %s, and it says %+v: %v", file, ready, err)
	}
	if got, guest := status(t, ready.APIHost, key), status(t, ready.APIHost, rest.GuestKey); got != 200 || guest != 401 {
		t.Errorf("status %d with its key and %d with the guest key", got, guest)
	}
	address := func(said string) string {
		url, _, _ := strings.Cut(strings.TrimPrefix(said, "OpenWhisk on "), ",")
		return url
	}
	said := serving(t, "platform", "-listen", "127.0.0.1:0", "-per-minute", "0")
	if !strings.HasPrefix(said, "OpenWhisk on http://127.0.0.1:") || !strings.Contains(said, "namespace guest, the key in "+file) {
		t.Errorf("it says %q", said)
	}
	if got := status(t, address(said), key); got != 200 {
		t.Errorf("status %d from the second platform: it has another key", got)
	}
	said = serving(t, "platform", "-listen", "127.0.0.1:0", "-guest")
	if got := status(t, address(said), rest.GuestKey); got != 200 || !strings.Contains(said, "the key of OpenWhisk's standalone server") {
		t.Errorf("status %d with -guest, and it says %q", got, said)
	}
	// With a key of its own it needs no home folder.
	t.Setenv("OW_AUTH", "some:key")
	t.Setenv("HOME", "")
	t.Setenv("XDG_CONFIG_HOME", "")
	said = serving(t, "platform", "-listen", "127.0.0.1:0")
	if got := status(t, address(said), "some:key"); got != 200 || !strings.Contains(said, "the key in OW_AUTH") {
		t.Errorf("status %d with OW_AUTH, and it says %q", got, said)
	}
}

// TestPlatformOverHTTPS checks that a platform with a certificate speaks HTTPS, and nothing else.
func TestPlatformOverHTTPS(t *testing.T) {
	ownConfigFolder(t)
	cert, key, client := certificate(t)
	said := serving(t, "platform", "-listen", "127.0.0.1:0", "-cert", cert, "-key", key)
	url, _, _ := strings.Cut(strings.TrimPrefix(said, "OpenWhisk on "), ",")
	if !strings.HasPrefix(url, "https://127.0.0.1:") {
		t.Fatalf("it says %q", said)
	}
	get := func(url string) (int, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/ping", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Close = true
		response, err := client.Do(r)
		if err != nil {
			return 0, err
		}
		response.Body.Close()
		return response.StatusCode, nil
	}
	if got, err := get(url); got != 200 {
		t.Errorf("status %d, %v", got, err)
	}
	if got, err := get(strings.Replace(url, "https", "http", 1)); got != 400 {
		t.Errorf("status %d without TLS, %v", got, err)
	}
}

// certificate returns the files of a certificate of 127.0.0.1 and its key, and a client that trusts it.
func certificate(t *testing.T) (cert, key string, client *http.Client) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(parsed)
	return cert, key, &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
}

func TestZipkin(t *testing.T) {
	said := serving(t, "zipkin", "-listen", "127.0.0.1:0")
	url, ok := strings.CutPrefix(strings.TrimSuffix(said, ", with a page at /zipkin/; Ctrl-C ends it\n"), "Zipkin on ")
	if !strings.Contains(answers(t, url+"/zipkin/"), "No trace matches.") {
		t.Error("there is no page")
	}
	if !ok || !strings.Contains(answers(t, url+"/health"), "UP") {
		t.Errorf("it says %q", said)
	}
}

func TestServingCalledWrongly(t *testing.T) {
	ownConfigFolder(t)
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	for line, want := range map[string]string{
		"platform here":                               `unexpected argument "here"`,
		"platform -starts-at-once 2":                  "-starts-at-once: needs -starts standalone or cluster",
		"platform -starts cluster -starts-at-once -1": "-starts-at-once: needs -starts standalone or cluster, and a number that is not negative",
		"platform -listen 0.0.0.0:3233":               "is reached from other machines: give a certificate with -cert and -key, or -plain to do without",
		"platform -listen :3233":                      "is reached from other machines: give a certificate",
		"platform -listen :3233 -plain -guest":        "everybody knows the key",
		"platform -cert x.pem":                        "-cert and -key: HTTPS needs both",
		"platform -cert x.pem -key y.pem":             "-cert and -key: open x.pem: no such file or directory",
		"platform -cors example.com":                  `the origin "example.com" is neither * nor of the form scheme://host:port`,
		"platform -cors https://example.com/":         "is neither * nor of the form",
		"platform -listen 3233":                       "-listen: address 3233: missing port",
		"platform -memory 100":                        "-memory: the smallest container needs 128 MiB",
		"platform -per-minute -1":                     "-per-minute: must not be negative",
		"platform -idle-timeout 0s":                   "must be positive",
		"platform -user nobody":                       "is not of the form UID:GID",
		"platform -idle-timeout x":                    "option -idle-timeout",
		"platform -namespace a/b":                     "is no name of a namespace",
		"platform -listen 127.0.0.1:99999":            "invalid port",
		"zipkin x":                                    `unexpected argument "x"`,
		"zipkin -spans 0":                             "-spans: must be positive",
		"zipkin -listen 127.0.0.1:99999 -spans 1":     "invalid port",
	} {
		stdout, stderr, status := try(t.Context(), line)
		if status == 0 || stdout != "" || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("sampler %s: status %d, prints %q, says %q, want %q", line, status, stdout, stderr, want)
		}
		if left, err := os.ReadDir(temporary); err != nil || len(left) != 0 {
			t.Errorf("sampler %s leaves %v, %v", line, left, err)
		}
	}
}

// TestMemoryOfThePlatform checks that every application fits into the memory that a platform has by default, with a second container for one
// function in four, for requests that overlap.
func TestMemoryOfThePlatform(t *testing.T) {
	ownConfigFolder(t)
	fs := cli.NewFlagSet("platform", io.Discard, "")
	parsed := platformFlags(fs)
	o, err := parsed(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range apps.Embedded() {
		app, err := apps.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if needed := len(app.Functions) * 5 / 4 * openwhisk.DefaultMemoryMB; needed > o.options.MemoryMB {
			t.Errorf("%s has %d functions and needs %d MiB, and the platform has %d", name, len(app.Functions), needed, o.options.MemoryMB)
		}
	}
}

// TestKeysOfThePlatform checks which keys a platform does not take from the environment, and that it says so before it serves.
func TestKeysOfThePlatform(t *testing.T) {
	ownConfigFolder(t)
	for _, c := range []struct{ auth, line, want string }{
		{rest.GuestKey, "platform -listen 127.0.0.1:0", "OW_AUTH: everybody knows this key"},
		{"some:key", "platform -listen 127.0.0.1:0 -guest", "-guest: OW_AUTH has another key"},
	} {
		t.Setenv("OW_AUTH", c.auth)
		if stdout, stderr, status := try(t.Context(), c.line); status != 2 || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: status %d, prints %q, says %q, want %q", c.line, status, stdout, stderr, c.want)
		}
	}
	if _, file, err := whisk.ReadLocalKey(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key was drawn all the same: %s, %v", file, err)
	}
	t.Setenv("OW_AUTH", "")
	t.Setenv("HOME", "")
	t.Setenv("XDG_CONFIG_HOME", "")
	if _, stderr, status := try(t.Context(), "platform -listen 127.0.0.1:0"); status != 1 || !strings.Contains(stderr, "a key in OW_AUTH, UUID:KEY, does without the file") {
		t.Errorf("without a home: status %d, says %q", status, stderr)
	}
}

// TestWhereClientsLook checks that a server listens where the environment sends its clients, but only on this machine.
func TestWhereClientsLook(t *testing.T) {
	for value, want := range map[string]string{
		"":                            "127.0.0.1:3233",
		"http://127.0.0.1:4000":       "127.0.0.1:4000",
		"http://localhost:4000":       "localhost:4000",
		"http://[::1]:4000":           "[::1]:4000",
		"http://127.0.0.1":            "127.0.0.1:3233",
		"https://127.0.0.1:4000":      "127.0.0.1:3233",
		"http://openwhisk.local:3233": "127.0.0.1:3233",
		"10.0.0.1":                    "127.0.0.1:3233",
	} {
		t.Setenv("OW_APIHOST", value)
		if got := whereClientsLook("OW_APIHOST", "127.0.0.1:3233"); got != want {
			t.Errorf("with OW_APIHOST=%q: %s, want %s", value, got, want)
		}
	}
}
