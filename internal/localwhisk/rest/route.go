package rest

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// maxBody is the size of the largest request that is read.
const maxBody = 50 << 20

const (
	apiPath = "/api/v1"
	webPath = apiPath + "/web/"
)

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{w: w, r: r, path: withoutDots(r.URL.EscapedPath()), id: r.Header.Get("X-Request-Id"), origin: s.origin}
	if c.id == "" || len(c.id) > 256 {
		c.id = newRequestID()
	}
	w.Header()["X-Request-Id"] = []string{c.id}
	s.options.Log.Debug("request", "method", r.Method, "path", r.URL.Path, "id", c.id)
	if s.origin != nil && s.options.Origin != "*" {
		w.Header()["Vary"] = []string{"Origin"}
	}
	if err := s.foreignOrigin(c); err != nil {
		c.fail(err)
		return
	}
	if err := checkQuery(r); err != nil {
		w.Header().Del("X-Request-Id")
		c.answerText(err.status, false, err.message)
		return
	}
	path := strings.TrimSuffix(c.path, "/")
	inAPI := path == apiPath || strings.HasPrefix(path, apiPath+"/")
	rest := strings.TrimPrefix(path, apiPath)
	switch {
	case strings.HasPrefix(c.path, webPath):
		s.web(c)
	case r.Method == http.MethodOptions:
		c.answerOptions(inAPI)
	case path == "" || path == "/ping":
		if r.Method != http.MethodGet {
			c.fail(&apiError{http.StatusMethodNotAllowed, "HTTP method not allowed, supported methods: GET, OPTIONS", false, "GET, OPTIONS"})
		} else if path == "" {
			c.answerJSON(http.StatusOK, false, s.info)
		} else {
			c.answerAcceptedText("pong")
		}
	case path == "/metrics" && r.Method == http.MethodGet:
		w.Header().Set("Content-Type", "text/plain; version=0.0.4") // of Prometheus; there are no metrics
	case !inAPI:
		c.fail(&apiError{http.StatusMethodNotAllowed, "HTTP method not allowed, supported methods: OPTIONS", false, "OPTIONS"})
	case rest == "":
		if r.Method != http.MethodGet {
			c.fail(noRoute)
			return
		}
		c.answerJSON(http.StatusOK, true, []byte(`{"api_version":"1.0.0","api_version_path":"v1","build":"???","buildno":"standalone","description":"OpenWhisk API","swagger_paths":{"api-docs":"/api-docs","ui":"/docs"}}`))
	case rest == "/namespaces" || strings.HasPrefix(rest, "/namespaces/"):
		s.namespaces(c, strings.TrimPrefix(strings.TrimPrefix(rest, "/namespaces"), "/"))
	default:
		if err := s.authenticate(c); err != nil {
			c.fail(err)
			return
		}
		c.fail(noRoute)
	}
}

// answerOptions answers a request with the method OPTIONS, which needs no key.
func (c *call) answerOptions(inAPI bool) {
	c.setCORS()
	if !inAPI && c.origin != nil {
		c.w.Header()["Access-Control-Allow-Methods"] = corsMethodsElsewhere
	}
	c.answerText(http.StatusOK, false, "OK")
}

// authenticate sets the caller's namespace and key, or returns an error.
func (s *Server) authenticate(c *call) *apiError {
	err := s.identify(c)
	if err != nil {
		c.w.Header()["Www-Authenticate"] = []string{`Basic realm="OpenWhisk secure realm",charset=UTF-8`}
	}
	return err
}

// identify is authenticate without the header that tells a client how to authenticate.
func (s *Server) identify(c *call) *apiError {
	header := c.r.Header.Get("Authorization")
	if id, ok := s.callers[header]; ok {
		c.namespace, c.auth = id.Namespace, id.Auth
		return nil
	}
	missing := &apiError{http.StatusUnauthorized, "The resource requires authentication, which was not supplied with the request", false, ""}
	scheme, encoded, _ := strings.Cut(header, " ")
	if encoded = strings.TrimSpace(encoded); !strings.EqualFold(scheme, "basic") || encoded == "" {
		return missing
	}
	auth, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return missing
	}
	for _, id := range s.options.Identities {
		if id.Auth == string(auth) {
			c.namespace, c.auth = id.Namespace, id.Auth
			return nil
		}
	}
	return &apiError{http.StatusUnauthorized, "The supplied authentication is invalid", false, ""}
}

