package rest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// client makes requests as one namespace.
type client struct {
	tb     testing.TB
	server *Server
	auth   string
	http   http.Client
}

func serve(tb testing.TB, options Options) *client {
	tb.Helper()
	if options.Runtime == nil {
		options.Runtime = &inProcess{}
	}
	server, err := Start(tb.Context(), options)
	if err != nil {
		tb.Fatal(err)
	}
	c := &client{tb: tb, server: server, auth: server.Auth(), http: http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
	tb.Cleanup(func() {
		c.http.CloseIdleConnections()
		if err := server.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

func (c *client) do(method, path, body string) (*http.Response, string) {
	c.tb.Helper()
	r, err := http.NewRequest(method, c.server.URL()+path, strings.NewReader(body))
	if err != nil {
		c.tb.Fatal(err)
	}
	r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c.auth)))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.http.Do(r)
	if err != nil {
		c.tb.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		c.tb.Fatal(err)
	}
	return answer, string(b)
}

// want makes a request and checks the status and, unless text is empty, that the body contains text.
func (c *client) want(status int, text, method, path, body string) string {
	c.tb.Helper()
	answer, got := c.do(method, path, body)
	if answer.StatusCode != status || !strings.Contains(got, text) {
		c.tb.Errorf("%s %s %.100s: %d %.400s, want %d with %s", method, path, body, answer.StatusCode, got, status, text)
	}
	return got
}

const under = "/api/v1/namespaces/_/"

const goAction = `{"exec":{"kind":"go:1.20","code":"UEsDBBQA","binary":true}}`

// record waits for the record of an activation and returns it.
func (c *client) record(id string) record {
	c.tb.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		answer, body := c.do("GET", under+"activations/"+id, "")
		if answer.StatusCode == http.StatusOK {
			var r record
			if err := json.Unmarshal([]byte(body), &r); err != nil {
				c.tb.Fatal(err)
			}
			return r
		}
		if time.Now().After(deadline) {
			c.tb.Fatalf("activation %s is not stored: %s", id, body)
		}
	}
}

// TestActionLife creates, reads, updates, invokes and deletes an action.
func TestActionLife(t *testing.T) {
	c := serve(t, Options{})
	c.want(200, `"version":"0.0.1"`, "PUT", under+"actions/hello", goAction)
	c.want(409, "resource already exists", "PUT", under+"actions/hello", goAction)
	answer, body := c.do("POST", under+"actions/hello?blocking=true&result=true", `{"name":"you"}`)
	if !strings.Contains(body, `"greeting":"Hello, you!","n":1`) {
		t.Error(body)
	}
	c.record(answer.Header.Get("X-Openwhisk-Activation-Id")) // until then the container is busy
	c.want(200, `"n":2`, "POST", under+"actions/hello?blocking=true&result=true", "")
	c.want(200, `"version":"0.0.2"`, "PUT", under+"actions/hello?overwrite=true", `{"parameters":[{"key":"name","value":"all"}]}`)
	c.want(200, `"greeting":"Hello, all!","n":1`, "POST", under+"actions/hello?blocking=true&result=true", "")
	c.want(502, `"status":"application error"`, "POST", under+"actions/hello?blocking=true", `{"mode":"error"}`)
	c.want(502, "command exited", "POST", under+"actions/hello?blocking=true", `{"mode":"crash"}`)
	c.want(200, `"n":1`, "POST", under+"actions/hello?blocking=true&result=true", "")
	c.want(200, "[1,2,3]", "POST", under+"actions/hello?blocking=true", `{"mode":"array"}`)
	c.want(200, `"exec":{"kind":"go:1.20","binary":true}`, "GET", under+"actions/hello?code=false", "")
	c.want(200, `[{"name":"hello"`, "GET", under+"actions", "")
	c.want(200, `"hello"`, "DELETE", under+"actions/hello", "")
	c.want(404, "does not exist", "POST", under+"actions/hello", "")
}

