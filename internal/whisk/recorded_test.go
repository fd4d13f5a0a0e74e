package whisk

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// exchange is a request that was made to a real OpenWhisk, and its answer.
type exchange struct {
	Request struct {
		Method string `json:"method"`
		Path   string `json:"path"`
	} `json:"request"`
	Response struct {
		Status  int               `json:"status"`
		Headers map[string]string `json:"headers"`
		Body    json.RawMessage   `json:"body"`
	} `json:"response"`
}

func recorded(t testing.TB) map[string]exchange {
	t.Helper()
	text, err := os.ReadFile("testdata/recorded.json")
	require.NoError(t, err)
	var all map[string]exchange
	require.NoError(t, json.Unmarshal(text, &all))
	return all
}

// id returns the activation id at the end of the path.
func (e exchange) id() string {
	path, _, _ := strings.Cut(e.Request.Path, "?")
	return path[strings.LastIndex(path, "/")+1:]
}

// body returns the bytes that were sent: a text that is no JSON is recorded as a JSON string.
func (e exchange) body() []byte {
	var text string
	if strings.HasPrefix(e.Response.Headers["Content-Type"], "text/plain") && json.Unmarshal(e.Response.Body, &text) == nil {
		return []byte(text)
	}
	return e.Response.Body
}

func (e exchange) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	for name, value := range e.Response.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(e.Response.Status)
	_, _ = w.Write(e.body())
}

const testKey = "user:secret"

// newTestClient returns a client of a server with the handler.
func newTestClient(t testing.TB, handler http.Handler, change func(*Options)) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	base, err := ParseAddress(server.URL)
	require.NoError(t, err)
	o := Options{Base: base, Key: testKey, HTTP: NewHTTPClient(false, 8), Timeout: 10 * time.Second, UserAgent: "tests"}
	if change != nil {
		change(&o)
	}
	t.Cleanup(o.HTTP.CloseIdleConnections)
	c, err := New(o)
	require.NoError(t, err)
	return c
}

// TestRecordedRecords checks that the answers of a real OpenWhisk to requests for records are understood.
func TestRecordedRecords(t *testing.T) {
	all := recorded(t)
	for name, check := range map[string]func(t *testing.T, r Record, err error){
		"cold": func(t *testing.T, r Record, err error) {
			require.NoError(t, err)
			require.True(t, r.Cold)
			require.Equal(t, 1059*time.Millisecond, r.Wait)
			require.Equal(t, 60*time.Millisecond, r.Init)
			require.Equal(t, int64(1795332834722), r.Start.UnixMilli())
			require.Equal(t, 3066*time.Millisecond, r.End.Sub(r.Start))
			require.Empty(t, r.Error)
		},
		"warm": func(t *testing.T, r Record, err error) {
			require.NoError(t, err)
			require.False(t, r.Cold)
			require.Zero(t, r.Init)
			require.Equal(t, 8*time.Millisecond, r.Wait)
		},
		"application_error": func(t *testing.T, r Record, err error) {
			require.NoError(t, err)
			require.Equal(t, "application error: e", r.Error)
		},
		"developer_error": func(t *testing.T, r Record, err error) {
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(r.Error, "action developer error: "), r.Error)
		},
		"not_yet":   func(t *testing.T, _ Record, err error) { require.ErrorIs(t, err, ErrNotYet) },
		"bad_id":    func(t *testing.T, _ Record, err error) { require.ErrorIs(t, err, ErrImpossible) },
		"wrong_key": func(t *testing.T, _ Record, err error) { require.Equal(t, Unauthorized, KindOf(err)) },
		"throttled": func(t *testing.T, _ Record, err error) { require.Equal(t, Throttled, KindOf(err)) },
	} {
		t.Run(name, func(t *testing.T) {
			e, ok := all[name]
			require.True(t, ok)
			id := e.id()
			if !strings.Contains(e.Request.Path, "/activations/") {
				id = strings.Repeat("0", 32)
			}
			var asked *http.Request
			c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r
				e.ServeHTTP(w, r)
			}), nil)
			r, err := c.Activation(t.Context(), id)
			check(t, r, err)
			require.Equal(t, "/api/v1/namespaces/_/activations/"+id, asked.URL.Path)
			user, password, _ := asked.BasicAuth()
			require.Equal(t, testKey, user+":"+password)
			require.Equal(t, "tests", asked.UserAgent())
		})
	}
}

