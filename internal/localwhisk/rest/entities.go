package rest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
	"github.com/tppfaas/tppfaas/internal/localwhisk/sprayjson"
)

// keyValue is a parameter or an annotation.
type keyValue struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
	Init  bool            `json:"init,omitempty"`
	// Encryption is the name of the scheme by which a client has encrypted the value; it is kept.
	Encryption string `json:"encryption,omitempty"`
}

type keyValues []keyValue

// with returns l with kv in place of the element with the same key, or at the end.
func (l keyValues) with(kv keyValue) keyValues {
	for i := range l {
		if l[i].Key == kv.Key {
			l = slices.Clone(l)
			l[i] = kv
			return l
		}
	}
	return append(slices.Clip(l), kv)
}

// merged returns l with the elements of over in place of those with the same keys, or at the end.
func (l keyValues) merged(over keyValues) keyValues {
	for _, kv := range over {
		l = l.with(kv)
	}
	return l
}

func (l keyValues) get(key string) (json.RawMessage, bool) {
	for i := range l {
		if l[i].Key == key {
			return l[i].Value, true
		}
	}
	return nil, false
}

// size returns the size against the payload limit: the bytes of keys and values.
func (l keyValues) size() int {
	n := 0
	for _, kv := range l {
		n += len(kv.Key) + len(kv.Value)
	}
	return n
}

// parseKeyValues parses a list of {"key", "value"}. OpenWhisk's error calls annotations parameters too.
func parseKeyValues(raw json.RawMessage) (keyValues, *apiError) {
	bad := malformed("parameters malformed!")
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, bad
	}
	l := keyValues{}
	for _, m := range list {
		var kv keyValue
		value, ok := m["value"]
		if !ok || json.Unmarshal(m["key"], &kv.Key) != nil || m["key"] == nil {
			return nil, bad
		}
		kv.Value = sprayjson.Compact(value)
		if init, ok := m["init"]; ok && json.Unmarshal(init, &kv.Init) != nil {
			return nil, bad
		}
		if encryption, ok := m["encryption"]; ok && (string(encryption) == "null" || json.Unmarshal(encryption, &kv.Encryption) != nil) {
			return nil, bad
		}
		l = l.with(kv)
	}
	return l, nil
}

// exec is the code of an action, as requests and answers have it. The order of its fields is OpenWhisk's.
type exec struct {
	Components []string `json:"components,omitempty"`
	Kind       string   `json:"kind"`
	Image      string   `json:"image,omitempty"`
	Code       *string  `json:"code,omitempty"`
	Binary     *bool    `json:"binary,omitempty"`
	Main       string   `json:"main,omitempty"`
}

// action is one version of an action.
type action struct {
	common
	pkg      string // its package; "" if it is in none
	fullName string // with a leading slash: /guest/pkg/name
	key      string // its name in the engine, different for each version
	exec     exec
	code     []byte // decoded; exec.Code is nil if it is binary
	limits   limits
}

// full returns the action's name with its namespace and its package.
func (a *action) full() string { return a.fullName[1:] }

// final reports whether requests must not override the parameters that are set.
func (a *action) final() bool { return a.is("final") }

// is reports whether an annotation is true.
func (a *action) is(annotation string) bool {
	v, ok := a.annotations.get(annotation)
	return ok && string(v) == "true"
}

// path returns the namespace, or namespace/package, of the action.
func (a *action) path() string {
	if a.pkg == "" {
		return a.namespace
	}
	return a.namespace + "/" + a.pkg
}

// actionDocument is the full description of an action.
type actionDocument struct {
	Annotations keyValues `json:"annotations"`
	Binding     string    `json:"binding,omitempty"`
	Exec        exec      `json:"exec"`
	Limits      limits    `json:"limits"`
	Name        string    `json:"name"`
	Namespace   string    `json:"namespace"`
	Parameters  keyValues `json:"parameters"`
	Publish     bool      `json:"publish"`
	Updated     int64     `json:"updated"`
	Version     string    `json:"version"`
}

func (a *action) document(*store) any { return a.describe(true) }

// describe returns the document of the action, with or without its code.
func (a *action) describe(code bool) actionDocument {
	e := a.exec
	switch {
	case !code:
		e.Code = nil
	case e.Binary != nil && *e.Binary:
		text := base64.StdEncoding.EncodeToString(a.code)
		e.Code = &text
	}
	return actionDocument{a.annotations, "", e, a.limits, a.name, a.path(), a.parameters, a.publish, a.updated, a.version}
}

type actionSummary struct {
	Name    string `json:"name"`
	Updated int64  `json:"updated"`
	Exec    struct {
		Binary bool `json:"binary"`
	} `json:"exec"`
	Limits      limits    `json:"limits"`
	Namespace   string    `json:"namespace"`
	Publish     bool      `json:"publish"`
	Annotations keyValues `json:"annotations"`
	Version     string    `json:"version"`
}

