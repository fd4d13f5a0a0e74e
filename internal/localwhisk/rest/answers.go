package rest

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
)

// apiError is an answer that says what is wrong.
type apiError struct {
	status  int
	message string
	cors    bool // whether OpenWhisk sends its CORS headers with it
	allow   string
}

func reject(status int, message string) *apiError { return &apiError{status, message, true, ""} }

func plainBad(message string) *apiError { return &apiError{http.StatusBadRequest, message, false, ""} }

func malformed(reason string) *apiError {
	return plainBad("The request content was malformed:\n" + reason)
}

func badQuery(name, reason string) *apiError {
	return plainBad("The query parameter '" + name + "' was malformed:\n" + reason)
}

var (
	noRoute  = &apiError{http.StatusNotFound, "The requested resource could not be found.", false, ""}
	noWeb    = &apiError{http.StatusNotFound, "The requested resource does not exist.", false, ""}
	notFound = reject(http.StatusNotFound, "The requested resource does not exist.")
	conflict = reject(http.StatusConflict, "resource already exists")
	// The name is another kind of entity's.
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

func setCORS(h http.Header) {
	h["Access-Control-Allow-Origin"] = corsOrigin
	h["Access-Control-Allow-Methods"] = corsMethods
	h["Access-Control-Allow-Headers"] = corsHeaders
}

// Shared among all answers: allocated once, never changed.
var (
	corsOrigin           = []string{"*"}
	corsMethods          = []string{"GET, DELETE, POST, PUT, HEAD"}
	corsMethodsElsewhere = []string{"OPTIONS, GET, POST"} // outside the API
	corsHeaders          = []string{"Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent"}
	jsonType             = []string{"application/json"}
)

// call is a request on its way.
type call struct {
	w         http.ResponseWriter
	r         *http.Request
	id        string
	namespace string // of the caller
	auth      string
	body      []byte
	values    url.Values
}

// query returns the query parameters.
func (c *call) query() url.Values {
	if c.values == nil {
		c.values = c.r.URL.Query()
	}
	return c.values
}

func (c *call) fail(e *apiError) {
	body, _ := marshal(map[string]string{"code": c.id, "error": e.message})
	h := c.w.Header()
	if e.allow != "" {
		h.Set("Allow", e.allow)
	}
	if e.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="OpenWhisk secure realm",charset=UTF-8`)
	}
	c.raw(e.status, e.cors, body)
}

func (c *call) answer(status int, v any) {
	body, err := marshal(v)
	if err != nil {
		c.fail(reject(http.StatusInternalServerError, "The server cannot say what it found."))
		return
	}
	c.raw(status, true, body)
}

func (c *call) raw(status int, cors bool, body []byte) {
	h := c.w.Header()
	if cors {
		setCORS(h)
	}
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		c.w.Write(body)
	}
}

func (c *call) text(status int, cors bool, body string) {
	h := c.w.Header()
	if cors {
		setCORS(h)
	}
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	c.w.WriteHeader(status)
	c.w.Write([]byte(body))
}

// flag reads a query parameter that is true or false.
func (c *call) flag(name string, otherwise bool) (bool, *apiError) {
	q := c.query()
	if !q.Has(name) {
		return otherwise, nil
	}
	switch v := q.Get(name); v {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	default:
		return false, badQuery(name, "'"+v+"' is not a valid Boolean value")
	}
}

// page reads limit and skip; collection is the word of the error messages.
func (c *call) page(collection string) (limit, skip int, err *apiError) {
	q := c.query()
	limit = 30
	if q.Has("limit") {
		v := q.Get("limit")
		n, e := strconv.Atoi(v)
		if e != nil {
			return 0, 0, badQuery("limit", "The value '"+v+"' is not an integer for "+collection+".")
		}
		if n < 0 || n > 200 {
			return 0, 0, badQuery("limit", "The value '"+v+"' is not in the range of 0 to 200 for "+collection+".")
		}
		if limit = n; n == 0 {
			limit = 200
		}
	}
	if q.Has("skip") {
		v := q.Get("skip")
		n, e := strconv.Atoi(v)
		if e != nil {
			return 0, 0, badQuery("skip", "The value '"+v+"' is not an integer for "+collection+".")
		}
		if n < 0 {
			return 0, 0, badQuery("skip", "The value '"+v+"' is not greater than or equal to 0 for "+collection+".")
		}
		skip = n
	}
	return limit, skip, nil
}

// list answers with a page of all, newest first, or with their number; show returns what is shown of each, and whether it is.
func list[T, U any](c *call, collection string, all []T, show func(T) (U, bool)) {
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
	page := []U{}
	for _, v := range rest[:min(limit, len(rest))] {
		if shown, ok := show(v); ok {
			page = append(page, shown)
		}
	}
	c.answer(http.StatusOK, page)
}

// marshal writes JSON without the escapes for HTML that OpenWhisk does not make either.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