// TestRecordedCalls checks each call with the answer that a real OpenWhisk gave to it: what is asked, and what comes of it. The texts of
// the errors are those that users see.
func TestRecordedCalls(t *testing.T) {
	all := recorded(t)
	for _, test := range []struct {
		answer  string
		call    func(c *Client) (any, error)
		request string // METHOD PATH?QUERY
		body    string // of the request, if any
		want    any
		err     string // after "OpenWhisk at ADDRESS"
		kind    Kind
	}{
		{answer: "info", request: "GET /", call: func(c *Client) (any, error) {
			i, err := c.Info(t.Context())
			return []any{i.Runtimes["go"], i.Limits.MaxActionDuration, i.Limits.ActionsPerMinute}, err
		}, want: []any{[]Runtime{{Kind: "go:1.20", Default: true}}, int64(300000), int64(100000)}},
		{answer: "packages", request: "GET /api/v1/namespaces/_/packages?limit=200&skip=0", call: func(c *Client) (any, error) {
			return c.Packages(t.Context())
		}, want: []Package{{Name: "pkg", Annotations: KeyValues{{"description", "my package"}}, Updated: 1795332570503}}},
		{answer: "package", request: "GET /api/v1/namespaces/_/packages/pkg", call: func(c *Client) (any, error) {
			p, err := c.Package(t.Context(), "pkg")
			return []string{p.Name, p.Actions[0].Name}, err
		}, want: []string{"pkg", "act"}},
		{answer: "put_package", request: "PUT /api/v1/namespaces/_/packages/pkg?overwrite=true",
			body: `{"name":"pkg","annotations":[{"key":"a","value":{"b":1}}],"parameters":[{"key":"pk2","value":"pv2"}]}`,
			call: func(c *Client) (any, error) {
				return nil, c.PutPackage(t.Context(), Package{
					Name: "pkg", Annotations: KeyValues{{"a", map[string]int{"b": 1}}}, Parameters: KeyValues{{"pk2", "pv2"}},
				})
			}},
		{answer: "put_action", request: "PUT /api/v1/namespaces/_/actions/pkg/act?overwrite=true",
			body: `{"name":"act","exec":{"kind":"go:1.20","code":"UEs=","binary":true},"limits":{"timeout":60000,"memory":256}}`,
			call: func(c *Client) (any, error) {
				return nil, c.PutAction(t.Context(), "pkg", Action{
					Name: "act", Exec: &Exec{Kind: "go:1.20", Code: "UEs=", Binary: true}, Limits: &Limits{Timeout: 60000, Memory: 256},
				})
			}},
		{answer: "delete_action", request: "DELETE /api/v1/namespaces/_/actions/pkg/act", call: func(c *Client) (any, error) {
			return nil, c.DeleteAction(t.Context(), "pkg", "act")
		}},
		{answer: "delete_package", request: "DELETE /api/v1/namespaces/_/packages/pkg", call: func(c *Client) (any, error) {
			return nil, c.DeletePackage(t.Context(), "pkg")
		}},
		{answer: "not_empty", request: "DELETE /api/v1/namespaces/_/packages/pkg", call: func(c *Client) (any, error) {
			return nil, c.DeletePackage(t.Context(), "pkg")
		}, kind: Conflict, err: " refuses (409): Package not empty (contains 1 entity). Set force param or delete package contents"},
		{answer: "no_package", request: "DELETE /api/v1/namespaces/_/packages/pkg", call: func(c *Client) (any, error) {
			return nil, c.DeletePackage(t.Context(), "pkg")
		}, kind: NotFound, err: " does not have this (404): The requested resource does not exist"},
		{answer: "invoked", request: "POST /api/v1/namespaces/_/actions/pkg/a%20b?blocking=false", body: `{"n":1}`, call: func(c *Client) (any, error) {
			return c.Invoke(t.Context(), "pkg/a b", map[string]int{"n": 1})
		}, want: "fba4f39b3cc749a6a4f39b3cc799a626"},
		{answer: "list", request: "GET /api/v1/namespaces/_/activations?limit=1", call: func(c *Client) (any, error) {
			return nil, c.Check(t.Context(), Activations)
		}},
		{answer: "packages", request: "GET /api/v1/namespaces/_/packages?limit=1", call: func(c *Client) (any, error) {
			return nil, c.Check(t.Context(), Packages)
		}},
		{answer: "wrong_key", request: "GET /api/v1/namespaces/_/packages?limit=1", call: func(c *Client) (any, error) {
			return nil, c.Check(t.Context(), Packages)
		}, kind: Unauthorized, err: " does not accept the key (401)"},
		{answer: "not_allowed", request: "GET /api/v1/namespaces/_/packages?limit=1", call: func(c *Client) (any, error) {
			return nil, c.Check(t.Context(), Packages)
		}, kind: Forbidden, err: " does not allow this to the key (403): The supplied authentication is not authorized to access 'whisk.system/x'"},
		{answer: "throttled_rate", request: "POST /api/v1/namespaces/_/actions/a?blocking=false", body: `{}`, call: func(c *Client) (any, error) {
			return c.Invoke(t.Context(), "a", struct{}{})
		}, want: "", kind: Throttled, err: " has had too many requests (429): Too many requests in the last minute (count: 61, allowed: 60)"},
		{answer: "exists", request: "PUT /api/v1/namespaces/_/packages/pkg?overwrite=true", body: `{"name":"pkg"}`, call: func(c *Client) (any, error) {
			return nil, c.PutPackage(t.Context(), Package{Name: "pkg"})
		}, kind: Conflict, err: " refuses (409): resource already exists"},
		{answer: "malformed", request: "PUT /api/v1/namespaces/_/packages/pkg?overwrite=true", body: `{"name":"pkg"}`, call: func(c *Client) (any, error) {
			return nil, c.PutPackage(t.Context(), Package{Name: "pkg"})
		}, kind: Rejected, err: " refuses (400): The request content was malformed: 'kind' must be a string defined in 'exec'"},
		{answer: "far_too_large", request: "PUT /api/v1/namespaces/_/packages/pkg?overwrite=true", body: `{"name":"pkg"}`, call: func(c *Client) (any, error) {
			return nil, c.PutPackage(t.Context(), Package{Name: "pkg"})
		}, kind: Rejected, err: " refuses (400): Request too large"},
	} {
		t.Run(test.answer, func(t *testing.T) {
			e, ok := all[test.answer]
			require.True(t, ok)
			var asked, sent string
			c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r.Method + " " + r.URL.RequestURI()
				var body json.RawMessage
				if json.NewDecoder(r.Body).Decode(&body) == nil {
					sent = string(body)
				}
				e.ServeHTTP(w, r)
			}), nil)
			got, err := test.call(c)
			require.Equal(t, test.request, asked)
			require.Equal(t, test.body, sent)
			if test.err != "" {
				require.EqualError(t, err, c.Name()+test.err)
				require.Equal(t, test.kind, KindOf(err))
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, test.want, got)
		})
	}
	c := newTestClient(t, all["too_large"], nil)
	err := c.PutAction(t.Context(), "pkg", Action{Name: "a"})
	require.EqualError(t, err, "this is too large for "+c.Name()+" (413): parameters larger than allowed: 1048592 > 1048576 bytes")
}

