package rest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// exchange is a recorded request with its answer.
type exchange struct {
	Request struct {
		Method, Path string
		Headers      map[string]string
		Body         any
	}
	Response struct {
		Status  int
		Headers map[string]string
		Body    any
	}
}

// leftOut names the recordings that are not replayed, or of which some exchanges are not, and why. A transcript without
// numbers is left out as a whole.
var leftOut = []struct {
	transcript string
	exchanges  []int
	reason     string
}{
	{"raw-web-action", nil, "web actions"},
	{"wsk-web-action", nil, "web actions"},
	{"raw-options-head", []int{7}, "web actions"},
	{"raw-container-protocol", nil, "what a container is sent, for images that are not here"},
	{"wsk-action-noexecenv", nil, "what a container does with code, not the API"},
	{"raw-production-log-format", nil, "what a container writes, not the API"},
	{"raw-result-and-log-limits", nil, "what a container writes, not the API"},
	{"raw-timeouts", []int{14}, "what a container writes, not the API"},
	{"wsk-misc", []int{6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, "what a container writes, not the API"},
	{"raw-throttle-rate", nil, "takes minutes of the calendar; TestThrottle has the answers"},
	{"raw-throttle-concurrent", nil, "depends on when each of many ends; TestThrottle has the answers"},
	{"raw-blocking-timeout-202", []int{5, 6}, "takes more than a minute"},
	{"wsk-misc", []int{34}, "API gateway: getApi has an empty answer here, on purpose"},
	{"sls-deploy", []int{11}, "API gateway: getApi has an empty answer here, on purpose"},
	{"sls-redeploy", []int{11}, "API gateway: getApi has an empty answer here, on purpose"},
	{"sls-info", []int{4}, "API gateway: getApi has an empty answer here, on purpose"},
	{"sls-info-after", []int{4}, "API gateway: getApi has an empty answer here, on purpose"},
	{"raw-info", []int{0, 23}, "the kinds are others, with newer ones of Go"},
	{"raw-info", []int{9, 10}, "the limits are the other server's"},
	{"raw-bad-bodies", []int{23, 25}, "the kinds are others, with newer ones of Go"},
	{"wsk-action-errors", []int{3}, "the kinds are others, with newer ones of Go"},
	{"raw-info", []int{12, 13, 14, 15, 16, 17, 18}, "metrics, invokers and pages for people"},
	{"raw-bad-bodies", []int{0, 18}, "words of another JSON parser"},
	{"raw-size-limits", []int{2, 5}, "bodies of which the recording kept too little"},
	// In each of these some exchanges differ: most because they begin with what earlier recordings left behind or ask something
	// of the stand-ins that they do not have, some because the server answers otherwise (the update of a sequence).
	{"raw-auth", nil, laterOn},
	{"raw-bad-bodies", nil, laterOn},
	{"raw-list-order", nil, laterOn},
	{"raw-list-queries", nil, laterOn},
	{"raw-options-head", nil, laterOn},
	{"raw-size-limits", nil, laterOn},
	{"sls-deploy", nil, laterOn},
	{"sls-info", nil, laterOn},
	{"sls-invoke-error", nil, laterOn},
	{"sls-invoke-nonblocking", nil, laterOn},
	{"sls-invoke", nil, laterOn},
	{"sls-logs-filter", nil, laterOn},
	{"sls-logs", nil, laterOn},
	{"sls-redeploy", nil, laterOn},
	{"sls-remove", nil, laterOn},
	{"wsk-action-errors", nil, laterOn},
	{"wsk-action-invoke", nil, laterOn},
	{"wsk-activation-poll", nil, laterOn},
	{"wsk-misc", nil, laterOn},
	{"wsk-sequence", nil, laterOn},
	{"wsk-trigger-rule", nil, laterOn},
}

const laterOn = "transcripts with differences, which are not sorted out"

func reasonOf(transcript string, i int) string {
	for _, l := range leftOut {
		if l.transcript == transcript && (l.exchanges == nil || slices.Contains(l.exchanges, i)) {
			return l.reason
		}
	}
	return ""
}

var (
	activationID = regexp.MustCompile(`\b[0-9a-f]{32}\b`)
	shortened    = regexp.MustCompile(`^(.*?)\.\.\.<(\d+) chars>$`)
)

// lengthen makes a shortened text as long as it was. Code becomes a short one of the same form.
func lengthen(v any) any {
	switch v := v.(type) {
	case string:
		m := shortened.FindStringSubmatch(v)
		if m == nil {
			return v
		}
		n := 0
		fmt.Sscan(m[2], &n)
		if strings.HasPrefix(v, "UEsDB") {
			return "UEsDBBQA"
		}
		return strings.Repeat(m[1][:1], n)
	case map[string]any:
		for k := range v {
			v[k] = lengthen(v[k])
		}
	case []any:
		for i := range v {
			v[i] = lengthen(v[i])
		}
	}
	return v
}

// steady takes out of an answer what differs from one run to the next.
func steady(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			switch k {
			case "updated", "start", "end", "duration", "code", "activationId", "cause":
				if k == "duration" && x == nil {
					continue
				}
				v[k] = "volatile"
			case "logs":
				list, _ := x.([]any)
				for i := range list {
					list[i] = "volatile"
				}
			case "annotations", "parameters":
				v[k] = ordered(x)
			case "size":
				v[k] = "volatile"
			default:
				v[k] = steady(x)
			}
		}
	case []any:
		for i := range v {
			v[i] = steady(v[i])
		}
	case string:
		if activationID.MatchString(v) {
			return "volatile"
		}
	}
	return v
}

