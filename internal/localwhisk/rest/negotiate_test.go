package rest

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAccepts checks which answers headers accept.
func TestAccepts(t *testing.T) {
	for _, x := range []struct {
		accept, charset []string
		json, text      bool
	}{
		{nil, nil, true, true},
		{[]string{"*/*"}, nil, true, true},
		{[]string{"*"}, nil, true, true},
		{[]string{"*/*;q=0"}, nil, false, false},
		{[]string{"Application/JSON"}, nil, true, false},
		{[]string{"application/*;q=0.1, text/html"}, nil, true, false},
		{[]string{"application/json;q=0, */*"}, nil, false, true},
		{[]string{"text/html", "text/plain; version=1; q=0.5"}, nil, false, true},
		{[]string{"x"}, nil, true, true},
		{[]string{"x", "text/*"}, nil, false, true},
		{[]string{"*/json"}, nil, true, true},
		{nil, []string{"latin1"}, false, true},
		{nil, []string{"latin1, UTF-8;q=0.5"}, true, true},
		{nil, []string{"utf-8;q=0, *"}, false, true},
		{nil, []string{"*"}, true, true},
	} {
		h := http.Header{"Accept": x.accept, "Accept-Charset": x.charset}
		require.Equal(t, x.json, accepts(h, "application", "json", false), "%v", h)
		require.Equal(t, x.text, accepts(h, "text", "plain", true), "%v", h)
	}
}

// TestNotAcceptable checks that a client that takes no JSON learns it when its request has taken effect, and that it gets errors all the same.
func TestNotAcceptable(t *testing.T) {
	c := serve(t, Options{})
	html := map[string]string{"Accept": "text/html"}
	const none = "Resource representation is only available with these types:\\n"
	for _, x := range []struct {
		request
		status int
		text   string
	}{
		{request{method: "PUT", path: under + "triggers/t", body: "{}", headers: html}, 406, none + "application/json"},
		{request{method: "GET", path: under + "triggers/t"}, 200, `"name":"t"`},
		{request{method: "PUT", path: under + "triggers/t", body: "{}", headers: html}, 409, "already exists"},
		{request{method: "GET", path: under + "triggers/nosuch", headers: html}, 404, "does not exist"},
		{request{method: "GET", path: under + "triggers", headers: html}, 406, none},
		{request{method: "GET", path: under + "triggers?count=true", headers: html}, 406, none},
		{request{method: "GET", path: "/api/v1/namespaces", headers: html}, 406, none},
		{request{method: "GET", path: under + "limits", headers: html}, 406, none},
		{request{method: "GET", path: "/", headers: html}, 406, none},
		{request{method: "GET", path: "/ping", headers: html}, 406, none + "text/plain"},
		{request{method: "GET", path: under + "actions", headers: html, auth: "none"}, 401, "requires authentication"},
		{request{method: "POST", path: under + "triggers/t", headers: html}, 204, ""},
		{request{method: "DELETE", path: under + "triggers/t", headers: html}, 406, none},
		{request{method: "GET", path: under + "triggers/t"}, 404, ""},
	} {
		status, text := c.send(t, x.request)
		if status != x.status {
			t.Errorf("%s %s: %d %s, want %d", x.method, x.path, status, text, x.status)
		}
		require.Contains(t, text, x.text)
	}
}
