package openwhiskprocessor

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configauth"
	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/tppfaas/tppfaas/internal/loopback"
	"github.com/tppfaas/tppfaas/internal/whisk"
)

// exchange is a request that was made to a real OpenWhisk, and its answer.
type exchange struct {
	Request struct {
		Path string `json:"path"`
	} `json:"request"`
	Response struct {
		Status  int               `json:"status"`
		Headers map[string]string `json:"headers"`
		Body    json.RawMessage   `json:"body"`
	} `json:"response"`
}

func recorded(t testing.TB) map[string]exchange {
	t.Helper()
	text, err := os.ReadFile("../../internal/whisk/testdata/recorded.json")
	require.NoError(t, err)
	var all map[string]exchange
	require.NoError(t, json.Unmarshal(text, &all))
	return all
}

// id returns the activation that the request asks for; any one if it asks for something else.
func (e exchange) id() string {
	path, _, _ := strings.Cut(e.Request.Path, "?")
	if before, id, ok := strings.Cut(path, "/activations/"); ok && before != "" {
		return id
	}
	return strings.Repeat("0", 32)
}

func (e exchange) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	for name, value := range e.Response.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(e.Response.Status)
	_, _ = w.Write(e.Response.Body)
}

func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// newTestClient returns the client of a server, as the processor makes it.
func newTestClient(t testing.TB, address string, change func(*Config)) recordClient {
	t.Helper()
	config := testConfig()
	config.ClientConfig.Endpoint = address
	if change != nil {
		change(config)
	}
	c, err := newClient(t.Context(), config, componenttest.NewNopHost(), componenttest.NewNopTelemetrySettings())
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// TestKeyOfTheLocalPlatform checks that an OpenWhisk on this machine is asked with the key of the local platform if no other is given, and that
// the collector draws it where it starts first.
func TestKeyOfTheLocalPlatform(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	var sent atomic.Value
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		sent.Store(user + ":" + password)
		_, _ = io.WriteString(w, "[]")
	}))
	require.NoError(t, newTestClient(t, address, func(c *Config) { c.Key = "own:key" }).Check(t.Context()))
	require.Equal(t, "own:key", sent.Load())
	_, _, err := whisk.ReadLocalKey()
	require.ErrorIs(t, err, os.ErrNotExist, "a key was drawn that nobody needs")

	require.NoError(t, newTestClient(t, address, func(c *Config) { c.Key = "" }).Check(t.Context()))
	key, _, err := whisk.ReadLocalKey()
	require.NoError(t, err)
	require.Equal(t, key, sent.Load())

	t.Setenv("HOME", "")
	t.Setenv("XDG_CONFIG_HOME", "")
	config := testConfig()
	config.ClientConfig.Endpoint, config.Key = address, ""
	_, err = newClient(t.Context(), config, componenttest.NewNopHost(), componenttest.NewNopTelemetrySettings())
	require.ErrorContains(t, err, "key: the key of the local platform: ")
	require.ErrorContains(t, err, "as in OW_AUTH")
}

// TestRecordedAnswers checks what the processor makes of the answers of a real OpenWhisk.
func TestRecordedAnswers(t *testing.T) {
	all := recorded(t)
	for name, want := range map[string]struct {
		answer answer
		record func(t *testing.T, r whisk.Record)
	}{
		"cold": {found, func(t *testing.T, r whisk.Record) {
			require.True(t, r.Cold)
			require.Equal(t, 1059*time.Millisecond, r.Wait)
			require.Positive(t, r.Init)
			require.Positive(t, r.End.Sub(r.Start))
			require.Empty(t, r.Error)
		}},
		"warm": {found, func(t *testing.T, r whisk.Record) {
			require.False(t, r.Cold)
			require.Zero(t, r.Init)
			require.Equal(t, 8*time.Millisecond, r.Wait)
		}},
		"application_error": {found, func(t *testing.T, r whisk.Record) {
			require.True(t, strings.HasPrefix(r.Error, "application error"), r.Error)
		}},
		"developer_error": {found, func(t *testing.T, r whisk.Record) {
			require.True(t, strings.HasPrefix(r.Error, "action developer error: "), r.Error)
		}},
		"not_yet":   {answer: notYet},
		"bad_id":    {answer: impossible},
		"wrong_key": {answer: refused},
		"throttled": {answer: throttled},
	} {
		t.Run(name, func(t *testing.T) {
			e, ok := all[name]
			require.True(t, ok)
			var asked *http.Request
			c := newTestClient(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r
				e.ServeHTTP(w, r)
			})), nil)
			r, err := c.Activation(t.Context(), e.id())
			got, _ := interpret(err)
			require.Equal(t, want.answer, got, err)
			if want.record != nil {
				want.record(t, r)
			}
			require.Equal(t, "/api/v1/namespaces/_/activations/"+e.id(), asked.URL.Path)
			user, password, _ := asked.BasicAuth()
			require.Equal(t, "user:secret", user+":"+password)
		})
	}
}

