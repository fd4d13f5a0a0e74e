package rest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// testedBody is the body of a PUT request, and what the rules say of it.
type testedBody struct {
	text string
	// wrong says that entities of no kind may have it: the fields that all have are malformed.
	wrong bool
	// exec, sequence, binding, rule: which fields it has; a sequence has an exec too.
	exec, sequence, binding, rule bool
	// kindWrong says for which collection alone it is malformed.
	kindWrong string
	// refers are the names that it refers to, KIND NAME, where the kind is that which the rules demand; foreign says that one is of another namespace.
	refers  []string
	foreign bool
}

var testedBodies = []testedBody{
	{text: `{}`},
	{text: ``, wrong: true},
	{text: `{`, wrong: true},
	{text: `[]`, wrong: true},
	{text: `null`, wrong: true},
	{text: `"x"`, wrong: true},
	{text: `{"exec":{}}`, wrong: true},
	{text: `{"exec":[]}`, wrong: true},
	{text: `{"exec":{"kind":"go:1.20"}}`, wrong: true},
	{text: `{"exec":{"kind":"cobol","code":"x"}}`, wrong: true},
	{text: `{"exec":{"kind":"blackbox","image":""}}`, wrong: true},
	{text: `{"exec":{"kind":"go:1.20","code":"x","main":[]}}`, wrong: true},
	{text: `{"exec":{"kind":"sequence"}}`, wrong: true},
	{text: `{"parameters":{}}`, wrong: true},
	{text: `{"annotations":[{"key":"a"}]}`, wrong: true},
	{text: `{"parameters":[{"key":"a","value":1,"encryption":2}]}`, wrong: true},
	{text: `{"version":"1.2","publish":true}`},
	{text: `{"parameters":[{"key":"a","value":1}],"annotations":[{"key":"b","value":{}}]}`},
	{text: `{"exec":{"kind":"Go:1.20","code":"x"}}`, exec: true},
	{text: `{"exec":{"kind":"blackbox","image":"i/j"},"limits":{"memory":128,"instances":2}}`, exec: true},
	{text: `{"exec":{"kind":"go:1.20","code":"x"},"limits":{"timeout":1}}`, exec: true, kindWrong: "actions"},
	{text: `{"exec":{"kind":"sequence","components":["/_/a"]}}`, exec: true, sequence: true, refers: []string{"actions a"}},
	{text: `{"exec":{"kind":"sequence","components":["/guest/b","/_/a"]}}`, exec: true, sequence: true, refers: []string{"actions b", "actions a"}},
	{text: `{"exec":{"kind":"sequence","components":["/other/a"]}}`, exec: true, sequence: true, foreign: true},
	{text: `{"binding":{"namespace":"_","name":"b"}}`, binding: true, refers: []string{"packages b"}},
	{text: `{"binding":{"namespace":"other","name":"b"}}`, binding: true, foreign: true},
	{text: `{"binding":null}`, kindWrong: "packages"},
	{text: `{"binding":{"name":"b"}}`, kindWrong: "packages"},
	{text: `{"trigger":"/_/a","action":"/_/b"}`, rule: true, refers: []string{"triggers a", "actions b"}},
	{text: `{"trigger":"/_/c&d","action":"/_/a"}`, rule: true, refers: []string{"triggers c&d", "actions a"}},
	{text: `{"trigger":"/other/a","action":"/_/b"}`, rule: true, foreign: true},
	{text: `{"trigger":5,"action":"/_/b"}`, kindWrong: "rules"},
}

// testedEntity is what the rules say of an entity that was created.
type testedEntity struct {
	collection        string
	sequence, binding bool
	refers            []string // of a rule or a sequence: what it refers to
}

// testedState has the entities of the namespace guest by name.
type testedState map[string]*testedEntity

func (s testedState) is(name, collection string) bool {
	return s[name] != nil && s[name].collection == collection
}

// reaches reports whether a sequence contains an action.
func (s testedState) reaches(from, to string) bool {
	if from == to {
		return true
	}
	e := s[from]
	if e == nil || !e.sequence {
		return false
	}
	return slices.ContainsFunc(e.refers, func(r string) bool {
		_, name, _ := strings.Cut(r, " ")
		return s.reaches(name, to)
	})
}

