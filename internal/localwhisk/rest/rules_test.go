package rest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestRules checks that random sequences of requests are answered as the rules of OpenWhisk demand, each sequence by a new server.
func TestRules(t *testing.T) {
	transport := &http.Transport{MaxIdleConnsPerHost: 1}
	defer transport.CloseIdleConnections()
	for _, theme := range rulesThemes {
		t.Run(theme.name, rapid.MakeCheck(func(t *rapid.T) { checkRules(t, transport, rapid.Custom(theme.requests).Draw(t, "sequence")) }))
	}
}

func checkRules(t *rapid.T, transport *http.Transport, requests []rulesRequest) {
	server, err := Start(t.Context(), Options{Runtime: &inProcess{}, Identities: rulesIdentities, InstantRecords: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		transport.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	model := newRulesModel(rulesKeys)
	var sent strings.Builder
	for _, q := range requests {
		fmt.Fprintf(&sent, "\n  %v", q)
		want := model.answer(q)
		if model.unsure {
			return
		}
		got, err := exchangeRules(transport, server.URL(), q)
		if err != nil {
			t.Fatalf("%v%s", err, &sent)
		}
		if difference := want.differs(q.method, got); difference != "" {
			t.Fatalf("The last of these requests is not answered as it should be:%s\n%s", &sent, difference)
		}
	}
}

// rulesID is the id of all requests, so that the same fault fails with the same text, which shrinking needs.
const rulesID = "id"

// rulesGot is an answer of the server.
type rulesGot struct {
	status int
	body   string
}

var volatileInRules = regexp.MustCompile(`("updated":|"start":|"end":|"activationId":|"value":|"duration":)("[0-9a-f]{32}"|\d+)`)

func (g *rulesGot) String() string {
	return fmt.Sprintf("status %d %s", g.status, volatileInRules.ReplaceAllString(g.body, "$1…"))
}

func exchangeRules(transport http.RoundTripper, base string, q rulesRequest) (*rulesGot, error) {
	r, err := http.NewRequest(q.method, base, strings.NewReader(q.body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-Request-Id", rulesID)
	r.URL.Opaque = q.path
	if q.contentType != "" {
		r.Header.Set("Content-Type", q.contentType)
	}
	if q.auth != "" {
		r.Header.Set("Authorization", q.auth)
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return &rulesGot{answer.StatusCode, string(body)}, err
}

// differs tells how an answer differs from what the rules say, "" if it does not.
func (a *rulesAnswer) differs(method string, got *rulesGot) string {
	difference := a.differsAlone(method, got)
	for ; difference != "" && a.or != nil; a = a.or {
		if a.or.differsAlone(method, got) == "" {
			return ""
		}
	}
	return difference
}

func (a *rulesAnswer) differsAlone(method string, got *rulesGot) string {
	if len(a.statuses) > 0 && !slices.Contains(a.statuses, got.status) {
		return fmt.Sprintf("want status %d %s\n got %v", a.statuses, a.err, got)
	}
	if got.status >= 500 && got.status != 502 {
		return got.String()
	}
	if method == "HEAD" {
		return ""
	}
	if a.text != "" && got.body != a.text {
		return fmt.Sprintf("want %s\n got %v", a.text, got)
	}
	if a.err == "" && a.body == nil {
		return ""
	}
	body, err := rulesJSON(got.body)
	if err != nil {
		return fmt.Sprintf("%v: %v", err, got)
	}
	if a.err == "" {
		return rulesDifference("body", a.body, body)
	}
	object, _ := body.(map[string]any)
	text, _ := object["error"].(string)
	if start, ok := strings.CutSuffix(a.err, "…"); ok && strings.HasPrefix(text, start) {
		text = a.err
	}
	if text != a.err || object["code"] != rulesID {
		return fmt.Sprintf("want error %q\n got %v", a.err, got)
	}
	return ""
}

// anything stands in a body for any value, optional for a value that may be missing.
type (
	anything struct{}
	optional struct{ value any }
)

// rulesDifference returns the first difference of a body from the one that is wanted, "" if there is none.
func rulesDifference(path string, want, got any) string {
	different := func() string {
		if kvs, ok := want.(rulesKVs); ok {
			want = kvs.list
		}
		text, _ := json.Marshal(got)
		return fmt.Sprintf("%s: want %v\n %s got %s", path, want, strings.Repeat(" ", len(path)), text)
	}
	switch w := want.(type) {
	case anything:
		if got == nil {
			return different()
		}
	case *rulesStamp:
		n, ok := got.(json.Number)
		if !ok {
			return different()
		}
		if w.value == "" {
			w.value = n.String()
		}
		if w.value != n.String() {
			return path + " is not what it was"
		}
	case rulesKVs:
		return w.differ(path, got)
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return different()
		}
		for _, name := range slices.Sorted(maps.Keys(w)) {
			value, ok := g[name]
			maybe, isOptional := w[name].(optional)
			switch {
			case !ok && isOptional:
			case !ok:
				return fmt.Sprintf("%s has no %s", path, name)
			case isOptional:
				if d := rulesDifference(path+"."+name, maybe.value, value); d != "" {
					return d
				}
			default:
				if d := rulesDifference(path+"."+name, w[name], value); d != "" {
					return d
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(g)) {
			if _, ok := w[name]; !ok {
				return fmt.Sprintf("%s has %s, which it should not", path, name)
			}
		}
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return different()
		}
		for i := range w {
			if d := rulesDifference(fmt.Sprintf("%s[%d]", path, i), w[i], g[i]); d != "" {
				return d
			}
		}
	case json.Number:
		if g, ok := got.(json.Number); !ok || !strings.EqualFold(w.String(), g.String()) { // 1e+20 may become 1E+20
			return different()
		}
	default:
		if want != got {
			return different()
		}
	}
	return ""
}

// differ compares a list of parameters. Its order counts as long as it is determined.
func (p rulesKVs) differ(path string, got any) string {
	list, ok := got.([]any)
	if !ok || len(list) != len(p.list) {
		return fmt.Sprintf("%s: want %v\n got %v", path, p.list, got)
	}
	for i, kv := range p.list {
		want := map[string]any{"key": kv.key, "value": kv.value}
		if kv.init {
			want["init"] = true // false is left out
		}
		if kv.encryption != "" {
			want["encryption"] = kv.encryption
		}
		at := i
		if p.many {
			at = max(0, slices.IndexFunc(list, func(v any) bool {
				e, _ := v.(map[string]any)
				return e["key"] == kv.key
			}))
		}
		if d := rulesDifference(fmt.Sprintf("%s[%d]", path, at), want, list[at]); d != "" {
			return d
		}
	}
	return ""
}