func TestCheck(t *testing.T) {
	all := recorded(t)
	require.NoError(t, newTestClient(t, serve(t, all["list"]), nil).Check(t.Context()))
	require.ErrorContains(t, newTestClient(t, serve(t, all["wrong_key"]), nil).Check(t.Context()), "401")
	require.ErrorContains(t, newTestClient(t, serve(t, http.NotFoundHandler()), nil).Check(t.Context()), "is it OpenWhisk?")
}

// TestFaults checks that whatever goes wrong is understood as a failure of OpenWhisk, and said in one line without the key.
func TestFaults(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	addresses, err := loopback.FreeAddresses(1)
	require.NoError(t, err)
	nobody := "http://" + addresses[0]
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	reply := func(status int, body string) string {
		return serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}))
	}
	const id = "4ded9a01cf634cc8ad9a01cf639cc85a"
	for name, test := range map[string]struct {
		address string
		answer  answer
		want    string
	}{
		"refused connection": {nobody, unavailable, "cannot be reached: dial tcp"},
		"hangs": {serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		})), failed, "cannot be reached: no answer in time"},
		"garbage":              {reply(200, "<html>welcome</html>"), malformed, "answers nonsense"},
		"null":                 {reply(200, "null"), malformed, "answers nonsense"},
		"an array":             {reply(200, `[{"activationId": "`+id+`", "start": 5}]`), malformed, "answers nonsense"},
		"a string":             {reply(200, `"`+id+`"`), malformed, "answers nonsense"},
		"a number":             {reply(200, "1"), malformed, "answers nonsense"},
		"nothing":              {reply(200, ""), malformed, "answers nonsense"},
		"no content":           {reply(204, ""), malformed, "answers nonsense"},
		"parts of null":        {reply(200, `{"activationId": null, "start": null, "annotations": null, "response": null}`), malformed, "answers nonsense"},
		"parts of other types": {reply(200, `{"activationId": "`+id+`", "start": 5, "annotations": "waitTime"}`), malformed, "answers nonsense"},
		"half an answer":       {reply(200, `{"activationId": "4ded`), malformed, "answers nonsense"},
		"another's record":     {reply(200, `{"activationId": "ffff", "start": 5}`), malformed, "answers nonsense"},
		"a record of nothing":  {reply(200, `{}`), malformed, "answers nonsense"},
		"a status of its own":  {reply(418, "null"), malformed, "refuses (418)"},
		"HTTPS":                {strings.Replace(secure.URL, "https://", "http://", 1), malformed, "refuses (400): Client sent an HTTP request to an HTTPS server"},
		"internal error":       {reply(500, `{"error": "oops", "code": "x"}`), failed, "fails (500): oops"},
		"bad gateway":          {reply(502, "null"), unavailable, "fails (502)"},
		"unavailable":          {reply(503, ""), unavailable, "(503)"},
		"not allowed":          {reply(403, `{"error": "no", "code": "x"}`), refused, "does not allow"},
		"throttled":            {reply(429, `{"error": "slow", "code": "x"}`), throttled, "too many requests"},
		"redirect to nowhere":  {serve(t, http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound)), unavailable, "cannot be reached"},
		"connection cut short": {serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })), unavailable, "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestClient(t, test.address, func(c *Config) {
				if name == "hangs" {
					c.ClientConfig.Timeout = 50 * time.Millisecond
				}
			})
			_, err := c.Activation(t.Context(), id)
			got, retryAfter := interpret(err)
			require.Equal(t, test.answer, got, err)
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "secret")
			require.NotContains(t, err.Error(), "\n")
			if name == "throttled" || name == "unavailable" {
				require.Equal(t, 7*time.Second, retryAfter)
			}
		})
	}
}

// TestNewKeyInTheFile checks that the key file is read again after a refusal, so that a key can be changed while the collector
// runs.
func TestNewKeyInTheFile(t *testing.T) {
	all := recorded(t)
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte("user:old\n"), 0o600))
	var valid atomic.Value
	valid.Store("old")
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != valid.Load() {
			all["wrong_key"].ServeHTTP(w, r)
			return
		}
		all["warm"].ServeHTTP(w, r)
	}))
	withFile := func(c *Config) { c.Key, c.KeyFile = "", file }
	c := newTestClient(t, address, withFile)
	id := all["warm"].id()
	_, err := c.Activation(t.Context(), id)
	require.NoError(t, err)
	valid.Store("new")
	_, err = c.Activation(t.Context(), id)
	require.ErrorContains(t, err, "401")
	require.NoError(t, os.WriteFile(file, []byte("user:new"), 0o600))
	_, err = c.Activation(t.Context(), id)
	require.NoError(t, err)
	require.NoError(t, os.Remove(file))
	valid.Store("another")
	_, err = c.Activation(t.Context(), id)
	require.ErrorContains(t, err, "no such file")
	config := testConfig()
	withFile(config)
	_, err = newClient(t.Context(), config, componenttest.NewNopHost(), componenttest.NewNopTelemetrySettings())
	require.ErrorContains(t, err, "key file")
}