// TestRecord checks the record of an activation.
func TestRecord(t *testing.T) {
	c := serve(t, Options{})
	c.want(200, "", "PUT", under+"actions/hello", goAction)
	answer, _ := c.do("POST", under+"actions/hello", "")
	if answer.StatusCode != http.StatusAccepted {
		t.Fatal(answer.Status)
	}
	r := c.record(answer.Header.Get("X-Openwhisk-Activation-Id"))
	if !strings.Contains(string(r.Annotations), `"waitTime"`) || !strings.Contains(string(r.Annotations), `"initTime"`) || r.Name != "hello" {
		t.Errorf("record %+v", r)
	}
	if len(r.Logs) != 1 || !strings.HasSuffix(r.Logs[0], " stdout: Hello log stranger") || len(r.Logs[0]) != 31+len("stdout: Hello log stranger") {
		t.Errorf("logs %q", r.Logs)
	}
	c.want(200, `"activations":1`, "GET", under+"activations?count=true", "")
	c.want(200, `"statusCode":0`, "GET", under+"activations?name=hello", "")
	c.want(200, `{"logs":["`, "GET", under+"activations/"+r.ID+"/logs", "")
	c.want(200, `{"result":{`, "GET", under+"activations/"+r.ID+"/result", "")
}

// TestBlockingTimeout checks that a blocking invocation that takes too long is answered with 202.
func TestBlockingTimeout(t *testing.T) {
	c := serve(t, Options{})
	c.want(200, "", "PUT", under+"actions/slow", `{"exec":{"kind":"go:1.20","code":"UEsDBBQA"},"limits":{"timeout":300}}`)
	c.want(202, "activationId", "POST", under+"actions/slow?blocking=true&timeout=50", `{"sleep":200}`)
	c.want(502, "exceeded its time limits of 300 milliseconds", "POST", under+"actions/slow?blocking=true&result=true", `{"sleep":3000}`)
}

// TestPackagesAndBindings invokes an action through its package and through a binding, whose parameters come first, and deletes a package that is
// not empty.
func TestPackagesAndBindings(t *testing.T) {
	c := serve(t, Options{})
	c.want(200, "", "PUT", under+"packages/p", `{"parameters":[{"key":"name","value":"package"},{"key":"a","value":1}]}`)
	c.want(200, "", "PUT", under+"packages/b", `{"binding":{"namespace":"_","name":"p"},"parameters":[{"key":"a","value":2}]}`)
	c.want(200, `"namespace":"guest/p"`, "PUT", under+"actions/p/act", goAction)
	c.want(200, `"params":{"a":1,"name":"package"}`, "POST", under+"actions/p/act?blocking=true&result=true", "")
	c.want(200, `"params":{"a":2,"name":"package"}`, "POST", under+"actions/b/act?blocking=true&result=true", "")
	c.want(409, "Package not empty (contains 1 entity)", "DELETE", under+"packages/p", "")
	c.want(200, "", "DELETE", under+"packages/p?force=true", "")
	c.want(404, "", "POST", under+"actions/p/act", "")
}

// TestSequence checks the results and the records of a sequence.
func TestSequence(t *testing.T) {
	c := serve(t, Options{})
	c.want(200, "", "PUT", under+"actions/s1", goAction)
	c.want(200, "", "PUT", under+"actions/s2", goAction)
	c.want(200, `"components":["/guest/s1","/guest/s2"]`, "PUT", under+"actions/seq", `{"exec":{"kind":"sequence","components":["/_/s1","/_/s2"]}}`)
	answer, body := c.do("POST", under+"actions/seq?blocking=true", `{"name":"Seq"}`)
	var r record
	if err := json.Unmarshal([]byte(body), &r); err != nil || answer.StatusCode != 200 {
		t.Fatal(answer.Status, err, body)
	}
	if len(r.Logs) != 2 || !strings.Contains(string(r.Annotations), `"topmost"`) {
		t.Errorf("record %s", body)
	}
	if part := c.record(r.Logs[1]); part.Cause != r.ID {
		t.Errorf("the cause of a part is %q, want %q", part.Cause, r.ID)
	}
	c.want(400, "Sequence component does not exist.", "PUT", under+"actions/seq2", `{"exec":{"kind":"sequence","components":["/_/nosuch"]}}`)
	c.want(400, "Sequence may not refer to itself.", "PUT", under+"actions/seq?overwrite=true", `{"exec":{"kind":"sequence","components":["/_/seq"]}}`)
}

