package rest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// exchange is a recorded request with its answer.
type exchange struct {
	transcript string
	index      int

	Request struct {
		Method, Path string
		Headers      map[string]string
		Body         json.RawMessage
	}
	Response struct {
		Status  int
		Headers map[string]string
		Body    json.RawMessage
	}
}

// transcript returns the exchanges of testdata/transcripts/NAME.json.
func transcript(tb testing.TB, name string) []exchange {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "transcripts", name+".json"))
	if err != nil {
		tb.Fatal(err)
	}
	var all []exchange
	if err := json.Unmarshal(b, &all); err != nil {
		tb.Fatal(name, err)
	}
	for i := range all {
		all[i].transcript, all[i].index = name, i
	}
	return all
}

// session is a recorded server from its start to its end: the transcripts in the order in which they were recorded. Each begins with the state
// that the ones before it have left.
type session struct {
	name        string
	transcripts []string
	// prepare names transcripts that are replayed first, without comparing the answers: their state existed when the recording began.
	prepare  []string
	limits   Limits
	memoryMB int
	// stdoutOnly says that the server's logs had only standard output, without the name of the stream, and no lines of the server.
	stdoutOnly bool
}

// The limits of the recorded servers, as GET / and /limits show them: all but one were configured for many invocations.
var manyAMinute = Limits{InvocationsPerMinute: 100_000, FiresPerMinute: 100_000, ConcurrentInvocations: 30}

var sessions = []session{
	{name: "wsk and raw", limits: manyAMinute, stdoutOnly: true, transcripts: []string{
		"wsk-property-namespace", "wsk-action-crud", "wsk-action-invoke", "wsk-action-errors", "wsk-action-noexecenv", "wsk-package",
		"wsk-trigger-rule", "wsk-sequence", "wsk-web-action", "raw-info", "raw-auth", "raw-options-head", "raw-methods", "raw-bad-bodies",
		"raw-list-queries", "raw-activation-race", "raw-size-limits", "raw-result-and-log-limits",
	}},
	{name: "blocking timeout", limits: manyAMinute, stdoutOnly: true, transcripts: []string{"raw-blocking-timeout-202"}},
	{name: "timeouts", limits: manyAMinute, stdoutOnly: true, transcripts: []string{"raw-timeouts"}},
	{name: "concurrent", limits: manyAMinute, memoryMB: 1024, stdoutOnly: true, transcripts: []string{"raw-throttle-concurrent"}},
	{name: "web actions", limits: manyAMinute, stdoutOnly: true, transcripts: []string{"raw-web-action"}},
	{name: "rate", limits: DefaultThrottles(), stdoutOnly: true, transcripts: []string{"raw-throttle-rate"}},
	{name: "logs", limits: manyAMinute, transcripts: []string{"raw-production-log-format"}},
	{name: "serverless info", limits: manyAMinute, prepare: []string{"sls-deploy"}, transcripts: []string{"sls-info"}},
	{name: "serverless", limits: manyAMinute, transcripts: []string{
		"sls-deploy", "sls-invoke", "sls-invoke-nonblocking", "sls-invoke-error", "sls-logs", "sls-logs-filter", "sls-redeploy", "sls-remove",
		"sls-info-after",
	}},
	{name: "containers", limits: manyAMinute, transcripts: []string{
		"raw-container-protocol", "raw-update-semantics", "raw-list-order", "wsk-misc", "wsk-activation-poll",
	}},
}

// sentAtOnce has the order in which requests took effect that were sent at the same time, according to the recorded update times.
// The session that replays a transcript in prepare had another order.
var sentAtOnce = map[string][]int{
	"serverless/sls-deploy":   {1, 2, 0},
	"serverless/sls-redeploy": {1, 0, 2},
}

// sentAs has the request bodies that are not in the recording.
var sentAs = map[string]map[int]string{
	"raw-bad-bodies": {2: `"str"`, 4: `null`},
}

// sentHeaders has the headers that are not in the recording, NAME: VALUE. A web action gets those of all its requests.
var sentHeaders = map[string]map[int]string{
	"raw-web-action": {31: "X-Require-Whisk-Auth: sekret"},
}

// sentKeys has the wrong keys that the recording shows as the right one.
var sentKeys = map[string]map[int]string{
	"wsk-action-errors": {14: GuestKey + "x"},
	"raw-auth":          {6: GuestKey + "x", 7: GuestKey[:len(GuestKey)-1]},
}

