package rest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The model in the files rules_*_test.go says how an OpenWhisk answers the requests of the API. It is written after recordings of a real one: the
// transcripts in testdata, named in comments where a rule is surprising, and a list of answers in which this platform once differed ("differences").
// Where these say nothing, the model follows OpenWhisk's own description of its routes and entities, or says nothing either.

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
	statuses []int  // the status is one of these; none: nothing is said
	err      string // the text of an error; if it ends in … it is the beginning of the text; "": nothing is said of it
	body     any    // the body as JSON; nil: nothing is said
	text     string // the body that is no JSON; "": nothing is said
	or       *rulesAnswer
}

func status(s int) *rulesAnswer             { return &rulesAnswer{statuses: []int{s}} }
func fails(s int, text string) *rulesAnswer { return &rulesAnswer{statuses: []int{s}, err: text} }
func answers(body any) *rulesAnswer         { return &rulesAnswer{statuses: []int{200}, body: body} }
func malformedBody(text string) *rulesAnswer {
	return fails(400, "The request content was malformed:\n"+text)
}
func malformedQuery(q, text string) *rulesAnswer {
	return fails(400, "The query parameter '"+q+"' was malformed:\n"+text)
}

func forbidden(what string) *rulesAnswer {
	return fails(403, "The supplied authentication is not authorized to access '"+what+"'.")
}

var (
	ruleNoRoute   = fails(404, "The requested resource could not be found.")
	ruleMissing   = fails(404, "The requested resource does not exist.")
	ruleElsewhere = fails(409, "Resource by this name exists but is not in this collection.")
	ruleExists    = fails(409, "resource already exists")
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

// rulesKVs are parameters or annotations. Their order is that in which they were added, unless there have been more than four (README).
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
	entities map[string]*rulesEntity // by full names; all collections share one set of names (differences: PUT triggers/a&b is 409)
	changes  int
	// unsure says that the rules do not say what the last request has done.
	unsure bool
}

func newRulesModel() *rulesModel { return &rulesModel{entities: map[string]*rulesEntity{}} }

// rulesCall is a request whose sender is known.
type rulesCall struct {
	rulesRequest
	*rulesModel
	caller string
	query  url.Values
	ns     string // the namespace in the path
}

// answer returns what the rules say of the answer to a request, and changes the model as the request does.
func (m *rulesModel) answer(q rulesRequest) *rulesAnswer {
	rawPath, rawQuery, _ := strings.Cut(q.path, "?")
	var segments []string
	for _, s := range strings.Split(strings.TrimPrefix(rawPath, "/"), "/") {
		decoded, err := url.PathUnescape(s)
		if err != nil {
			return status(400) // before anything else, even without a key (differences: actions/a%)
		}
		segments = append(segments, decoded)
	}
	segments = rulesSegments(segments)
	query, _ := url.ParseQuery(rawQuery)
	if q.method == "OPTIONS" { // without a key, too (raw-options-head)
		return &rulesAnswer{statuses: []int{200}, text: "OK"}
	}
	if len(segments) < 2 || segments[0] != "api" || segments[1] != "v1" {
		return elsewhereThanAPI(q.method, segments)
	}
	segments = segments[2:]
	if len(segments) == 0 || len(segments) == 1 && segments[0] == "" {
		if q.method == "GET" {
			return status(200)
		}
		return ruleNoRoute
	}
	// Without a key even a path that leads nowhere is 401 (differences: GET /api/v1/nothing).
	caller, refused := callerOf(q.auth)
	if refused != nil {
		return refused
	}
	c := &rulesCall{rulesRequest: q, rulesModel: m, caller: caller, query: query}
	if segments[0] != "namespaces" {
		return ruleNoRoute
	}
	segments = segments[1:]
	if len(segments) == 0 || len(segments) == 1 && segments[0] == "" {
		if q.method == "GET" {
			return answers([]any{caller})
		}
		return ruleNoRoute
	}
	if len(segments) == 1 {
		return ruleNoRoute
	}
	return c.collection(segments[0], segments[1], segments[2:])
}

