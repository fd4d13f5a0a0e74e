package rest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const webActions = "/api/v1/web/guest/default/"

// putWeb deploys a web action with further parameters and annotations.
func (c *client) putWeb(name, parameters, annotations string) {
	c.tb.Helper()
	c.want(200, "", "PUT", under+"actions/"+name, `{"exec":{"kind":"go:1.20","code":"UEsDBBQA"},"parameters":[`+parameters+`],"annotations":[{"key":"web-export","value":true}`+annotations+`]}`)
}

// TestWebAnswers checks what becomes of the results of web actions.
func TestWebAnswers(t *testing.T) {
	c := serve(t, Options{})
	c.putWeb("w", "", "")
	const html, text, jsonType = "text/html; charset=UTF-8", "text/plain; charset=UTF-8", "application/json"
	for _, x := range []struct {
		extension, result string
		status            int
		contentType, body string
	}{
		{"", `{}`, 204, "", ""},
		{"", `{"body":""}`, 204, "", ""},
		{".http", `{"body":null,"statusCode":201}`, 201, "", ""},
		{".http", `{"body":"<b>"}`, 200, html, "<b>"},
		{".http", `{"body":{"a":[1,2.50]}}`, 200, jsonType, "{\n  \"a\": [1, 2.50]\n}"},
		{".http", `{"body":true}`, 200, jsonType, "true"},
		{".http", `{"body":{},"headers":{"content-type":"application/problem+json"}}`, 200, "application/problem+json", "{}"},
		{".http", `{"body":"eyJhIjoxfQ==","headers":{"content-type":"application/json"}}`, 200, jsonType, `{"a":1}`},
		{".http", `{"body":"{}","headers":{"content-type":"application/json"}}`, 200, jsonType, `{}`},
		{".http", `{"body":"aGVsbG8=","headers":{"CONTENT-TYPE":"image/png"}}`, 200, "image/png", "hello"},
		{".http", `{"body":"hello!","headers":{"content-type":"image/png"}}`, 400, jsonType, "Response type in header did not match generated content type."},
		{".http", `{"body":1,"headers":{"content-type":"text/plain"}}`, 400, jsonType, "Response type in header did not match generated content type."},
		{".http", `{"body":"x","headers":{"content-type":"nonsense"}}`, 400, jsonType, "Response did not specify a known content-type."},
		{".http", `{"body":"x","headers":{"content-type":"text/css;charset=utf-8"}}`, 200, "text/css;charset=utf-8", "x"},
		{".http", `{"statusCode":"404","body":"gone"}`, 404, html, "gone"},
		{".http", `{"statusCode":2.01e2,"body":"x"}`, 201, html, "x"},
		{".http", `{"statusCode":1000}`, 400, jsonType, "Response is not valid 'message/http'."},
		{".http", `{"statusCode":100}`, 400, jsonType, "Response is not valid 'message/http'."},
		{".http", `{"statusCode":200.5}`, 400, jsonType, "Response is not valid 'message/http'."},
		{".http", `{"statusCode":"x"}`, 400, jsonType, "Response is not valid 'message/http'."},
		{".http", `{"statusCode":null}`, 400, jsonType, "Response is not valid 'message/http'."},
		{".http", `{"headers":[]}`, 400, jsonType, "Response is not valid 'message/http'."},
		{".http", `{"headers":{"x":{}}}`, 400, jsonType, "Response is not valid 'message/http'."},
		{".http", `{"headers":{"x":null}}`, 400, jsonType, "Response is not valid 'message/http'."},
		{".http", `{"error":{"statusCode":403,"body":"no"}}`, 403, html, "no"},
		{".http", `{"error":"no"}`, 400, jsonType, "Response is not valid 'message/http'."},
		{".json", `{"a":{"b":1e2}}`, 200, jsonType, "{\n  \"a\": {\n    \"b\": 1E+2\n  }\n}"},
		{".json", `{"error":{"code":1}}`, 200, jsonType, "{\n  \"code\": 1\n}"},
		{".json", `[1]`, 500, text, "There was an internal server error."},
		{".text", `{"text":"hi"}`, 200, text, "hi"},
		{".text", `{"text":"hi","body":"first"}`, 200, text, "first"},
		{".text", `{"body":[{"a":1},2]}`, 200, text, "[{\n  \"a\": 1\n}, 2]"},
		{".text", `{"text":1.50}`, 200, text, "1.50"},
		{".text", `{"text":null}`, 200, text, "null"},
		{".text", `{"error":"why"}`, 200, text, "why"},
		{".text", `{}`, 404, jsonType, "Response does not include requested property."},
		{".html", `{"html":"<p>"}`, 200, html, "<p>"},
		{".html", `{"html":1}`, 400, jsonType, "Response is not valid 'text/html'."},
		{".svg", `{"svg":"<svg/>"}`, 200, "image/svg+xml", "<svg/>"},
		{".svg", `{"svg":null}`, 400, jsonType, "Response is not valid 'image/svg+xml'."},
	} {
		answer, body := c.do("POST", webActions+"w"+x.extension, `{"answer":`+x.result+`}`)
		if jsonType == answer.Header.Get("Content-Type") && x.status >= 400 {
			var e struct{ Code, Error string }
			require.NoError(t, json.Unmarshal([]byte(body), &e))
			require.Equal(t, answer.Header.Get("X-Request-Id"), e.Code)
			body = e.Error
		}
		require.Equal(t, []any{x.status, x.contentType, x.body}, []any{answer.StatusCode, answer.Header.Get("Content-Type"), body}, "%s %s", x.extension, x.result)
		require.Equal(t, x.status == 500, answer.Header.Get("X-Openwhisk-Activation-Id") == "", x.result)
	}
	answer, _ := c.do("POST", webActions+"w", `{"answer":{"statusCode":201,"headers":{"Set-Cookie":["a=1","b=2"],"content-length":9,"x-n":1.50,"x-b":true,"x-c":"a\u007f\r\nb: c\u0085","a b":"x","Location":"/x"},"body":"ok"}}`)
	require.Equal(t, "ab: c", answer.Header.Get("X-C"))
	require.Equal(t, []any{201, []string{"a=1", "b=2"}, int64(2), "1.50", "true", "/x"}, []any{answer.StatusCode, answer.Header["Set-Cookie"], answer.ContentLength,
		answer.Header.Get("X-N"), answer.Header.Get("X-B"), answer.Header.Get("Location")})
}

