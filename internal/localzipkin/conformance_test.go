package localzipkin_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/internal/localzipkin"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(int) { http.DefaultClient.CloseIdleConnections() }))
}

// TestConformance checks that this server answers requests as TestIntegrationConformance checks that a real one does.
func TestConformance(t *testing.T) {
	server, err := localzipkin.Start(t.Context(), localzipkin.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	conform(t, server.URL())
}

// TestForeignPages checks that a web page of another server can add no spans, which needs no permission of the browser's if they are called text.
func TestForeignPages(t *testing.T) {
	server, err := localzipkin.Start(t.Context(), localzipkin.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	for header, want := range map[string]int{
		"": 202, "Origin: https://evil.example": 403, "Origin: null": 403, "Sec-Fetch-Site: cross-site": 403, "Origin: " + server.URL(): 202,
	} {
		headers := []string{"Content-Type", "text/plain"}
		if name, value, ok := strings.Cut(header, ": "); ok {
			headers = append(headers, name, value)
		}
		status, _ := post(t, server.URL(), []byte("[]"), headers...)
		require.Equal(t, want, status, header)
	}
}

// now is the time of the traces, which the lookback of a query must reach.
var now = time.Now().Truncate(time.Millisecond)

// span is a span as JSON, without empty fields.
type span map[string]any

func newSpan(trace string, id int, name string, at time.Duration, fields ...any) span {
	s := span{
		"traceId": trace, "id": fmt.Sprintf("%016x", id), "name": name, "timestamp": now.Add(at).UnixMicro(), "duration": 1000,
		"localEndpoint": map[string]any{"serviceName": "shop"},
	}
	for i := 0; i < len(fields); i += 2 {
		s[fields[i].(string)] = fields[i+1]
	}
	return s
}

func tags(pairs ...string) map[string]any {
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

func post(t *testing.T, base string, body []byte, header ...string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/api/v2/spans", bytes.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	return do(t, request)
}

func do(t *testing.T, request *http.Request) (int, string) {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text)
}

func get(t *testing.T, base, path string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
	require.NoError(t, err)
	return do(t, request)
}

func mustPost(t *testing.T, base string, spans ...span) {
	t.Helper()
	text, err := json.Marshal(spans)
	require.NoError(t, err)
	status, body := post(t, base, text)
	require.Equal(t, http.StatusAccepted, status, body)
}

// find returns the first digits of the ids of the traces that a query finds, in the order of the answer.
func find(t *testing.T, base string, query string) []string {
	t.Helper()
	status, body := get(t, base, "/api/v2/traces?"+query)
	require.Equal(t, http.StatusOK, status, body)
	var traces [][]struct {
		TraceID string `json:"traceId"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &traces), body)
	ids := []string{}
	for _, trace := range traces {
		ids = append(ids, trace[0].TraceID[:1])
	}
	return ids
}

func traceID(letter string) string { return strings.Repeat(letter, 32) }

func conform(t *testing.T, base string) {
	a, b, c := traceID("a"), traceID("b"), traceID("c")
	mustPost(t, base,
		newSpan(a, 1, "main", -3*time.Hour, "tags", tags("activationId", "11", "cold", "true"), "kind", "SERVER"),
		newSpan(a, 2, "Pay", -3*time.Hour+time.Second, "parentId", "0000000000000001", "duration", 5_000_000,
			"localEndpoint", map[string]any{"serviceName": "Bank"}, "remoteEndpoint", map[string]any{"serviceName": "vault"},
			"tags", tags("activationId", "12", "cold", "false"), "annotations", []any{map[string]any{"timestamp": now.UnixMicro(), "value": "paid"}}),
	)
	mustPost(t, base, newSpan(b, 3, "main", -2*time.Hour, "tags", tags("activationId", "21", "cold", "false")))
	mustPost(t, base, newSpan(c, 4, "main", -1*time.Hour, "tags", tags("activationId", "31", "cold", "true", "note", "a b")))
	// A real server indexes spans asynchronously.
	require.Eventually(t, func() bool { return len(find(t, base, "")) == 3 }, time.Minute, 10*time.Millisecond)

	quote := url.QueryEscape
	end := func(ago time.Duration) string { return fmt.Sprint(now.Add(-ago).UnixMilli()) }
	for query, want := range map[string][]string{
		"":        {"c", "b", "a"},
		"limit=2": {"c", "b"},
		"annotationQuery=" + quote("activationId=12"):                             {"a"},
		"annotationQuery=" + quote("activationId=99"):                             {},
		"annotationQuery=" + quote("cold=true"):                                   {"c", "a"},
		"annotationQuery=" + quote("cold=true and activationId=31"):               {"c"},
		"annotationQuery=" + quote("cold=true and activationId=12"):               {"a"}, // of two spans
		"annotationQuery=" + quote("note=a b"):                                    {"c"},
		"annotationQuery=note":                                                    {"c"},
		"annotationQuery=paid":                                                    {"a"},
		"annotationQuery=unpaid":                                                  {},
		"serviceName=bank":                                                        {"a"},
		"serviceName=BANK":                                                        {"a"},
		"serviceName=shop":                                                        {"c", "b", "a"},
		"serviceName=nobody":                                                      {},
		"serviceName=bank&spanName=pay":                                           {"a"},
		"serviceName=bank&spanName=main":                                          {},
		"serviceName=bank&remoteServiceName=vault":                                {"a"},
		"serviceName=shop&remoteServiceName=vault":                                {},
		"serviceName=bank&annotationQuery=" + quote("activationId=11"):            {}, // it is the shop's
		"minDuration=5000000":                                                     {"a"},
		"minDuration=5000001":                                                     {},
		"minDuration=1000&maxDuration=2000":                                       {"c", "b", "a"},
		"endTs=" + end(90*time.Minute):                                            {"b", "a"},
		"endTs=" + end(90*time.Minute) + "&lookback=3600000":                      {"b"},
		"lookback=5400000":                                                        {"c"},
		"endTs=" + end(150*time.Minute) + "&limit=1":                              {"a"},
		"annotationQuery=" + quote("cold=false") + "&endTs=" + end(1*time.Minute): {"b", "a"},
	} {
		require.Equal(t, want, find(t, base, query), query)
	}
	for _, query := range []string{"limit=0", "limit=x", "endTs=0", "lookback=0", "minDuration=x"} {
		status, body := get(t, base, "/api/v2/traces?"+query)
		require.Equal(t, http.StatusBadRequest, status, "%s: %s", query, body)
	}

	names := func(path string) string {
		status, body := get(t, base, path)
		require.Equal(t, http.StatusOK, status)
		return body
	}
	require.JSONEq(t, `["bank","shop"]`, names("/api/v2/services"))
	require.JSONEq(t, `["pay"]`, names("/api/v2/spans?serviceName=bank"))
	require.JSONEq(t, `["vault"]`, names("/api/v2/remoteServices?serviceName=bank"))
	require.JSONEq(t, `[]`, names("/api/v2/spans?serviceName=nobody"))

	// One trace, unchanged but for names, which are in lower case.
	var trace []map[string]any
	status, body := get(t, base, "/api/v2/trace/"+a)
	require.Equal(t, http.StatusOK, status)
	require.NoError(t, json.Unmarshal([]byte(body), &trace))
	require.Len(t, trace, 2)
	require.Equal(t, map[string]any{
		"traceId": a, "id": "0000000000000002", "parentId": "0000000000000001", "name": "pay", "duration": 5e6,
		"timestamp":     float64(now.Add(-3*time.Hour + time.Second).UnixMicro()),
		"localEndpoint": map[string]any{"serviceName": "bank"}, "remoteEndpoint": map[string]any{"serviceName": "vault"},
		"annotations": []any{map[string]any{"timestamp": float64(now.UnixMicro()), "value": "paid"}},
		"tags":        map[string]any{"activationId": "12", "cold": "false"},
	}, trace[1])
	status, _ = get(t, base, "/api/v2/trace/"+traceID("d"))
	require.Equal(t, http.StatusNotFound, status)
	for _, id := range []string{"xyz", traceID("a") + "0"} {
		status, _ = get(t, base, "/api/v2/trace/"+id)
		require.Equal(t, http.StatusBadRequest, status, id)
	}
	status, body = get(t, base, "/api/v2/traceMany?traceIds="+a+","+c+","+traceID("d"))
	require.Equal(t, http.StatusOK, status)
	var many [][]map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &many))
	require.Len(t, many, 2)

	// A span that is sent twice is one span. If the second has more fields, it is one span with all fields, or two that have them together.
	mustPost(t, base, newSpan(c, 4, "main", -1*time.Hour, "tags", tags("activationId", "31", "cold", "true", "note", "a b")))
	mustPost(t, base, newSpan(b, 3, "main", -2*time.Hour, "tags", tags("late", "yes")))
	var all map[string]any
	require.Eventually(t, func() bool {
		trace, all = nil, map[string]any{}
		_, body := get(t, base, "/api/v2/trace/"+b)
		require.NoError(t, json.Unmarshal([]byte(body), &trace))
		for _, s := range trace {
			require.Equal(t, "0000000000000003", s["id"])
			maps.Copy(all, s["tags"].(map[string]any))
		}
		return all["late"] == "yes"
	}, time.Minute, 10*time.Millisecond)
	require.Equal(t, map[string]any{"activationId": "21", "cold": "false", "late": "yes"}, all)
	_, body = get(t, base, "/api/v2/trace/"+c)
	trace = nil
	require.NoError(t, json.Unmarshal([]byte(body), &trace))
	require.Len(t, trace, 1)

	// Compressed, empty, and malformed requests.
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	text, err := json.Marshal([]span{newSpan(traceID("e"), 9, "main", -time.Minute)})
	require.NoError(t, err)
	_, err = z.Write(text)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	status, body = post(t, base, zipped.Bytes(), "Content-Encoding", "gzip")
	require.Equal(t, http.StatusAccepted, status, body)
	require.Eventually(t, func() bool { s, _ := get(t, base, "/api/v2/trace/"+traceID("e")); return s == http.StatusOK }, time.Minute, 10*time.Millisecond)
	for _, bad := range []string{"{", "[{}]", `{"traceId": "1", "id": "2"}`, `[{"traceId": "1"}]`, `[{"id": "1"}]`, `[{"traceId": "x", "id": "2"}]`, `"spans"`} {
		status, body := post(t, base, []byte(bad))
		require.Equal(t, http.StatusBadRequest, status, "%q: %s", bad, body)
	}
	// What is unusual, and taken.
	for _, unusual := range []string{
		`"duration":-5`, `"timestamp":-5`, `"annotations":[{"timestamp":0,"value":"a"}]`, `"localEndpoint":{"serviceName":"s","ipv4":"1.2.3"}`,
		`"localEndpoint":{"ipv6":"fe80::1%eth0","ipv4":"somewhere"}`, `"timestamp":"1700000000000000"`, `"timestamp":1.7e15`, `"timestamp":"1.7e15"`, `"duration":1.0e9`,
		`"duration":"12"`, `"duration":3.0`, `"tags":{"n":5,"x":1.5e3}`, `"name":null,"tags":null,"localEndpoint":null,"duration":null`,
		`"parentId":"0000000000000000"`, `"parentId":"2"`, `"localEndpoint":{"port":"80"}`, `"localEndpoint":{"port":-1}`, `"unknown":{"a":[1]}`,
	} {
		status, body := post(t, base, []byte(`[{"traceId":"f1","id":"2",`+unusual+`}]`))
		require.Equal(t, http.StatusAccepted, status, "%s: %s", unusual, body)
	}
	// What is wrong, and refused with the whole list.
	for _, wrong := range []string{
		`"duration":1.5`, `"duration":"long"`, `"duration":true`, `"duration":1e30`, `"timestamp":{}`, `"annotations":[{"value":"a"}]`, `"annotations":[{"timestamp":1}]`,
		`"annotations":[null]`, `"tags":{"a":true}`, `"tags":{"a":{}}`, `"tags":{"a":null}`, `"localEndpoint":{"port":65536}`, `"localEndpoint":"shop"`,
		`"kind":"SIDEWAYS"`, `"parentId":"x"`, `"shared":"yes"`,
	} {
		status, body := post(t, base, []byte(`[{"traceId":"f2","id":"2"},{"traceId":"f2","id":"3",`+wrong+`}]`))
		require.Equal(t, http.StatusBadRequest, status, "%s: %s", wrong, body)
	}
	status, _ = get(t, base, "/api/v2/trace/f2")
	require.Equal(t, http.StatusNotFound, status)
	for _, nothing := range []string{"[]", ""} {
		status, _ = post(t, base, []byte(nothing))
		require.Equal(t, http.StatusAccepted, status)
	}
	status, _ = get(t, base, "/health")
	require.Equal(t, http.StatusOK, status)
}
