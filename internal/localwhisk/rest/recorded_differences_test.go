package rest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// recordedDifferences has requests to which a real OpenWhisk once gave another answer than this platform, a line each.
const recordedDifferences = "../../../../shared/reference/openwhisk/differences.jsonl"

// difference is a line of recordedDifferences.
type difference struct {
	Request struct {
		Method, Path string
		Body         *string
		Headers      map[string]string
		Auth         *bool // false: no key was sent
	}
	Real struct {
		Status int
		Body   json.RawMessage
	}
}

// request returns the request to send.
func (d *difference) request() request {
	q := request{method: d.Request.Method, path: d.Request.Path, headers: map[string]string{}}
	if d.Request.Body != nil {
		q.body = *d.Request.Body
	}
	for name, value := range d.Request.Headers {
		switch name {
		case "Content-Type":
			q.contentType = value
		case "Authorization":
			q.auth = value
			if value == "" {
				q.auth = "none"
			}
		default:
			q.headers[name] = value
		}
	}
	if d.Request.Auth != nil {
		q.auth = "none"
	}
	return q
}

// otherwise has the lines to which this platform gives another answer, on purpose, and the reasons.
var otherwise = map[string]struct {
	lines      []int
	sameStatus bool // only the body is different
}{
	"leads to pages about the API for people, which are not served here":                {lines: []int{3, 4}},
	"net/http refuses a path with a malformed escape, in words of its own":              {lines: []int{33, 34, 35, 36, 38}, sameStatus: true},
	"net/http refuses what a client expects, unless that is 100-continue; none does so": {lines: []int{164}},
}

// TestRecordedDifferences sends every request of the recorded differences, after requests that make the state in which the real OpenWhisk was, and
// checks that the answer is the recorded one, or that the line is listed in otherwise.
func TestRecordedDifferences(t *testing.T) {
	text, err := os.ReadFile(recordedDifferences)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the recordings are not beside the repository")
	}
	require.NoError(t, err)
	runtime := realContainers(t)
	invoked := serve(t, Options{Runtime: runtime, InstantRecords: true, Origin: "*", Identities: []Identity{{"guest", GuestKey}}})
	for _, q := range recordedActions(t) {
		status, answer := invoked.send(t, q)
		require.Equal(t, 200, status, answer)
	}
	reasons := map[int]string{}
	for reason, o := range otherwise {
		for _, line := range o.lines {
			reasons[line] = reason
		}
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	equal, n := 0, 0
	for lines.Scan() {
		n++
		var d difference
		require.NoError(t, json.Unmarshal(lines.Bytes(), &d), "line %d", n)
		c := invoked
		if !strings.HasPrefix(d.Request.Path, "/api/v1/web/") && !(d.Request.Method == "POST" && strings.Contains(d.Request.Path, "/actions/") && strings.Contains(d.Request.Path, "blocking")) {
			c = serve(t, Options{InstantRecords: true, Origin: "*", Identities: []Identity{{"guest", GuestKey}}})
			for _, q := range stateBefore(n, &d) {
				if status, answer := c.send(t, q); status >= 300 {
					t.Errorf("line %d: %s %s %s: %d %s", n, q.method, q.path, q.body, status, answer)
				}
			}
		} else if strings.HasPrefix(d.Request.Path, under+"actions/") {
			path, _, _ := strings.Cut(d.Request.Path, "?")
			c.send(t, request{method: "POST", path: path + "?blocking=true"}) // the recorded containers were warm
		}
		status, answer := c.send(t, d.request())
		m := &matcher{}
		if status != d.Real.Status {
			m.differ("", "status %d, want %d", status, d.Real.Status)
		}
		statusOnly := len(m.differences) > 0
		m.answer(d.Real.Body, answer)
		reason := reasons[n]
		delete(reasons, n)
		switch {
		case len(m.differences) == 0 && reason != "":
			t.Errorf("line %d: %s %s is answered as recorded, but listed: %s", n, d.Request.Method, d.Request.Path, reason)
		case len(m.differences) == 0:
			equal++
		case reason == "":
			body := "none"
			if d.Request.Body != nil {
				body = *d.Request.Body
			}
			t.Errorf("line %d: %s %s %v %.200s: %s\n  answer %.400s\n  want %.400s", n, d.Request.Method, d.Request.Path, d.Request.Headers, body, strings.Join(m.differences, "; "), answer, d.Real.Body)
		case otherwise[reason].sameStatus && statusOnly:
			t.Errorf("line %d: %s %s: status %d, want %d", n, d.Request.Method, d.Request.Path, status, d.Real.Status)
		}
	}
	require.NoError(t, lines.Err())
	require.Empty(t, reasons, "listed lines that are not there")
	t.Logf("%d of %d lines are answered as recorded", equal, n)
}

