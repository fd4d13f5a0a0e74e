package rest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
	"github.com/tppfaas/tppfaas/internal/localwhisk/sprayjson"
)

// serveActions serves …/actions.
func (s *Server) serveActions(c *call, namespace string, names []string) {
	full := namespace + "/" + strings.Join(names, "/")
	switch {
	case len(names) == 0:
		s.store.mu.RLock()
		all := newest(s.store.actions, func(a *action) bool { return a.namespace == namespace })
		s.store.mu.RUnlock()
		listEntities(c, "actions", all)
	case len(names) == 1 && c.r.Method == http.MethodGet && strings.HasSuffix(c.path, "/"):
		s.store.mu.RLock()
		err := s.store.readable(c.namespace, full)
		var all []*action
		if err == nil {
			all = s.store.actionsOf(s.store.packages[full])
		}
		s.store.mu.RUnlock()
		if err != nil {
			c.fail(err)
			return
		}
		listEntities(c, "actions", all)
	case c.r.Method == http.MethodGet:
		s.getAction(c, full)
	case c.r.Method == http.MethodPut:
		s.putAction(c, namespace, names, full)
	case c.r.Method == http.MethodDelete:
		s.deleteAction(c, full)
	case c.r.Method == http.MethodPost:
		s.invokeAction(c, full)
	default:
		c.fail(noRoute)
	}
}

// getAction serves GET …/actions/NAME.
func (s *Server) getAction(c *call, full string) {
	code, err := c.flag("code", true)
	if err != nil {
		c.fail(err)
		return
	}
	t, err := s.store.findAction(full)
	if err != nil {
		c.fail(err)
		return
	}
	d := t.action.describe(code)
	d.Parameters, d.Binding = t.outer.merged(t.action.parameters), t.binding
	if d.Parameters == nil {
		d.Parameters = keyValues{}
	}
	c.answer(http.StatusOK, d)
}

// deleteAction serves DELETE …/actions/NAME.
func (s *Server) deleteAction(c *call, full string) {
	s.store.mu.Lock()
	a := s.store.actions[full]
	var err *apiError
	if a != nil {
		delete(s.store.actions, full)
		s.undeploy(a)
	} else {
		err = s.store.missingAction(full)
	}
	s.store.mu.Unlock()
	if err != nil {
		c.fail(err)
		return
	}
	c.answer(http.StatusOK, a.describe(true))
}

// undeploy removes a version of an action from the engine, where sequences are not deployed.
func (s *Server) undeploy(a *action) {
	if a.exec.Kind == "sequence" {
		return
	}
	if err := s.engine.Undeploy(a.key); err != nil {
		s.options.Log.Error("removing an action", "error", err)
	}
}

// putAction serves PUT …/actions/NAME: it creates or updates an action.
func (s *Server) putAction(c *call, namespace string, names []string, full string) {
	overwrite, body, err := s.putRequest(c, namespace)
	if err != nil {
		c.fail(err)
		return
	}
	a, err := s.parseAction(namespace, names, full, body)
	if err != nil {
		c.fail(err)
		return
	}
	s.store.mu.Lock()
	err = s.mergeAction(a, overwrite, body)
	s.store.mu.Unlock()
	if err != nil {
		c.fail(err)
		return
	}
	c.answer(http.StatusOK, a.describe(true))
	if len(c.body) > largeBody {
		s.freeMemory.Reset(time.Second)
	}
}

// largeBody is the size of a request after which memory is returned to the system: handling it takes several times its size.
const largeBody = 1 << 20

// parseAction returns the action of a PUT request, without what it keeps of an earlier version. Errors in the request are found before it is
// known whether the action exists, as in OpenWhisk.
func (s *Server) parseAction(namespace string, names []string, full string, body map[string]json.RawMessage) (*action, *apiError) {
	a := &action{
		common:   common{namespace: namespace, name: names[len(names)-1], version: "0.0.1", parameters: keyValues{}},
		fullName: "/" + full,
		limits:   limits{Concurrency: 1, Logs: maxLogs, Memory: min(256, s.options.MemoryMB), Timeout: 60000},
	}
	if len(names) == 2 {
		a.pkg = names[0]
	}
	if err := a.parse(body, namespace); err != nil {
		return nil, err
	}
	if body["exec"] != nil && a.exec.Kind != "sequence" {
		var binary bool
		a.code, binary = a.exec.decode()
		a.exec.Binary = &binary
		if binary {
			a.exec.Code = nil // describe encodes it again
		}
	}
	return a, nil
}

// fields returns the members of a JSON object, without those that are null; only a binding that is null is an error, later.
func fields(body []byte) (map[string]json.RawMessage, *apiError) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(body, &m); err != nil && !json.Valid(body) {
		return nil, malformed(sprayjson.Check(body))
	}
	if m == nil {
		return nil, malformed("Object expected in field 'exec'") // the member that is read first
	}
	maps.DeleteFunc(m, func(name string, v json.RawMessage) bool { return string(v) == "null" && name != "binding" })
	return m, nil
}