// authExtension is an extension that authenticates HTTP requests with a token.
type authExtension struct {
	component.StartFunc
	component.ShutdownFunc
	token string
}

func (e *authExtension) RoundTripper(base http.RoundTripper) (http.RoundTripper, error) {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("X-Token", e.token)
		return base.RoundTrip(r)
	}), nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// extensions is a host with extensions.
type extensions map[component.ID]component.Component

func (e extensions) GetExtensions() map[component.ID]component.Component { return e }

// TestAuthExtension checks that an auth extension takes the place of the key, and that one that does not exist is an error.
func TestAuthExtension(t *testing.T) {
	all := recorded(t)
	config := testConfig()
	config.Key = ""
	id := component.MustNewID("token")
	config.ClientConfig.Auth = configoptional.Some(configauth.Config{AuthenticatorID: id})
	require.NoError(t, config.Validate())
	var header http.Header
	config.ClientConfig.Endpoint = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		all["warm"].ServeHTTP(w, r)
	}))
	host := extensions{id: &authExtension{token: "t"}}
	c, err := newClient(t.Context(), config, host, componenttest.NewNopTelemetrySettings())
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Activation(t.Context(), all["warm"].id())
	require.NoError(t, err)
	require.Equal(t, "t", header.Get("X-Token"))
	require.NotContains(t, header, "Authorization")

	set, _ := settings()
	p, err := newProcessor(set, config, newSink(), newClient)
	require.NoError(t, err)
	require.ErrorContains(t, p.Start(t.Context(), componenttest.NewNopHost()), "token")
	require.NoError(t, p.Shutdown(t.Context()))
}

// TestProxyAndHeaders checks that requests go through the configured proxy, with the configured headers and the key.
func TestProxyAndHeaders(t *testing.T) {
	all := recorded(t)
	var asked *http.Request
	proxy := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r
		all["warm"].ServeHTTP(w, r)
	}))
	c := newTestClient(t, "http://openwhisk.invalid", func(c *Config) {
		c.ClientConfig.ProxyURL = proxy
		c.ClientConfig.Headers.Set("X-Tenant", "a")
	})
	_, err := c.Activation(t.Context(), all["warm"].id())
	require.NoError(t, err)
	require.Equal(t, "openwhisk.invalid", asked.Host)
	require.Equal(t, "a", asked.Header.Get("X-Tenant"))
	_, password, _ := asked.BasicAuth()
	require.Equal(t, "secret", password)
}

// TestOldNamesAreLogged checks that the log says by which names settings should be given.
func TestOldNamesAreLogged(t *testing.T) {
	config, err := load(t, "openwhisk/old_everything_bad")
	require.NoError(t, err)
	set, logs := settings()
	p, err := newProcessor(set, config, newSink(), provide(&fakeClient{}))
	require.NoError(t, err)
	require.NoError(t, p.Start(t.Context(), componenttest.NewNopHost()))
	require.NoError(t, p.Shutdown(t.Context()))
	require.Equal(t, 1, logs.FilterMessage("A setting has an old name: host is called endpoint now").Len())
	require.Equal(t, 1, logs.FilterMessage("A setting has an old name: auth is called key now").Len())
	for _, entry := range logs.All() {
		require.NotContains(t, entry.Message, "pass word")
	}
}

// TestLogsDoNotShowTheKey checks that no environment variable of OpenWhisk's tools makes a lookup print its request, which has the key.
func TestLogsDoNotShowTheKey(t *testing.T) {
	if os.Getenv("TPPFAAS_TEST_LOOKUP") != "" {
		c := newTestClient(t, os.Getenv("TPPFAAS_TEST_LOOKUP"), func(config *Config) { config.ClientConfig.DisableKeepAlives = true })
		_, err := c.Activation(t.Context(), "4ded9a01cf634cc8ad9a01cf639cc85a")
		require.Error(t, err)
		return
	}
	all := recorded(t)
	for _, name := range []string{"WSK_CLI_DEBUG", "DEBUG", "GODEBUG"} {
		value := map[string]string{"GODEBUG": "http2debug=2"}[name]
		if value == "" {
			value = "true"
		}
		test := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLogsDoNotShowTheKey$", "-test.v")
		test.Env = append(os.Environ(), name+"="+value, "TPPFAAS_TEST_LOOKUP="+serve(t, all["wrong_key"]))
		output, err := test.CombinedOutput()
		require.NoError(t, err, "%s", output)
		require.Contains(t, string(output), "PASS", "the lookup was made")
		for _, secret := range []string{"secret", base64.StdEncoding.EncodeToString([]byte("user:secret")), "Authorization"} {
			require.NotContains(t, string(output), secret, name)
		}
	}
}
