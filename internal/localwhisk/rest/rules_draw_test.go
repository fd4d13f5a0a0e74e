package rest

import (
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// rulesParts are the parts of a request while it is drawn.
type rulesParts struct {
	method, namespace, collection string
	names                         []string // escaped
	tail                          string   // what follows the names in the path
	query                         string
	fields                        []rulesField // of the body
	raw                           *string      // the body, if it has no fields
	contentType, auth             string
}

// rulesField is a field of a JSON object.
type rulesField struct{ name, value string }

func (p *rulesParts) set(name, value string) {
	p.fields = append(slices.DeleteFunc(p.fields, func(f rulesField) bool { return f.name == name }), rulesField{name, value})
}

func (p *rulesParts) request() rulesRequest {
	q := rulesRequest{method: p.method, contentType: p.contentType, auth: p.auth}
	q.path = strings.Join(append([]string{"/api/v1/namespaces", p.namespace, p.collection}, p.names...), "/") + p.tail
	if p.query != "" {
		q.path += "?" + p.query
	}
	switch {
	case p.raw != nil:
		q.body = *p.raw
	case p.method == "PUT" || p.method == "POST":
		var fields []string
		for _, f := range p.fields {
			fields = append(fields, `"`+f.name+`":`+f.value)
		}
		q.body = "{" + strings.Join(fields, ",") + "}"
	default:
		q.contentType = ""
	}
	return q
}

// oneOf draws one of several values. A failing sequence is shrunk towards the first.
func oneOf[V any](t *rapid.T, label string, values ...V) V {
	return rapid.SampledFrom(values).Draw(t, label)
}

// rarely draws true in one of n cases.
func rarely(t *rapid.T, label string, n int) bool {
	return rapid.IntRange(0, n-1).Draw(t, label) == n-1
}

// rulesWorld are requests that create what others can use.
var rulesWorld = []rulesField{
	{"actions/a", `{"exec":{"kind":"go:1.20","code":"x"}}`},
	{"packages/p", `{"parameters":[{"key":"k","value":1}],"publish":true}`},
	{"actions/p/a", `{"exec":{"kind":"go:1.20","code":"x"},"parameters":[{"key":"l","value":2}]}`},
	{"packages/q", `{"binding":{"namespace":"_","name":"p"},"parameters":[{"key":"k","value":3}]}`},
	{"actions/s", `{"exec":{"kind":"sequence","components":["/_/a"]}}`},
	{"triggers/t", `{}`},
	{"triggers/u", `{"parameters":[{"key":"k","value":4}]}`},
	{"rules/r", `{"trigger":"/_/t","action":"/_/a"}`},
}

// rulesTheme is what the requests of a sequence are about. Those of one theme meet the same entities more often.
type rulesTheme struct {
	name                 string
	collections, methods []string // the more often the likelier
	others               int      // one in so many requests is by another caller, or for another namespace
}

var rulesThemes = []rulesTheme{
	{"everything", []string{"actions", "triggers", "packages", "rules"}, []string{"PUT", "PUT", "PUT", "PUT", "GET", "GET", "DELETE", "POST", "list"}, 10},
	{"actions", []string{"actions"}, []string{"PUT", "PUT", "PUT", "GET", "DELETE", "POST"}, 20},
	{"packages", []string{"packages", "actions"}, []string{"PUT", "PUT", "PUT", "GET", "GET", "DELETE", "POST", "list"}, 20},
	{"shared packages", []string{"packages", "packages", "actions", "rules"}, []string{"PUT", "PUT", "PUT", "GET", "GET", "DELETE", "POST", "list"}, 3},
	{"rules", []string{"rules", "rules", "triggers"}, []string{"PUT", "GET", "DELETE", "POST", "POST"}, 20},
	{"lists", []string{"actions", "triggers", "packages", "rules"}, []string{"PUT", "list", "list", "list", "DELETE"}, 10},
}

// requests draws a sequence of requests.
func (theme rulesTheme) requests(t *rapid.T) []rulesRequest {
	var all []rulesRequest
	for _, f := range rulesWorld {
		if rapid.IntRange(0, 3).Draw(t, f.name) > 0 {
			owner := "guest"
			if rarely(t, "of other", theme.others) {
				owner = "other"
			}
			all = append(all, rulesRequest{"PUT", under + f.name, f.value, typeJSON, rulesKeys[owner]})
		}
	}
	for range 3 { // a slice alone mostly has about five elements
		all = append(all, rapid.SliceOfN(rapid.Custom(theme.request), 0, 10).Draw(t, "requests")...)
	}
	return all
}

// request draws a request: mostly one that is in order, or with one or two faults.
func (theme rulesTheme) request(t *rapid.T) rulesRequest {
	if rarely(t, "elsewhere", 40) {
		return drawElsewhere(t)
	}
	p := &rulesParts{namespace: "_", contentType: typeJSON, auth: rulesKeys["guest"]}
	p.collection = oneOf(t, "collection", theme.collections...)
	p.names = drawNames(t, p.collection)
	method := oneOf(t, "method", theme.methods...)
	if method == "POST" && p.collection == "packages" {
		method = "GET"
	}
	switch method {
	case "PUT":
		p.method = "PUT"
		p.query = oneOf(t, "overwrite", "overwrite=true", "overwrite=true", "")
		drawBody(t, p)
	case "GET":
		p.method = "GET"
		if p.collection == "actions" && rarely(t, "no code", 3) {
			p.query = "code=false"
		}
	case "DELETE":
		p.method = "DELETE"
		if p.collection == "packages" && rarely(t, "force", 3) {
			p.query = "force=true"
		}
	case "POST":
		drawPost(t, p)
	case "list":
		p.method = "GET"
		if p.collection == "actions" && len(p.names) == 2 {
			p.names, p.tail = p.names[:1], "/"
		} else {
			p.names = nil
		}
		p.query = oneOf(t, "page", "", "limit=1", "skip=1", "limit=0", "limit=2&skip=1", "count=true", "count=true&skip=1&limit=1", "foo=bar")
		if rarely(t, "unusual page", 4) {
			p.query = drawQuery(t, p)
		}
	}
	if rarely(t, "other caller", theme.others) {
		p.auth = rulesKeys["other"]
	}
	if rarely(t, "other namespace", theme.others) {
		p.namespace = oneOf(t, "namespace", "guest", "other", "nosuch")
	}
	for range max(0, rapid.IntRange(-4, 2).Draw(t, "faults")) {
		drawFault(t, p)
	}
	return p.request()
}

// drawNames draws the names of an entity, or of a package and an action. There are few, so that they meet.
func drawNames(t *rapid.T, collection string) []string {
	if rarely(t, "name of another kind", 10) {
		collection = oneOf(t, "kind", "actions", "triggers", "packages", "rules")
		return drawNames(t, collection)[:1]
	}
	switch collection {
	case "actions":
		return oneOf(t, "action", []string{"a"}, []string{"b"}, []string{"p", "a"}, []string{"q", "a"}, []string{"p", "b"}, []string{"s"}, []string{"c&d"})
	case "triggers":
		return oneOf(t, "trigger", []string{"t"}, []string{"t"}, []string{"u"})
	case "packages":
		return oneOf(t, "package", []string{"p"}, []string{"q"}, []string{"x.y@z-1_"})
	}
	return oneOf(t, "rule", []string{"r"}, []string{"r"}, []string{"r"}, []string{"_r%201"})
}

var (
	rulesExecs = []string{
		`{"kind":"go:1.20","code":"x"}`, `{"kind":"GO:1.20","code":"UEsDBBQA","binary":false}`, `{"kind":"go:default","code":" ","main":"m"}`,
		`{"kind":"blackbox","image":"i/j","code":"abc"}`, `{"kind":"blackbox","image":"openwhisk/dockerskeleton"}`, `{"kind":"go:1.20","code":""}`,
		`{"kind":"go:1.20","code":"package main\n","binary":"yes"}`,
	}
	rulesSequences = []string{
		`["/_/a"]`, `["/_/a","/_/b"]`, `["/guest/b","/_/s"]`, `["/_/s"]`, `["/_/p/a"]`, `["/_/q/a","/_/a"]`, `["/other/p/a"]`,
	}
	rulesParameters = []string{
		`[]`, `[{"key":"k","value":1}]`, `[{"key":"l","value":"v"},{"key":"k","value":{"x":[1,2,null]}}]`, `[{"key":"m","value":null}]`,
		`[{"key":"k","value":1},{"key":"k","value":2}]`, `[{"key":"","value":1.0,"init":true}]`, `[{"key":"n","value":true,"init":false}]`,
		`[{"key":"k","value":"ä\u2028😀","encryption":"e"}]`, `[{"key":"1","value":1},{"key":"2","value":2},{"key":"3","value":3},{"key":"4","value":4},{"key":"5","value":12345678901234567890}]`,
	}
	rulesAnnotations = append([]string{`[{"key":"exec","value":"mine"},{"key":"x","value":null}]`, `[{"key":"provide-api-key","value":true}]`, `[{"key":"binding","value":1}]`,
		`[{"key":"feed","value":"/whisk.system/alarms/alarm"}]`, `[{"key":"final","value":true}]`}, rulesParameters...)
	rulesVersions    = []string{`"1.2.3"`, `"1"`, `"1.2"`, `"00.0.18"`, `"1.2.3.4"`, `"2."`, `null`}
	rulesLimitsDrawn = []string{
		`{"memory":128}`, `{"timeout":5000}`, `{"logs":0}`, `{"concurrency":1}`, `{"instances":3}`, `{"memory":512,"timeout":300000,"logs":10}`, `{}`,
	}
	rulesBindings = []string{`{"namespace":"_","name":"p"}`, `{"namespace":"guest","name":"q"}`, `{"namespace":"_","name":"q"}`, `{"namespace":"other","name":"p"}`, `{}`}
	rulesTriggers = []string{`"/_/t"`, `"/_/t"`, `"/_/u"`, `"/_/u"`, `"/guest/t"`, `"/_/a"`}
	rulesActions  = []string{`"/_/a"`, `"/_/a"`, `"/_/a"`, `"/_/b"`, `"/_/p/a"`, `"/guest/q/a"`, `"/_/s"`, `"/other/p/a"`, `"/_/t"`}
)

// drawBody draws the fields of the body of a PUT request.
func drawBody(t *rapid.T, p *rulesParts) {
	maybe := func(name string, n int, values []string) {
		if rarely(t, "with "+name, n) {
			p.set(name, oneOf(t, name, values...))
		}
	}
	maybe("parameters", 4, rulesParameters)
	maybe("annotations", 4, rulesAnnotations)
	maybe("version", 8, rulesVersions)
	maybe("publish", 6, []string{`true`, `false`})
	switch p.collection {
	case "actions":
		switch oneOf(t, "exec", "code", "code", "code", "sequence", "none") {
		case "code":
			p.set("exec", oneOf(t, "code", rulesExecs...))
		case "sequence":
			p.set("exec", `{"kind":"sequence","components":`+oneOf(t, "components", rulesSequences...)+`}`)
		}
		maybe("limits", 4, rulesLimitsDrawn)
		maybe("delAnnotations", 6, []string{`["k"]`, `["x","nosuch"]`, `["exec"]`, `["provide-api-key"]`, `[]`})
	case "packages":
		maybe("binding", 3, rulesBindings)
	case "rules":
		if !rarely(t, "no trigger", 8) {
			p.set("trigger", oneOf(t, "trigger", rulesTriggers...))
		}
		if !rarely(t, "no action", 8) {
			p.set("action", oneOf(t, "action", rulesActions...))
		}
	}
}

// drawPost draws an invocation, a firing, or a new status of a rule.
func drawPost(t *rapid.T, p *rulesParts) {
	p.method = "POST"
	switch p.collection {
	case "actions":
		p.query = oneOf(t, "wait", "blocking=true&result=true", "blocking=true", "", "result=true", "blocking=1&timeout=60000&result=on")
	case "rules":
		p.set("status", oneOf(t, "status", `"inactive"`, `"active"`))
		return
	}
	switch oneOf(t, "payload", "fields", "none") {
	case "fields":
		p.set("k", oneOf(t, "k", `7`, `"w"`))
	case "none":
		p.raw = new(string)
		p.contentType = oneOf(t, "type of nothing", "", typeJSON)
	}
}

// rulesBadFields has the fields that are malformed in some collections, or everywhere.
var rulesBadFields = []rulesField{
	{"exec", `{}`}, {"exec", `[]`}, {"exec", `{"kind":"go:1.20"}`}, {"exec", `{"kind":"cobol","code":"x"}`}, {"exec", `{"kind":"go:1.20","code":1}`},
	{"exec", `{"kind":"go:1.20","code":"x","main":1}`}, {"exec", `{"kind":"java:default","code":"x"}`}, {"exec", `{"kind":"java:8","code":"x"}`},
	{"exec", `{"kind":"blackbox"}`}, {"exec", `{"kind":"blackbox","image":""}`}, {"exec", `{"kind":1}`}, {"exec", `null`},
	{"exec", `{"kind":"sequence"}`}, {"exec", `{"kind":"sequence","components":null}`}, {"exec", `{"kind":"sequence","components":"x"}`},
	{"exec", `{"kind":"sequence","components":[]}`}, {"exec", `{"kind":"sequence","components":["x"]}`}, {"exec", `{"kind":"sequence","components":[1]}`},
	{"exec", `{"kind":"sequence","components":["/_/"]}`}, {"exec", `{"kind":"sequence","components":[""]}`}, {"exec", `{"kind":"sequence","components":["/_/a!"]}`},
	{"exec", `{"kind":"sequence","components":["/_/p/q/r"]}`}, {"exec", `{"kind":"sequence","components":["p/e"]}`},
	{"exec", `{"kind":"sequence","components":["/other/x"]}`}, {"exec", `{"kind":"sequence","components":["/other/y","/_/a","/other/x"]}`},
	{"exec", `{"kind":"sequence","components":["/_/t"]}`},
	{"parameters", `{}`}, {"parameters", `[{"key":"a"}]`}, {"parameters", `[{"key":1,"value":1}]`}, {"parameters", `[1]`}, {"parameters", `null`},
	{"parameters", `[{"key":"a","value":1,"encryption":null}]`}, {"parameters", `[{"key":"a","value":1,"init":1}]`},
	{"annotations", `[{"key":"feed","value":1}]`}, {"annotations", `[{"key":"feed","value":"a!"}]`}, {"annotations", `{}`}, {"annotations", `"x"`}, {"annotations", `[{"value":1}]`}, {"annotations", `null`},
	{"version", `"1.x"`}, {"version", `"0.0.0"`}, {"version", `2`}, {"version", `""`}, {"version", `"-1"`}, {"version", `"2147483648"`}, {"version", `".1"`},
	{"publish", `1`}, {"publish", `"true"`}, {"publish", `null`}, {"foo", `1`},
	{"limits", `[]`}, {"limits", `null`}, {"limits", `{"timeout":"a"}`}, {"limits", `{"timeout":1.5}`}, {"limits", `{"memory":128.5}`}, {"limits", `{"logs":-1}`},
	{"limits", `{"memory":64}`}, {"limits", `{"memory":513}`}, {"limits", `{"timeout":99}`}, {"limits", `{"timeout":300001}`}, {"limits", `{"logs":11}`},
	{"limits", `{"concurrency":0}`}, {"limits", `{"concurrency":2}`}, {"limits", `{"memory":1e+20}`}, {"limits", `{"timeout":1000000000000000000000000000000}`},
	{"limits", `{"timeout":null,"foo":1}`}, {"delAnnotations", `[1]`}, {"delAnnotations", `"k"`}, {"delAnnotations", `null`},
	{"binding", `null`}, {"binding", `"p"`}, {"binding", `{"name":"p"}`}, {"binding", `{"namespace":"_"}`}, {"binding", `{"namespace":1,"name":"p"}`},
	{"binding", `{"namespace":"_","name":""}`}, {"binding", `{"namespace":"_","name":"t"}`}, {"binding", `{"namespace":"_","name":"nosuch"}`},
	{"binding", `{"namespace":"nosuch","name":"p"}`}, {"binding", `{"namespace":"_","name":"a!"}`},
	{"trigger", `5`}, {"trigger", `""`}, {"trigger", `"t"`}, {"trigger", `"/_/nosuch"`}, {"trigger", `"/other/t"`}, {"trigger", `null`}, {"trigger", `"/_/r"`},
	{"action", `[]`}, {"action", `"a"`}, {"action", `"/_/nosuch"`}, {"action", `"/other/a"`}, {"action", `"/_/nosuch/a"`}, {"action", `"/_/r"`}, {"action", `"/_/p"`},
	{"status", `"x"`}, {"status", `1`}, {"status", `[1]`}, {"status", `""`},
}

// drawFault changes a part of a request to something that is unusual, or wrong.
func drawFault(t *rapid.T, p *rulesParts) {
	switch oneOf(t, "fault", "field", "field", "field", "name", "query", "query", "type", "body", "namespace", "method", "path", "key") {
	case "field":
		f := oneOf(t, "bad field", rulesBadFields...)
		p.set(f.name, f.value)
	case "name":
		if n := len(p.names); n > 0 {
			p.names = slices.Clone(p.names)
			p.names[n-1] = oneOf(t, "bad name", "-e", "%20a", "a%20", "a!b", "%25", "a%2Fb", ".", "..", "%2e", "%2E%2e", "", "a%", "default", "nosuch",
				strings.Repeat("n", 256), strings.Repeat("n", 257), strings.Repeat("-", 257), "e%20f", "ä")
		}
	case "query":
		p.query = drawQuery(t, p)
	case "type":
		p.contentType = oneOf(t, "type", "APPLICATION/JSON", "application/json; charset=utf-8", "text/plain", "", "x", "*/*", "application/xml",
			"application/x-www-form-urlencoded", "text/json", "application/vnd.api+json")
	case "body":
		p.raw = new(string)
		*p.raw = oneOf(t, "body", "", "{", "{bad", "x", "[]", "null", `"x"`, "1", `{"a":1}}`)
	case "namespace":
		p.namespace = oneOf(t, "bad namespace", "-a", "%20a", "_a", "a!", "other", "nosuch", "guest", strings.Repeat("n", 256), strings.Repeat("n", 257))
	case "method":
		p.method = oneOf(t, "wrong method", "PATCH", "POST", "PUT", "DELETE", "GET", "HEAD", "OPTIONS")
	case "path":
		switch oneOf(t, "wrong path", "tail", "collection", "none") {
		case "tail":
			p.tail = oneOf(t, "tail", "/", "/x", "/x/", "/x/y", "//", "/.", "/..")
		case "collection":
			p.collection = oneOf(t, "wrong collection", "nothing", "limits", "activations", "action", "triggers", "rules", "packages")
		case "none":
			p.names = nil
		}
	case "key":
		p.auth = oneOf(t, "key", "", "Basic", "Basic !!!!", "Basic YTpi", "Basic bm9jb2xvbg==", "Bearer abcdef", rulesKeys["other"])
	}
}

// drawQuery draws a query that matters to the request.
func drawQuery(t *rapid.T, p *rulesParts) string {
	flag := func(name string) string {
		return name + oneOf(t, name, "=maybe", "=", "", "=TRUE", "=1", "=yes", "=on", "=false", "=0", "=no", "=off", "=x")
	}
	switch {
	case p.method == "PUT":
		return flag("overwrite")
	case p.method == "DELETE":
		return flag("force")
	case p.method == "POST":
		return oneOf(t, "wait", flag("blocking")+"&result=true", "blocking=true&"+flag("result"), "blocking=true&timeout="+oneOf(t, "timeout", "abc", "0", "60001", "-1", "1.5", "60000"))
	case len(p.names) > 0 && p.tail == "" && p.collection == "actions":
		return flag("code")
	}
	return oneOf(t, "page", flag("count"),
		"limit="+oneOf(t, "limit", "200", "201", "-1", "abc", "", "99999999999", "2147483648", "1.0"),
		"skip="+oneOf(t, "skip", "1", "1000", "-1", "abc", "", "2147483647", "2147483648"),
		"limit=abc&skip=abc", "limit=201&count=x")
}

// drawElsewhere draws a request for something that is in no collection.
func drawElsewhere(t *rapid.T) rulesRequest {
	return rulesRequest{
		method: oneOf(t, "method", "GET", "POST", "DELETE", "PUT"),
		path: oneOf(t, "path", "/api/v1/namespaces", "/api/v1/namespaces/", "/api/v1/nothing", "/api/v1", "/api/v1/", "/", "/ping", "/api", "/nothing",
			"/api/v1/namespaces/_", "/api/v1/namespaces/_/", "/api/v1/namespaces/_/nothing", "/api/v1/namespaces/_/limits", "/api/v1/namespaces/other/limits",
			"/api/v1/namespaces/_/activations",
			"/api/v1/namespaces/_/activations?since=abc", "/api/v1/namespaces/_/activations?upto=abc", "/api/v1/namespaces/_/activations?since=-5&upto=5",
			"/api/v1/namespaces/_/activations?name=/", "/api/v1/namespaces/_/activations?name=a;b", "/api/v1/namespaces/_/activations?name=a%", "/api/v1/namespaces/_/activations?name=p/a",
			"/api/v1/namespaces/_/activations?docs=maybe", "/api/v1/namespaces/_/activations?docs=",
			"/api/v1/namespaces/_/activations/xyz", "/api/v1/namespaces/_/activations/0123456789abcdef0123456789abcdef"),
		auth: oneOf(t, "key", rulesKeys["guest"], "", "Basic", "Basic YTpi"),
	}
}
