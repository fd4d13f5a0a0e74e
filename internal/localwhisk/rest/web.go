package rest

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
	"github.com/tppfaas/tppfaas/internal/localwhisk/sprayjson"
)

// Web actions are actions with the annotation web-export, which anybody may invoke with any method, without a key:
//
//	/api/v1/web/NAMESPACE/PACKAGE/ACTION.EXTENSION/FURTHER/PATH
//
// They get the request as parameters, and the extension says what of their result becomes the answer.

// webExtensions are the extensions of web actions with the functions that answer with a result.
var webExtensions = []struct {
	name   string
	answer func(c *call, result json.RawMessage)
}{
	{".http", (*call).webHTTP}, {".json", (*call).webJSON}, {".text", (*call).webText},
	{".html", func(c *call, result json.RawMessage) {
		c.webMember(result, "html", "text/html", "text/html; charset=UTF-8")
	}},
	{".svg", func(c *call, result json.RawMessage) { c.webMember(result, "svg", "image/svg+xml", "image/svg+xml") }},
}

// Parameters that web actions get of a request. Requests must not set them.
const (
	webMethod  = "__ow_method"
	webHeaders = "__ow_headers"
	webRest    = "__ow_path"
	webUser    = "__ow_user"
	webQuery   = "__ow_query"
	webBody    = "__ow_body"
)

var webParameters = []string{webMethod, webHeaders, webRest, webUser, webQuery, webBody}

var webMethods = []string{"OPTIONS, GET, DELETE, POST, PUT, HEAD, PATCH"}

// webError returns an error without CORS headers, unless there are some already.
func webError(status int, message string) *apiError { return &apiError{status, message, false, ""} }

// noMedia returns the error for a result that cannot be sent as a media type.
func noMedia(mediaType string) *apiError {
	return webError(http.StatusBadRequest, "Response is not valid '"+mediaType+"'.")
}

// web serves what lies below /api/v1/web.
func (s *Server) web(c *call) {
	path := strings.TrimPrefix(c.path, webPath)
	switch strings.TrimSuffix(path, "/") {
	case "whisk.system/apimgmt/getApi", "whisk.system/apimgmt/getApi.http", "whisk.system/apimgmt/getApi.json":
		// The API gateway has no APIs. A client's info fails without an answer.
		c.answerJSON(http.StatusOK, true, []byte(`{"apis":[]}`))
		return
	}
	segments := strings.SplitN(path, "/", 4)
	for i := range min(len(segments), 3) {
		name, err := url.PathUnescape(segments[i])
		if err != nil || !entityName.MatchString(name) {
			segments = nil
			break
		}
		segments[i] = name
	}
	key := s.identify(c)
	if len(segments) < 3 {
		if c.r.Method == http.MethodOptions {
			c.answerOptions(true)
		} else if err := s.authenticate(c); err != nil {
			c.fail(err)
		} else {
			c.fail(noRoute)
		}
		return
	}
	user := c.namespace
	if key != nil {
		user = ""
	}
	rest := ""
	if len(segments) == 4 {
		rest = "/" + segments[3]
	}
	s.webAction(c, segments[:3], rest, user)
}

// webAction serves a request to a web action: names are its namespace, its package and its name with the extension. The user is the namespace of
// the caller, "" if the request has no valid key.
func (s *Server) webAction(c *call, names []string, rest, user string) {
	received := time.Now()
	if err := s.readWebBody(c); err != nil {
		c.fail(err)
		return
	}
	extension := webExtensions[0]
	for _, e := range webExtensions {
		if name, ok := strings.CutSuffix(names[2], e.name); ok {
			names[2], extension = name, e
			break
		}
	}
	owner := slices.IndexFunc(s.options.Identities, func(id Identity) bool { return id.Namespace == names[0] })
	if owner < 0 {
		c.fail(noWeb)
		return
	}
	if names[1] == "default" {
		names = slices.Delete(names, 1, 2)
	}
	t, err := s.store.findAction(strings.Join(names, "/"))
	if err != nil || !t.action.is("web-export") {
		c.fail(noWeb)
		return
	}
	// The owner of the action invokes it.
	c.namespace, c.auth = s.options.Identities[owner].Namespace, s.options.Identities[owner].Auth
	if err := s.admit(c); err != nil {
		c.fail(webError(err.status, err.message))
		return
	}
	answersOptions := t.action.is("web-custom-options")
	if !answersOptions {
		c.setWebCORS()
		if c.r.Method == http.MethodOptions {
			return
		}
	}
	if !(answersOptions && c.r.Method == http.MethodOptions) && !mayUseWeb(t.action, c.r, user) {
		c.fail(webError(http.StatusUnauthorized, "Authentication is possible but has failed or not yet been provided."))
		return
	}
	value, err := c.webValue(t, rest, user)
	if err != nil {
		c.fail(err)
		return
	}
	o := &invokeRequest{target: t, value: value, call: c, received: received, done: make(chan *record, 1)}
	id, err := s.invoke(o)
	if err != nil {
		c.fail(noWeb)
		return
	}
	r := s.await(o, s.options.Limits.BlockingWait)
	if r != nil && r.kind == container.Success && isArray(r.Response.Result) {
		c.answerText(http.StatusInternalServerError, false, "There was an internal server error.") // OpenWhisk expects an object
		return
	}
	c.w.Header()["X-Openwhisk-Activation-Id"] = []string{id}
	switch {
	case r == nil:
		c.fail(webError(http.StatusAccepted, "Response not yet ready."))
	case r.kind == container.Success:
		extension.answer(c, r.Response.Result)
	case r.kind == container.ApplicationError:
		var m map[string]json.RawMessage
		if json.Unmarshal(r.Response.Result, &m) != nil || m["error"] == nil {
			c.fail(webError(http.StatusNotFound, "Response does not include requested property."))
			return
		}
		extension.answer(c, m["error"])
	default:
		c.fail(webError(http.StatusBadRequest, "There was an error processing your request."))
	}
}

