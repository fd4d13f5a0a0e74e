package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// rulesJSON decodes JSON with its numbers as they are written.
func rulesJSON(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one value")
	}
	return v, nil
}

// badJSON has the recorded errors of the parser (raw-bad-bodies, differences).
var badJSON = map[string]string{
	"":     "Unexpected end-of-input at input index 0 (line 1, position 1), expected JSON Value:\n\n^\n",
	"{":    "Unexpected end-of-input at input index 1 (line 1, position 2), expected '\"':\n{\n ^\n",
	"{bad": "Unexpected character 'b' at input index 1 (line 1, position 2), expected '\"':\n{bad\n ^\n",
	"x":    "Unexpected character 'x' at input index 0 (line 1, position 1), expected JSON Value:\nx\n^\n",
}

// decoded returns the body as JSON. The type of its content is looked at first, even if there is none (differences: PUT with application/xml).
func (c *rulesCall) decoded() (any, *rulesAnswer) {
	kind, _, _ := strings.Cut(c.contentType, ";")
	kind = strings.ToLower(kind) // differences: APPLICATION/JSON is taken
	if kind == "" && c.body != "" || kind != "" && !strings.Contains(kind, "/") {
		kind = "application/octet-stream" // raw-bad-bodies[9], differences: x
	}
	if kind != "" && kind != typeJSON {
		return nil, wantError(415, "The request's Content-Type ["+kind+"] is not supported. Expected:\napplication/json")
	}
	v, err := rulesJSON(c.body)
	if err != nil {
		if text, ok := badJSON[c.body]; ok {
			return nil, malformedBody(text)
		}
		return nil, malformedBody("…")
	}
	return v, nil
}

// payload returns the body of an invocation, {} if there is none, whatever its type (raw-bad-bodies[5] and [6]).
func (c *rulesCall) payload() (map[string]any, *rulesAnswer) {
	if c.body == "" {
		return map[string]any{}, nil
	}
	v, wrong := c.decoded()
	if wrong != nil {
		return nil, wrong
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, malformedBody("JSON object expected")
	}
	return object, nil
}

// rulesPut is the body of a PUT request. Fields that are not given are nil.
type rulesPut struct {
	exec                     *rulesExec
	parameters, annotations  *rulesKVs
	limits                   map[string]int
	limitsWrong              *rulesAnswer // a limit is out of its range
	version                  *rulesVersion
	publish                  *bool
	delAnnotations           []string
	binding, trigger, action string // full names; "" if not given
}

// readField reads a field unless it is not there or null.
func readField(object map[string]any, name string, wrong **rulesAnswer, read func(any) *rulesAnswer) {
	if v := object[name]; v != nil && *wrong == nil {
		*wrong = read(v)
	}
}

// readCommon reads what the bodies of all collections may have, in this order (differences: PUT triggers with an exec).
func (p *rulesPut) readCommon(body any) (object map[string]any, wrong *rulesAnswer) {
	object, ok := body.(map[string]any)
	if !ok {
		return nil, malformedBody("Object expected in field 'exec'") // raw-bad-bodies[19]
	}
	readField(object, "exec", &wrong, p.readExec)
	p.readKVs(object, "parameters", &p.parameters, &wrong)
	p.readKVs(object, "annotations", &p.annotations, &wrong)
	return object, wrong
}

func (p *rulesPut) readKVs(object map[string]any, name string, to **rulesKVs, wrong **rulesAnswer) {
	readField(object, name, wrong, func(v any) *rulesAnswer {
		bad := malformedBody("parameters malformed!") // annotations, too (differences)
		list, ok := v.([]any)
		if !ok {
			return bad
		}
		var all rulesKVs
		for _, element := range list {
			e, ok := element.(map[string]any)
			if !ok {
				return bad
			}
			kv := rulesKV{}
			kv.key, ok = e["key"].(string)
			value, hasValue := e["value"]
			if !ok || !hasValue {
				return bad
			}
			kv.value = value
			if init, has := e["init"]; has {
				if kv.init, ok = init.(bool); !ok {
					return bad
				}
			}
			if encryption, has := e["encryption"]; has {
				if kv.encryption, ok = encryption.(string); !ok { // null is none (differences)
					return bad
				}
			}
			all = all.with(rulesKVs{list: []rulesKV{kv}}) // the last of several wins (raw-bad-bodies[36])
		}
		*to = &all
		return nil
	})
}

// rulesKinds has the kinds that are used, and what they become: case and default are resolved (raw-bad-bodies[24]).
var rulesKinds = map[string]string{"go:1.20": "go:1.20", "go:default": "go:1.20", "nodejs:20": "nodejs:20", "php:8.1": "php:8.1"}