// status returns the status that the rules demand of a request, and changes the state as it does.
func (s testedState) status(method, namespace, collection, name, overwrite string, body testedBody, contentType string) int {
	exists := s.is(name, collection)
	switch {
	case namespace == "_x":
		return 404
	case namespace == "-a":
		return 400
	case name == "." && method == "GET": // the collection
		if namespace == "other" && collection != "packages" {
			return 403
		}
		return 200
	case name == "." || name == "..":
		return 404
	case strings.HasPrefix(name, "-") || strings.Contains(name, "%"):
		return 400
	case namespace == "other":
		return 403
	case method == "PUT" && !strings.EqualFold(contentType, "application/json") && (body.text != "" || contentType != "none"):
		return 415
	case method != "PUT" && exists:
		if method == "DELETE" {
			delete(s, name)
		}
		return 200
	case method != "PUT" && s[name] != nil:
		return 409
	case method != "PUT":
		return 404
	case !slices.Contains([]string{"", "true", "TRUE", "false", "1"}, overwrite), body.wrong, body.kindWrong == collection && collection != "actions":
		return 400
	}
	used := collection == "actions" && body.sequence || collection == "packages" && body.binding || collection == "rules" && body.rule
	if used && body.foreign {
		return 403
	}
	switch may := overwrite != "" && overwrite != "false"; {
	case exists && !may:
		return 409
	case !exists && s[name] != nil:
		return 409
	case collection == "actions" && !exists && !body.exec, body.kindWrong == collection:
		return 400
	case collection == "rules" && !exists && !body.rule:
		return 400
	}
	if exists && collection == "rules" && !body.rule {
		body.refers = s[name].refers // both must still be there
		used = true
	}
	if used {
		for _, r := range body.refers {
			kind, referred, _ := strings.Cut(r, " ")
			switch e := s[referred]; {
			case collection == "actions" && s.reaches(referred, name):
				return 400
			case collection == "packages" && e != nil && e.collection != kind:
				return 409
			case e == nil || e.collection != kind:
				return 400
			case collection == "packages" && exists && !s[name].binding:
				return 409
			case collection == "packages" && e.binding:
				return 400
			}
		}
	}
	e := &testedEntity{collection: collection}
	if exists {
		e = s[name]
	}
	switch {
	case collection == "actions" && body.exec:
		e.sequence, e.refers = body.sequence, body.refers
	case collection == "packages" && body.binding:
		e.binding = true
	case collection == "rules":
		e.refers = body.refers
	}
	s[name] = e
	return 200
}

// TestSequencesOfRequests checks that random sequences of requests are answered with the statuses that OpenWhisk's rules demand.
func TestSequencesOfRequests(t *testing.T) {
	c := serve(t, Options{InstantRecords: true})
	rapid.Check(t, func(t *rapid.T) {
		for _, collection := range []string{"rules", "triggers", "packages", "actions"} { // what earlier sequences have left
			for _, name := range []string{"a", "b", "c&d"} {
				c.send(t, request{method: "DELETE", path: under + collection + "/" + name})
			}
		}
		state := testedState{}
		var log []string
		for range rapid.IntRange(1, 25).Draw(t, "requests") {
			method := rapid.SampledFrom([]string{"PUT", "PUT", "PUT", "GET", "DELETE"}).Draw(t, "method")
			namespace := rapid.SampledFrom([]string{"_", "_", "_", "_", "guest", "other", "-a", "_x"}).Draw(t, "namespace")
			collection := rapid.SampledFrom([]string{"actions", "packages", "triggers", "rules"}).Draw(t, "collection")
			name := rapid.SampledFrom([]string{"a", "a", "b", "b", "c&d", "-e", ".", "..", "%25"}).Draw(t, "name")
			q := request{method: method, path: "/api/v1/namespaces/" + namespace + "/" + collection + "/" + name, contentType: "none"}
			var body testedBody
			overwrite := ""
			if method == "PUT" {
				body = testedBodies[rapid.IntRange(0, len(testedBodies)-1).Draw(t, "body")]
				overwrite = rapid.SampledFrom([]string{"", "true", "true", "TRUE", "false", "1", "maybe"}).Draw(t, "overwrite")
				q.contentType = rapid.SampledFrom([]string{"application/json", "application/json", "application/json", "Application/JSON", "text/plain", "none"}).Draw(t, "type")
				q.body, q.path = body.text, q.path+"?overwrite="+overwrite
			}
			log = append(log, fmt.Sprintf("%s %s %s (%s)", q.method, q.path, q.body, q.contentType))
			got, text := c.send(t, q)
			if want := state.status(method, namespace, collection, name, overwrite, body, q.contentType); got != want {
				t.Fatalf("status %d, want %d: %s\n%s", got, want, text, strings.Join(log, "\n"))
			}
		}
	})
}
