//go:build linux && integration

package instrument

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/openzipkin/zipkin-go/model"
	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/chain"
	"github.com/tppfaas/tppfaas/internal/testbin"
)

// TestIntegrationTraces runs requests that pass through functions in Node.js, Python and Go, each of which is once the first one, with the real
// platform, collector and Zipkin server of this module. Each request must be one trace with what the platform's records say, and with all
// announcements. Containers are paused soon after each run, so that what a function leaves to a later time is not sent.
func TestIntegrationTraces(t *testing.T) {
	collector, err := testbin.Path("collector/cmd/collector")
	require.NoError(t, err)
	sampler, err := testbin.Path("sampler/cmd/sampler")
	require.NoError(t, err)
	c, err := chain.Start(t.Context(), chain.Options{Sampler: sampler, Collector: collector, Dir: t.TempDir(), PlatformArgs: []string{"-pause-grace", "50ms"}})
	require.NoError(t, err)
	p := &platform{t: t, Chain: c, client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}}
	t.Cleanup(func() {
		require.NoError(t, c.Stop())
		if t.Failed() {
			t.Log(c.Platform.Log(), c.Collector.Log())
		}
	})
	p.call(http.MethodPut, "packages/shop", map[string]any{}, nil)
	for _, language := range languages {
		p.deploy("shop/"+language, zipped(t, unpacked(t, language)))
	}
	seen := map[string]bool{} // activations
	for round, order := range [][]string{{"shop/node", "shop/python", "shop/go"}, {"shop/python", "shop/go", "shop/node"}, {"shop/go", "shop/node", "shop/python"}} {
		root := p.request(order)
		for i, a := range p.trace(root, order) {
			require.False(t, seen[a.ID], "two runs have the activation %s", a.ID)
			seen[a.ID] = true
			require.Equal(t, round == 0, a.Init > 0, "%s: only the first run is cold", order[i])
			t.Logf("%s: wait %d ms, init %d ms, run %d ms", order[i], a.Wait, a.Init, a.End-a.Start-a.Init)
		}
	}
}

// platform is a running chain.
type platform struct {
	t *testing.T
	*chain.Chain
	client *http.Client
}

// activation is what a record says.
type activation struct {
	ID         string
	Wait, Init int64 // ms; Init is 0 for a warm start
	Start, End int64 // ms since 1970
}

// call makes a request of the platform's API, which must succeed.
func (p *platform) call(method, path string, body, answer any) {
	p.t.Helper()
	require.Less(p.t, p.ask(method, path, body, answer), 300, "%s %s", method, path)
}

// ask makes a request of the platform's API, and returns the status.
func (p *platform) ask(method, path string, body, answer any) (status int) {
	p.t.Helper()
	text, err := json.Marshal(body)
	require.NoError(p.t, err)
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.APIHost+"/api/v1/namespaces/_/"+path, bytes.NewReader(text))
	require.NoError(p.t, err)
	r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(p.Key)))
	r.Header.Set("Content-Type", "application/json")
	response, err := p.client.Do(r)
	require.NoError(p.t, err)
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	require.NoError(p.t, err)
	if answer != nil {
		require.NoError(p.t, json.Unmarshal(got, answer), "%s %s: %s", method, path, got)
	}
	return response.StatusCode
}

func (p *platform) deploy(name string, zip []byte) {
	p.t.Helper()
	p.call(http.MethodPut, "actions/"+name+"?overwrite=true", map[string]any{
		"exec":        map[string]any{"kind": kind, "binary": true, "code": base64.StdEncoding.EncodeToString(zip)},
		"parameters":  []any{map[string]any{"key": "collector", "value": p.CollectorURL}},
		"annotations": []any{map[string]any{"key": "provide-api-key", "value": true}},
	}, nil)
}

// request invokes the first function, which invokes the others one after the other, and returns its activation.
func (p *platform) request(order []string) (root string) {
	p.t.Helper()
	var answer struct {
		ActivationID string
		Response     struct{ Result map[string]any }
	}
	p.call(http.MethodPost, "actions/"+order[0]+"?blocking=true", map[string]any{"name": "Ada", "then": order[1:]}, &answer)
	require.Equal(p.t, map[string]any{"greeting": "Hello, Ada!"}, answer.Response.Result)
	return answer.ActivationID
}