// mergeAction completes the action of a PUT request with what it keeps of the old version, stores it, and deploys it in the engine. The store
// must be locked.
func (s *Server) mergeAction(a *action, overwrite bool, body map[string]json.RawMessage) *apiError {
	full := a.full()
	if body["exec"] != nil {
		if err := s.store.checkReferences(a.namespace, a.exec.Components); err != nil {
			return err
		}
	}
	old := s.store.actions[full]
	if a.pkg != "" {
		if p := s.store.packages[a.path()]; p == nil || p.binding != nil {
			return s.store.missingAction(full)
		}
	}
	if err := s.store.checkPut(full, old != nil, overwrite); err != nil {
		return err
	}
	if old == nil && body["exec"] == nil {
		return reject(http.StatusBadRequest, "exec undefined")
	}
	if old != nil {
		if body["exec"] == nil {
			a.exec, a.code = old.exec, old.code
		}
		switch {
		case body["exec"] == nil && (body["parameters"] == nil || a.exec.Kind == "sequence"):
			a.parameters = old.parameters
		case body["parameters"] == nil && a.exec.Kind != "sequence" && old.exec.Kind != "sequence":
			a.parameters = old.parameters
		}
		if body["publish"] == nil {
			a.publish = old.publish
		}
		if body["version"] == nil {
			a.version = nextVersion(old.version)
		}
		a.limits = old.limits
		given := a.annotations
		gone, _ := texts(body["delAnnotations"])
		kept := slices.DeleteFunc(slices.Clone(old.annotations), func(kv keyValue) bool { return slices.Contains(gone, kv.Key) })
		a.annotations = kept.merged(given)
	}
	if raw := body["limits"]; raw != nil {
		if err := a.limits.parse(raw); err != nil {
			return err
		}
		if err := a.limits.check(s.options.Limits); err != nil {
			return err
		}
	}
	if a.exec.Kind == "sequence" && body["exec"] != nil {
		if err := s.checkSequence(a, full); err != nil {
			return err
		}
	}
	if _, ok := a.annotations.get("provide-api-key"); !ok && old == nil {
		a.annotations = append(slices.Clip(a.annotations), keyValue{Key: "provide-api-key", Value: json.RawMessage("false")})
	}
	a.annotations = a.annotations.with(keyValue{Key: "exec", Value: json.RawMessage(`"` + a.exec.Kind + `"`)})
	a.updated = s.store.now()
	if a.exec.Kind != "sequence" {
		a.code = s.store.shared(a.code)
		s.versions++
		a.key = fmt.Sprintf("%s@%d", full, s.versions)
		// The handler is not used: runtimeBackend runs the action.
		err := s.engine.Deploy(localwhisk.Function{Name: a.key, MemoryMB: a.limits.Memory, Handler: (*localwhisk.Run).Finish})
		if err != nil {
			return reject(http.StatusBadRequest, err.Error())
		}
	}
	s.store.actions[full] = a
	if p, ok := s.runtime.(container.Preparer); ok && a.exec.Binary != nil && *a.exec.Binary {
		p.Prepare(a.code)
	}
	if old != nil {
		s.undeploy(old)
	}
	return nil
}

// texts returns the texts of a JSON array; nil stands for none.
func texts(raw json.RawMessage) ([]string, *apiError) {
	var list []json.RawMessage
	if raw != nil && json.Unmarshal(raw, &list) != nil {
		return nil, malformed("Expected Array as JsArray, but got " + string(sprayjson.Compact(raw)))
	}
	all := make([]string, len(list))
	for i, one := range list {
		if string(one) == "null" || json.Unmarshal(one, &all[i]) != nil {
			return nil, malformed("Expected String as JsString, but got " + string(sprayjson.Compact(one)))
		}
	}
	return all, nil
}

// parse sets the fields that are in the body of a request; of the limits it only checks the types.
func (a *action) parse(body map[string]json.RawMessage, namespace string) *apiError {
	if raw := body["exec"]; raw != nil {
		if err := a.parseExec(raw, namespace); err != nil {
			return err
		}
		if a.exec.Kind == "sequence" {
			delete(body, "parameters") // parseExec has set them to the components
		}
	}
	if raw := body["limits"]; raw != nil {
		if err := a.limits.parse(raw); err != nil {
			return err
		}
	}
	if err := a.common.parse(body); err != nil {
		return err
	}
	_, err := texts(body["delAnnotations"])
	return err
}

