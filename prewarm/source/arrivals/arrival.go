package arrivals

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/prewarm/source"
)

// arrival is an announcement as it is sent.
type arrival struct {
	Event    string  `json:"event"`
	Trace    string  `json:"trace"`
	Call     string  `json:"call"`
	Parent   string  `json:"parent"`
	Function string  `json:"function"`
	Version  string  `json:"version"`
	Time     float64 `json:"time"` // ms since 1970
	Failed   bool    `json:"failed"`
}

// lastTime is the latest time that a time.Duration since 1970 can express, in ms; what is later is none.
const lastTime = math.MaxInt64 / 1e6

// kinds are the values of "event".
var kinds = map[string]source.Kind{"": source.Invoked, "arrival": source.Invoked, "start": source.Started, "end": source.Ended}

// parse reads an announcement or a list of them. The error says which one of a list is wrong, counted from 0; then none is taken.
func parse(text []byte, clock string) ([]source.Observation, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	var observations []source.Observation
	add := func(name string) error {
		var a arrival
		if err := d.Decode(&a); err != nil {
			return fmt.Errorf("%s: %w", name, plain(err))
		}
		o, err := a.observation(clock)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		observations = append(observations, o)
		return nil
	}
	switch begin := bytes.TrimLeft(text, " \t\r\n"); {
	case len(begin) > 0 && begin[0] == '[':
		if _, err := d.Token(); err != nil {
			return nil, plain(err)
		}
		for n := 0; d.More(); n++ {
			if err := add(fmt.Sprintf("arrival %d", n)); err != nil {
				return nil, err
			}
		}
		if _, err := d.Token(); err != nil {
			return nil, fmt.Errorf("the list of arrivals: %w", plain(err))
		}
	case len(begin) > 0 && begin[0] == '{':
		if err := add("the arrival"); err != nil {
			return nil, err
		}
	default:
		return nil, errors.New("an object is due, or a list of objects")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is more behind the end")
	}
	return observations, nil
}

// plain returns an error of package json in words of the format.
func plain(err error) error {
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Errorf("%s cannot be a JSON %s", kind.Field, kind.Value)
	case errors.As(err, &kind):
		return fmt.Errorf("an object is due, not a JSON %s", kind.Value)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the text ends within it")
	}
	return err
}

// observation returns what an announcement says.
func (a *arrival) observation(clock string) (source.Observation, error) {
	kind, known := kinds[a.Event]
	o := source.Observation{
		Kind: kind, Function: source.FunctionName(a.Function), Version: a.Version, Trace: traceID(a.Trace), Call: a.Call, ParentCall: a.Parent, Clock: clock,
		Wait: -1, Init: -1, Failed: a.Failed,
	}
	switch {
	case !known:
		return o, fmt.Errorf("event is %.40q, it must be arrival, start or end", a.Event)
	case o.Function == "":
		return o, errors.New("function is missing")
	case a.Trace == "":
		return o, errors.New("trace is missing")
	case a.Call == "" && kind != source.Invoked:
		return o, errors.New("call is missing: without it nobody knows what has begun or ended")
	case a.Failed && kind != source.Ended:
		return o, errors.New("failed is said of the end alone")
	case a.Call != "" && a.Call == a.Parent:
		return o, errors.New("call and parent are the same")
	case !(a.Time >= float64(source.FirstTime.UnixMilli()) && a.Time < lastTime):
		return o, fmt.Errorf("time is %g, which are no milliseconds since 1970", a.Time)
	}
	for _, t := range [...]struct{ name, text string }{
		{"function", a.Function}, {"trace", a.Trace}, {"call", a.Call}, {"parent", a.Parent}, {"version", a.Version},
	} {
		if len(t.text) > source.MaxText {
			return o, fmt.Errorf("%s has more than %d bytes", t.name, source.MaxText)
		}
	}
	whole, rest := math.Modf(a.Time) // the whole milliseconds apart, so that none is lost
	o.Time = time.UnixMilli(int64(whole)).Add(time.Duration(rest * float64(time.Millisecond)))
	return o, nil
}

// traceID returns the id of a trace as spans have it, if it is such an id: with 32 digits, small letters.
func traceID(id string) string {
	if len(id) != 16 && len(id) != 32 {
		return id
	}
	for _, c := range []byte(id) {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return id
		}
	}
	return strings.Repeat("0", 32-len(id)) + strings.ToLower(id)
}
