package whisk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

var (
	// ErrNotYet reports that there is no record of an activation, yet: it becomes readable some time after the activation's end.
	ErrNotYet = errors.New("there is no record yet")
	// ErrImpossible reports that an id cannot be that of an activation.
	ErrImpossible = errors.New("no activation can have this id")
)

// Record is what OpenWhisk knows of an activation.
type Record struct {
	// Start is the start of /init of a cold container, else of the run; End is zero if the record has none.
	Start, End time.Time
	// Wait is the time from the arrival of the invocation until Start.
	Wait time.Duration
	// Init is the duration of /init. Cold reports whether there was one.
	Init time.Duration
	Cold bool
	// Error says how the activation failed ("application error: …"); it is empty if it succeeded.
	Error string
}

// Activation returns the record of the activation with the id. The error is ErrNotYet where there is none, ErrImpossible where there
// never will be one, or an *Error.
func (c *Client) Activation(ctx context.Context, id string) (Record, error) {
	w, err := c.activation(ctx, id)
	if err != nil {
		return Record{}, err
	}
	return w.record(), nil
}

// Outcome is what has become of an invocation whose end was waited for.
type Outcome struct {
	ActivationID string
	// Ended says that the activation has ended in time. Without it there is no more than the id.
	Ended bool
	Record
	// Result is what the function has returned, a JSON document; nil if there is none.
	Result json.RawMessage
}

// InvokeBlocking invokes an action, NAME or PACKAGE/NAME, with a payload that is written as a JSON object, and waits for the end of the
// activation, at most as long as said, in whole milliseconds: OpenWhisk allows a minute. A function that fails is no error, see Record.Error.
func (c *Client) InvokeBlocking(ctx context.Context, action string, payload any, wait time.Duration) (Outcome, error) {
	r, err := c.about(http.MethodPost, actions, action)
	if err != nil {
		return Outcome{}, err
	}
	var w wireRecord
	r.Query = url.Values{"blocking": {"true"}, "timeout": {strconv.FormatInt(max(wait.Milliseconds(), 1), 10)}}
	r.Body = payload
	// 502 where the function has failed, 500 where OpenWhisk has.
	r.Failures = []int{http.StatusInternalServerError, http.StatusBadGateway}
	r.Check = func() error {
		if w.ActivationID == "" {
			return errors.New("it names no activation")
		}
		return nil
	}
	if err := c.do(ctx, r, &w); err != nil {
		return Outcome{}, err
	}
	return w.outcome(), nil
}

// Outcome returns what has become of the activation with the id. The error is as that of Activation.
func (c *Client) Outcome(ctx context.Context, id string) (Outcome, error) {
	w, err := c.activation(ctx, id)
	if err != nil {
		return Outcome{ActivationID: id}, err
	}
	return w.outcome(), nil
}

// activation returns the record of an activation as OpenWhisk sends it.
func (c *Client) activation(ctx context.Context, id string) (*wireRecord, error) {
	if !plausibleID(id) {
		return nil, ErrImpossible
	}
	var w wireRecord
	err := c.do(ctx, Request{
		Method: http.MethodGet, Path: namespace + string(Activations) + "/" + id,
		Check: func() error {
			if w.ActivationID != id || w.Start <= 0 {
				return errors.New("this is no record of activation " + id)
			}
			return nil
		},
	}, &w)
	var e *Error
	switch {
	case errors.As(err, &e) && e.Kind == NotFound:
		return nil, ErrNotYet
	case errors.As(err, &e) && e.Status == http.StatusBadRequest && e.inJSON:
		// Others say 400 to any request, a server of HTTPS to HTTP, for example.
		return nil, ErrImpossible
	case err != nil:
		return nil, err
	}
	return &w, nil
}

// plausibleID reports whether an id can stand in a path. OpenWhisk decides what exactly an id is.
func plausibleID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for _, r := range id {
		if !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_') {
			return false
		}
	}
	return true
}

// wireRecord is a record as OpenWhisk sends it, without what nobody needs: among it logs, which may be megabytes.
type wireRecord struct {
	ActivationID string `json:"activationId"`
	Start        int64  `json:"start"` // ms since 1970
	End          int64  `json:"end"`   // ms since 1970, 0 or missing if there is none
	Annotations  []struct {
		Key   string          `json:"key"`
		Value json.RawMessage `json:"value"`
	} `json:"annotations"`
	Response struct {
		Status  string          `json:"status"`
		Success bool            `json:"success"`
		Result  json.RawMessage `json:"result"`
	} `json:"response"`
}

// outcome returns what the record says, or the answer to an invocation that has not ended in time, which has the id only.
func (w *wireRecord) outcome() Outcome {
	if w.Start <= 0 {
		return Outcome{ActivationID: w.ActivationID}
	}
	return Outcome{ActivationID: w.ActivationID, Ended: true, Record: w.record(), Result: w.Response.Result}
}

// record returns what the record says.
func (w *wireRecord) record() Record {
	r := Record{Start: time.UnixMilli(w.Start)}
	if w.End > 0 {
		r.End = time.UnixMilli(w.End)
	}
	waited, initialised := false, false // the first of each counts
	for _, a := range w.Annotations {
		switch {
		case a.Key == "waitTime" && !waited:
			waited = true
			r.Wait, _ = parseMilliseconds(a.Value)
		case a.Key == "initTime" && !initialised:
			initialised = true
			r.Init, r.Cold = parseMilliseconds(a.Value)
		}
	}
	if status := w.Response.Status; !w.Response.Success && status != "success" && status != "" {
		r.Error = shorten(status, 256)
		if text := resultError(w.Response.Result); text != "" {
			r.Error += ": " + shorten(text, 256)
		}
	}
	return r
}

// resultError returns what a result {"error": …} says: a text, or any other value as JSON.
func resultError(result json.RawMessage) string {
	var object struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(result, &object) != nil || len(object.Error) == 0 || string(object.Error) == "null" {
		return ""
	}
	var text string
	if json.Unmarshal(object.Error, &text) == nil {
		return text
	}
	var compact bytes.Buffer
	if json.Compact(&compact, object.Error) != nil {
		return ""
	}
	return compact.String()
}

// parseMilliseconds reads a JSON number of milliseconds, with or without a fraction. A negative one, and one of more than a year, is
// no time.
func parseMilliseconds(text json.RawMessage) (time.Duration, bool) {
	const year = 365 * 24 * 3600 * 1000
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(v >= 0 && v <= year) {
		return 0, false
	}
	return time.Duration(v * float64(time.Millisecond)), true
}