// rulesSegments removes the segments . and .. as a client would: DELETE actions/p/.. is DELETE actions/, which is 404, and GET packages/. lists
// the packages. An escaped dot is one, too (differences).
func rulesSegments(segments []string) []string {
	var kept []string
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".":
		case "..":
			kept = kept[:max(len(kept)-1, 0)]
		default:
			kept = append(kept, s)
			continue
		}
		if last {
			kept = append(kept, "")
		}
	}
	return kept
}

// elsewhereThanAPI answers what is not below /api/v1 (raw-methods, raw-info).
func elsewhereThanAPI(method string, segments []string) *rulesAnswer {
	path := strings.Join(segments, "/")
	switch {
	case path == "ping" && method == "GET":
		return &rulesAnswer{statuses: []int{200}, text: "pong"}
	case path == "" && method == "GET":
		return status(200)
	case path == "ping" || path == "":
		return fails(405, "HTTP method not allowed, supported methods: GET, OPTIONS")
	}
	return fails(405, "HTTP method not allowed, supported methods: OPTIONS")
}

// callerOf returns the namespace of a key (raw-auth).
func callerOf(auth string) (string, *rulesAnswer) {
	for namespace, key := range rulesKeys {
		if auth == key {
			return namespace, nil
		}
	}
	encoded, basic := strings.CutPrefix(auth, "Basic ")
	if _, err := base64.StdEncoding.DecodeString(encoded); !basic || err != nil || encoded == "" {
		return "", fails(401, "The resource requires authentication, which was not supplied with the request")
	}
	return "", fails(401, "The supplied authentication is invalid")
}

var rulesName = regexp.MustCompile(`^(\w|\w[\w@ .&-]*[\w@.&-])$`)

// wrongName returns the answer to a request with an illegal name of an entity, nil if it is legal. A & is legal (differences).
func wrongName(name string) *rulesAnswer {
	switch {
	case len(name) > 256:
		return fails(400, fmt.Sprintf("Name segement longer than allowed: %d > 256.", len(name)))
	case !rulesName.MatchString(name):
		return fails(400, "The name of the entity contains illegal characters.")
	}
	return nil
}

// collection answers what is below /api/v1/namespaces/NAMESPACE/COLLECTION.
func (c *rulesCall) collection(namespace, collection string, rest []string) *rulesAnswer {
	if !slices.Contains([]string{"actions", "triggers", "packages", "rules", "activations", "limits"}, collection) {
		if namespace != "_" && !rulesName.MatchString(namespace) || len(namespace) > 256 {
			return &rulesAnswer{statuses: []int{400, 404}} // which error is the first is not recorded
		}
		return ruleNoRoute
	}
	switch {
	case namespace == "_":
		namespace = c.caller
	case strings.HasPrefix(namespace, "_"): // differences: _a/actions
		return ruleNoRoute
	case len(namespace) > 256 || !rulesName.MatchString(namespace):
		if collection == "limits" || c.method == "PATCH" || c.method == "HEAD" {
			return &rulesAnswer{statuses: []int{400, 404}} // which error is the first is not recorded
		}
		if len(namespace) > 256 {
			return fails(400, fmt.Sprintf("Namespace longer than allowed: %d > 256.", len(namespace)))
		}
		return fails(400, "The namespace contains illegal characters.") // differences: "%20a"
	}
	c.ns = namespace
	if len(rest) == 1 && rest[0] == "" {
		rest = nil
	}
	if len(rest) == 0 {
		if c.method != "GET" { // raw-methods; in foreign namespaces, too (differences: POST other/limits)
			return ruleNoRoute
		}
		if namespace != c.caller && collection != "packages" {
			return forbidden(namespace)
		}
		if collection == "limits" {
			return status(200)
		}
		return c.list(collection, namespace)
	}
	allowed := map[string]string{"actions": "PUT GET DELETE POST", "triggers": "PUT GET DELETE POST", "rules": "PUT GET DELETE POST",
		"packages": "PUT GET DELETE", "activations": "GET"}[collection]
	if !slices.Contains(strings.Fields(allowed), c.method) || rest[0] == "" {
		return ruleNoRoute
	}
	if collection == "activations" {
		return c.activation(rest)
	}
	if wrong := wrongName(rest[0]); wrong != nil {
		if len(rest) > 1 {
			return &rulesAnswer{statuses: []int{400, 404}} // which error is the first is not recorded
		}
		return wrong
	}
	switch {
	case len(rest) == 1:
		return c.entity(collection, rest[0])
	case collection == "actions" && len(rest) == 2 && rest[1] == "" && c.method == "GET":
		return c.listPackage(rest[0])
	case collection == "actions" && len(rest) == 2 && rest[1] != "":
		if wrong := wrongName(rest[1]); wrong != nil {
			return wrong
		}
		return c.packagedAction(rest[0], rest[1])
	}
	return ruleNoRoute
}

