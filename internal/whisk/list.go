package whisk

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// MaxList is the most records that OpenWhisk lists at once.
const MaxList = 200

// ListOptions says which records are listed. The latest are first, by their start.
type ListOptions struct {
	// Since is the earliest start; zero for any.
	Since time.Time
	// Limit is how many are listed at most, from 1 to MaxList, and Skip how many of the latest are not.
	Limit, Skip int
	// Docs lists whole records, with logs and results. Without it they have no Error, and nothing tells warm-ups apart.
	Docs bool
}

// Listed is a record in a list.
type Listed struct {
	Record
	ID string
	// Name is the name of the action or trigger; Path has namespace and package before it, and is empty if the record does not say it.
	Name, Path, Version string
	// Kind is that of the action, such as nodejs:20, or sequence; empty for a trigger.
	Kind string
	// Cause is the id of the activation of the sequence or composition that this one is a part of.
	Cause string
	// HasWait reports whether the record says how long the invocation waited.
	HasWait bool
	// Failed reports whether the run failed.
	Failed bool
	// Prewarmed reports whether it was a warm-up: its result is an object with the key prewarmed.
	Prewarmed bool
}

// ListActivations lists records, without those that are malformed, which it counts.
func (c *Client) ListActivations(ctx context.Context, o ListOptions) (records []Listed, malformed int, err error) {
	query := url.Values{"limit": {strconv.Itoa(o.Limit)}, "skip": {strconv.Itoa(o.Skip)}, "docs": {strconv.FormatBool(o.Docs)}}
	if !o.Since.IsZero() {
		query.Set("since", strconv.FormatInt(o.Since.UnixMilli(), 10))
	}
	var some []json.RawMessage
	err = c.do(ctx, Request{
		Method: http.MethodGet, Path: namespace + string(Activations), Query: query,
		Check: func() error {
			if len(some) > o.Limit {
				return errors.New("more records than were asked for")
			}
			return nil
		},
	}, &some)
	if err != nil {
		return nil, 0, err
	}
	for _, text := range some {
		if r, ok := parseListed(text); ok {
			records = append(records, r)
		} else {
			malformed++
		}
	}
	return records, malformed, nil
}

// parseListed reads a record of a list, and reports whether it is one.
func parseListed(text json.RawMessage) (Listed, bool) {
	var w struct {
		wireRecord
		Name       string `json:"name"`
		Version    string `json:"version"`
		Cause      string `json:"cause"`
		StatusCode int    `json:"statusCode"` // without docs
	}
	if json.Unmarshal(text, &w) != nil || !plausibleID(w.ActivationID) || w.Start <= 0 || w.Name == "" {
		return Listed{}, false
	}
	r := Listed{Record: w.record(), ID: w.ActivationID, Name: w.Name, Version: w.Version, Cause: w.Cause}
	r.Failed = r.Error != "" || w.StatusCode != 0
	if !plausibleID(r.Cause) {
		r.Cause = ""
	}
	for _, a := range w.Annotations {
		switch a.Key {
		case "waitTime":
			if _, ok := parseMilliseconds(a.Value); ok {
				r.HasWait = true
			}
		case "path":
			_ = json.Unmarshal(a.Value, &r.Path)
		case "kind":
			_ = json.Unmarshal(a.Value, &r.Kind)
		}
	}
	r.Prewarmed = isWarmUp(w.Response.Result)
	return r, true
}

// isWarmUp reports whether a result is the answer to a warm-up.
func isWarmUp(result json.RawMessage) bool {
	if !strings.Contains(string(result), `"prewarmed"`) {
		return false
	}
	var object struct {
		Prewarmed json.RawMessage `json:"prewarmed"`
	}
	return json.Unmarshal(result, &object) == nil && string(object.Prewarmed) == "true"
}
