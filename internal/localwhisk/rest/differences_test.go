package rest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// request is a request of a test.
type request struct {
	method, path, body string
	contentType        string // "": application/json where there is a body; "none": none
	auth               string // the header Authorization; "": that of the client's key; "none": none
	headers            map[string]string
}

// send makes a request whose path is sent as it is, and returns the status and the body of the answer.
func (c *client) send(tb interface{ Fatal(...any) }, q request) (int, string) {
	r, err := http.NewRequest(q.method, c.server.URL(), strings.NewReader(q.body))
	if err != nil {
		tb.Fatal(err)
	}
	r.URL.Opaque = q.path
	switch {
	case q.contentType == "none":
	case q.contentType != "":
		r.Header.Set("Content-Type", q.contentType)
	case q.body != "":
		r.Header.Set("Content-Type", "application/json")
	}
	switch q.auth {
	case "":
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c.auth)))
	case "none":
	default:
		r.Header.Set("Authorization", q.auth)
	}
	for name, value := range q.headers {
		r.Header.Set(name, value)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// TestDifferences checks answers in which this platform once differed from a real OpenWhisk (git 1fae641a2).
func TestDifferences(t *testing.T) {
	c := serve(t, Options{InstantRecords: true})
	put := func(path, body string) request { return request{method: "PUT", path: under + path, body: body} }
	get := func(path string) request { return request{method: "GET", path: under + path} }
	exec := func(exec string) string { return `{"exec":` + exec + `}` }
	const emptyBody = `The request content was malformed:\nUnexpected end-of-input at input index 0 (line 1, position 1), expected JSON Value:\n\n^\n`
	for _, p := range []string{"actions/x", "actions/a&b"} {
		c.want(200, "", "PUT", under+p, goAction)
	}
	c.want(200, "", "PUT", under+"triggers/t", `{}`)
	c.want(200, "", "PUT", under+"packages/p", `{}`)
	c.want(200, "", "PUT", under+"rules/r", `{"trigger":"/_/t","action":"/_/x"}`)
	for _, d := range []struct {
		request
		status int
		text   string
	}{
		// Versions and limits.
		{put("actions/x?overwrite=true", `{"version":"1.2"}`), 200, `"version":"1.2.0"`},
		{put("triggers/t?overwrite=true", `{"version":"1"}`), 200, `"version":"1.0.0"`},
		{put("packages/p?overwrite=true", `{"version":"00.0.18"}`), 200, `"version":"0.0.18"`},
		{put("packages/p?overwrite=true", `{}`), 200, `"version":"0.0.19"`},
		{put("packages/p?overwrite=true", `{"version":"0.0.0"}`), 400, "semantic version malformed"},
		{put("packages/p?overwrite=true", `{"version":"1.x"}`), 400, "semantic version malformed"},
		{put("packages/p?overwrite=true", `{"version":2}`), 400, "semantic version malformed"},
		{put("actions/x?overwrite=true", `{"limits":{"instances":3}}`), 200, `"instances":3`},
		{put("actions/x?overwrite=true", `{"limits":{"memory":128}}`), 200, `"limits":{"concurrency":1,"instances":3,"logs":10,"memory":128,"timeout":60000}`},
		{put("actions/x?overwrite=true", `{"limits":{"timeout":1.5}}`), 400, "requirement failed: time limit must be whole number"},
		{put("actions/x?overwrite=true", `{"limits":{"logs":-1}}`), 400, "requirement failed: a negative size of an object is not allowed."},
		{put("actions/x?overwrite=true", `{"delAnnotations":[1]}`), 400, "Expected String as JsString, but got 1"},
		// Every body is first read for the fields that all entities have.
		{put("triggers/t?overwrite=true", ""), 400, emptyBody},
		{put("packages/new", ""), 400, emptyBody},
		{put("rules/r", ""), 400, emptyBody},
		{request{method: "PUT", path: under + "triggers/t?overwrite=true", contentType: "text/plain"}, 415, "Content-Type [text/plain] is not supported"},
		{request{method: "PUT", path: under + "actions/x?overwrite=true", contentType: "application/xml"}, 415, "[application/xml]"},
		{put("triggers/t?overwrite=true", `null`), 400, "Object expected in field 'exec'"},
		{put("triggers/t?overwrite=true", exec(`{}`)), 400, "'kind' must be a string defined in 'exec'"},
		{put("rules/r?overwrite=true", exec(`{"kind":"go:1.20"}`)), 400, "'code' must be a string or attachment object defined in 'exec' for 'go:1.20' actions"},
		{put("packages/p?overwrite=true", exec(`{"kind":"sequence","components":[1]}`)), 400, "fully qualified name malformed"},
		{put("triggers/t?overwrite=true", exec(`[]`)), 400, "JSON object expected"},
		{put("rules/r?overwrite=true", `{"parameters":{}}`), 400, "parameters malformed!"},
		{put("actions/x?overwrite=true", `{"annotations":{}}`), 400, "parameters malformed!"},
		// Content types.
		{request{method: "PUT", path: under + "triggers/t?overwrite=true", body: `{}`, contentType: "APPLICATION/JSON"}, 200, ""},
		{request{method: "POST", path: under + "rules/r", body: `{"status":"active"}`, contentType: "Application/Json; charset=utf-8"}, 200, "OK"},
		{request{method: "PUT", path: under + "triggers/t?overwrite=true", body: `{}`, contentType: "x"}, 415, "[application/octet-stream]"},
		// Code.
		{put("actions/x?overwrite=true", exec(`{"kind":"blackbox","image":""}`)), 400, "could not parse image name"},
		{put("actions/x?overwrite=true", exec(`{"kind":"go:1.20","code":"x","main":1}`)), 400, "if defined, 'main' be a string in 'exec' for 'go:1.20' actions"},
		{put("actions/x?overwrite=true", exec(`{"kind":"GO:1.20","code":"x"}`)), 200, `"kind":"go:1.20"`},
		{put("actions/x?overwrite=true", exec(`{"kind":"java:default","code":"x"}`)), 400, "'main' must be a string defined in 'exec' for 'java:default' actions"},
		{put("actions/x?overwrite=true", exec(`{"kind":"go:1.20","code":1}`)), 400, "Could not deserialize as attachment record: 1"},
		{put("actions/x?overwrite=true", exec(`{"kind":"go:1.20","code":" "}`)), 200, `"code":" ","binary":false`},
		{put("actions/y", exec(`{"kind":"sequence","components":null}`)), 400, "'components' must be an array"},
		{put("actions/y", exec(`{"kind":"sequence","components":["/_/p/q/r"]}`)), 404, "does not exist"},
		{put("actions/y", exec(`{"kind":"sequence","components":["/_/"]}`)), 400, "must contain at least the namespace and the name"},
		// Other namespaces.
		{put("actions/y", exec(`{"kind":"sequence","components":["p/e"]}`)), 403, "not authorized to access 'p/e'."},
		{put("rules/r", `{"trigger":"/other/t","action":"/_/x"}`), 403, "not authorized to access 'other/t'."},
		{put("packages/b", `{"binding":{"namespace":"other","name":"p"}}`), 403, "not authorized to access 'other/p'."},
		{request{method: "POST", path: "/api/v1/namespaces/other/limits"}, 404, "could not be found"},
		{request{method: "PUT", path: "/api/v1/namespaces/other/actions"}, 404, "could not be found"},
		// Bindings and rules.
		{put("packages/b", `{"binding":{"name":"p"}}`), 400, "Object is missing required member 'namespace'"},
		{put("packages/b", `{"binding":{"namespace":"_"}}`), 400, "Object is missing required member 'name'"},
		{put("packages/b", `{"binding":null}`), 400, "Object expected in field 'namespace'"},
		{put("packages/b", `{"binding":{"namespace":1,"name":"p"}}`), 400, "entity name malformed"},
		{put("packages/b", `{"binding":{"namespace":"_","name":""}}`), 400, "entity name malformed"},
		{put("packages/b", `{"binding":{}}`), 200, `"binding":{}`},
		{put("rules/r?overwrite=true", `{"trigger":"/_/x","action":"/_/x"}`), 400, "document type class org.apache.openwhisk.core.entity.WhiskAction did not match expected type class org.apache.openwhisk.core.entity.WhiskTrigger."},
		{put("rules/r?overwrite=true", `{"trigger":"","action":""}`), 400, "requirement failed: path undefined"},
		{request{method: "POST", path: under + "rules/r", body: `{}`}, 400, "key not found: status"},
		{request{method: "POST", path: under + "rules/r", body: `[]`}, 400, "[] (of class spray.json.JsArray)"},
		// Names.
		{get("actions/a&b"), 200, `"name":"a\u0026b"`},
		{request{method: "PUT", path: under + "triggers/a&b", body: `{}`}, 409, "not in this collection"},
		{get("actions/.."), 404, "could not be found"},
		{put("actions/p/.", goAction), 404, "could not be found"},
		{put("actions/p/%2e", goAction), 404, "could not be found"},
		{get("actions//a"), 404, "could not be found"},
		{get("actions/p/b/"), 404, "could not be found"},
		{request{method: "GET", path: "/api/v1/namespaces/-a/actions"}, 400, "The namespace contains illegal characters."},
		{request{method: "GET", path: "/api/v1/namespaces/%20a/actions"}, 400, "The namespace contains illegal characters."},
		{request{method: "GET", path: "/api/v1/namespaces/_a/actions"}, 404, "could not be found"},
		{request{method: "GET", path: "/api/v1/namespaces/" + strings.Repeat("x", 257)}, 400, "Namespace longer than allowed: 257 > 256."},
		// Queries.
		{put("actions/x?overwrite=", goAction), 409, "resource already exists"},
		{put("actions/x?overwrite", goAction), 409, "resource already exists"},
		{put("triggers/t?overwrite=TRUE", `{}`), 200, ""},
		{get("actions/x?code="), 200, `"code":`},
		{get("triggers?count="), 200, `[{"name":"t"`},
		{get("triggers?skip=2147483648"), 400, "The value '2147483648' is not an integer for triggers."},
		{get("rules?limit=99999999999"), 400, "The value '99999999999' is not an integer for rules."},
		{get("activations?name=a;b"), 400, "Parameter may be a 'simple' name or 'package-name/simple' name: a;b"},
		// Keys.
		{request{method: "GET", path: "/api/v1/nothing", auth: "none"}, 401, "requires authentication"},
		{request{method: "GET", path: "/api/v1/nothing", auth: "Basic YTpi"}, 401, "The supplied authentication is invalid"},
		{request{method: "GET", path: "/api/v1/nothing"}, 404, "could not be found"},
		{request{method: "GET", path: "/api/v1/namespaces", auth: "Basic"}, 401, "requires authentication"},
		{request{method: "GET", path: "/api/v1/web/guest/", auth: "none"}, 401, "requires authentication"},
		{request{method: "GET", path: "/api/v1/web/guest/default/w.json", auth: "none"}, 404, "does not exist"},
		// Encrypted parameters.
		{put("triggers/t?overwrite=true", `{"parameters":[{"key":"a","value":1,"encryption":"x"}]}`), 200, `{"key":"a","value":1,"encryption":"x"}`},
		{put("triggers/t?overwrite=true", `{"parameters":[{"key":"a","value":1,"encryption":null}]}`), 400, "parameters malformed!"},
	} {
		status, text := c.send(t, d.request)
		want := strings.ReplaceAll(d.text, `\u0026`, "&")
		if !strings.Contains(want, `\n`) && !strings.HasPrefix(want, `"`) && !strings.HasPrefix(want, "{") && !strings.HasPrefix(want, "[{") {
			var e struct{ Error string }
			if json.Unmarshal([]byte(text), &e) == nil && e.Error != "" {
				text = e.Error
			}
		}
		if status != d.status || !strings.Contains(text, want) {
			t.Errorf("%s %s %.100s: %d %.400s, want %d with %s", d.method, d.path, d.body, status, text, d.status, want)
		}
	}
}

// TestSizesAreCharacters checks that the size of a result counts characters, in units of UTF-16.
func TestSizesAreCharacters(t *testing.T) {
	c := serve(t, Options{Runtime: realContainers(t), InstantRecords: true})
	code, err := goScript()
	require.NoError(t, err)
	c.want(200, "", "PUT", under+"actions/echo", fmt.Sprintf(`{"exec":{"kind":"go:1.20","code":%q,"binary":true}}`, code))
	size := func(name string) int {
		var r record
		_, text := c.do("POST", under+"actions/echo?blocking=true", `{"name":"`+name+`"}`)
		require.NoError(t, json.Unmarshal([]byte(text), &r))
		require.NotNil(t, r.Response.Size, text)
		return *r.Response.Size
	}
	require.Equal(t, size("abcd"), size("ä€😀"))
}

// TestMemoryOfASequence checks that the record of a sequence has the memory of its largest component.
func TestMemoryOfASequence(t *testing.T) {
	c := serve(t, Options{InstantRecords: true})
	for name, memory := range map[string]int{"small": 128, "large": 384} {
		c.want(200, "", "PUT", under+"actions/"+name, fmt.Sprintf(`{"exec":{"kind":"go:1.20","code":"x"},"limits":{"memory":%d}}`, memory))
	}
	c.want(200, "", "PUT", under+"actions/seq", `{"exec":{"kind":"sequence","components":["/_/small","/_/large","/_/small"]}}`)
	c.want(200, "", "PUT", under+"actions/outer", `{"exec":{"kind":"sequence","components":["/_/small","/_/seq"]}}`)
	for _, name := range []string{"seq", "outer"} {
		c.want(200, `{"key":"limits","value":{"concurrency":1,"logs":10,"memory":384,"timeout":60000}}`, "POST", under+"actions/"+name+"?blocking=true", "")
	}
}

// TestRecordsTakeTime checks that the record of an activation is not readable before 9 ms after its end, though a blocking invocation has been
// answered, and is soon.
func TestRecordsTakeTime(t *testing.T) {
	c := serve(t, Options{})
	c.want(200, "", "PUT", under+"actions/hello", goAction)
	missing := 0
	for begin, n := time.Now(), 0; n < 20 || missing == 0 && time.Since(begin) < time.Minute; n++ { // a slow machine seldom looks within 9 ms
		_, text := c.do("POST", under+"actions/hello?blocking=true", "")
		var r record
		require.NoError(t, json.Unmarshal([]byte(text), &r))
		answer, _ := c.do("GET", under+"activations/"+r.ID, "")
		if readAt := time.Now().UnixMilli(); answer.StatusCode == http.StatusOK {
			require.GreaterOrEqual(t, readAt, *r.End+9, "readable too early")
		} else {
			require.Equal(t, http.StatusNotFound, answer.StatusCode)
			missing++
		}
		c.record(r.ID)
	}
	require.Positive(t, missing, "every record was readable right after the answer")
}
