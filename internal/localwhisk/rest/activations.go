package rest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
)

// record is the record of an activation, which is never changed.
type record struct {
	ID          string          `json:"activationId"`
	Annotations json.RawMessage `json:"annotations"`
	Cause       string          `json:"cause,omitempty"`
	Duration    *int64          `json:"duration,omitempty"`
	End         *int64          `json:"end,omitempty"`
	Logs        []string        `json:"logs"`
	Name        string          `json:"name"`
	Namespace   string          `json:"namespace"`
	Publish     bool            `json:"publish"`
	Response    response        `json:"response"`
	Start       int64           `json:"start"`
	Subject     string          `json:"subject"`
	Version     string          `json:"version"`

	path     string
	kind     container.OutcomeKind
	memory   int       // of the action in MB, or of a sequence's largest component
	received time.Time // orders records that started in the same millisecond
}

type response struct {
	Result  json.RawMessage `json:"result,omitempty"`
	Size    *int            `json:"size,omitempty"`
	Status  string          `json:"status"`
	Success bool            `json:"success"`
}

func newResponse(o *container.Outcome) response {
	r := response{Result: o.Result, Status: o.Kind.String(), Success: o.Kind == container.Success}
	if o.HasBody {
		size := o.Size
		r.Size = &size
	}
	return r
}

type recordSummary struct {
	StatusCode  int             `json:"statusCode"`
	Duration    *int64          `json:"duration,omitempty"`
	Name        string          `json:"name"`
	ID          string          `json:"activationId"`
	Cause       string          `json:"cause,omitempty"`
	End         *int64          `json:"end,omitempty"`
	Start       int64           `json:"start"`
	Namespace   string          `json:"namespace"`
	Publish     bool            `json:"publish"`
	Annotations json.RawMessage `json:"annotations"`
	Version     string          `json:"version"`
}

// named reports whether a path, namespace/name or namespace/package/name, has the given name or package/name.
func named(path, name string) bool {
	_, path, _ = strings.Cut(path, "/")
	return path == name
}

func (r *record) summary() recordSummary {
	s := recordSummary{int(r.kind), r.Duration, r.Name, r.ID, r.Cause, r.End, r.Start, r.Namespace, r.Publish, r.Annotations, r.Version}
	if r.End != nil {
		d := *r.End - r.Start
		s.Duration = &d
	}
	return s
}

// bytes returns about how much memory the record takes.
func (r *record) bytes() int {
	n := 512 + len(r.Annotations) + len(r.Response.Result)
	for _, l := range r.Logs {
		n += 16 + len(l)
	}
	return n
}

// listActivations serves GET …/activations.
func (s *Server) listActivations(c *call, namespace string) {
	q := c.query()
	since, upto := int64(0), int64(1)<<62
	for _, p := range []struct {
		name string
		to   *int64
	}{{"since", &since}, {"upto", &upto}} {
		if !q.Has(p.name) {
			continue
		}
		n, err := strconv.ParseInt(q.Get(p.name), 10, 64)
		if err != nil {
			c.fail(badQuery(p.name, "Parameter is not a valid value for epoch seconds: "+q.Get(p.name)))
			return
		}
		*p.to = n
	}
	name := q.Get("name")
	if q.Has("name") {
		segments := strings.Split(name, "/")
		ok := len(segments) <= 2
		for _, s := range segments {
			ok = ok && checkName(s) == nil
		}
		if !ok {
			c.fail(badQuery("name", "Parameter may be a 'simple' name or 'package-name/simple' name: "+name))
			return
		}
	}
	docs, err := c.flag("docs", false)
	if err != nil {
		c.fail(err)
		return
	}
	if count, err := c.flag("count", false); err == nil && count && docs {
		c.fail(reject(http.StatusBadRequest, "The parameter 'docs' is not permitted with 'count'."))
		return
	}
	found := s.activations.find(func(r *indexed) bool {
		return r.of.namespace == namespace && r.start >= since && r.start <= upto && (name == "" || named(r.of.path, name))
	})
	list(c, "activations", found, func(n uint64) (any, bool) {
		r := s.activations.getNumber(n)
		switch {
		case r == nil: // removed since
			return nil, false
		case docs:
			return r, true
		}
		return r.summary(), true
	})
}

// checkActivationID returns an error for what is no activation id.
func checkActivationID(id string) *apiError {
	switch {
	case len(id) != 32:
		return badRequest("Activation id length is " + strconv.Itoa(len(id)) + " but must be 32.")
	case strings.Trim(id, "0123456789abcdef") != "":
		return badRequest("The activation id is not valid.")
	}
	return nil
}

// getActivation serves GET …/activations/ID, and /logs and /result below it.
func (s *Server) getActivation(c *call, namespace, id, part string) {
	r := s.activations.get(namespace, id)
	switch {
	case r == nil:
		c.fail(notFound)
	case part == "":
		c.answer(http.StatusOK, r)
	case part == "logs":
		c.answer(http.StatusOK, map[string][]string{"logs": r.Logs})
	case part == "result":
		c.answer(http.StatusOK, r.Response)
	}
}

// logLines formats log lines as OpenWhisk stores them.
func logLines(lines []container.Line) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		stamp := l.Time.UTC().Format(time.RFC3339Nano)
		out[i] = stamp + strings.Repeat(" ", max(30-len(stamp), 0)) + " " + l.Stream + ": " + l.Text
	}
	return out
}