// parseExec sets the code, or the components of a sequence.
func (a *action) parseExec(raw json.RawMessage, namespace string) *apiError {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return malformed("JSON object expected")
	}
	text := func(field string) (string, bool) {
		var v *string
		if m[field] == nil || json.Unmarshal(m[field], &v) != nil || v == nil {
			return "", false
		}
		return *v, true
	}
	kind, ok := text("kind")
	if !ok {
		return malformed("'kind' must be a string defined in 'exec'")
	}
	kind = strings.ToLower(strings.TrimSpace(kind))
	a.exec = exec{Kind: kind}
	code, hasCode := text("code")
	switch kind {
	case "sequence":
		var components []json.RawMessage
		if m["components"] == nil {
			return malformed("'components' must be defined for sequence kind")
		}
		if json.Unmarshal(m["components"], &components) != nil || components == nil {
			return malformed("'components' must be an array")
		}
		list := []string{}
		for _, raw := range components {
			var name string
			if string(raw) == "null" || json.Unmarshal(raw, &name) != nil {
				return malformed("fully qualified name malformed")
			}
			q, err := qualified(name, namespace)
			if err != nil {
				return err
			}
			list = append(list, "/"+q)
		}
		a.exec.Components, a.exec.Main = list, ""
		value, _ := marshal(list)
		a.parameters = keyValues{{Key: "_actions", Value: value}}
		return nil
	case "blackbox":
		if a.exec.Image, ok = text("image"); !ok {
			return malformed("'image' must be a string defined in 'exec' for 'blackbox' actions")
		}
		if a.exec.Image == "" || strings.ContainsAny(a.exec.Image, " \t\r\n") {
			return malformed("could not parse image name")
		}
	default:
		canonical, requireMain, ok := kindOf(kind)
		if !ok {
			return malformed(fmt.Sprintf("The specified runtime '%s' is not supported by this platform. Valid values are: %s.", kind, kinds()))
		}
		a.exec.Kind = canonical
		if raw := m["code"]; !hasCode && raw != nil {
			return malformed("Could not deserialize as attachment record: " + string(sprayjson.Compact(raw)))
		}
		if !hasCode {
			return malformed(fmt.Sprintf("'code' must be a string or attachment object defined in 'exec' for '%s' actions", canonical))
		}
		if requireMain && m["main"] == nil {
			return malformed(fmt.Sprintf("'main' must be a string defined in 'exec' for '%s' actions", kind))
		}
	}
	if a.exec.Main, ok = text("main"); !ok && m["main"] != nil {
		return malformed(fmt.Sprintf("if defined, 'main' be a string in 'exec' for '%s' actions", kind))
	}
	if hasCode {
		a.exec.Code = &code
	}
	return nil
}

// checkSizes returns an error if code, parameters or annotations are too large.
func (s *Server) checkSizes(a *action) *apiError {
	code := 0
	if a.exec.Code != nil {
		code = len(*a.exec.Code)
	}
	if err := tooLarge("exec", code, s.options.Limits.CodeBytes); err != nil {
		return err
	}
	if err := tooLarge("parameters", a.parameters.size(), s.options.Limits.PayloadBytes); err != nil {
		return err
	}
	return tooLarge("annotations", a.annotations.size(), s.options.Limits.PayloadBytes)
}

func tooLarge(what string, size, most int) *apiError {
	if size <= most {
		return nil
	}
	return reject(http.StatusRequestEntityTooLarge, fmt.Sprintf("%s larger than allowed: %d > %d bytes.", what, size, most))
}

// tooManyInSequence is the error of a sequence with more actions than are allowed, when it is put or when it runs.
var tooManyInSequence = reject(http.StatusBadRequest, "Too many actions in the sequence.")

// checkSequence returns an error if a sequence is too long, lacks a component, or contains itself, be it through a binding.
func (s *Server) checkSequence(a *action, full string) *apiError {
	if len(a.exec.Components) == 0 {
		return reject(http.StatusBadRequest, "No component specified for the sequence.")
	}
	total := 0
	var count func(components []string, depth int) *apiError
	count = func(components []string, depth int) *apiError {
		// A binding that was bound anew may have closed a circle among other sequences.
		if depth > s.options.Limits.SequenceLength {
			return tooManyInSequence
		}
		for _, name := range components {
			name = name[1:]
			b := s.store.resolve(name).action
			if name == full || b != nil && b.full() == full {
				return reject(http.StatusBadRequest, "Sequence may not refer to itself.")
			}
			if b == nil && s.store.exists(name) {
				return elsewhere
			}
			if b == nil {
				return reject(http.StatusBadRequest, "Sequence component does not exist.")
			}
			if b.exec.Kind == "sequence" {
				if err := count(b.exec.Components, depth+1); err != nil {
					return err
				}
				continue
			}
			if total++; total > s.options.Limits.SequenceLength {
				return tooManyInSequence
			}
		}
		return nil
	}
	return count(a.exec.Components, 1)
}