// namespaces serves what lies below /api/v1/namespaces.
func (s *Server) namespaces(c *call, path string) {
	if err := s.authenticate(c); err != nil {
		c.fail(err)
		return
	}
	if c.r.Method == http.MethodHead || c.r.Method == http.MethodPatch {
		c.fail(noRoute)
		return
	}
	if path == "" {
		if c.r.Method != http.MethodGet {
			c.fail(noRoute)
			return
		}
		c.answer(http.StatusOK, []string{c.namespace})
		return
	}
	segments := strings.Split(path, "/")
	for i := range segments {
		var err error
		if segments[i], err = url.PathUnescape(segments[i]); err != nil {
			c.fail(noRoute)
			return
		}
	}
	namespace := segments[0]
	if err := checkNamespace(namespace); err != nil {
		c.fail(err)
		return
	}
	if namespace == "_" {
		namespace = c.namespace
	}
	if len(segments) == 1 {
		c.fail(noRoute)
		return
	}
	collection, names := segments[1], segments[2:]
	serve, err := s.route(c, collection, names)
	if err == nil {
		err = s.readBody(c)
	}
	if err == nil && namespace != c.namespace && !s.isPublic(c, namespace, collection, names) {
		what := names[:min(1, len(names))]
		if c.r.Method == http.MethodPut || c.r.Method == http.MethodDelete {
			what = names
		}
		err = notAuthorized(strings.Join(append([]string{namespace}, what...), "/"))
	}
	if err == nil && collection == "actions" && len(names) == 2 {
		err = s.checkPackage(c, namespace+"/"+names[0])
	}
	switch {
	case err == nil:
		serve(c, namespace, names)
	case err.status == 0:
		c.w.Header().Del("X-Request-Id")
		c.answerText(http.StatusBadRequest, false, err.message)
	default:
		c.fail(err)
	}
}

// route returns the function that serves a collection, or an error if there is none, or if there is nothing at the names.
func (s *Server) route(c *call, collection string, names []string) (func(c *call, namespace string, names []string), *apiError) {
	serve, maxNames := s.collection(collection)
	if serve == nil || c.r.Method != http.MethodGet && (len(names) == 0 || collection == "activations") ||
		c.r.Method == http.MethodPost && collection == "packages" {
		return nil, noRoute
	}
	for i, name := range names {
		isLast := i == len(names)-1
		// Only a collection, or a package of which the actions are to be listed, may be followed by a slash.
		isPackage := collection == "actions" && i == 0 && c.r.Method == http.MethodGet
		mayEnd := !strings.HasSuffix(c.path, "/") || isPackage
		if name == "" || maxNames == 0 || i > 0 && (i >= maxNames || isLast && !mayEnd) {
			return nil, noRoute
		}
		if collection != "activations" {
			if err := checkName(name); err != nil {
				return nil, err
			}
		} else if i == 0 {
			if err := checkActivationID(name); err != nil {
				return nil, err
			}
		}
		if isLast && !mayEnd {
			return nil, noRoute
		}
	}
	return serve, nil
}

// checkPackage returns an error if a request for an action in a package cannot be served because of the package.
func (s *Server) checkPackage(c *call, full string) *apiError {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	if c.r.Method == http.MethodGet || c.r.Method == http.MethodPost {
		return s.store.readable(c.namespace, full)
	}
	p, err := lookup(&s.store, s.store.packages, full, nil)
	if err == nil && p.binding != nil { // its actions can only be read and invoked
		return reject(http.StatusBadRequest, "Operation not permitted on package binding.")
	}
	return err
}