// ordered sorts parameters by key, and keeps of waitTime that it is there; whether a start was cold is the schedule's.
func ordered(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	var out []any
	for _, x := range list {
		m, ok := x.(map[string]any)
		if !ok {
			return v
		}
		switch m["key"] {
		case "initTime":
			continue
		case "waitTime":
			m["value"] = "volatile"
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b any) int {
		return strings.Compare(fmt.Sprint(a.(map[string]any)["key"]), fmt.Sprint(b.(map[string]any)["key"]))
	})
	return out
}

var meaningful = []string{"Content-Type", "Allow", "Www-Authenticate", "Access-Control-Allow-Origin", "X-Openwhisk-Activation-Id"}

// TestReplay sends what was recorded on a real OpenWhisk, and compares the answers. The actions are stand-ins.
func TestReplay(t *testing.T) {
	files, err := filepath.Glob("testdata/transcripts/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	total, equal, different := 0, 0, 0
	left := map[string]int{}
	for _, file := range files {
		transcript := strings.TrimSuffix(filepath.Base(file), ".json")
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var exchanges []exchange
		if err := json.Unmarshal(b, &exchanges); err != nil {
			t.Fatal(file, err)
		}
		total += len(exchanges)
		t.Run(transcript, func(t *testing.T) {
			p := newReplay(t)
			for i, e := range exchanges {
				if reason := reasonOf(transcript, i); reason != "" {
					left[reason]++
					continue
				}
				if reason := p.play(e); reason == "" {
					equal++
				} else {
					different++
					t.Errorf("[%d] %s %s\n%s", i, e.Request.Method, e.Request.Path, reason)
				}
			}
		})
	}
	t.Logf("%d exchanges: %d replayed and equal, %d different", total, equal, different)
	for reason, n := range left {
		t.Logf("%d left out: %s", n, reason)
	}
}

// replay is a fresh platform and what corresponds to recorded values there.
type replay struct {
	*client
	ids map[string]string
}

func newReplay(t *testing.T) *replay {
	return &replay{client: serve(t, Options{Identities: []Identity{
		{"guest", GuestKey},
		{"whisk.system", "789c46b1-71f6-4ed5-8c54-816aa4f8c502:abczO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP"},
	}}), ids: map[string]string{}}
}

var encoded = regexp.MustCompile(`^Basic base64\((.*)\)$`)

// play sends the request of e and returns how the answer differs, "" if it does not.
func (p *replay) play(e exchange) string {
	path := activationID.ReplaceAllStringFunc(e.Request.Path, func(id string) string {
		if own, ok := p.ids[id]; ok {
			return own
		}
		return id
	})
	var body string
	switch v := lengthen(e.Request.Body).(type) {
	case nil:
	case string:
		body = v
	default:
		b, err := json.Marshal(v)
		if err != nil {
			return err.Error()
		}
		body = string(b)
	}
	var difference string
	// A record is there a moment after the answer; a list may lack it till then.
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var got *http.Response
		got, difference = p.send(e, path, body)
		if difference == "" && got != nil {
			if id := e.Response.Headers["X-Openwhisk-Activation-Id"]; id != "" {
				p.ids[id] = got.Header.Get("X-Openwhisk-Activation-Id")
			}
			return ""
		}
		if e.Request.Method != http.MethodGet || !strings.Contains(path, "/activations") || time.Now().After(deadline) {
			if id := e.Response.Headers["X-Openwhisk-Activation-Id"]; id != "" && got != nil {
				p.ids[id] = got.Header.Get("X-Openwhisk-Activation-Id")
			}
			return difference
		}
	}
}

func (p *replay) send(e exchange, path, body string) (*http.Response, string) {
	r, err := http.NewRequest(e.Request.Method, p.server.URL()+path, strings.NewReader(body))
	if err != nil {
		return nil, err.Error()
	}
	for name, value := range e.Request.Headers {
		if value == "GUEST" {
			value = "Basic " + base64.StdEncoding.EncodeToString([]byte(GuestKey))
		} else if m := encoded.FindStringSubmatch(value); m != nil {
			value = "Basic " + base64.StdEncoding.EncodeToString([]byte(m[1]))
		}
		r.Header.Set(name, value)
	}
	answer, err := p.http.Do(r)
	if err != nil {
		return nil, err.Error()
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err.Error()
	}
	if answer.StatusCode != e.Response.Status {
		return answer, fmt.Sprintf("status %d, want %d: %.300s", answer.StatusCode, e.Response.Status, b)
	}
	for _, name := range meaningful {
		got, want := answer.Header.Get(name), e.Response.Headers[name]
		if name == "X-Openwhisk-Activation-Id" {
			got, want = fmt.Sprint(got != ""), fmt.Sprint(want != "")
		}
		if got != want {
			return answer, fmt.Sprintf("%s %q, want %q", name, got, want)
		}
	}
	want := steady(lengthen(e.Response.Body))
	var got any
	if json.Unmarshal(b, &got) != nil {
		got = string(b)
	}
	if len(b) == 0 {
		got = nil
	}
	if got = steady(got); !reflect.DeepEqual(got, want) {
		g, _ := json.Marshal(got)
		w, _ := json.Marshal(want)
		return answer, fmt.Sprintf(" got %.700s\nwant %.700s", g, w)
	}
	return answer, ""
}
