package whisk

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNew(t *testing.T) {
	base := &url.URL{Scheme: "http", Host: "openwhisk"}
	for key, want := range map[string]string{
		"user:password": "", "": "the key must be of the form user:password", "user": "the key must be of the form user:password",
		":password": "the key must be of the form user:password", "user:pass word": "the key contains white space or control characters",
	} {
		_, err := New(Options{Base: base, Key: key, HTTP: http.DefaultClient})
		if want == "" {
			require.NoError(t, err)
		} else {
			require.EqualError(t, err, want)
		}
	}
	_, err := New(Options{Base: base, Key: testKey})
	require.ErrorContains(t, err, "needs an address and an HTTP client")
	_, err = New(Options{HTTP: http.DefaultClient, Key: testKey})
	require.ErrorContains(t, err, "needs an address and an HTTP client")
}

// TestBase checks that an address is taken with and without the path of the API.
func TestBase(t *testing.T) {
	for address, want := range map[string]string{
		"http://x":                "http://x/api/v1/namespaces/_/packages/p",
		"http://x/api":            "http://x/api/v1/namespaces/_/packages/p",
		"http://x/api/v1/":        "http://x/api/v1/namespaces/_/packages/p",
		"https://x/sub/api":       "https://x/sub/api/v1/namespaces/_/packages/p",
		"https://x/v1":            "https://x/v1/api/v1/namespaces/_/packages/p",
		"http://u:secret@x":       "http://u:secret@x/api/v1/namespaces/_/packages/p",
		"openwhisk.example.com":   "https://openwhisk.example.com/api/v1/namespaces/_/packages/p",
		"http://[::1]:3233/a%20b": "http://[::1]:3233/a%20b/api/v1/namespaces/_/packages/p",
	} {
		base, err := ParseAddress(address)
		require.NoError(t, err)
		var asked string
		c, err := New(Options{Base: base, Key: testKey, HTTP: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			asked = r.URL.String()
			return answering(200, nil, "{}")(r)
		})}})
		require.NoError(t, err)
		require.NoError(t, c.DeletePackage(t.Context(), "p"))
		require.Equal(t, want, asked)
		require.NotContains(t, c.Name(), "secret")
	}
}

// TestNames checks that names which would lead to another path are refused before anything is asked.
func TestNames(t *testing.T) {
	c := fakeClient(t, roundTripper(func(r *http.Request) (*http.Response, error) {
		t.Errorf("%s was asked for", r.URL)
		return nil, errors.New("no")
	}))
	for _, name := range []string{"", "..", "a/../b", "a//b", "/a", "."} {
		require.ErrorContains(t, c.DeletePackage(t.Context(), name), "is no name in packages")
		_, err := c.Invoke(t.Context(), name, nil)
		require.ErrorContains(t, err, "is no name in actions")
		require.Zero(t, KindOf(err))
	}
	for _, id := range []string{"", "../../actions", "a?b", "a b", "a/b", strings.Repeat("a", 129), "é"} {
		_, err := c.Activation(t.Context(), id)
		require.ErrorIs(t, err, ErrImpossible, id)
	}
	_, err := c.Invoke(t.Context(), "a", func() {})
	require.ErrorContains(t, err, "OpenWhisk at http://openwhisk: json: unsupported type")
}

// TestKeyFile checks that the file is read again after a refusal, so that a key can be changed while the process runs.
func TestKeyFile(t *testing.T) {
	all := recorded(t)
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte("user:old\n"), 0o600))
	var valid atomic.Value
	valid.Store("old")
	var requests atomic.Int32
	c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if _, password, _ := r.BasicAuth(); password != valid.Load() {
			all["wrong_key"].ServeHTTP(w, r)
			return
		}
		all["warm"].ServeHTTP(w, r)
	}), func(o *Options) { o.Key, o.KeyFile = "", file })
	id := all["warm"].id()
	ask := func() error {
		requests.Store(0)
		_, err := c.Activation(t.Context(), id)
		return err
	}
	require.NoError(t, ask())
	require.EqualValues(t, 1, requests.Load())

	valid.Store("new")
	require.EqualError(t, ask(), c.Name()+" does not accept the key (401)")
	require.EqualValues(t, 1, requests.Load(), "the same key is not tried again")
	require.NoError(t, os.WriteFile(file, []byte("user:new"), 0o600))
	require.NoError(t, ask())
	require.EqualValues(t, 2, requests.Load())
	require.NoError(t, ask())
	require.EqualValues(t, 1, requests.Load(), "the new key stays")

	valid.Store("another")
	require.NoError(t, os.WriteFile(file, []byte("nonsense"), 0o600))
	err := ask()
	require.EqualError(t, err, c.Name()+" does not accept the key (401): key file "+file+": the key must be of the form user:password")
	require.Equal(t, Unauthorized, KindOf(err))
	require.NoError(t, os.Remove(file))
	err = ask()
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "does not accept the key (401): key file: open "+file+": no such file")

	_, err = New(Options{Base: c.server.Base, HTTP: c.server.HTTP, KeyFile: file})
	require.ErrorContains(t, err, "key file: open "+file)
}

// TestManyAtOnce checks that one client serves many goroutines, each with a context of its own.
func TestManyAtOnce(t *testing.T) {
	c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		_ = json.NewEncoder(w).Encode(map[string]any{"activationId": id, "start": 1 + len(id), "end": 9})
	}), nil)
	var wg sync.WaitGroup
	for n := range 16 {
		wg.Go(func() {
			for i := range 20 {
				ctx, cancel := context.WithCancel(t.Context())
				if i%5 == 4 {
					cancel()
				}
				r, err := c.Activation(ctx, strings.Repeat("a", n+1))
				if i%5 == 4 {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("%v from a cancelled lookup", err)
					}
				} else if err != nil || r.Start.UnixMilli() != int64(n+2) {
					t.Errorf("%v, %v", r, err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
}

// FuzzAddress checks that an address that is taken is taken again as it is written.
func FuzzAddress(f *testing.F) {
	f.Add("openwhisk.example.com")
	f.Add("http://[::1]:3233/")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseAddress(text)
		if err != nil {
			return
		}
		again, err := ParseAddress(u.String())
		require.NoError(t, err)
		require.Equal(t, u.String(), again.String())
	})
}