// isPublic reports whether a caller of another namespace may make this request: list public packages, read them, and read and invoke their
// actions.
func (s *Server) isPublic(c *call, namespace, collection string, names []string) bool {
	method := c.r.Method
	if len(names) == 0 {
		return collection == "packages" && method == http.MethodGet
	}
	s.store.mu.RLock()
	p := s.store.packages[namespace+"/"+names[0]]
	s.store.mu.RUnlock()
	if p == nil || !p.publish || p.binding != nil {
		return false
	}
	switch collection {
	case "packages":
		return method == http.MethodGet
	case "actions":
		return method == http.MethodGet && (len(names) == 2 || strings.HasSuffix(c.path, "/")) || method == http.MethodPost && len(names) == 2
	}
	return false
}

// collection returns the function that serves a collection, and the maximum number of names that follow the collection in a path.
func (s *Server) collection(name string) (serve func(c *call, namespace string, names []string), maxNames int) {
	switch name {
	case "actions":
		return s.serveActions, 2
	case "packages":
		return s.servePackages, 1
	case "triggers":
		return s.serveTriggers, 1
	case "rules":
		return s.serveRules, 1
	case "activations":
		return s.serveActivations, 2
	case "limits":
		return s.serveLimits, 0
	}
	return nil, 0
}

// readBody reads the body of the request, if it has one.
func (s *Server) readBody(c *call) *apiError {
	tooLarge := &apiError{message: "Request too large"}
	if c.r.ContentLength > maxBody {
		return tooLarge
	}
	if c.r.Method != http.MethodPut && c.r.Method != http.MethodPost {
		return nil
	}
	var err error
	if n := c.r.ContentLength; n >= 0 {
		c.body = make([]byte, n)
		_, err = io.ReadFull(c.r.Body, c.body)
	} else {
		c.body, err = io.ReadAll(io.LimitReader(c.r.Body, maxBody+1))
	}
	if err != nil {
		return malformed("the request ended early")
	}
	if len(c.body) > maxBody {
		return tooLarge
	}
	return nil
}

// checkType returns an error if the body of a request has another type than JSON.
func (c *call) checkType() *apiError {
	kind, _, _ := strings.Cut(c.r.Header.Get("Content-Type"), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	if len(c.body) == 0 && kind == "" {
		return nil
	}
	if kind != "application/json" {
		if !strings.Contains(kind, "/") {
			kind = "application/octet-stream"
		}
		return &apiError{http.StatusUnsupportedMediaType, "The request's Content-Type [" + kind + "] is not supported. Expected:\napplication/json", false, ""}
	}
	return nil
}

// serveActivations serves …/activations.
func (s *Server) serveActivations(c *call, namespace string, names []string) {
	switch {
	case len(names) == 0:
		s.listActivations(c, namespace)
	case len(names) == 1:
		s.getActivation(c, namespace, names[0], "")
	case names[1] == "logs" || names[1] == "result":
		s.getActivation(c, namespace, names[0], names[1])
	default:
		c.fail(noRoute)
	}
}

// serveLimits serves …/limits.
func (s *Server) serveLimits(c *call, _ string, _ []string) {
	l := s.options.Limits
	c.answer(http.StatusOK, map[string]any{
		"concurrentInvocations": unlimited(l.ConcurrentInvocations), "firesPerMinute": unlimited(l.FiresPerMinute),
		"invocationsPerMinute": unlimited(l.InvocationsPerMinute), "maxActionConcurrency": 1, "maxActionInstances": unlimited(l.ConcurrentInvocations),
		"maxActionLogs": maxLogs, "maxActionMemory": l.MaxMemoryMB, "maxActionTimeout": l.MaxTimeout.Milliseconds(),
		"maxParameterSize": fmt.Sprintf("%d B", l.PayloadBytes), "minActionConcurrency": 1, "minActionLogs": 0,
		"minActionMemory": l.MinMemoryMB, "minActionTimeout": l.MinTimeout.Milliseconds(),
	})
}

// unlimited returns a limit as clients see it: they know no value for no limit.
func unlimited(n int) int {
	if n == 0 {
		return 1_000_000
	}
	return n
}