// entity answers a request for an entity that is in no package.
func (c *rulesCall) entity(collection, name string) *rulesAnswer {
	full := c.ns + "/" + name
	if collection == "packages" && c.method == "GET" {
		return c.getPackage(full)
	}
	if c.ns != c.caller { // before the body is read
		return forbidden(full)
	}
	switch c.method {
	case "PUT":
		return c.put(collection, full)
	case "GET":
		if collection == "actions" {
			return c.getAction(full, rulesKVs{}, "")
		}
		return c.withEntity(collection, full, func(e *rulesEntity) *rulesAnswer { return answers(c.document(e)) })
	case "DELETE":
		return c.remove(collection, full)
	}
	switch collection {
	case "actions":
		return c.invoke(full, rulesKVs{})
	case "triggers":
		return c.fire(full)
	}
	return c.setStatus(full)
}

// packagedAction answers a request for an action in a package.
func (c *rulesCall) packagedAction(pkg, name string) *rulesAnswer {
	pkgName := c.ns + "/" + pkg
	if c.method == "GET" || c.method == "POST" {
		if refused := c.mayRead(pkgName); refused != nil {
			return refused
		}
		p := c.entities[pkgName]
		origin, parameters, binding := p, p.parameters, ""
		if p.binding != "" {
			origin, binding = c.entities[p.binding], pkgName
			parameters = origin.parameters.with(p.parameters)
		}
		if c.method == "POST" {
			return c.invoke(origin.full()+"/"+name, parameters)
		}
		return c.getAction(origin.full()+"/"+name, parameters, binding)
	}
	if c.ns != c.caller {
		return forbidden(pkgName + "/" + name)
	}
	// The package is looked for before the body is read (wsk-action-errors: PUT actions/pk/lim).
	return c.withEntity("packages", pkgName, func(p *rulesEntity) *rulesAnswer {
		switch {
		case p.binding != "":
			return status(400)
		case c.method == "PUT":
			return c.put("actions", pkgName+"/"+name)
		}
		return c.remove("actions", pkgName+"/"+name)
	})
}

// withEntity returns what f says of an entity, or an error if there is none in the collection.
func (c *rulesCall) withEntity(collection, full string, f func(*rulesEntity) *rulesAnswer) *rulesAnswer {
	switch e := c.entities[full]; {
	case e == nil:
		return ruleMissing
	case e.collection != collection:
		return ruleElsewhere
	default:
		return f(e)
	}
}

// mayRead returns an error if the caller may not read a package: others' must be public, and no bindings.
func (c *rulesCall) mayRead(full string) *rulesAnswer {
	namespace, _, _ := strings.Cut(full, "/")
	mine := namespace == c.caller
	e := c.entities[full]
	switch {
	case !mine && (e == nil || e.collection != "packages" || e.binding != "" || !e.publish):
		return forbidden(full)
	case !mine:
	case e == nil:
		return ruleMissing
	case e.collection != "packages":
		return ruleElsewhere
	case e.binding != "":
		if origin := c.entities[e.binding]; origin != nil && origin.collection == "packages" && origin.binding != "" {
			c.unsure = true // a package that was replaced by a binding
		}
		if refused := c.mayRead(e.binding); refused != nil && refused.statuses[0] == 403 {
			return forbidden(full)
		} else if refused != nil {
			return refused
		}
	}
	return nil
}