// TestTriggerAndRule checks that firing a trigger invokes the actions of its active rules.
func TestTriggerAndRule(t *testing.T) {
	c := serve(t, Options{})
	c.want(200, "", "PUT", under+"actions/act", goAction)
	c.want(200, "", "PUT", under+"triggers/t", `{}`)
	c.want(204, "", "POST", under+"triggers/t", "")
	c.want(200, `"status":"active"`, "PUT", under+"rules/r", `{"trigger":"/_/t","action":"/_/act"}`)
	answer, _ := c.do("POST", under+"triggers/t", `{"x":1}`)
	r := c.record(answer.Header.Get("X-Openwhisk-Activation-Id"))
	if r.End != nil || len(r.Logs) != 1 {
		t.Fatalf("record %+v", r)
	}
	var fired struct{ ActivationID string }
	if err := json.Unmarshal([]byte(r.Logs[0]), &fired); err != nil {
		t.Fatal(err)
	}
	if a := c.record(fired.ActivationID); a.Name != "act" {
		t.Errorf("%s was fired", a.Name)
	}
	c.want(200, "OK", "POST", under+"rules/r", `{"status":"inactive"}`)
	c.want(204, "", "POST", under+"triggers/t", "")
}

// TestRuleStatus checks that the status of a rule is stored with its trigger, and lost when that is deleted.
func TestRuleStatus(t *testing.T) {
	c := serve(t, Options{})
	c.want(200, "", "PUT", under+"actions/act", goAction)
	for _, name := range []string{"t", "u"} {
		c.want(200, "", "PUT", under+"triggers/"+name, "{}")
	}
	c.want(400, "rule requires a valid trigger and a valid action", "PUT", under+"rules/r", `{"trigger":"/_/t"}`)
	c.want(200, "", "PUT", under+"rules/r", `{"trigger":"/_/t","action":"/_/act"}`)
	c.want(200, "", "PUT", under+"rules/off", `{"trigger":"/_/t","action":"/_/act"}`)
	c.want(200, "OK", "POST", under+"rules/off", `{"status":"inactive"}`)
	c.want(400, "x is not a recognized rule state", "POST", under+"rules/off", `{"status":"x"}`)
	answer, _ := c.do("POST", under+"triggers/t", "")
	fired := c.record(answer.Header.Get("X-Openwhisk-Activation-Id")).Logs
	if len(fired) != 2 || !strings.Contains(fired[0], "Rule 'guest/off' is inactive, action 'guest/act' was not activated.") || !strings.Contains(fired[1], `"success":true`) {
		t.Errorf("fired %q", fired)
	}
	c.want(200, `"trigger":{"name":"u","path":"guest"}`, "PUT", under+"rules/r?overwrite=true", `{"trigger":"/_/u"}`)
	c.want(200, `"rules":{"guest/off":{`, "GET", under+"triggers/t", "")
	c.want(200, "", "DELETE", under+"triggers/u", "")
	c.want(200, `"status":"inactive"`, "GET", under+"rules/r", "")
	c.want(404, "Only rules with existing triggers can be activated", "POST", under+"rules/r", `{"status":"active"}`)
	c.want(200, "", "PUT", under+"triggers/u", "{}")
	c.want(204, "", "POST", under+"triggers/u", "")
	c.want(200, `"status":"inactive"`, "DELETE", under+"rules/r", "")
}

// TestNames checks that entities of different kinds cannot have the same name.
func TestNames(t *testing.T) {
	c := serve(t, Options{})
	const text = "Resource by this name exists but is not in this collection."
	c.want(200, "", "PUT", under+"triggers/x", "{}")
	for _, kind := range []string{"actions", "packages", "rules"} {
		c.want(409, text, "GET", under+kind+"/x", "")
		c.want(409, text, "DELETE", under+kind+"/x", "")
	}
	c.want(409, text, "PUT", under+"actions/x?overwrite=true", goAction)
	c.want(409, text, "PUT", under+"packages/x?overwrite=true", "{}")
	c.want(409, "Cannot bind to a resource that is not a package.", "PUT", under+"packages/b", `{"binding":{"namespace":"_","name":"x"}}`)
	c.want(400, "Feed name is not valid", "PUT", under+"triggers/f", `{"annotations":[{"key":"feed","value":"a/b/c/d"}]}`)
}

