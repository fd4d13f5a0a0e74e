package rest

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// The model in the files rules_*_test.go says how an OpenWhisk answers the requests of the API, TestRules compares the server with it. It is written
// after recordings of a real one, which are named in comments where a rule is surprising: the transcripts in testdata, with which
// TestRulesFitRecordings compares it, and the list of recordedDifferences ("differences"). Where these say nothing, as of the order of errors, it
// follows the source of OpenWhisk's controller, or says nothing either.

// rulesRequest is a request. Its path is sent as it is.
type rulesRequest struct {
	method, path, body string
	contentType        string // "": none
	auth               string // the header Authorization; "": none
}

func (q rulesRequest) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", q.method, q.path)
	if q.body != "" {
		b.WriteString(" " + q.body)
	}
	if q.contentType != "" && q.contentType != typeJSON {
		fmt.Fprintf(&b, " (Content-Type: %s)", q.contentType)
	}
	if q.contentType == "" && q.body != "" {
		b.WriteString(" (no Content-Type)")
	}
	if q.auth != rulesKeys["guest"] {
		if q.auth == rulesKeys["other"] {
			b.WriteString(" (key of other)")
		} else {
			fmt.Fprintf(&b, " (Authorization: %q)", q.auth)
		}
	}
	return b.String()
}

// GoString is what rapid shows of a request.
func (q rulesRequest) GoString() string { return q.String() }

const typeJSON = "application/json"

// rulesIdentities are the namespaces of the server.
var rulesIdentities = []Identity{{"guest", "uuid1:key1"}, {"other", "uuid2:key2"}}

// rulesKeys has the header Authorization of each namespace.
var rulesKeys = func() map[string]string {
	all := map[string]string{}
	for _, id := range rulesIdentities {
		all[id.Namespace] = "Basic " + base64.StdEncoding.EncodeToString([]byte(id.Auth))
	}
	return all
}()

// rulesAnswer is what the rules say of an answer.
type rulesAnswer struct {
	statuses []int        // the status is one of these; none: nothing is said
	err      string       // the text of an error; if it ends in … it is the beginning of the text; "": nothing is said of it
	body     any          // the body as JSON; nil: nothing is said
	text     string       // the body that is no JSON; "": nothing is said
	or       *rulesAnswer // what the answer may be instead
}

// The functions want… return answers: with a status alone, with an error, and with JSON and the status 200.

func wantStatus(s int) *rulesAnswer             { return &rulesAnswer{statuses: []int{s}} }
func wantError(s int, text string) *rulesAnswer { return &rulesAnswer{statuses: []int{s}, err: text} }
func wantBody(body any) *rulesAnswer            { return &rulesAnswer{statuses: []int{200}, body: body} }
func malformedBody(text string) *rulesAnswer {
	return wantError(400, "The request content was malformed:\n"+text)
}
func malformedQuery(q, text string) *rulesAnswer {
	return wantError(400, "The query parameter '"+q+"' was malformed:\n"+text)
}

func wantForbidden(what string) *rulesAnswer {
	return wantError(403, "The supplied authentication is not authorized to access '"+what+"'.")
}

var (
	ruleNoRoute   = wantError(404, "The requested resource could not be found.")
	ruleMissing   = wantError(404, "The requested resource does not exist.")
	ruleElsewhere = wantError(409, "Resource by this name exists but is not in this collection.")
	ruleExists    = wantError(409, "resource already exists")
)

// rulesStamp is the time of an update, which the first answer that has it tells.
type rulesStamp struct{ value string }

// rulesKV is a parameter or an annotation.
type rulesKV struct {
	key        string
	value      any
	init       bool
	encryption string
}

// rulesKVs are parameters or annotations. Their order is that in which they were added, unless there have been more than four, of which
// OpenWhisk keeps no order.
type rulesKVs struct {
	list []rulesKV
	many bool
}

func (p rulesKVs) with(more rulesKVs) rulesKVs {
	sum := rulesKVs{slices.Clone(p.list), p.many || more.many}
	for _, kv := range more.list {
		if i := sum.index(kv.key); i >= 0 {
			sum.list[i] = kv
			continue
		}
		sum.list = append(sum.list, kv)
		sum.many = sum.many || len(sum.list) > 4
	}
	return sum
}

func (p rulesKVs) without(key string) rulesKVs {
	return rulesKVs{slices.DeleteFunc(slices.Clone(p.list), func(kv rulesKV) bool { return kv.key == key }), p.many}
}

func (p rulesKVs) index(key string) int {
	return slices.IndexFunc(p.list, func(kv rulesKV) bool { return kv.key == key })
}

func oneKV(key string, value any) rulesKVs {
	return rulesKVs{list: []rulesKV{{key: key, value: value}}}
}

// rulesVersion is a version of three numbers.
type rulesVersion [3]int

func (v rulesVersion) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// rulesLink is a rule as its trigger knows it.
type rulesLink struct {
	action string
	active bool
}

// rulesExec is the code of an action.
type rulesExec struct {
	kind, image string
	code, main  *string
	binary      bool
	components  []string // full names without a leading slash
}

// rulesEntity is an action, a trigger, a package or a rule.
type rulesEntity struct {
	collection              string
	path, name              string // guest or guest/p, a
	version                 rulesVersion
	publish                 bool
	parameters, annotations rulesKVs
	order                   int // grows with the time of the last update
	updated                 *rulesStamp

	exec   *rulesExec     // of an action
	limits map[string]int // of an action

	binding string // of a package: the full name of the one it is bound to

	links    map[string]rulesLink // of a trigger: by the full names of its rules
	hadLinks bool

	trigger, action string // of a rule: full names
}

func (e *rulesEntity) full() string { return e.path + "/" + e.name }

// rulesModel is what there is.
type rulesModel struct {
	keys     map[string]string       // the header Authorization of each namespace
	entities map[string]*rulesEntity // by full names; all collections share one set of names (differences: PUT triggers/a&b is 409)
	changes  int
	// unsure says that the rules do not say what the last request has done.
	unsure bool
}

func newRulesModel(keys map[string]string) *rulesModel {
	return &rulesModel{keys: keys, entities: map[string]*rulesEntity{}}
}