// TestWebRequests checks what web actions get of requests, and which requests they do not get.
func TestWebRequests(t *testing.T) {
	c := serve(t, Options{Origin: "*", Limits: Limits{PayloadBytes: 1000}})
	c.putWeb("w", `{"key":"def","value":1}`, "")
	c.putWeb("raw", "", `,{"key":"raw-http","value":true}`)
	c.putWeb("final", `{"key":"def","value":1},{"key":"open","value":null}`, `,{"key":"final","value":true}`)
	c.putWeb("number", "", `,{"key":"require-whisk-auth","value":12}`)
	c.putWeb("key", "", `,{"key":"require-whisk-auth","value":true}`)
	c.putWeb("never", "", `,{"key":"require-whisk-auth","value":false}`)
	c.want(200, "", "PUT", under+"actions/private", goAction)
	c.want(200, "", "PUT", under+"packages/p", `{"parameters":[{"key":"of","value":"p"}]}`)
	c.putWeb("p/w", "", "")
	c.want(200, "", "PUT", under+"packages/b", `{"binding":{"namespace":"_","name":"p"},"parameters":[{"key":"of","value":"b"}]}`)
	const json, form = "application/json", "application/x-www-form-urlencoded"
	for _, x := range []struct {
		request
		status int
		text   string // what the parameters, or the answer, have
	}{
		{request{method: "GET", path: "w.json?a=1&a=2&b"}, 200, `"a":"2","b":"","def":1`},
		{request{method: "POST", path: "w.json?a=1", body: `{"a":2.0, "def":"\u003c"}`}, 200, `"a":2.0,"def":"<"`},
		{request{method: "PUT", path: "w.json", body: `[1, 2]`}, 200, `"__ow_body":[1,2]`},
		{request{method: "PUT", path: "w.json", body: `null`}, 200, `"__ow_body":null`},
		{request{method: "PATCH", path: "w.json/x/y%20z?a", body: `a`, contentType: "Text/Plain"}, 200, `"__ow_body":"a","__ow_headers":{`},
		{request{method: "PATCH", path: "w.json/x/y%20z"}, 200, `"__ow_method":"patch","__ow_path":"/x/y%20z"`},
		{request{method: "DELETE", path: "w.json/"}, 200, `"__ow_path":"/"`},
		{request{method: "POST", path: "w.json", body: `ab`, contentType: "none"}, 200, `"__ow_body":"YWI="`},
		{request{method: "POST", path: "w.json", body: `ab`, contentType: "image/png"}, 200, `"__ow_body":"YWI="`},
		{request{method: "POST", path: "w.json", body: `ab`, contentType: "image/png; charset=utf-8"}, 200, `"__ow_body":"ab"`},
		{request{method: "POST", path: "w.json", contentType: "text/plain"}, 200, `"__ow_body":""`},
		{request{method: "POST", path: "w.json", contentType: json}, 200, `"__ow_path":"","def":1}`},
		{request{method: "POST", path: "w.json?a=0", body: "a=1&a=2&c=%20", contentType: form}, 200, `"a":"2","c":" "`},
		{request{method: "POST", path: "w.json", body: "%", contentType: form}, 400, "malformed"},
		{request{method: "POST", path: "w.json", body: `{`, contentType: json}, 400, "Unexpected end-of-input at input index 1"},
		{request{method: "POST", path: "w.json", body: `{"__ow_path":1}`}, 400, "not allowed"},
		{request{method: "GET", path: "w.json?__ow_user=x"}, 400, "not allowed"},
		{request{method: "GET", path: "w.json", auth: "Basic nonsense"}, 200, `"def":1`},
		{request{method: "POST", path: "raw.json?a=%31&b", body: `{}`}, 200, `"__ow_body":"e30="`},
		{request{method: "POST", path: "raw.json?a=%31&b", body: `{}`}, 200, `"__ow_query":"a=%31&b"`},
		{request{method: "POST", path: "raw.json?__ow_user=x", body: "a=1", contentType: form}, 200, `"__ow_body":"a=1"`},
		{request{method: "GET", path: "final.json?def=2"}, 400, "not allowed"},
		{request{method: "GET", path: "final.json?open=2"}, 200, `"open":"2"`},
		{request{method: "GET", path: "number.json"}, 401, "Authentication is possible but has failed or not yet been provided."},
		{request{method: "GET", path: "number.json", headers: map[string]string{"X-Require-Whisk-Auth": "12"}}, 200, `"x-require-whisk-auth":"12"`},
		{request{method: "GET", path: "key.json"}, 401, "Authentication is possible"},
		{request{method: "GET", path: "key.json", auth: "client's"}, 200, `"__ow_user":"guest"`},
		{request{method: "GET", path: "never.json", auth: "client's"}, 401, "Authentication is possible"},
		{request{method: "GET", path: "../p/w.json"}, 200, `"of":"p"`},
		{request{method: "GET", path: "../b/w.json"}, 200, `"of":"b"`},
		{request{method: "GET", path: "private.json"}, 404, "does not exist"},
		{request{method: "GET", path: "w.jpeg"}, 404, "does not exist"},
		{request{method: "GET", path: "../../nobody/default/w.json"}, 404, "does not exist"},
		{request{method: "GET", path: "-w.json"}, 401, "requires authentication"},
		{request{method: "GET", path: "-w.json", auth: "client's"}, 404, "could not be found"},
		{request{method: "OPTIONS", path: "-w.json"}, 200, "OK"},
		{request{method: "OPTIONS", path: "private.json"}, 404, "does not exist"},
		{request{method: "OPTIONS", path: "w.json"}, 200, ""},
		{request{method: "POST", path: "w.json", body: `{"a":"` + strings.Repeat("x", 1000) + `"}`}, 413, "Request larger than allowed: 1008 > 1000 bytes."},
	} {
		if x.path = webActions + x.path; x.auth == "" {
			x.auth = "none"
		} else if x.auth == "client's" {
			x.auth = ""
		}
		status, text := c.send(t, x.request)
		if x.text == "" {
			require.Empty(t, text)
		}
		if status == 200 && strings.HasPrefix(text, "{") {
			text = string(compactJSON(t, text))
		}
		if status != x.status || !strings.Contains(text, x.text) {
			t.Errorf("%s %s %s: %d %s, want %d with %s", x.method, x.path, x.body, status, text, x.status, x.text)
		}
	}
}