// recordedActions returns requests that make the actions that the recording invoked.
func recordedActions(t *testing.T) []request {
	code, err := goScript()
	require.NoError(t, err)
	plain, err := noEnvScript()
	require.NoError(t, err)
	var all []request
	put := func(path, body string, args ...any) {
		all = append(all, request{method: "PUT", path: under + path, body: fmt.Sprintf(body, args...)})
	}
	const echo = `{"key":"ECHO","value":"1","init":true}`
	const def = `,{"key":"def","value":1}`
	action := func(name, parameters, annotations string) {
		put("actions/"+name, `{"exec":{"kind":"go:1.20","code":%q},"parameters":[`+echo+`%s],"annotations":[%s]}`, code, parameters, annotations)
	}
	const web = `{"key":"web-export","value":true}`
	action("g", def, "")
	action("w", def, web)
	action("raw", "", web+`,{"key":"raw-http","value":true}`)
	action("sec", def, web+`,{"key":"require-whisk-auth","value":"secret"}`)
	action("copt", "", web+`,{"key":"web-custom-options","value":true}`)
	put("actions/b", `{"exec":{"kind":"blackbox","image":"openwhisk/dockerskeleton","code":%q},"parameters":[`+echo+def+`]}`, plain)
	put("actions/bbnc", `{"exec":{"kind":"blackbox","image":"openwhisk/dockerskeleton"}}`)
	put("actions/s1", `{"exec":{"kind":"sequence","components":["/_/g","/_/g"]}}`)
	put("actions/s3", `{"exec":{"kind":"sequence","components":["/_/s1"]}}`)
	return all
}

// stateBefore returns requests that make the state in which the real OpenWhisk was before a line, as far as its answer shows it: an entity that
// is read or deleted is created as it was answered, one that is updated with the version before, and without what the update sets.
func stateBefore(line int, d *difference) []request {
	var all []request
	put := func(path, body string) {
		all = append(all, request{method: "PUT", path: under + path, body: body})
	}
	const code = `{"exec":{"kind":"go:1.20","code":"package main\n"}}`
	name, isEntity := strings.CutPrefix(d.Request.Path, under)
	name, _, _ = strings.Cut(name, "?")
	kind, name, _ := strings.Cut(name, "/")
	switch {
	case strings.HasSuffix(name, "a&b"):
		// Its kind is that of the first request.
		if d.Real.Status == 404 {
			return nil
		}
		if strings.HasPrefix(name, "p1/") {
			put("packages/p1", "{}")
			return all
		}
		put("actions/a&b", code)
		return all
	case line == 29:
		put("packages/p1", `{"version":"0.0.42"}`)
		return all
	case strings.Contains(d.Request.Path, "count=true"), d.Real.Status == 200 && isEntity && (name == "" || strings.HasSuffix(name, "/")) && d.Request.Method == "GET":
		return listedBefore(d)
	case line == 48, line == 191, line == 193, line == 197, line == 30, line == 31, line == 32, strings.HasPrefix(name, "p1/"):
		put("packages/p", "{}")
		put("packages/p1", "{}")
		if line == 193 {
			put("actions/ra", code)
			put("triggers/rt", "{}")
		}
		return all
	case !isEntity || kind == "activations" || name == "":
		return nil
	}
	put("actions/x", code)
	switch kind {
	case "triggers", "rules":
		put("triggers/t", "{}")
		if name != "" && !(kind == "rules" && !strings.Contains(d.Request.Path, "overwrite") && d.Request.Method == "PUT") && (kind == "rules" || strings.Contains(string(d.Real.Body), `"rules"`) || d.Request.Method == "POST") {
			put("rules/r", `{"trigger":"/_/t","action":"/_/x"}`)
		}
	case "packages":
		put("packages/p", "{}")
	}
	if d.Real.Status != 200 || d.Real.Body[0] != '{' && !isCutShort(d.Real.Body) {
		return all
	}
	// What the answer shows.
	value, _ := recorded(d.Real.Body)
	want, _ := value.(map[string]any)
	if want == nil {
		return all
	}
	sent := map[string]any{}
	if d.Request.Method == "PUT" {
		_ = json.Unmarshal([]byte(*d.Request.Body), &sent)
	}
	state := map[string]any{}
	for _, field := range []string{"parameters", "annotations"} {
		var list []any
		for _, kv := range listOf(want[field]) {
			key := keyOf(kv)
			given := slices.ContainsFunc(listOf(sent[field]), func(one any) bool { return keyOf(one) == key })
			if !given && (key != "exec" && key != "binding" || kind == "triggers") {
				list = append(list, unrecorded(kv))
			}
		}
		if list != nil {
			state[field] = list
		}
	}
	if version, ok := want["version"].(string); ok {
		i := strings.LastIndexByte(version, '.')
		last, _ := strconv.Atoi(version[i+1:])
		if d.Request.Method == "PUT" {
			last--
		}
		if version = version[:i+1] + strconv.Itoa(last); version != "0.0.0" && sent["version"] == nil && last >= 0 {
			state["version"] = version
		}
		if version == "0.0.0" { // it is created
			all = slices.DeleteFunc(all, func(q request) bool { return q.path == under+kind+"/"+name })
			return all
		}
	}
	if kind == "actions" {
		exec := map[string]any{"kind": "go:1.20", "code": "package main\n"}
		if wanted, ok := want["exec"].(map[string]any); ok && wanted["code"] != nil {
			exec["code"] = wanted["code"]
		}
		state["exec"] = exec
	}
	if binding, ok := want["binding"].(map[string]any); ok && len(binding) > 0 {
		state["binding"] = binding
	}
	if kind == "rules" {
		state["trigger"], state["action"] = "/_/t", "/_/x"
	}
	body, err := marshal(state)
	if err != nil {
		panic(err)
	}
	put(kind+"/"+name+"?overwrite=true", string(body))
	return all
}