// record returns the record of an activation, which must be of a function.
func (p *platform) record(id, function string) activation {
	p.t.Helper()
	var record struct {
		Start, End  int64
		Annotations []struct {
			Key   string
			Value any
		}
	}
	// A record is there some time after the answer.
	require.Eventually(p.t, func() bool {
		return p.ask(http.MethodGet, "activations/"+id, nil, &record) == http.StatusOK
	}, time.Minute, 20*time.Millisecond, "the record of %s", id)
	a := activation{ID: id, Start: record.Start, End: record.End}
	for _, kv := range record.Annotations {
		switch v, _ := kv.Value.(float64); kv.Key {
		case "waitTime":
			a.Wait = int64(v)
		case "initTime":
			a.Init = int64(v)
		case "path":
			require.Equal(p.t, "guest/"+function, kv.Value)
		}
	}
	return a
}

// spans returns the spans of the trace that has an activation, once there are n of them.
func (p *platform) spans(activationID string, n int) []model.SpanModel {
	p.t.Helper()
	var traces [][]model.SpanModel
	query := p.ZipkinURL + "/api/v2/traces?limit=10&annotationQuery=" + url.QueryEscape("activationId="+activationID)
	require.Eventually(p.t, func() bool {
		response, err := p.client.Get(query)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		traces = nil
		return json.NewDecoder(response.Body).Decode(&traces) == nil && len(traces) == 1 && len(traces[0]) >= n
	}, time.Minute, 20*time.Millisecond, "%d spans of the trace", n)
	require.Len(p.t, traces[0], n, "%+v", traces[0])
	return traces[0]
}

// trace checks the trace of a request, and returns its activations in the order of the functions.
func (p *platform) trace(root string, order []string) []activation {
	t := p.t
	t.Helper()
	// A run has its span, start, and the phases wait, init and exec, and all runs but the last one invoke: the phases are there once the
	// span is. A warm start has no init.
	const perRun = 4
	n := len(order)*perRun + len(order) - 1
	if cold := p.record(root, order[0]).Init > 0; cold {
		n += len(order)
	}
	spans := p.spans(root, n)
	find := func(name string, parent *model.ID) model.SpanModel {
		t.Helper()
		i := slices.IndexFunc(spans, func(s model.SpanModel) bool {
			return s.Name == name && (s.ParentID == nil) == (parent == nil) && (parent == nil || *s.ParentID == *parent)
		})
		require.GreaterOrEqual(t, i, 0, "%s, child of %v, among %+v", name, parent, spans)
		return spans[i]
	}
	var activations []activation
	var parent *model.ID
	call := "" // the id of the call of the function
	for i, function := range order {
		span := find(function, parent)
		record := p.record(span.Tags["activationId"], function)
		activations = append(activations, record)
		want := map[string]string{"activationId": record.ID, "faas.name": function, "waitTimeMilli": strconv.FormatInt(record.Wait, 10), "faas.coldstart": fmt.Sprint(record.Init > 0)}
		started := map[string]string{"activationId": record.ID, "faas.name": function, "faas.coldstart": fmt.Sprint(record.Init > 0)}
		want["faas.instance"], started["faas.instance"] = span.Tags["faas.instance"], span.Tags["faas.instance"]
		require.NotEmpty(t, span.Tags["faas.instance"])
		if record.Init > 0 {
			want["initTimeMilli"] = strconv.FormatInt(record.Init, 10)
		}
		if call != "" {
			want["call.id"], started["call.id"] = call, call
		}
		requireTags(t, want, span)
		require.Equal(t, record.Start-record.Wait, span.Timestamp.UnixMilli())
		require.Equal(t, record.End-record.Start+record.Wait, span.Duration.Milliseconds())
		require.Equal(t, function, span.LocalEndpoint.ServiceName)

		start := find("start", &span.ID)
		requireTags(t, started, start)
		require.Zero(t, start.Duration)
		// Within the run, but for the rounding of the record's times.
		require.GreaterOrEqual(t, start.Timestamp.UnixMilli(), record.Start+record.Init-1)
		require.LessOrEqual(t, start.Timestamp.UnixMilli(), record.End+1)

		call = ""
		if i+1 < len(order) {
			invoke := find("invoke", &span.ID)
			call = invoke.ID.String()
			requireTags(t, map[string]string{"faas.invoked_name": order[i+1], "call.id": call}, invoke)
			require.Zero(t, invoke.Duration)
			require.False(t, invoke.Timestamp.Before(start.Timestamp))
		}
		parent = &span.ID
	}
	require.Equal(t, root, activations[0].ID)
	return activations
}

// requireTags checks the tags of a span, but those that the collector's exporter adds to all.
func requireTags(t *testing.T, want map[string]string, span model.SpanModel) {
	t.Helper()
	got := map[string]string{}
	for k, v := range span.Tags {
		if !slices.Contains([]string{"otel.status_code", "span.kind", "otel.library.name", "otel.library.version", "otel.scope.name", "otel.scope.version"}, k) {
			got[k] = v
		}
	}
	require.Equal(t, want, got, span.Name)
}