func compactJSON(t *testing.T, text string) []byte {
	var v json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(text), &v))
	b, err := marshal(v)
	require.NoError(t, err)
	return b
}

// TestWebLimits checks that requests to web actions are throttled as invocations, and answered when a blocking one would be.
func TestWebLimits(t *testing.T) {
	impatient := serve(t, Options{Limits: Limits{BlockingWait: 20 * time.Millisecond}})
	impatient.putWeb("w", "", "")
	answer, text := impatient.do("POST", webActions+"w.json", `{"sleep":30000}`)
	require.Equal(t, http.StatusAccepted, answer.StatusCode)
	require.Contains(t, text, "Response not yet ready.")
	require.Len(t, answer.Header.Get("X-Openwhisk-Activation-Id"), 32)

	c := serve(t, Options{Limits: Limits{InvocationsPerMinute: 2}, now: func() time.Time { return time.Unix(0, 0) }})
	c.putWeb("w", "", "")
	c.want(204, "", "GET", webActions+"w", "")
	c.want(404, "", "GET", webActions+"nosuch.json", "") // does not count
	c.want(204, "", "GET", webActions+"w", "")
	c.want(429, "Too many requests in the last minute (count: 3, allowed: 2).", "GET", webActions+"w", "")
}

func FuzzWeb(f *testing.F) {
	for _, result := range []string{
		`{"body":"x","statusCode":"200","headers":{"content-type":"text/html; a"}}`, `{"body":[1,{"a":2}],"headers":{"content-type":"a/b+json"}}`, `{"text":1e5}`,
		`{"error":{"html":"x"}}`, `[]`, `"x"`, `null`, `{"headers":{"a":[[true],"\n"],"":"x"},"body":" "}`,
	} {
		f.Add("http", []byte(result))
		f.Add("text/a/../b?x=%20", []byte(result))
	}
	c := serve(f, Options{Limits: Limits{ActivationBytes: 1 << 20}})
	c.putWeb("w", "", "")
	f.Fuzz(func(t *testing.T, path string, result []byte) {
		r, err := http.NewRequest("POST", c.server.URL()+webActions+"w."+path, strings.NewReader(`{"answer":`+string(result)+`}`))
		if err != nil {
			t.Skip()
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := c.http.Transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		isArray := strings.HasPrefix(string(text), "There was an internal server error")
		if answer.StatusCode >= 500 && answer.Header.Get("X-Openwhisk-Activation-Id") == "" && !isArray {
			t.Errorf("%q %q: %d %s", path, result, answer.StatusCode, text)
		}
	})
}