func (a *action) summary() any {
	s := actionSummary{Name: a.name, Updated: a.updated, Limits: a.limits, Namespace: a.path(), Publish: a.publish, Annotations: a.annotations, Version: a.version}
	s.Exec.Binary = a.exec.Binary != nil && *a.exec.Binary
	return s
}

// spec returns what a container is initialised with.
func (a *action) spec(inv *invocation, activationID string) container.Spec {
	env := map[string]string{
		"__OW_ACTION_NAME": a.fullName, "__OW_ACTION_VERSION": a.version, "__OW_ACTIVATION_ID": activationID,
		"__OW_DEADLINE":  strconv.FormatInt(time.Now().Add(a.limits.timeout()).UnixMilli(), 10),
		"__OW_NAMESPACE": a.namespace, "__OW_TRANSACTION_ID": inv.request, "__OW_API_HOST": inv.apiHost,
	}
	if inv.apiKey != "" {
		env["__OW_API_KEY"] = inv.apiKey
	}
	for _, kv := range a.parameters {
		if !kv.Init {
			continue
		}
		var text string
		if json.Unmarshal(kv.Value, &text) != nil {
			text = string(kv.Value)
		}
		env[kv.Key] = text
	}
	main := a.exec.Main
	if main == "" {
		main = "main"
	}
	return container.Spec{
		Name: a.fullName, Version: a.version, Kind: a.exec.Kind, Image: a.exec.Image, Main: main, Code: a.code,
		Binary: a.exec.Binary != nil && *a.exec.Binary, Env: env, MemoryMB: a.limits.Memory, LogMB: a.limits.Logs,
	}
}

var entityName = regexp.MustCompile(`^([\w]|[\w][\w@ .&-]*[\w@.&-]+)$`)

// checkName returns an error if a segment of a name is invalid.
func checkName(name string) *apiError {
	if len(name) > 256 {
		return badRequest(fmt.Sprintf("Name segement longer than allowed: %d > 256.", len(name)))
	}
	if !entityName.MatchString(name) {
		return badRequest("The name of the entity contains illegal characters.")
	}
	return nil
}

// checkNamespace returns an error if a path names no namespace.
func checkNamespace(name string) *apiError {
	switch {
	case name == "_":
		return nil
	case strings.HasPrefix(name, "_"): // the rest of the path begins behind the _
		return noRoute
	case len(name) > 256:
		return badRequest(fmt.Sprintf("Namespace longer than allowed: %d > 256.", len(name)))
	case !entityName.MatchString(name):
		return badRequest("The namespace contains illegal characters.")
	}
	return nil
}

// qualified returns the full name, namespace/pkg/name, for a name as a client may send it, such as /_/pkg/name.
func qualified(name, namespace string) (string, *apiError) {
	bad := malformed("requirement failed: The fully qualified name of the entity must contain at least the namespace and the name of the entity.")
	segments := strings.FieldsFunc(name, func(r rune) bool { return r == '/' })
	switch len(segments) {
	case 0:
		return "", malformed("requirement failed: path undefined")
	case 1:
		return "", bad
	}
	if segments[0] == "_" {
		segments[0] = namespace
	}
	for _, s := range segments[1:] {
		if err := checkName(s); err != nil {
			return "", err
		}
	}
	return strings.Join(segments, "/"), nil
}

// nextVersion increments the last part of a version.
func nextVersion(v string) string {
	i := strings.LastIndexByte(v, '.')
	n, _ := strconv.Atoi(v[i+1:])
	return v[:i+1] + strconv.Itoa(n+1)
}

// parseVersion returns a version of three numbers. Those that are missing at the end are 0, and further ones are left out.
func parseVersion(text string) (string, bool) {
	var numbers [3]int64
	sum := int64(0)
	for i, part := range strings.Split(strings.TrimRight(text, "."), ".") {
		if i == len(numbers) {
			break
		}
		n, err := strconv.ParseInt(part, 10, 32)
		if err != nil || n < 0 {
			return "", false
		}
		numbers[i] = n
		sum += n
	}
	return fmt.Sprintf("%d.%d.%d", numbers[0], numbers[1], numbers[2]), sum > 0
}

// decode returns the bytes of an action's code, and whether it was binary, in base64.
func (e *exec) decode() ([]byte, bool) {
	if e.Code == nil || *e.Code == "" {
		return nil, false
	}
	code := strings.TrimSpace(*e.Code)
	// OpenWhisk takes valid base64 for binary, whatever the field binary of the request says.
	if len(code) == 0 || len(code)%4 != 0 {
		return []byte(code), false
	}
	b, err := base64.StdEncoding.DecodeString(code)
	if err != nil {
		return []byte(code), false
	}
	return b, true
}
