package rest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestRulesFitRecordings checks that the model of the rules says what the recorded OpenWhisk answered.
func TestRulesFitRecordings(t *testing.T) {
	compared := 0
	for _, s := range sessions {
		model := newRulesModel(map[string]string{"guest": "GUEST", "whisk.system": "Basic base64(" + systemKey + ")"})
		for i, name := range append(s.prepare[:len(s.prepare):len(s.prepare)], s.transcripts...) {
			all := transcript(t, name)
			again := slices.Clone(all)
			for i, from := range sentAtOnce[s.name+"/"+name] {
				again[i] = all[from]
			}
			for _, e := range again {
				q, got := rulesExchange(t, &e)
				if beyondRules(q, got) {
					continue
				}
				want := model.answer(q)
				if model.unsure {
					t.Fatalf("%s[%d] %v: the rules do not say what it does", name, e.index, q)
				}
				if invokes := q.method == http.MethodPost && strings.Contains(q.path, "/actions/"); i < len(s.prepare) || invokes && (got.status < 300 || got.status >= 500) {
					continue
				}
				if difference := want.differs(q.method, got); difference != "" {
					t.Errorf("%s[%d] %v: %s", name, e.index, q, difference)
				}
				compared++
			}
		}
	}
	t.Logf("%d exchanges compared", compared)
}

// systemKey is the key of the recorded servers' namespace whisk.system.
const systemKey = "789c46b1-71f6-4ed5-8c54-816aa4f8c502:abczO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP"

// beyondRules reports whether an exchange is about what the model has not: web actions, sizes, throttles, pages for people,
// and activations that there are.
func beyondRules(q rulesRequest, got *rulesGot) bool {
	api := strings.HasPrefix(q.path, apiPath+"/namespaces") || q.path == "/" || q.path == "/ping"
	isRecord := strings.Contains(q.path, "/activations/") && got.status == http.StatusOK
	return !api || isRecord || got.status == http.StatusRequestEntityTooLarge || got.status == http.StatusTooManyRequests ||
		got.status == http.StatusNotAcceptable || got.body == "Request too large"
}

var anyShortCode = regexp.MustCompile(`UEsDB[0-9A-Za-z+/]*\.\.\.<\d+ chars>`)

// rulesExchange returns a recorded request and its answer.
func rulesExchange(t *testing.T, e *exchange) (rulesRequest, *rulesGot) {
	q := rulesRequest{method: e.Request.Method, path: e.Request.Path}
	for name, value := range e.Request.Headers {
		switch http.CanonicalHeaderKey(name) {
		case "Content-Type":
			q.contentType = value
		case "Authorization":
			q.auth = value
		}
	}
	if m := encoded.FindStringSubmatch(q.auth); m != nil && m[1] != systemKey {
		q.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(m[1]))
	}
	if _, ok := sentKeys[e.transcript][e.index]; ok {
		q.auth = "Basic YTpi"
	}
	q.body = recordedText(t, e.Request.Body)
	if q.body == "" && e.Request.Method == http.MethodPut {
		q.body = "{}" // see replay.body
	}
	if sent, ok := sentAs[e.transcript][e.index]; ok {
		q.body = sent
	}
	got := &rulesGot{e.Response.Status, recordedText(t, e.Response.Body)}
	var failed struct{ Error, Code string } // the code is the id of the request
	if json.Unmarshal([]byte(got.body), &failed) == nil && failed.Code != "" {
		failed.Code = rulesID
		b, err := json.Marshal(map[string]string{"error": failed.Error, "code": rulesID})
		if err != nil {
			t.Fatal(err)
		}
		got.body = string(b)
	}
	return q, got
}

// recordedText returns a recorded body as it was, with other code in place of code that the recording has shortened.
func recordedText(t *testing.T, raw json.RawMessage) string {
	text := string(raw)
	if text == "null" {
		return ""
	}
	if strings.HasPrefix(text, `"`) {
		var err error
		if text, err = strconv.Unquote(text); err != nil {
			t.Fatal(err)
		}
	}
	return anyShortCode.ReplaceAllString(text, "UEsDBBQA")
}