// TestOtherNamespace checks that callers can use the public packages of other namespaces, and nothing else.
func TestOtherNamespace(t *testing.T) {
	const key = "789c46b1-71f6-4ed5-8c54-816aa4f8c502:secret"
	c := serve(t, Options{Identities: []Identity{{"guest", GuestKey}, {"other", key}}})
	c.auth = key
	for _, name := range []string{"public", "private"} {
		c.want(200, "", "PUT", under+"packages/"+name, fmt.Sprintf(`{"publish":%t,"parameters":[{"key":"name","value":"them"}]}`, name == "public"))
		c.want(200, "", "PUT", under+"actions/"+name+"/act", goAction)
	}
	c.auth = GuestKey
	const others = "/api/v1/namespaces/other/"
	c.want(200, `[{"name":"public"`, "GET", others+"packages", "")
	c.want(200, `"actions":[{`, "GET", others+"packages/public", "")
	c.want(200, `"namespace":"other/public"`, "GET", others+"actions/public/act", "")
	c.want(200, `[{"name":"act"`, "GET", others+"actions/public/", "")
	c.want(200, "Hello, them!", "POST", others+"actions/public/act?blocking=true", "")
	c.want(200, "", "PUT", under+"packages/bound", `{"binding":{"namespace":"other","name":"public"}}`)
	c.want(200, "Hello, them!", "POST", under+"actions/bound/act?blocking=true", "")
	c.want(400, "Operation not permitted on package binding.", "PUT", under+"actions/bound/act", goAction)
	c.want(400, "Operation not permitted on package binding.", "DELETE", under+"actions/bound/act", "")
	c.want(403, "not authorized to access 'other/private'.", "PUT", under+"packages/b", `{"binding":{"namespace":"other","name":"private"}}`)
	c.want(403, "not authorized to access 'other/nosuch'.", "PUT", under+"packages/b", `{"binding":{"namespace":"other","name":"nosuch"}}`)
	c.want(400, "Binding references a package that does not exist.", "PUT", under+"packages/b", `{"binding":{"namespace":"_","name":"nosuch"}}`)
	c.want(200, "", "PUT", under+"actions/seq", `{"exec":{"kind":"sequence","components":["/other/public/act"]}}`)
	c.want(403, "not authorized to access 'other/private'.", "PUT", under+"actions/seq?overwrite=true", `{"exec":{"kind":"sequence","components":["/other/private/act"]}}`)
	c.want(403, "not authorized to access 'other/x'.", "PUT", under+"actions/seq", `{"exec":{"kind":"sequence","components":["/other/x"]}}`)
	c.want(403, "not authorized to access 'other/rt'.", "PUT", under+"rules/r", `{"trigger":"/other/rt","action":"/_/seq"}`)
	for _, refused := range [][2]string{
		{"GET", "packages/private"}, {"GET", "packages/nosuch"}, {"DELETE", "packages/public"}, {"PUT", "actions/public/act"},
		{"POST", "actions/private/act"}, {"GET", "actions"}, {"GET", "activations"},
	} {
		c.want(403, "The supplied authentication is not authorized to access 'other", refused[0], others+refused[1], "")
	}
	c.auth = key
	c.want(200, "[]", "GET", under+"activations", "") // they are the caller's
}

// TestFinalParameters checks that a request cannot override the parameters of an action with the annotation final.
func TestFinalParameters(t *testing.T) {
	c := serve(t, Options{})
	c.want(200, "", "PUT", under+"actions/a", `{"exec":{"kind":"go:1.20","code":"x"},"annotations":[{"key":"final","value":true}],"parameters":[{"key":"name","value":"me"},{"key":"open","value":null}]}`)
	c.want(200, "Hello, me!", "POST", under+"actions/a?blocking=true", `{"open":1}`)
	c.want(400, "Request defines parameters that are not allowed (e.g., reserved properties).", "POST", under+"actions/a?blocking=true", `{"name":"you"}`)
}

