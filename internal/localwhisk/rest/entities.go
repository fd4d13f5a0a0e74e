package rest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
)

// keyValue is a parameter or an annotation.
type keyValue struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
	Init  bool            `json:"init,omitempty"`
}

type keyValues []keyValue

// with returns l with kv in the place of one of the same key, or at the end.
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

// merged returns the values of l, with those of over in their place or at the end.
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

// size is what OpenWhisk counts: keys and values.
func (l keyValues) size() int {
	n := 0
	for _, kv := range l {
		n += len(kv.Key) + len(kv.Value)
	}
	return n
}

func parseKeyValues(what string, raw json.RawMessage) (keyValues, *apiError) {
	bad := malformed(what + " malformed!")
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
		kv.Value = compact(value)
		if init, ok := m["init"]; ok && json.Unmarshal(init, &kv.Init) != nil {
			return nil, bad
		}
		l = l.with(kv)
	}
	return l, nil
}

func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

// limits are an action's.
type limits struct {
	Concurrency int `json:"concurrency"`
	Logs        int `json:"logs"`
	Memory      int `json:"memory"`
	Timeout     int `json:"timeout"`
}

func (l limits) timeout() time.Duration { return time.Duration(l.Timeout) * time.Millisecond }

// exec is what an action runs, in the order of fields that OpenWhisk answers with.
type exec struct {
	Components []string `json:"components,omitempty"`
	Kind       string   `json:"kind"`
	Image      string   `json:"image,omitempty"`
	Code       *string  `json:"code,omitempty"`
	Binary     *bool    `json:"binary,omitempty"`
	Main       string   `json:"main,omitempty"`
}

// action is one version of an action. It is never changed.
type action struct {
	namespace, pack, name string
	fullName              string // /guest/pkg/name
	key                   string // in the engine: one for each version
	version               string
	exec                  exec
	code                  []byte // decoded; exec.Code is nil where it is binary
	parameters            keyValues
	annotations           keyValues
	limits                limits
	publish               bool
	updated               int64
}

func (a *action) path() string { return a.fullName[1:] }

// final tells that requests must not change parameters that are set.
func (a *action) final() bool {
	v, ok := a.annotations.get("final")
	return ok && string(v) == "true"
}

func (a *action) space() string {
	if a.pack == "" {
		return a.namespace
	}
	return a.namespace + "/" + a.pack
}

// actionDocument is the answer that describes an action.
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

func (a *action) document(code bool) actionDocument {
	e := a.exec
	switch {
	case !code:
		e.Code = nil
	case e.Binary != nil && *e.Binary:
		text := base64.StdEncoding.EncodeToString(a.code)
		e.Code = &text
	}
	return actionDocument{a.annotations, "", e, a.limits, a.name, a.space(), a.parameters, a.publish, a.updated, a.version}
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

func (a *action) summary() actionSummary {
	s := actionSummary{Name: a.name, Updated: a.updated, Limits: a.limits, Namespace: a.space(), Publish: a.publish, Annotations: a.annotations, Version: a.version}
	s.Exec.Binary = a.exec.Binary != nil && *a.exec.Binary
	return s
}

// spec is what a container is initialised with.
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

var entityName = regexp.MustCompile(`^([\w]|[\w][\w@ .-]*[\w@.-]+)$`)

// checkName checks a segment of a name.
func checkName(name string) *apiError {
	if len(name) > 256 {
		return plainBad(fmt.Sprintf("Name segement longer than allowed: %d > 256.", len(name)))
	}
	if !entityName.MatchString(name) {
		return plainBad("The name of the entity contains illegal characters.")
	}
	return nil
}

// qualified resolves a name as a client may send it, /_/pkg/name, to namespace/pkg/name.
func qualified(name, namespace string) (string, *apiError) {
	bad := malformed("requirement failed: The fully qualified name of the entity must contain at least the namespace and the name of the entity.")
	segments := strings.Split(strings.TrimPrefix(name, "/"), "/")
	if len(segments) < 2 || len(segments) > 3 {
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

// nextVersion adds one to the last place.
func nextVersion(v string) string {
	i := strings.LastIndexByte(v, '.')
	n, _ := strconv.Atoi(v[i+1:])
	return v[:i+1] + strconv.Itoa(n+1)
}

var semantic = regexp.MustCompile(`^\d{1,9}\.\d{1,9}\.\d{1,9}$`)

// decode returns the bytes of an action's code.
func (e *exec) decode() ([]byte, bool) {
	if e.Code == nil || *e.Code == "" {
		return nil, false
	}
	code := strings.TrimSpace(*e.Code)
	// OpenWhisk takes for binary what is base64 of some length, whatever the client says.
	if len(code)%4 != 0 {
		return []byte(code), false
	}
	b, err := base64.StdEncoding.DecodeString(code)
	if err != nil {
		return []byte(code), false
	}
	return b, true
}