// readWebBody reads the body of a request to a web action, of any type.
func (s *Server) readWebBody(c *call) *apiError {
	most := s.options.Limits.PayloadBytes
	if n := c.r.ContentLength; n > int64(most) {
		return webError(http.StatusRequestEntityTooLarge, tooLarge("Request", int(n), most).message)
	}
	var err error
	if c.body, err = io.ReadAll(io.LimitReader(c.r.Body, int64(most)+1)); err != nil {
		return malformed("the request ended early")
	}
	if err := tooLarge("Request", len(c.body), most); err != nil {
		return webError(err.status, err.message)
	}
	return nil
}

// setWebCORS sets the CORS headers of an answer of a web action, if web pages of some origin may make requests.
func (c *call) setWebCORS() {
	if c.setCORS(); c.origin == nil {
		return
	}
	c.w.Header()["Access-Control-Allow-Methods"] = webMethods
	if asked := c.r.Header["Access-Control-Request-Headers"]; asked != nil {
		c.w.Header()["Access-Control-Allow-Headers"] = asked[:1]
	}
}

// mayUseWeb reports whether a request has what the annotation require-whisk-auth asks for: a certain header, or any valid key.
func mayUseWeb(a *action, r *http.Request, user string) bool {
	required, ok := a.annotations.get("require-whisk-auth")
	if !ok {
		return true
	}
	var secret string
	switch {
	case string(required) == "true":
		return user != ""
	case required[0] == '"':
		_ = json.Unmarshal(required, &secret) // it is JSON
	case required[0] == '-' || required[0] >= '0' && required[0] <= '9':
		secret = string(required)
	default:
		return false
	}
	sent := r.Header["X-Require-Whisk-Auth"]
	return len(sent) > 0 && sent[0] == secret
}

// webValue returns the parameters of a web action for a request.
func (c *call) webValue(t target, rest, user string) (json.RawMessage, *apiError) {
	raw := t.action.is("raw-http")
	contentType := c.r.Header.Get("Content-Type")
	members, body, err := c.webBody(contentType, raw)
	if err != nil {
		for name := range c.w.Header() { // a request that is malformed is refused before them
			if strings.HasPrefix(name, "Access-Control-") {
				delete(c.w.Header(), name)
			}
		}
		return nil, err
	}
	value := map[string]any{}
	if raw {
		value[webQuery] = c.r.URL.RawQuery
	} else {
		for name, all := range c.query() {
			value[name] = all[len(all)-1]
		}
		for name := range members {
			value[name] = members[name]
		}
		for name := range value {
			if slices.Contains(webParameters, name) || t.action.final() && isSet(name, t.outer, t.action.parameters) {
				return nil, webError(parametersNotAllowed.status, parametersNotAllowed.message)
			}
		}
	}
	if body != nil {
		value[webBody] = body
	}
	headers := firedWith(c.r)
	if contentType != "" {
		headers["content-type"] = contentType
	}
	value[webMethod], value[webHeaders], value[webRest] = strings.ToLower(c.r.Method), headers, rest
	if user != "" {
		value[webUser] = user
	}
	text, e := marshal(value)
	if e != nil {
		return nil, webError(http.StatusBadRequest, "Failed extracting request body.")
	}
	return text, nil
}

// webBody returns what a web action gets of the body of a request: the members of an object or a form, or the whole as a JSON value, nil if there is
// none. If raw is set it gets the whole as text, base64 if it is binary.
func (c *call) webBody(contentType string, raw bool) (members map[string]json.RawMessage, whole any, err *apiError) {
	mediaType, _, _ := strings.Cut(contentType, ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	switch {
	case len(c.body) == 0 && raw:
		return nil, "", nil
	case len(c.body) == 0 && (mediaType == "" || isJSON(mediaType)):
		return nil, nil, nil
	case isJSON(mediaType) && !raw:
		if !json.Valid(c.body) {
			return nil, nil, malformed(sprayjson.Check(c.body))
		}
		text := sprayjson.Compact(c.body)
		if json.Unmarshal(text, &members) == nil && members != nil {
			return members, nil, nil
		}
		return nil, text, nil
	case mediaType == "application/x-www-form-urlencoded" && !raw:
		form, e := url.ParseQuery(string(c.body))
		if e != nil {
			return nil, nil, malformed(e.Error())
		}
		members = map[string]json.RawMessage{}
		for name, all := range form {
			members[name], _ = marshal(all[len(all)-1]) // a text can always be encoded
		}
		return members, nil, nil
	case mediaType == "application/json" || !isText(contentType):
		return nil, base64.StdEncoding.EncodeToString(c.body), nil
	}
	return nil, string(c.body), nil
}

func isJSON(mediaType string) bool {
	return mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
}

// isText reports whether OpenWhisk takes a content type for text. Others are binary, and base64 to actions.
func isText(contentType string) bool {
	mediaType, parameters, _ := strings.Cut(strings.ToLower(contentType), ";")
	mediaType = strings.TrimSpace(mediaType)
	main, _, ok := strings.Cut(mediaType, "/")
	switch {
	case !ok || main == "multipart":
		return false
	case main == "text", strings.Contains(parameters, "charset="):
		return true
	}
	switch strings.TrimPrefix(mediaType, "application/") {
	case "json", "xml", "javascript", "x-www-form-urlencoded", "xhtml+xml", "atom+xml", "rss+xml", "soap+xml", "xml-dtd":
		return true
	}
	return false
}
