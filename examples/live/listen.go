package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"
)

// mostBytes bounds the body of a request. A collector takes messages of 20 MB, and passes them on as JSON, which is some three times as large.
const mostBytes = 64 << 20

// listen takes announcements over HTTP, and passes each on as it comes, until the program is interrupted:
//
//	POST /v1/arrivals  {"trace", "call", "parent", "function", "time" (ms)}, one or a list
//	POST /v1/traces    spans over OTLP as JSON, as a collector's exporter otlp_http sends them with encoding: json
func listen(ctx context.Context, address string, stderr io.Writer, use user) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	handler, failed := newHandler(use)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	fmt.Fprintf(stderr, "live: listening on http://%s\n", l.Addr())
	select {
	case err = <-failed: // the output cannot be written
	case err = <-ended:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if server.Shutdown(last) != nil {
		server.Close()
	}
	<-ended
	return err
}

// newHandler returns a handler of announcements. What use returns ends up in failed.
func newHandler(use user) (handler http.Handler, failed <-chan error) {
	failures := make(chan error, 1)
	var mu sync.Mutex // of use and calls
	calls := newCalls()
	take := func(parse func([]byte) ([]invocation, error), done func(http.ResponseWriter)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
			if kind != "application/json" || r.Header.Get("Content-Encoding") != "" {
				http.Error(w, "the body must be JSON, with Content-Type: application/json, and not compressed", http.StatusUnsupportedMediaType)
				return
			}
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBytes))
			var tooLarge *http.MaxBytesError
			if errors.As(err, &tooLarge) {
				http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
				return
			}
			var invocations []invocation
			if err == nil {
				invocations, err = parse(body)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for n, i := range invocations {
				err, gone := i.check(time.Now()), r.Context().Err() != nil
				if gone { // a predictor that worked off what is old would tell of the present ever later
					err = fmt.Errorf("%d invocations whose sender waits no longer", len(invocations)-n)
				} else if err == nil && !calls.add(&i) {
					continue
				}
				if err := use("POST "+r.URL.Path, i, err); err != nil {
					select {
					case failures <- err:
					default:
					}
					http.Error(w, "it is about to end", http.StatusServiceUnavailable)
					return
				}
				if gone {
					return
				}
			}
			done(w)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/arrivals", take(parseArrivals, func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }))
	mux.HandleFunc("POST /v1/traces", take(parseSpans, func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintln(w, "{}")
	}))
	return mux, failures
}

// Bounds of an invocation.
const (
	mostAhead = time.Minute // its time: that of any trace lets those end that were silent until then
	mostText  = 256         // the ids, which are remembered
)

// check returns an error for an invocation that would do harm to the forecasts of others.
func (i *invocation) check(now time.Time) error {
	switch {
	case !(i.Time > 0):
		return fmt.Errorf("%s was invoked at no time", i.Function)
	case i.Time > float64(now.Add(mostAhead).UnixMilli()):
		return fmt.Errorf("%s was invoked at %g, which is in the future", i.Function, i.Time)
	case len(i.Trace) > mostText || len(i.Call) > mostText:
		return fmt.Errorf("%s was invoked in a trace or by a call whose id has more than %d bytes", i.Function, mostText)
	}
	return nil
}

// parseArrivals reads one arrival or a list.
func parseArrivals(body []byte) (arrivals []invocation, err error) {
	if strings.HasPrefix(strings.TrimSpace(string(body)), "[") {
		err = json.Unmarshal(body, &arrivals)
	} else {
		arrivals = make([]invocation, 1)
		err = json.Unmarshal(body, &arrivals[0])
	}
	if err != nil {
		return nil, err
	}
	for n, i := range arrivals {
		if i.Trace == "" || i.Function == "" || !(i.Time > 0) {
			return nil, fmt.Errorf("arrival %d: an arrival has trace, function and time (ms since 1970)", n)
		}
	}
	return arrivals, nil
}

// message is what is read of spans in OTLP.
type message struct {
	ResourceSpans []struct {
		ScopeSpans []struct {
			Spans []json.RawMessage `json:"spans"` // each a span
		} `json:"scopeSpans"`
	} `json:"resourceSpans"`
}

type span struct {
	TraceID    string      `json:"traceId"`
	Name       string      `json:"name"`
	Start      json.Number `json:"startTimeUnixNano"`
	End        json.Number `json:"endTimeUnixNano"`
	Attributes []struct {
		Key   string `json:"key"`
		Value struct {
			Text string `json:"stringValue"`
		} `json:"value"`
	} `json:"attributes"`
}

// parseSpans returns the arrivals that spans announce: invoke, the caller's announcement, and start, the callee's, for functions whose caller
// announces nothing. All other spans are left out, and those that cannot be read: they must not take the others of their message along. A span
// whose time cannot be read has none.
func parseSpans(body []byte) (arrivals []invocation, err error) {
	var m message
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, err
	}
	for _, rs := range m.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			for _, text := range ss.Spans {
				var s span
				if err := json.Unmarshal(text, &s); err != nil {
					continue
				}
				function := map[string]string{"invoke": "faas.invoked_name", "start": "faas.name"}[s.Name]
				if function == "" || s.Start != s.End {
					continue
				}
				nanoseconds, err := s.Start.Int64()
				if err != nil {
					nanoseconds = 0
				}
				arrivals = append(arrivals, invocation{
					Trace: s.TraceID, Call: s.text("call.id"), Function: s.text(function),
					Time: float64(nanoseconds/1e6) + float64(nanoseconds%1e6)/1e6, // the nanoseconds themselves have too many digits
				})
			}
		}
	}
	return arrivals, nil
}

// text returns an attribute, "" if there is none.
func (s span) text(key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.Text
		}
	}
	return ""
}

// calls remembers which calls are known, because one call is announced by its caller and by its callee, and when each trace had its last
// arrival. Of two generations the older one is forgotten when the younger one is full.
type calls struct {
	younger, older map[call]float64 // time of arrival, ms
}

// call is a call of a trace; without an id it stands for the last one.
type call struct{ trace, id string }

// mostCalls bounds a generation.
const mostCalls = 100_000

// mostDelay is how much earlier an arrival may be than one that was announced before it, in ms. Announcements of several functions overtake each
// other on their way.
const mostDelay = 1000

func newCalls() *calls { return &calls{younger: map[call]float64{}} }

// add reports whether an arrival is new, and sets it to the time of the last one of its trace if it is announced a little too late.
func (c *calls) add(i *invocation) bool {
	if _, known := c.at(call{i.Trace, i.Call}); known && i.Call != "" {
		return false
	}
	last, _ := c.at(call{trace: i.Trace})
	if i.Time < last && last-i.Time <= mostDelay {
		i.Time = last
	}
	if len(c.younger) >= mostCalls {
		c.younger, c.older = map[call]float64{}, c.younger
	}
	c.younger[call{i.Trace, i.Call}] = i.Time
	c.younger[call{trace: i.Trace}] = max(last, i.Time)
	return true
}

func (c *calls) at(of call) (time float64, known bool) {
	if time, known = c.younger[of]; !known {
		time, known = c.older[of]
	}
	return time, known
}