func (p *rulesPut) readExec(v any) *rulesAnswer {
	object, ok := v.(map[string]any)
	if !ok {
		return malformedBody("JSON object expected")
	}
	kind, ok := object["kind"].(string)
	if !ok {
		return malformedBody("'kind' must be a string defined in 'exec'")
	}
	kind = strings.ToLower(strings.TrimSpace(kind))
	e := &rulesExec{kind: kind}
	p.exec = e
	switch kind {
	case "sequence":
		return e.readComponents(object)
	case "blackbox":
		if e.image, ok = object["image"].(string); !ok {
			return malformedBody("'image' must be a string defined in 'exec' for 'blackbox' actions")
		}
		if e.image == "" {
			return malformedBody("could not parse image name")
		}
	case "java:8", "java:default":
		if _, has := object["main"]; !has { // the kind as it was given (differences)
			return malformedBody("'main' must be a string defined in 'exec' for '" + kind + "' actions")
		}
		return malformedBody("…")
	default:
		if e.kind = rulesKinds[kind]; e.kind == "" {
			return malformedBody("The specified runtime '" + kind + "' is not supported by this platform. Valid values are: …")
		}
		if _, has := object["code"]; !has {
			return malformedBody("'code' must be a string or attachment object defined in 'exec' for '" + kind + "' actions")
		}
	}
	if main, has := object["main"]; has && kind != "blackbox" {
		text, ok := main.(string)
		if !ok {
			return malformedBody("if defined, 'main' be a string in 'exec' for '" + kind + "' actions")
		}
		e.main = &text
	}
	code, has := object["code"]
	text, ok := code.(string)
	switch {
	case !has, kind == "blackbox" && ok && strings.TrimSpace(text) == "":
	case !ok:
		return malformedBody("Could not deserialize as attachment record: " + fmt.Sprint(code))
	default:
		e.code, e.binary = &text, isBase64(text)
	}
	return nil
}