// listedBefore returns requests that make the entities that a list shows, or as many as it counts.
func listedBefore(d *difference) []request {
	var all []request
	put := func(path, body string) {
		all = append(all, request{method: "PUT", path: under + path, body: body})
	}
	const code = `{"exec":{"kind":"go:1.20","code":"package main\n"}}`
	collection, query, _ := strings.Cut(strings.TrimPrefix(d.Request.Path, under), "?")
	collection, _, _ = strings.Cut(collection, "/")
	bodies := map[string]string{"actions": code, "packages": "{}", "triggers": "{}"}
	value, _ := recorded(d.Real.Body)
	switch want := value.(type) {
	case map[string]any:
		n, _ := want[collection].(json.Number).Int64()
		if strings.Contains(query, "skip=1") {
			n++
		}
		for i := range n {
			put(fmt.Sprint(collection, "/e", i), bodies[collection])
		}
	case []any:
		for _, e := range want {
			if binding, ok := e.(map[string]any)["binding"].(map[string]any); ok {
				put("packages/"+fmt.Sprint(binding["name"]), "{}")
			}
		}
		for i := len(want) - 1; i >= 0; i-- {
			e, _ := want[i].(map[string]any)
			path := fmt.Sprint(e["name"])
			if namespace, _ := e["namespace"].(string); strings.HasPrefix(namespace, "guest/") {
				path = strings.TrimPrefix(namespace, "guest/") + "/" + path
				put("packages/"+strings.TrimPrefix(namespace, "guest/")+"?overwrite=true", "{}")
			}
			body := map[string]any{"publish": e["publish"]}
			_ = json.Unmarshal([]byte(bodies[collection]), &body)
			if exec, ok := e["exec"].(map[string]any); ok && exec["binary"] == true {
				body["exec"] = map[string]any{"kind": "go:1.20", "code": "UEsDBBQA"}
			}
			var annotations []any
			for _, kv := range listOf(e["annotations"]) {
				if keyOf(kv) != "exec" && keyOf(kv) != "binding" {
					annotations = append(annotations, unrecorded(kv))
				}
			}
			if annotations != nil {
				body["annotations"] = annotations
			}
			if binding, ok := e["binding"].(map[string]any); ok {
				body["binding"] = binding
			}
			if e["version"] != nil {
				body["version"] = e["version"]
			}
			b, err := marshal(body)
			if err != nil {
				panic(err)
			}
			put(collection+"/"+path+"?overwrite=true", string(b))
		}
	}
	return all
}

// isCutShort reports whether the recording has only the beginning of a body, as text.
func isCutShort(body json.RawMessage) bool {
	var text string
	return json.Unmarshal(body, &text) == nil && strings.HasSuffix(text, "…")
}

// recorded returns the value of a recorded body. Of one that was cut short it returns what is there, and true.
func recorded(body json.RawMessage) (value any, cut bool) {
	text := string(body)
	if cut = isCutShort(body); cut {
		if err := json.Unmarshal(body, &text); err != nil {
			panic(err)
		}
		text = strings.TrimSuffix(text, "…")
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if !cut {
		if err := d.Decode(&value); err != nil {
			panic(err)
		}
		return value, false
	}
	value, _ = partial(d)
	return value, true
}

// partial reads a value whose end may be missing. It returns false if it cannot be told what the value is.
func partial(d *json.Decoder) (any, bool) {
	token, err := d.Token()
	if err != nil {
		return nil, false
	}
	switch token {
	case json.Delim('{'):
		m := map[string]any{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				break
			}
			value, ok := partial(d)
			if !ok {
				break
			}
			m[key.(string)] = value
		}
		_, _ = d.Token()
		return m, true
	case json.Delim('['):
		list := []any{}
		for d.More() {
			value, ok := partial(d)
			if m, isObject := value.(map[string]any); !ok || isObject && len(m) < 2 {
				break
			}
			list = append(list, value)
		}
		_, _ = d.Token()
		return list, true
	}
	return token, true
}