// held names the invocations that were running until another exchange had ended, and what of them is delayed here until then.
var held = []struct {
	transcript  string
	first, last int
	part        string // run or logs
	until       int
}{
	{"raw-activation-race", 2, 2, "run", 10},
	// The container was still busy collecting logs when it was needed next, and another one was started.
	{"raw-bad-bodies", 5, 5, "logs", 6},
	{"wsk-sequence", 17, 17, "logs", 17},
	{"raw-blocking-timeout-202", 1, 1, "run", 3},
	{"raw-blocking-timeout-202", 3, 3, "run", 3},
	{"raw-blocking-timeout-202", 5, 5, "run", 5},
	{"raw-throttle-concurrent", 2, 31, "run", 37},
	{"raw-throttle-rate", 1, 30, "run", 136},
	{"wsk-activation-poll", 2, 2, "run", 3},
}

// leftOut names the exchanges that are not replayed, and the reasons.
var leftOut = []struct {
	transcript  string
	first, last int
	reason      string
}{
	{"wsk-misc", 34, 34, "getApi, which is answered here, on purpose"},
	{"sls-deploy", 11, 11, "getApi, which is answered here, on purpose"},
	{"sls-redeploy", 11, 11, "getApi, which is answered here, on purpose"},
	{"sls-info", 4, 4, "getApi, which is answered here, on purpose"},
	{"sls-info-after", 4, 4, "getApi, which is answered here, on purpose"},
	{"raw-info", 12, 18, "not the API: metrics, invokers, pages for people"},
	{"raw-throttle-concurrent", 37, 37, "not the API: metrics, invokers, pages for people"},
	{"raw-container-protocol", 1, 1, httpContainer},
	{"raw-container-protocol", 3, 3, httpContainer},
	{"raw-container-protocol", 9, 30, httpContainer},
	{"raw-container-protocol", 32, 32, httpContainer},
}

const httpContainer = "an image that is an HTTP server and answers /run with any status; here a container is a process that the platform's own proxy speaks with"

func whyLeftOut(e *exchange) string {
	for _, l := range leftOut {
		if l.transcript == e.transcript && l.first <= e.index && e.index <= l.last {
			return l.reason
		}
	}
	return ""
}

// unseen has the requests that are sent instead of ones that are left out. The code is replaced by that of the stand-in.
var unseen = map[string]map[int][][3]string{
	// There is no image local/cap:v1 here: exchanges 4 to 31 use the stand-in instead. Two activations with errors are listed later.
	"raw-container-protocol": {
		3: {
			{"PUT", "actions/cap2?overwrite=true", `{"exec":{"kind":"blackbox","image":"local/cap:v1","code":"Code"},"version":"0.0.1"}`},
			{"POST", "actions/cap2?blocking=true"},
		},
		27: {{"POST", "actions/cap2?blocking=true", `{"die":true}`}},
		29: {{"POST", "actions/cap2?blocking=true", `{"die":true}`}},
		32: {{"PUT", "actions/cap2?overwrite=true", `{"exec":{"kind":"blackbox","image":"local/cap:v1"},"version":"0.0.1"}`}},
	},
}

// loose names the parts of answers that are not compared, and the reasons.
var loose = []struct {
	transcript string
	exchange   int
	what       string // logs: the lines; n: how often the container ran; words: all after the first line of an error
	reason     string
}{
	{"raw-bad-bodies", 0, "words", "what another JSON parser says"},
	{"raw-bad-bodies", 18, "words", "what another JSON parser says"},
	{"raw-throttle-concurrent", 38, "n", "which of the containers is taken depends on which of 30 invocations ends last"},
	{"raw-web-action", 37, "n", otherContainer},
	{"raw-web-action", 40, "n", otherContainer},
	{"raw-web-action", 41, "n", otherContainer},
	{"raw-web-action", 42, "n", otherContainer},
	{"sls-logs", 0, "n", onceEach},
	{"sls-logs-filter", 0, "n", onceEach},
	{"raw-result-and-log-limits", 7, "logs", "that server's logs had no limit; raw-production-log-format has it"},
	{"raw-production-log-format", 14, "stdout", "it let the action go on for seconds after its timeout"},
}

const otherContainer = "a container was still busy with its logs, and another one was taken"

const onceEach = "the recorded container kept the action; OpenWhisk's docker skeleton starts it for each invocation"

func (e *exchange) loose(what string) bool {
	for _, l := range loose {
		if l.transcript == e.transcript && l.exchange == e.index && l.what == what {
			return true
		}
	}
	return false
}

// TestRecordingsAreComplete checks that every transcript belongs to exactly one session.
func TestRecordingsAreComplete(t *testing.T) {
	files, err := filepath.Glob("testdata/transcripts/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	var played []string
	for _, s := range sessions {
		played = append(played, s.transcripts...)
	}
	slices.Sort(played)
	var there []string
	for _, f := range files {
		there = append(there, strings.TrimSuffix(filepath.Base(f), ".json"))
	}
	if slices.Sort(there); !slices.Equal(played, there) {
		t.Errorf("played are %q, recorded %q", played, there)
	}
}