// isBase64 reports whether code is binary, whatever the request says (raw-bad-bodies[27]).
func isBase64(code string) bool {
	t := strings.TrimSpace(code)
	body := strings.TrimRight(t, "=")
	return t != "" && len(t)%4 == 0 && len(t)-len(body) <= 2 && strings.Trim(body, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") == ""
}

func (e *rulesExec) readComponents(object map[string]any) *rulesAnswer {
	v, has := object["components"]
	list, ok := v.([]any)
	switch {
	case !has:
		return malformedBody("'components' must be defined for sequence kind")
	case !ok:
		return malformedBody("'components' must be an array")
	}
	for _, v := range list {
		name, wrong := qualifiedName(v)
		if wrong != nil {
			return wrong
		}
		e.components = append(e.components, name)
	}
	return nil
}

var oneSegment = malformedBody("requirement failed: The fully qualified name of the entity must contain at least the namespace and the name of the entity.")

// qualifiedName reads the name of an entity with its namespace. It may have any number of segments (differences: /_/p/q/r).
func qualifiedName(v any) (string, *rulesAnswer) {
	text, ok := v.(string)
	if !ok {
		return "", malformedBody("fully qualified name malformed")
	}
	segments := slices.DeleteFunc(strings.Split(text, "/"), func(s string) bool { return s == "" })
	switch {
	case len(segments) == 0:
		return "", malformedBody("requirement failed: path undefined")
	case slices.ContainsFunc(segments, func(s string) bool { return !rulesName.MatchString(s) || len(s) > 256 }):
		return "", wantStatus(400)
	case len(segments) == 1:
		return "", oneSegment
	}
	return strings.Join(segments, "/"), nil
}

// resolvedName replaces the default namespace of a full name.
func resolvedName(name, namespace string) string {
	if rest, ok := strings.CutPrefix(name, "_/"); ok {
		return namespace + "/" + rest
	}
	return name
}

// readOwn reads the fields of the collection, in the order of OpenWhisk's class.
func (p *rulesPut) readOwn(collection string, object map[string]any) (wrong *rulesAnswer) {
	switch collection {
	case "packages":
		if b, has := object["binding"]; has {
			if wrong := p.readBinding(b); wrong != nil {
				return wrong
			}
		}
	case "rules":
		for _, f := range []struct {
			name string
			to   *string
		}{{"trigger", &p.trigger}, {"action", &p.action}} {
			readField(object, f.name, &wrong, func(v any) (wrong *rulesAnswer) {
				*f.to, wrong = qualifiedName(v)
				return wrong
			})
		}
	case "actions":
		readField(object, "limits", &wrong, p.readLimits)
	case "triggers":
		readField(object, "limits", &wrong, func(v any) *rulesAnswer {
			if _, ok := v.(map[string]any); !ok {
				return malformedBody("Object expected")
			}
			return nil
		})
	}
	readField(object, "version", &wrong, func(v any) *rulesAnswer {
		text, ok := v.(string)
		if p.version = parsedVersion(text); !ok || p.version == nil {
			return malformedBody("semantic version malformed")
		}
		return nil
	})
	readField(object, "publish", &wrong, func(v any) *rulesAnswer {
		b, ok := v.(bool)
		if !ok {
			return malformedBody("…")
		}
		p.publish = &b
		return nil
	})
	if collection == "actions" {
		readField(object, "delAnnotations", &wrong, func(v any) *rulesAnswer {
			list, ok := v.([]any)
			if !ok {
				return malformedBody("…")
			}
			for _, v := range list {
				name, ok := v.(string)
				if !ok {
					return malformedBody("Expected String as JsString, but got " + fmt.Sprint(v))
				}
				p.delAnnotations = append(p.delAnnotations, name)
			}
			return nil
		})
	}
	return wrong
}

// parsedVersion returns a version; numbers at the end may be missing, and there may be more than three (differences: "1.2" is 1.2.0).
func parsedVersion(text string) *rulesVersion {
	parts := strings.Split(strings.TrimRight(text, "."), ".")
	var v rulesVersion
	for i, part := range parts[:min(3, len(parts))] {
		n, err := strconv.ParseInt(part, 10, 32)
		if err != nil || n < 0 {
			return nil
		}
		v[i] = int(n)
	}
	if v == (rulesVersion{}) {
		return nil
	}
	return &v
}

// readBinding reads a binding; {} is none, but null is an error (differences: packages/b).
func (p *rulesPut) readBinding(v any) *rulesAnswer {
	object, ok := v.(map[string]any)
	if !ok {
		return malformedBody("Object expected in field 'namespace'")
	}
	if len(object) == 0 {
		return nil
	}
	var parts []string
	for _, name := range []string{"namespace", "name"} {
		v, has := object[name]
		text, ok := v.(string)
		switch {
		case !has:
			return malformedBody("Object is missing required member '" + name + "'")
		case !ok || !rulesName.MatchString(text) || len(text) > 256:
			return malformedBody("entity name malformed")
		}
		parts = append(parts, text)
	}
	p.binding = strings.Join(parts, "/")
	return nil
}

// The limits in the order in which they are read, and their ranges (wsk-action-errors).
var rulesLimits = []struct {
	name, title  string
	least, most  int
	tooLow, over string
}{
	{"timeout", "time", 100, 300_000, "duration %d milliseconds below allowed threshold of 100 milliseconds", "duration %d milliseconds exceeds allowed threshold of 300000 milliseconds"},
	{"memory", "memory", 128, 512, "memory size %d MB below allowed threshold of 128 MB", "memory size %d MB exceeds allowed threshold of 512 MB"},
	{"logs", "log", 0, 10, "", "log size %d MB exceeds allowed threshold of 10 MB"},
	{"concurrency", "concurrency", 1, 1, "concurrency %d below allowed threshold of 1", "concurrency %d exceeds allowed threshold of 1"},
	{"instances", "instance concurrency", 0, 1 << 30, "", ""},
}

func (p *rulesPut) readLimits(v any) *rulesAnswer {
	object, ok := v.(map[string]any)
	if !ok {
		return malformedBody("Object expected in field 'timeout'")
	}
	p.limits = map[string]int{}
	var out []*rulesAnswer
	for _, l := range rulesLimits {
		v := object[l.name]
		if v == nil {
			continue
		}
		number, ok := v.(json.Number)
		if !ok {
			return malformedBody(l.title + " limit malformed")
		}
		exact, ok := new(big.Rat).SetString(number.String())
		if !ok || !exact.IsInt() {
			return malformedBody("requirement failed: " + l.title + " limit must be whole number")
		}
		// Only the last 32 bits count (differences: 1e+20 MB are 1661992960 MB).
		n := int(int32(new(big.Int).And(exact.Num(), big.NewInt(1<<32-1)).Uint64()))
		switch {
		case n < 0 && (l.name == "logs" || l.name == "memory"):
			return malformedBody("requirement failed: a negative size of an object is not allowed.")
		case n < l.least:
			out = append(out, wantError(400, "requirement failed: "+fmt.Sprintf(l.tooLow, n)))
		case n > l.most:
			out = append(out, wantError(400, "requirement failed: "+fmt.Sprintf(l.over, n)))
		}
		p.limits[l.name] = n
	}
	for _, a := range out { // all of them are read before one is checked, and any may be the first
		alternative := *a
		alternative.or = p.limitsWrong
		p.limitsWrong = &alternative
	}
	return nil
}

// defaultLimits are the limits of an action.
func defaultLimits() map[string]int {
	return map[string]int{"concurrency": 1, "logs": 10, "memory": 256, "timeout": 60_000}
}

// withLimits returns limits of which some are replaced.
func withLimits(all, replaced map[string]int) map[string]int {
	sum := maps.Clone(all)
	maps.Copy(sum, replaced)
	return sum
}
