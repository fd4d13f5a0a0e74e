package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// post sends a body to a handler and returns its answer.
func post(t *testing.T, h http.Handler, path, body string, header ...string) (status int, text string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, strings.TrimSpace(w.Body.String())
}

// taken returns a handler, and what it has passed on.
func taken() (http.Handler, *[]invocation) {
	var all []invocation
	h, _ := newHandler(func(_ string, i invocation, err error) error {
		all = append(all, i)
		return err
	})
	return h, &all
}

func TestArrivals(t *testing.T) {
	h, got := taken()
	for _, c := range []struct {
		path, body string
		header     []string
		status     int
		text       string
	}{
		{"/v1/arrivals", `{"trace": "a", "call": "1", "function": "main", "time": 1000.5}`, nil, 204, ""},
		{"/v1/arrivals", ` [{"trace": "a", "call": "2", "parent": "1", "function": "f1", "time": 1020},
			{"trace": "a", "call": "3", "parent": "1", "function": "f2", "time": 1035, "more": 1}]`, nil, 204, ""},
		{"/v1/arrivals", `[]`, nil, 204, ""},
		{"/v1/arrivals", `{"trace": "a", "call": "2", "function": "f1", "time": 1021}`, nil, 204, ""}, // known
		{"/v1/arrivals", `{"trace": "b", "call": "2", "function": "f1", "time": 10}`, nil, 204, ""},
		{"/v1/arrivals", `{"trace": "a", "call": "4", "function": "f3", "time": 1034}`, nil, 204, ""}, // overtaken
		{"/v1/arrivals", `{"trace": "a", "function": "f4", "time": 1}`, nil, 204, ""},                 // so late as to be a mistake
		{"/v1/arrivals", `{"trace": "a", "function": "f4", "time": 1050}`, nil, 204, ""},
		{"/v1/arrivals", `{"trace": "a", "function": "f4", "time": 1060}`, nil, 204, ""}, // without ids all are new

		{"/v1/arrivals", `hello`, nil, 400, "invalid character"},
		{"/v1/arrivals", `[{"trace": "c", "function": "f", "time": 1}, {"trace": "c", "time": 2}]`, nil, 400, "arrival 1: an arrival has trace, function and time"},
		{"/v1/arrivals", `null`, nil, 400, "arrival 0"},
		{"/v1/arrivals", `{"trace": "c", "function": "f", "time": "now"}`, nil, 400, "time"},
		{"/v1/arrivals", `{}`, []string{"Content-Type", "text/plain"}, 415, "must be JSON"},
		{"/v1/traces", "\x1f\x8b", []string{"Content-Encoding", "gzip"}, 415, "not compressed"},
		{"/v1/arrivals", `[` + strings.Repeat(" ", mostBytes) + `]`, nil, 413, "too large"},
		{"/v1/metrics", `{}`, nil, 404, ""},
	} {
		status, text := post(t, h, c.path, c.body, c.header...)
		if status != c.status || !strings.Contains(text, c.text) {
			t.Errorf("%s %.80s: %d %q, want %d %q", c.path, c.body, status, text, c.status, c.text)
		}
	}
	want := []invocation{
		{"a", "1", "", 1000.5, "main"}, {"a", "2", "1", 1020, "f1"}, {"a", "3", "1", 1035, "f2"}, {"b", "2", "", 10, "f1"}, {"a", "4", "", 1035, "f3"},
		{"a", "", "", 1, "f4"}, {"a", "", "", 1050, "f4"}, {"a", "", "", 1060, "f4"},
	}
	if !slices.Equal(*got, want) {
		t.Errorf("got\n%+v, want\n%+v", *got, want)
	}
}