// flag returns a query parameter that is true or false. Without a value it is as if it were not there (differences: ?overwrite=, ?count=).
func (c *rulesCall) flag(name string, otherwise bool) (bool, *rulesAnswer) {
	switch v := strings.ToLower(c.query.Get(name)); v {
	case "":
		return otherwise, nil
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	default:
		return false, malformedQuery(name, "'"+v+"' is not a valid Boolean value")
	}
}

// number returns a query parameter that is a number of 32 bits (differences: skip=2147483648).
func (c *rulesCall) number(name, collection string, otherwise int) (int, *rulesAnswer) {
	if !c.query.Has(name) {
		return otherwise, nil
	}
	text := c.query.Get(name)
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, malformedQuery(name, fmt.Sprintf("The value '%s' is not an integer for %s.", text, collection))
	}
	return int(n), nil
}

// page returns skip, limit and count of a list (raw-list-queries).
func (c *rulesCall) page(collection string) (skip, limit int, count bool, wrong *rulesAnswer) {
	if skip, wrong = c.number("skip", collection, 0); wrong != nil {
		return
	}
	if skip < 0 {
		return 0, 0, false, malformedQuery("skip", fmt.Sprintf("The value '%d' is not greater than or equal to 0 for %s.", skip, collection))
	}
	if limit, wrong = c.number("limit", collection, 30); wrong != nil {
		return
	}
	if limit < 0 || limit > 200 {
		return 0, 0, false, malformedQuery("limit", fmt.Sprintf("The value '%d' is not in the range of 0 to 200 for %s.", limit, collection))
	}
	if limit == 0 {
		limit = 200
	}
	count, wrong = c.flag("count", false)
	return
}

// list lists a collection, the last updated first (raw-list-order), with the actions in packages (differences: GET actions?count=).
func (c *rulesCall) list(collection, namespace string) *rulesAnswer {
	skip, limit, count, wrong := c.page(collection)
	if wrong != nil {
		return wrong
	}
	if collection == "activations" {
		return status(200)
	}
	return c.listed(collection, skip, limit, count, func(e *rulesEntity) bool {
		root, _, _ := strings.Cut(e.path, "/")
		return root == namespace && (namespace == c.caller || e.publish && e.binding == "")
	})
}

// listPackage lists the actions of a package.
func (c *rulesCall) listPackage(name string) *rulesAnswer {
	full := c.ns + "/" + name
	if refused := c.mayRead(full); refused != nil {
		return refused
	}
	skip, limit, count, wrong := c.page("actions")
	if wrong != nil {
		return wrong
	}
	if b := c.entities[full].binding; b != "" {
		full = b
	}
	return c.listed("actions", skip, limit, count, func(e *rulesEntity) bool { return e.path == full })
}

func (c *rulesCall) listed(collection string, skip, limit int, count bool, keep func(*rulesEntity) bool) *rulesAnswer {
	all := c.newest(func(e *rulesEntity) bool { return e.collection == collection && keep(e) })
	all = all[min(skip, len(all)):]
	if count { // what is skipped is not counted, the limit has no effect (raw-list-queries, differences)
		return answers(map[string]any{collection: json.Number(strconv.Itoa(len(all)))})
	}
	list := []any{}
	for _, e := range all[:min(limit, len(all))] {
		list = append(list, c.summary(e))
	}
	return answers(list)
}

func (c *rulesCall) newest(keep func(*rulesEntity) bool) []*rulesEntity {
	all := slices.Collect(maps.Values(c.entities))
	all = slices.DeleteFunc(all, func(e *rulesEntity) bool { return !keep(e) })
	slices.SortFunc(all, func(a, b *rulesEntity) int { return b.order - a.order })
	return all
}

// activation answers a request for an activation, whose id never is that of one (raw-activation-race).
func (c *rulesCall) activation(rest []string) *rulesAnswer {
	id := rest[0]
	switch {
	case len(rest) > 1:
		return &rulesAnswer{statuses: []int{400, 403, 404}}
	case len(id) != 32:
		return &rulesAnswer{statuses: []int{400}}
	case strings.Trim(id, "0123456789abcdef") != "":
		return &rulesAnswer{statuses: []int{400}}
	case c.ns != c.caller:
		return &rulesAnswer{statuses: []int{403, 404}}
	}
	return ruleMissing
}
