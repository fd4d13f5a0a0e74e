package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// apiError is an error that is sent to the client.
type apiError struct {
	status  int
	message string
	cors    bool   // OpenWhisk sends its CORS headers with it
	allow   string // the header Allow
}

// reject returns an error with CORS headers.
func reject(status int, message string) *apiError { return &apiError{status, message, true, ""} }

// badRequest returns an error 400 without CORS headers.
func badRequest(message string) *apiError {
	return &apiError{http.StatusBadRequest, message, false, ""}
}

// notAuthorized returns the error for something of a namespace that the caller may not use.
func notAuthorized(name string) *apiError {
	return reject(http.StatusForbidden, fmt.Sprintf("The supplied authentication is not authorized to access '%s'.", name))
}

func malformed(reason string) *apiError {
	return badRequest("The request content was malformed:\n" + reason)
}

func badQuery(name, reason string) *apiError {
	return badRequest("The query parameter '" + name + "' was malformed:\n" + reason)
}

var (
	noRoute  = &apiError{http.StatusNotFound, "The requested resource could not be found.", false, ""}
	noWeb    = &apiError{http.StatusNotFound, "The requested resource does not exist.", false, ""}
	notFound = reject(http.StatusNotFound, "The requested resource does not exist.")
	conflict = reject(http.StatusConflict, "resource already exists")
	// parametersNotAllowed is the error for a request that sets parameters of an action that are final, or that web actions get.
	parametersNotAllowed = reject(http.StatusBadRequest, "Request defines parameters that are not allowed (e.g., reserved properties).")
	// elsewhere is the error for a name that belongs to an entity of another kind.
	elsewhere = reject(http.StatusConflict, "Resource by this name exists but is not in this collection.")
)

const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// newRequestID returns 32 letters and digits.
func newRequestID() string {
	var b [32]byte
	for i := 0; i < len(b); i += 8 {
		for j, r := 0, rand.Uint64(); j < 8; j, r = j+1, r/64 {
			b[i+j] = alphanumeric[r%62]
		}
	}
	return string(b[:])
}

// setCORS sets the CORS headers, if web pages of some origin may make requests.
func (c *call) setCORS() {
	if c.origin == nil {
		return
	}
	h := c.w.Header()
	h["Access-Control-Allow-Origin"] = c.origin
	h["Access-Control-Allow-Methods"] = corsMethods
	h["Access-Control-Allow-Headers"] = corsHeaders
}

// foreignOrigin returns an error for a request that a web page of another origin than the allowed one has made. A page may send requests that
// change nothing and need no key, whose answers its browser does not give it; requests to web actions run code.
func (s *Server) foreignOrigin(c *call) *apiError {
	r := c.r
	origin, allowed := r.Header.Get("Origin"), s.options.Origin
	simple := (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.Header.Get("Authorization") == "" && !strings.HasPrefix(c.path, webPath)
	if origin == "" || allowed == "*" || origin == allowed || simple {
		return nil
	}
	return &apiError{http.StatusForbidden, "Requests from web pages of the origin '" + origin + "' are not allowed.", false, ""}
}

// Header values that all answers share; they must not be modified.
var (
	corsMethods          = []string{"GET, DELETE, POST, PUT, HEAD"}
	corsMethodsElsewhere = []string{"OPTIONS, GET, POST"} // outside the API
	corsHeaders          = []string{"Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent"}
	jsonType             = []string{"application/json"}
)

// call is a request that is being served.
type call struct {
	w         http.ResponseWriter
	r         *http.Request
	path      string   // as it was sent, without the segments . and ..
	id        string   // X-Request-Id
	origin    []string // the header Access-Control-Allow-Origin; nil for none
	namespace string   // the caller's
	auth      string   // the caller's key
	body      []byte
	values    url.Values // set by query
}

// query returns the query parameters.
func (c *call) query() url.Values {
	if c.values == nil {
		// A semicolon separates nothing.
		c.values, _ = url.ParseQuery(strings.ReplaceAll(c.r.URL.RawQuery, ";", "%3B"))
	}
	return c.values
}

// fail answers with an error.
func (c *call) fail(e *apiError) {
	body, _ := marshal(map[string]string{"code": c.id, "error": e.message})
	h := c.w.Header()
	if e.allow != "" {
		h.Set("Allow", e.allow)
	}
	c.answerJSON(e.status, e.cors, body)
}

// answer answers with a value as JSON.
func (c *call) answer(status int, v any) {
	body, err := marshal(v)
	if err != nil {
		c.fail(reject(http.StatusInternalServerError, "The server cannot say what it found."))
		return
	}
	c.answerJSON(status, true, body)
}

// answerJSON answers with JSON text. As in OpenWhisk a client that does not accept JSON is told so when its request has taken effect, but gets the
// errors of one that failed.
func (c *call) answerJSON(status int, cors bool, body []byte) {
	h := c.w.Header()
	if status < 300 && !accepts(c.r.Header, "application", "json", false) {
		c.fail(notAcceptable("application/json"))
		return
	}
	if cors {
		c.setCORS()
	}
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		c.w.Write(body)
	}
}

// answerText answers with plain text.
func (c *call) answerText(status int, cors bool, body string) {
	h := c.w.Header()
	if cors {
		c.setCORS()
	}
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	c.w.WriteHeader(status)
	c.w.Write([]byte(body))
}

// flag returns the value of a boolean query parameter, or otherwise if it is missing.
func (c *call) flag(name string, otherwise bool) (bool, *apiError) {
	q := c.query()
	switch v := q.Get(name); strings.ToLower(v) {
	case "":
		return otherwise, nil
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	default:
		return false, badQuery(name, "'"+v+"' is not a valid Boolean value")
	}
}

// page returns the query parameters limit and skip, of which skip is read first. Error messages name the collection.
func (c *call) page(collection string) (limit, skip int, err *apiError) {
	q := c.query()
	if q.Has("skip") {
		v := q.Get("skip")
		n, e := strconv.ParseInt(v, 10, 32)
		if e != nil {
			return 0, 0, badQuery("skip", "The value '"+v+"' is not an integer for "+collection+".")
		}
		if n < 0 {
			return 0, 0, badQuery("skip", "The value '"+v+"' is not greater than or equal to 0 for "+collection+".")
		}
		skip = int(n)
	}
	limit = 30
	if q.Has("limit") {
		v := q.Get("limit")
		n, e := strconv.ParseInt(v, 10, 32)
		if e != nil {
			return 0, 0, badQuery("limit", "The value '"+v+"' is not an integer for "+collection+".")
		}
		if n < 0 || n > 200 {
			return 0, 0, badQuery("limit", "The value '"+v+"' is not in the range of 0 to 200 for "+collection+".")
		}
		if limit = int(n); n == 0 {
			limit = 200
		}
	}
	return limit, skip, nil
}

// list answers with a page of all, in their order, or with their number. The function show returns the summary of an element, and false if the
// element is to be left out.
func list[T any](c *call, collection string, all []T, show func(T) (any, bool)) {
	limit, skip, err := c.page(collection)
	if err != nil {
		c.fail(err)
		return
	}
	count, err := c.flag("count", false)
	if err != nil {
		c.fail(err)
		return
	}
	if count {
		c.answer(http.StatusOK, map[string]int{collection: max(len(all)-skip, 0)})
		return
	}
	rest := all[min(skip, len(all)):]
	page := []any{}
	for _, v := range rest[:min(limit, len(rest))] {
		if shown, ok := show(v); ok {
			page = append(page, shown)
		}
	}
	c.answer(http.StatusOK, page)
}

// marshal returns JSON without escapes for HTML, which OpenWhisk does not use.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