// TestSpans checks that of all spans invoke and start are taken, and of a call the first of them.
func TestSpans(t *testing.T) {
	h, got := taken()
	one := func(name, call, function string, start, end int64) string {
		key := map[string]string{"invoke": "faas.invoked_name"}[name]
		if key == "" {
			key = "faas.name"
		}
		attributes := fmt.Sprintf(`{"key": %q, "value": {"stringValue": %q}}, {"key": "call", "value": {"intValue": "1"}}`, key, function)
		if call != "" {
			attributes += fmt.Sprintf(`, {"key": "call.id", "value": {"stringValue": %q}}`, call)
		}
		return fmt.Sprintf(`{"resourceSpans": [{"scopeSpans": [{"spans": [
			{"traceId": "af", "spanId": "01", "name": %q, "startTimeUnixNano": "%d", "endTimeUnixNano": "%d", "attributes": [%s]}]}]}]}`,
			name, start, end, attributes)
	}
	for _, body := range []string{
		`{}`,
		one("start", "", "main", 1_700_000_000_000_000_000, 1_700_000_000_000_000_000), // nobody has announced it
		one("invoke", "1", "f1", 1_700_000_000_100_250_000, 1_700_000_000_100_250_000),
		one("start", "1", "f1", 1_700_000_000_300_000_000, 1_700_000_000_300_000_000),
		one("start", "2", "f2", 1_700_000_000_310_000_000, 1_700_000_000_310_000_000), // it has overtaken its invoke
		// A span that cannot be read does not take the next one along.
		strings.Replace(one("invoke", "2", "f2", 1_700_000_000_305_000_000, 1_700_000_000_305_000_000), `{"traceId": "af"`,
			`{"traceId": "af", "name": "start", "startTimeUnixNano": "", "endTimeUnixNano": ""}, {"traceId": 5}, 7, {"traceId": "af"`, 1),
		one("f1", "1", "f1", 1_700_000_000_100_000_000, 1_700_000_000_400_000_000), // finished
		one("start", "3", "f3", 1_700_000_000_400_000_000, 1_700_000_000_500_000_000),
	} {
		if status, text := post(t, h, "/v1/traces", body); status != http.StatusOK || text != "{}" {
			t.Errorf("%s: %d %q", body, status, text)
		}
	}
	want := []invocation{
		{"af", "", "", 1_700_000_000_000, "main"}, {"af", "1", "", 1_700_000_000_100.25, "f1"}, {"af", "2", "", 1_700_000_000_310, "f2"},
	}
	if !slices.Equal(*got, want) {
		t.Errorf("got\n%+v, want\n%+v", *got, want)
	}
	for body, want := range map[string]string{
		`[]`: "cannot unmarshal array", `{"resourceSpans": [{"scopeSpans": [{"spans": 5}]}]}`: "cannot unmarshal number",
	} {
		if status, text := post(t, h, "/v1/traces", body); status != http.StatusBadRequest || !strings.Contains(text, want) {
			t.Errorf("%s: %d %q, want %q", body, status, text, want)
		}
	}
}