// unrecorded returns a value as it was sent: the recording has numbers with a point or an exponent as texts, f:NUMBER.
func unrecorded(v any) any {
	switch v := v.(type) {
	case string:
		if number, ok := strings.CutPrefix(v, "f:"); ok {
			return json.Number(number)
		}
	case map[string]any:
		m := map[string]any{}
		for k := range v {
			m[k] = unrecorded(v[k])
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = unrecorded(v[i])
		}
		return list
	}
	return v
}

// matcher compares an answer with a recorded one.
type matcher struct{ differences []string }

func (m *matcher) differ(path, format string, args ...any) {
	if len(m.differences) < 4 {
		m.differences = append(m.differences, strings.TrimSpace(path+" "+fmt.Sprintf(format, args...)))
	}
}

// answer compares a body.
func (m *matcher) answer(want json.RawMessage, got string) {
	var text string
	if json.Unmarshal(want, &text) == nil && strings.HasPrefix(text, "RAW:") {
		if text = strings.TrimPrefix(text, "RAW:"); text != got {
			m.differ("", "body %.200q, want %.200q", got, text)
		}
		return
	}
	var g any
	d := json.NewDecoder(strings.NewReader(got))
	d.UseNumber()
	if err := d.Decode(&g); err != nil && !errors.Is(err, io.EOF) {
		m.differ("", "body %.200q: %v", got, err)
		return
	}
	w, cut := recorded(want)
	m.value("", w, g, cut)
}

func (m *matcher) value(path string, want, got any, cut bool) {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			m.differ(path, "is %v, want an object", got)
			return
		}
		for _, key := range slices.Sorted(maps.Keys(w)) {
			if _, ok := g[key]; !ok {
				m.differ(path+"."+key, "is missing")
				continue
			}
			m.value(path+"."+key, w[key], g[key], cut)
		}
		for key := range g {
			if strings.HasSuffix(path, "."+webHeaders) && (key == "user-agent" || key == "accept-encoding") {
				continue // the recording is without
			}
			if _, ok := w[key]; !ok && !cut {
				m.differ(path+"."+key, "is %v, want none", g[key])
			}
		}
		return
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) < len(w) || len(g) > len(w) && !cut {
			m.differ(path, "is %v, want %v", got, w)
			return
		}
		if strings.HasSuffix(path, ".annotations") || strings.HasSuffix(path, ".parameters") {
			byKey := func(a, b any) int { return strings.Compare(keyOf(a), keyOf(b)) }
			w, g = slices.SortedFunc(slices.Values(w), byKey), slices.SortedFunc(slices.Values(g), byKey)
			if cut {
				g = slices.DeleteFunc(g, func(one any) bool {
					return !slices.ContainsFunc(w, func(other any) bool { return keyOf(one) == keyOf(other) })
				})
				if len(g) != len(w) {
					m.differ(path, "is %v, want %v", g, w)
					return
				}
			}
		}
		for i := range w {
			m.value(path+"["+strconv.Itoa(i)+"]", w[i], g[i], cut)
		}
		return
	case string:
		switch text, isText := got.(string); {
		case w == "<num>":
			if _, ok := got.(json.Number); !ok {
				m.differ(path, "is %v, want a number", got)
			}
		case w == "<tid>", w == "<host>":
			if text == "" {
				m.differ(path, "is %v, want a text", got)
			}
		case strings.HasPrefix(w, "<id"):
			if len(text) != 32 || !hexID.MatchString(text) {
				m.differ(path, "is %v, want an activation id", got)
			}
		case strings.HasPrefix(w, "f:"):
			if got != json.Number(w[2:]) {
				m.differ(path, "is %v, want %s", got, w[2:])
			}
		case isText && strings.Contains(w, kindsFollow) && sortedKinds(w) == sortedKinds(text):
		case text != w || !isText:
			m.differ(path, "is %q, want %q", got, w)
		}
		return
	}
	if !reflect.DeepEqual(want, got) {
		m.differ(path, "is %v, want %v", got, want)
	}
}

const kindsFollow = "Valid values are: "

// sortedKinds returns a message with the kinds that it lists, in order, and without the newer ones that are here.
func sortedKinds(s string) string {
	before, after, ok := strings.Cut(s, kindsFollow)
	if !ok {
		return s
	}
	kinds := validKinds.FindAllString(after, -1)
	kinds = slices.DeleteFunc(kinds, func(k string) bool { return strings.HasPrefix(k, "'go:") && k > "'go:1.20'" })
	slices.Sort(kinds)
	return before + kindsFollow + strings.Join(kinds, " ")
}
