package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk/sprayjson"
)

// limits are the limits of an action; Timeout is in milliseconds, Memory and Logs in MB.
type limits struct {
	Concurrency int  `json:"concurrency"`
	Instances   *int `json:"instances,omitempty"` // kept and returned only
	Logs        int  `json:"logs"`
	Memory      int  `json:"memory"`
	Timeout     int  `json:"timeout"`
}

func (l limits) timeout() time.Duration { return time.Duration(l.Timeout) * time.Millisecond }

// parse sets the limits that are in a request. A number too large for 32 bits loses its higher bits, as in OpenWhisk.
func (l *limits) parse(raw json.RawMessage) *apiError {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return malformed("Object expected in field 'timeout'")
	}
	var instances int
	for _, f := range []struct {
		name, what string
		isSize     bool
		to         *int
	}{
		{"timeout", "time", false, &l.Timeout}, {"memory", "memory", true, &l.Memory}, {"logs", "log", true, &l.Logs},
		{"concurrency", "concurrency", false, &l.Concurrency}, {"instances", "instance concurrency", false, &instances},
	} {
		field := m[f.name]
		if field == nil || string(field) == "null" {
			continue
		}
		var number json.Number
		if field[0] == '"' || json.Unmarshal(field, &number) != nil {
			return malformed(f.what + " limit malformed")
		}
		n, whole := sprayjson.Int32(number.String())
		switch {
		case !whole:
			return malformed("requirement failed: " + f.what + " limit must be whole number")
		case n < 0 && f.isSize:
			return malformed("requirement failed: a negative size of an object is not allowed.")
		}
		if *f.to = int(n); f.to == &instances {
			l.Instances = &instances
		}
	}
	return nil
}

// check returns an error if a limit is out of bounds.
func (l *limits) check(bounds Limits) *apiError {
	check := func(what string, value int, unit string, least, most int) *apiError {
		if unit != "" {
			unit = " " + unit
		}
		if value < least {
			return reject(http.StatusBadRequest, fmt.Sprintf("requirement failed: %s %d%s below allowed threshold of %d%s", what, value, unit, least, unit))
		}
		if value > most {
			return reject(http.StatusBadRequest, fmt.Sprintf("requirement failed: %s %d%s exceeds allowed threshold of %d%s", what, value, unit, most, unit))
		}
		return nil
	}
	for _, err := range []*apiError{
		check("duration", l.Timeout, "milliseconds", int(bounds.MinTimeout.Milliseconds()), int(bounds.MaxTimeout.Milliseconds())),
		check("memory size", l.Memory, "MB", bounds.MinMemoryMB, bounds.MaxMemoryMB),
		check("log size", l.Logs, "MB", 0, maxLogs),
		check("concurrency", l.Concurrency, "", 1, 1),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}
