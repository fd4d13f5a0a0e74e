package rest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWithoutDots checks how the segments . and .. of paths are resolved.
func TestWithoutDots(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "/a/b": "/a/b", "/a/.": "/a/", "/a/..": "/", "/a/../": "/", "/a/./b": "/a/b", "/a/../b/": "/b/", "/..": "/", "/../../a": "/a", "/a/%2e": "/a/",
		"/a/%2E%2e/b": "/b", "/a/.b/..c": "/a/.b/..c", "/a//../b": "/a/b", "/a/%252e": "/a/%252e", "/a%2Fb/.": "/a%2Fb/", "/a/.%2e/": "/",
	} {
		require.Equal(t, want, withoutDots(path), path)
	}
}

// TestCheckQuery checks the errors of malformed escapes in queries.
func TestCheckQuery(t *testing.T) {
	for target, want := range map[string]string{
		"/a%20b":                    "",
		"/a?b=%20&c=%aF":            "",
		"/?%":                       "Illegal request-target: Unexpected end of input, expected HEXDIG (line 1, column 4)",
		"/?a%2":                     "Illegal request-target: Unexpected end of input, expected HEXDIG (line 1, column 6)",
		"/?a%x":                     "Illegal request-target: Invalid input 'x', expected HEXDIG (line 1, column 5)",
		"/?a%2&":                    "Illegal request-target: Invalid input '&', expected HEXDIG (line 1, column 6)",
		"http://127.0.0.1:80/?a=%":  "Illegal request-target: Unexpected end of input, expected HEXDIG (line 1, column 6)",
		"http://127.0.0.1:80?a=%20": "",
	} {
		err := checkQuery(&http.Request{RequestURI: target})
		if want == "" {
			require.Nil(t, err, target)
			continue
		}
		require.Equal(t, badRequest(want), err, target)
	}
}

// TestOrderOfChecks checks which of several errors a request gets.
func TestOrderOfChecks(t *testing.T) {
	c := serve(t, Options{Limits: Limits{PayloadBytes: 100}})
	c.want(200, "", "PUT", under+"actions/a", goAction)
	c.want(200, "", "PUT", under+"triggers/t", "{}")
	c.want(200, "", "PUT", under+"rules/r", `{"trigger":"/_/t","action":"/_/a"}`)
	large := strings.Repeat("x", 200)
	const other = "/api/v1/namespaces/other/"
	for _, x := range []struct {
		request
		status int
		text   string
	}{
		// Rights come before bodies.
		{request{method: "PUT", path: other + "actions/a", body: "x", contentType: "text/plain"}, 403, "not authorized"},
		{request{method: "POST", path: other + "triggers/t", body: "{"}, 403, "not authorized"},
		// Names come before rights, and before what follows them.
		{request{method: "PUT", path: other + "triggers/-t", body: "{}"}, 400, "illegal characters"},
		{request{method: "GET", path: under + "rules/-r/more"}, 400, "illegal characters"},
		{request{method: "GET", path: under + "actions/a/-b/c"}, 400, "illegal characters"},
		{request{method: "GET", path: under + "actions/a/b/c"}, 404, "could not be found"},
		{request{method: "GET", path: under + "activations/x/y"}, 400, "length is 1"},
		{request{method: "GET", path: under + "activations/" + strings.Repeat("a", 32) + "/y"}, 404, "could not be found"},
		{request{method: "GET", path: under + "activations/" + strings.Repeat("a", 32) + "/"}, 404, "could not be found"},
		// A slash may follow a collection, but no entity.
		{request{method: "GET", path: under + "triggers/"}, 200, `"name":"t"`},
		{request{method: "GET", path: under + "triggers/t/"}, 404, "could not be found"},
		{request{method: "DELETE", path: under + "rules/r/"}, 404, "could not be found"},
		{request{method: "PUT", path: under + "packages/p/", body: "{}"}, 404, "could not be found"},
		{request{method: "POST", path: under + "actions/a/"}, 404, "could not be found"},
		{request{method: "GET", path: under + "limits/"}, 200, "maxActionMemory"},
		{request{method: "GET", path: under + "limits/x"}, 404, "could not be found"},
		// Bodies come before the query of a PUT request, and after that of an invocation; sizes come first.
		{request{method: "PUT", path: under + "triggers/t?overwrite=x", body: "{"}, 400, "Unexpected end-of-input"},
		{request{method: "PUT", path: under + "triggers/t?overwrite=x", body: `{"annotations":[{"key":"a","value":"` + large + `"}],"version":1}`}, 413, "annotations larger"},
		{request{method: "PUT", path: under + "rules/r?overwrite=x", body: `{"version":1}`}, 400, "'overwrite' was malformed"},
		{request{method: "POST", path: under + "actions/a?blocking=x", body: "x", contentType: "text/plain"}, 400, "'blocking' was malformed"},
		{request{method: "POST", path: under + "actions/a?blocking=x", body: large, contentType: "text/plain"}, 413, "Request larger"},
		{request{method: "POST", path: under + "actions/nosuch", body: "{"}, 400, "Unexpected end-of-input"},
		{request{method: "POST", path: under + "triggers/nosuch", body: "x", contentType: "text/plain"}, 415, "[text/plain]"},
		{request{method: "POST", path: under + "rules/nosuch", body: "x", contentType: "text/plain"}, 415, "[text/plain]"},
		// What is no status of a rule.
		{request{method: "POST", path: under + "rules/r", body: "{"}, 400, "Unexpected end-of-input"},
		{request{method: "POST", path: under + "rules/r"}, 400, "Unexpected end-of-input"},
		{request{method: "POST", path: under + "rules/r", body: "null"}, 400, "null (of class spray.json.JsNull$)"},
		{request{method: "POST", path: under + "rules/r", body: `{"status":{"a" : 1}}`}, 400, `{\"a\":1} (of class spray.json.JsObject)`},
		{request{method: "POST", path: under + "rules/r", body: `{"status":"on"}`}, 400, "on is not a recognized rule state"},
		// Limits.
		{request{method: "PUT", path: under + "triggers/t?overwrite=1", body: `{"limits":1}`}, 400, "Object expected"},
		{request{method: "PUT", path: under + "triggers/t?overwrite=1", body: `{"limits":{"x":1}}`}, 200, ""},
		{request{method: "PUT", path: under + "actions/a?overwrite=1", body: `{"limits":{"memory":256.0,"timeout":1e3}}`}, 200, `"memory":256,"timeout":1000`},
		{request{method: "PUT", path: under + "actions/a?overwrite=1", body: `{"limits":{"memory":"256"}}`}, 400, "memory limit malformed"},
		{request{method: "PUT", path: under + "actions/a?overwrite=1", body: `{"limits":{"concurrency":1.5}}`}, 400, "requirement failed: concurrency limit must be whole number"},
		{request{method: "PUT", path: under + "actions/a?overwrite=1", body: `{"limits":{"memory":1e20}}`}, 400, "memory size 1661992960 MB exceeds"},
		// Numbers are kept as they are written.
		{request{method: "PUT", path: under + "packages/p", body: `{"annotations":[{"key":"a","value":[1.50, 1e2]}]}`}, 200, `"value":[1.50,1E+2]`},
		{request{method: "GET", path: "/metrics", auth: "none"}, 200, ""},
		{request{method: "POST", path: "/metrics"}, 405, ""},
	} {
		status, text := c.send(t, x.request)
		if status != x.status || !strings.Contains(text, x.text) {
			t.Errorf("%s %s %.100s: %d %s, want %d with %s", x.method, x.path, x.body, status, text, x.status, x.text)
		}
	}
}
