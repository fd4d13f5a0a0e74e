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
			return wantStatus(400) // before anything else, even without a key (differences: actions/a%)
		}
		segments = append(segments, decoded)
	}
	segments = rulesSegments(segments)
	query, err := url.ParseQuery(strings.ReplaceAll(rawQuery, ";", "%3B")) // a semicolon separates nothing (differences: name=a;b)
	if err != nil {
		return wantStatus(400)
	}
	if q.method == "OPTIONS" { // without a key, too (raw-options-head)
		return &rulesAnswer{statuses: []int{200}, text: "OK"}
	}
	if len(segments) < 2 || segments[0] != "api" || segments[1] != "v1" {
		return elsewhereThanAPI(q.method, segments)
	}
	segments = segments[2:]
	if len(segments) == 0 || len(segments) == 1 && segments[0] == "" {
		if q.method == "GET" {
			return wantStatus(200)
		}
		return ruleNoRoute
	}
	// Without a key even a path that leads nowhere is 401 (differences: GET /api/v1/nothing).
	caller, refused := m.callerOf(q.auth)
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
			return wantBody([]any{caller})
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
		return wantStatus(200)
	case path == "ping" || path == "":
		return wantError(405, "HTTP method not allowed, supported methods: GET, OPTIONS")
	}
	return wantError(405, "HTTP method not allowed, supported methods: OPTIONS")
}

// callerOf returns the namespace of a key (raw-auth).
func (m *rulesModel) callerOf(auth string) (string, *rulesAnswer) {
	for namespace, key := range m.keys {
		if auth == key {
			return namespace, nil
		}
	}
	encoded, basic := strings.CutPrefix(auth, "Basic ")
	if _, err := base64.StdEncoding.DecodeString(encoded); !basic || err != nil || encoded == "" {
		return "", wantError(401, "The resource requires authentication, which was not supplied with the request")
	}
	return "", wantError(401, "The supplied authentication is invalid")
}

var rulesPath = regexp.MustCompile(`^[^/;!]+(/[^/;!]+)?$`)

var rulesName = regexp.MustCompile(`^(\w|\w[\w@ .&-]*[\w@.&-])$`)

// wrongName returns the answer to a request with an illegal name of an entity, nil if it is legal. A & is legal (differences).
func wrongName(name string) *rulesAnswer {
	switch {
	case len(name) > 256:
		return wantError(400, fmt.Sprintf("Name segement longer than allowed: %d > 256.", len(name)))
	case !rulesName.MatchString(name):
		return wantError(400, "The name of the entity contains illegal characters.")
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
			return wantError(400, fmt.Sprintf("Namespace longer than allowed: %d > 256.", len(namespace)))
		}
		return wantError(400, "The namespace contains illegal characters.") // differences: "%20a"
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
			return wantForbidden(namespace)
		}
		if collection == "limits" {
			return wantStatus(200)
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
	for i, name := range rest[:min(2, len(rest))] {
		if wrong := wrongName(name); wrong != nil && i == 0 && len(rest) == 1 {
			return wrong
		} else if wrong != nil && name != "" && (i == 0 || len(rest) > 2) {
			return &rulesAnswer{statuses: []int{400, 404}} // which error is the first is not recorded
		}
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
		return wantForbidden(full)
	}
	switch c.method {
	case "PUT":
		return c.put(collection, full)
	case "GET":
		if collection == "actions" {
			return c.getAction(full, rulesKVs{}, "")
		}
		return c.withEntity(collection, full, func(e *rulesEntity) *rulesAnswer { return wantBody(c.document(e)) })
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
		return wantForbidden(pkgName + "/" + name)
	}
	// The package is looked for before the body is read (wsk-action-errors: PUT actions/pk/lim).
	return c.withEntity("packages", pkgName, func(p *rulesEntity) *rulesAnswer {
		switch {
		case p.binding != "":
			return wantStatus(400)
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
		return wantForbidden(full)
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
			return wantForbidden(full)
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
		return c.listActivations()
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
		return wantBody(map[string]any{collection: json.Number(strconv.Itoa(len(all)))})
	}
	list := []any{}
	for _, e := range all[:min(limit, len(all))] {
		list = append(list, c.summary(e))
	}
	return wantBody(list)
}

func (c *rulesCall) newest(keep func(*rulesEntity) bool) []*rulesEntity {
	all := slices.Collect(maps.Values(c.entities))
	all = slices.DeleteFunc(all, func(e *rulesEntity) bool { return !keep(e) })
	slices.SortFunc(all, func(a, b *rulesEntity) int { return b.order - a.order })
	return all
}

// listActivations lists activations; of the list only its errors are determined (raw-list-queries).
func (c *rulesCall) listActivations() *rulesAnswer {
	if _, wrong := c.flag("docs", false); wrong != nil {
		return wrong
	}
	if name := c.query.Get("name"); c.query.Has("name") && !rulesPath.MatchString(name) {
		return malformedQuery("name", "Parameter may be a 'simple' name or 'package-name/simple' name: "+name)
	}
	for _, name := range []string{"since", "upto"} {
		if _, err := strconv.ParseInt(c.query.Get(name), 10, 64); c.query.Has(name) && err != nil {
			return malformedQuery(name, "Parameter is not a valid value for epoch seconds: "+c.query.Get(name))
		}
	}
	return wantStatus(200)
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