// TestMalformed checks the answers to malformed requests.
func TestMalformed(t *testing.T) {
	c := serve(t, Options{})
	c.want(200, "", "PUT", under+"actions/a", goAction)
	for _, x := range [][3]string{
		{"actions/a?overwrite=true", `"x"`, "Object expected in field 'exec'"},
		{"packages/p", `[]`, "Object expected in field 'exec'"},
		{"triggers/t", `1`, "Object expected in field 'exec'"},
		{"rules/r", `null`, "Object expected in field 'exec'"},
		{"rules/r", `{"trigger":5}`, "fully qualified name malformed"},
		{"actions/a?overwrite=true", `{"publish":"x"}`, `Expected JsBoolean, but got \"x\"`},
		{"actions/a?overwrite=true", `{"limits":1}`, "Object expected in field 'timeout'"},
		{"actions/a?overwrite=true", `{"delAnnotations": "k"}`, `Expected Array as JsArray, but got \"k\"`},
	} {
		c.want(400, "The request content was malformed:\\n"+x[2], "PUT", under+x[0], x[1])
	}
	// Members that are null count as missing.
	c.want(200, "", "PUT", under+"actions/a?overwrite=true", `{"parameters":[{"key":"k","value":1}]}`)
	c.want(200, `"parameters":[{"key":"k","value":1}]`, "PUT", under+"actions/a?overwrite=true", `{"parameters":null,"exec":null,"publish":null}`)
}

// TestFailedStartClosesRuntime checks that a platform which does not start leaves no runtime behind, whatever is wrong.
func TestFailedStartClosesRuntime(t *testing.T) {
	for want, o := range map[string]Options{
		"is neither * nor of the form": {Origin: "example.com"},
		"invalid port":                 {Listen: "127.0.0.1:99999"},
	} {
		runtime := &inProcess{}
		o.Runtime = runtime
		if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
		if !runtime.closed {
			t.Errorf("%s: the runtime goes on", want)
		}
	}
}

// TestThrottle checks the limits per minute and on invocations in flight.
func TestThrottle(t *testing.T) {
	c := serve(t, Options{Limits: Limits{ConcurrentInvocations: 2}})
	c.want(200, "", "PUT", under+"actions/a", goAction)
	for range 2 {
		c.want(202, "", "POST", under+"actions/a", `{"sleep":30000}`)
	}
	c.want(429, "Too many concurrent requests in flight (count: 2, allowed: 2).", "POST", under+"actions/a", "")

	var minute atomic.Int64
	c = serve(t, Options{Limits: DefaultThrottles(), now: func() time.Time { return time.Unix(minute.Load()*60, 0) }})
	c.want(200, "", "PUT", under+"actions/a", goAction)
	for range 2 {
		for range 59 {
			c.want(200, "", "POST", under+"actions/a?blocking=true", "")
		}
		c.want(404, "", "POST", under+"actions/nosuch", "") // counts too
		for n := range 2 {
			c.want(429, fmt.Sprintf("Too many requests in the last minute (count: %d, allowed: 60).", 61+n), "POST", under+"actions/a?blocking=true", "")
		}
		minute.Add(1)
	}
}

