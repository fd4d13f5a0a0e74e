package whisk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
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
	if !plausibleID(id) {
		return Record{}, ErrImpossible
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
		return Record{}, ErrNotYet
	case errors.As(err, &e) && e.Status == http.StatusBadRequest:
		return Record{}, ErrImpossible
	case err != nil:
		return Record{}, err
	}
	return w.record(), nil
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