// TestPages checks that all pages of a list are read.
func TestPages(t *testing.T) {
	var asked []string
	c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		skip := r.URL.Query().Get("skip")
		asked = append(asked, skip)
		n := 200
		if skip == "400" {
			n = 7
		}
		_ = json.NewEncoder(w).Encode(make([]struct {
			Name string `json:"name"`
		}, n))
	}), nil)
	_, err := c.Packages(t.Context())
	require.EqualError(t, err, c.Name()+" answers nonsense: one of the packages has no name")
	asked = nil
	c = newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		skip := r.URL.Query().Get("skip")
		asked = append(asked, skip)
		page := make([]Package, 200)
		if skip == "400" {
			page = page[:7]
		}
		for i := range page {
			page[i].Name = fmt.Sprint("p", skip, "-", i)
		}
		_ = json.NewEncoder(w).Encode(page)
	}), nil)
	all, err := c.Packages(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 407)
	require.Equal(t, []string{"0", "200", "400"}, asked)
}

// TestSamePageAgain checks that lists of a server that drops the query, and so answers each request alike, end.
func TestSamePageAgain(t *testing.T) {
	asked := 0
	c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		page := make([]Package, 200)
		for i := range page {
			page[i].Name = fmt.Sprint("p", i)
		}
		_ = json.NewEncoder(w).Encode(page)
	}), nil)
	_, err := c.Packages(t.Context())
	require.EqualError(t, err, c.Name()+" answers nonsense: the same packages again")
	_, err = c.Actions(t.Context())
	require.EqualError(t, err, c.Name()+" answers nonsense: the same actions again")
	require.Equal(t, 4, asked)
}