// TestRefusals checks the answers to requests that are rejected.
func TestRefusals(t *testing.T) {
	c := serve(t, Options{})
	c.want(404, "The requested resource could not be found.", "GET", "/api/v1/nosuch", "")
	c.want(405, "supported methods: OPTIONS", "GET", "/nosuch", "")
	c.want(403, "not authorized to access 'other/x'.", "PUT", "/api/v1/namespaces/other/actions/x", goAction)
	c.want(200, `{"apis":[]}`, "GET", "/api/v1/web/whisk.system/apimgmt/getApi?", "")
	c.want(200, "OK", "OPTIONS", under+"actions", "")
	c.want(400, "The parameter 'docs' is not permitted with 'count'.", "GET", under+"activations?docs=true&count=true", "")
	c.want(404, "does not exist", "GET", under+"actions/nosuch/", "")
	c.want(413, fmt.Sprintf("Request larger than allowed: %d > 1048576 bytes.", 1<<20+12), "POST", under+"actions/a", `{"data": "`+strings.Repeat("x", 1<<20)+`"}`)
	c.auth = "a:b"
	answer, body := c.do("GET", under+"actions", "")
	if answer.StatusCode != 401 || answer.Header.Get("Www-Authenticate") == "" || !strings.Contains(body, "The supplied authentication is invalid") {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
}

// TestOrigins checks that a web page can make no request that changes something or needs a key, unless its origin is allowed, and that answers
// have CORS headers for the allowed origin only.
func TestOrigins(t *testing.T) {
	const evil, good = "https://evil.example", "http://127.0.0.1:8080"
	for _, allowed := range []string{"", good, "*"} {
		c := serve(t, Options{Origin: allowed})
		for _, request := range []struct {
			method, path, body string
			key                bool // with the key
			simple             bool // a page of any origin may make it
		}{
			{"GET", "/ping", "", false, true}, {"HEAD", "/ping", "", false, true}, {"GET", under + "actions", "", false, true},
			{"GET", under + "actions", "", true, false}, {"OPTIONS", under + "actions/a", "", false, false},
			{"PUT", under + "actions/a?overwrite=true", goAction, true, false}, {"POST", under + "triggers/t", "", true, false},
			{"POST", "/api/v1/web/guest/default/a", "", false, false}, {"GET", "/api/v1/web/guest/default/a", "", false, false},
			{"GET", "/api/v1/x/../web/guest/default/a", "", false, false}, {"DELETE", under + "packages/p", "", true, false},
		} {
			for _, origin := range []string{"", evil, "null", good} {
				r, err := http.NewRequest(request.method, c.server.URL()+request.path, strings.NewReader(request.body))
				if err != nil {
					t.Fatal(err)
				}
				if origin != "" {
					r.Header.Set("Origin", origin)
				}
				if request.key {
					r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c.auth)))
				}
				r.Header.Set("Content-Type", "application/json")
				answer, err := c.http.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				answer.Body.Close()
				place := fmt.Sprintf("-cors %q: %s %s from %q", allowed, request.method, request.path, origin)
				refused := origin != "" && origin != allowed && allowed != "*" && !request.simple
				if (answer.StatusCode == http.StatusForbidden) != refused {
					t.Errorf("%s: status %d", place, answer.StatusCode)
				}
				for name := range answer.Header {
					if (allowed == "" || refused) && strings.HasPrefix(name, "Access-Control-") {
						t.Errorf("%s: header %s", place, name)
					}
				}
				if got := answer.Header.Get("Access-Control-Allow-Origin"); got != "" && got != allowed {
					t.Errorf("%s: allows %q", place, got)
				}
				if request.method == "OPTIONS" && !refused && allowed != "" && answer.Header.Get("Access-Control-Allow-Origin") != allowed {
					t.Errorf("%s: the answer to the preflight request allows %q", place, answer.Header.Get("Access-Control-Allow-Origin"))
				}
			}
		}
	}
}

// TestReadsAreBounded checks that a request must be sent in some time, which is longer than a blocking invocation may wait: it ends that too.
func TestReadsAreBounded(t *testing.T) {
	c := serve(t, Options{Limits: Limits{BlockingWait: time.Hour}})
	if h := &c.server.http; h.ReadHeaderTimeout <= 0 || h.ReadTimeout <= time.Hour {
		t.Errorf("a header may take %v, a request %v", h.ReadHeaderTimeout, h.ReadTimeout)
	}
}

// TestOwnKey checks that without identities the key is one that nobody knows.
func TestOwnKey(t *testing.T) {
	c, other := serve(t, Options{}), serve(t, Options{})
	if c.auth == GuestKey || c.auth == other.auth {
		t.Errorf("the keys are %s and %s", c.auth, other.auth)
	}
	c.auth = GuestKey
	c.want(401, "The supplied authentication is invalid", "GET", under+"actions", "")
}

func FuzzEntity(f *testing.F) {
	for _, body := range []string{goAction, `[]`, `{bad`, `{"exec":{}}`, `{"exec":{"kind":"sequence","components":["a"]}}`, `{"limits":{"timeout":"a"}}`, `{"parameters":[{"key":"a"}]}`} {
		f.Add("actions/a?overwrite=true", []byte(body))
	}
	f.Add("rules/r?overwrite=maybe", []byte(`{"trigger":"/_/t","action":null}`))
	f.Add("activations?limit=-1&since=x", []byte(nil))
	c := serve(f, Options{Limits: Limits{ActivationBytes: 1 << 20}})
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		for _, method := range []string{"PUT", "GET"} {
			r, err := http.NewRequest(method, c.server.URL()+under+path, bytes.NewReader(body))
			if err != nil {
				t.Skip()
			}
			r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c.auth)))
			r.Header.Set("Content-Type", "application/json")
			answer, err := c.http.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			if answer.StatusCode >= 500 {
				t.Errorf("%s %q %q: %d %s", method, path, body, answer.StatusCode, got)
			}
		}
	})
}