// TestUnusable checks that an invocation that cannot be used is left out alone, and that it does not change what is known of others.
func TestUnusable(t *testing.T) {
	var got, wrong []string
	h, _ := newHandler(func(_ string, i invocation, err error) error {
		if err != nil {
			wrong = append(wrong, err.Error())
		} else {
			got = append(got, i.Trace)
		}
		return nil
	})
	span := func(trace, times string) string {
		return fmt.Sprintf(`{"traceId": %q, "name": "start", %s "attributes": [{"key": "faas.name", "value": {"stringValue": "f"}}]}`, trace, times)
	}
	const second = `"startTimeUnixNano": "1000000000", "endTimeUnixNano": "1000000000",`
	spans := []string{
		span("a", ""), span("b", strings.ReplaceAll(second, "1000000000", "0.5")), span("c", strings.ReplaceAll(second, "1000000000", "18446744073709551615")),
		span("d", strings.ReplaceAll(second, "1000000000", "9000000000000000000")), span("good", second), span(strings.Repeat("e", mostText+1), second),
	}
	if status, text := post(t, h, "/v1/traces", `{"resourceSpans": [{"scopeSpans": [{"spans": [`+strings.Join(spans, ",")+`]}]}]}`); status != http.StatusOK {
		t.Errorf("%d %s", status, text)
	}
	if status, text := post(t, h, "/v1/arrivals", `[{"trace": "f", "function": "f", "time": 1e300}, {"trace": "too", "function": "f", "time": 1}]`); status != http.StatusNoContent {
		t.Errorf("%d %s", status, text)
	}
	if want := []string{"good", "too"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	all := strings.Join(wrong, "\n")
	if len(wrong) != 6 || strings.Count(all, "at no time") != 3 || strings.Count(all, "in the future") != 2 || strings.Count(all, "more than 256 bytes") != 1 {
		t.Errorf("left out:\n%s", all)
	}
}

// TestGone checks that what a sender sent that has gone since is left out, and its rest too.
func TestGone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var got []string
	h, _ := newHandler(func(_ string, i invocation, err error) error {
		if err != nil {
			got = append(got, err.Error())
		} else {
			got = append(got, i.Trace)
			cancel()
		}
		return nil
	})
	const list = `[{"trace": "a", "function": "f", "time": 1}, {"trace": "b", "function": "f", "time": 1}, {"trace": "c", "function": "f", "time": 1}]`
	for range 2 {
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/arrivals", strings.NewReader(list))
		r.Header.Set("Content-Type", "application/json")
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	if want := []string{"a", "2 invocations whose sender waits no longer", "3 invocations whose sender waits no longer"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestCallsAreForgotten checks that what is remembered of calls is bounded.
func TestCallsAreForgotten(t *testing.T) {
	c := newCalls()
	for n := range 5 * mostCalls {
		if !c.add(&invocation{Trace: "t", Call: fmt.Sprint(n), Time: float64(n)}) || len(c.younger)+len(c.older) > 2*mostCalls+4 {
			t.Fatalf("call %d: %d and %d are remembered", n, len(c.younger), len(c.older))
		}
	}
	if c.add(&invocation{Trace: "t", Call: fmt.Sprint(5*mostCalls - 1)}) {
		t.Error("the last call counts as new")
	}
}

// TestListen checks that arrivals are followed as lines of standard input are, and that the program ends with its context.
func TestListen(t *testing.T) {
	file := model(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	said, stderr := io.Pipe()
	printed, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- follow(ctx, []string{file, "-listen", "127.0.0.1:0", "-json"}, nil, stdout, stderr) }()
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, said)
	address := strings.TrimSpace(strings.TrimPrefix(line, "live: listening on "))
	body := `{"trace": "a", "call": "7", "time": 5, "function": "tree_small-dev-main"}`
	answered := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/v1/arrivals", strings.NewReader(body))
		if err == nil {
			r.Header.Set("Content-Type", "application/json")
			var answer *http.Response
			if answer, err = http.DefaultClient.Do(r); err == nil {
				answer.Body.Close()
			}
		}
		answered <- err
	}()
	var got struct {
		invocation
		Needs []need
	}
	if err := json.NewDecoder(printed).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if (got.invocation != invocation{"a", "7", "", 5, "tree_small-dev-main"}) || len(got.Needs) == 0 {
		t.Errorf("got %+v", got)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("%v after an interrupt", err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestListenEndsWithItsOutput checks that the program ends when nobody reads what it prints.
func TestListenEndsWithItsOutput(t *testing.T) {
	broken := errors.New("broken pipe")
	said, stderr := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- listen(t.Context(), "127.0.0.1:0", stderr, func(string, invocation, error) error { return broken })
	}()
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimSpace(strings.TrimPrefix(line, "live: listening on "))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/v1/arrivals", strings.NewReader(`{"trace": "a", "time": 5, "function": "f"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err == nil {
		answer.Body.Close()
	}
	if err := <-ended; !errors.Is(err, broken) {
		t.Errorf("%v, want %v", err, broken)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := listen(t.Context(), "256.0.0.1:0", io.Discard, nil); err == nil {
		t.Error("it listens at an address that is none")
	}
}

// FuzzBodies checks that no body makes the program panic, and that what it takes has a function and a finite time.
func FuzzBodies(f *testing.F) {
	f.Add([]byte(`{"trace": "a", "call": "1", "function": "main", "time": 1000.5}`))
	f.Add([]byte(`[{"trace": "a"}, null]`))
	f.Add([]byte(`{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "start", "startTimeUnixNano": 1, "endTimeUnixNano": "1"}]}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if arrivals, err := parseArrivals(body); err == nil {
			for _, i := range arrivals {
				if i.Trace == "" || i.Function == "" || !(i.Time > 0) || math.IsInf(i.Time, 0) {
					t.Errorf("%+v", i)
				}
			}
		}
		if _, err := parseSpans(body); err != nil && strings.Contains(err.Error(), "\n") {
			t.Error(err)
		}
	})
}
