package localzipkin

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/openzipkin/zipkin-go/model"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// page returns the status, the place a browser is sent to, and the text of a page.
func page(t *testing.T, store *Store, path string) (status int, location, text string) {
	t.Helper()
	w := httptest.NewRecorder()
	NewHandler(store, 1<<20).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w.Code, w.Header().Get("Location"), w.Body.String()
}

// TestPages checks that the list has the traces that match, that the waterfall has each span where it belongs, and that what spans contain
// becomes no part of the page.
func TestPages(t *testing.T) {
	store := NewStore(100, 1<<20)
	for _, path := range []string{"/", "/zipkin"} {
		status, location, _ := page(t, store, path)
		require.Equal(t, http.StatusFound, status)
		require.Equal(t, "/zipkin/", location)
	}
	status, _, text := page(t, store, "/zipkin/")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, text, "No trace matches.")

	now := time.Now().UnixMicro()
	spans, err := Decode(fmt.Appendf(nil, `[
		{"traceId":"a1","id":"3","parentId":"1","name":"pay","timestamp":%d,"duration":250000,"localEndpoint":{"serviceName":"bank"},"tags":{"error":"<script>alert(1)</script>"}},
		{"traceId":"a1","id":"2","parentId":"3","name":"sign","timestamp":%d,"duration":100000,"localEndpoint":{"serviceName":"bank"}},
		{"traceId":"a1","id":"1","name":"main","timestamp":%d,"duration":1000000,"localEndpoint":{"serviceName":"<b>shop"}},
		{"traceId":"b2","id":"4","name":"other","timestamp":%d,"duration":1}]`, now+500_000, now+600_000, now, now), "")
	require.NoError(t, err)
	store.Add(spans)
	_, _, text = page(t, store, "/zipkin/?lookback=86400000&endTs="+fmt.Sprint(now/1000+1000))
	require.Contains(t, text, `<a href="/zipkin/traces/00000000000000a1">&lt;b&gt;shop: main</a>`)
	require.Contains(t, text, "<td>1s<div")
	require.Contains(t, text, "traces/00000000000000b2")
	_, _, text = page(t, store, "/zipkin/?serviceName=bank&endTs="+fmt.Sprint(now/1000+1000))
	require.Contains(t, text, "traces/00000000000000a1")
	require.NotContains(t, text, "traces/00000000000000b2")
	require.Contains(t, text, "<option selected>bank</option>")
	status, _, text = page(t, store, "/zipkin/?limit=x")
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, text, "is no number")

	status, _, text = page(t, store, "/zipkin/traces/a1")
	require.Equal(t, http.StatusOK, status)
	require.NotContains(t, text, "<script")
	require.NotContains(t, text, "ZgotmplZ", "the template has refused a value")
	place := -1
	for _, row := range []string{
		`style="padding-left: 0em"><details><summary>&lt;b&gt;shop: main`, `style="left: 0.000%; width: 100.000%"`,
		`style="padding-left: 1em"><details><summary>bank: pay`, `class="error" style="left: 50.000%; width: 25.000%"`,
		`style="padding-left: 2em"><details><summary>bank: sign`, `style="left: 60.000%; width: 10.000%"`,
	} {
		at := strings.Index(text, row)
		require.Greater(t, at, place, "%s\n%s", row, text)
		place = at
	}
	status, _, text = page(t, store, "/zipkin/traces/cc")
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, text, "There is no trace cc.")
	status, _, _ = page(t, store, "/zipkin/traces/xyz")
	require.Equal(t, http.StatusNotFound, status)
}

// TestWaterfallHasEachSpanOnce checks, for spans with any parents, that each is shown once or counted, and none before its parent unless the two
// are each other's ancestors.
func TestWaterfallHasEachSpanOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(t, "spans")
		acyclic := rapid.Bool().Draw(t, "acyclic")
		spans := make([]model.SpanModel, n)
		for i := range spans {
			spans[i] = *testSpan(1, uint64(i+1))
			if parent := model.ID(rapid.IntRange(0, n+2).Draw(t, "parent")); parent != 0 && (!acyclic || parent < spans[i].ID || parent > model.ID(n)) {
				spans[i].ParentID = &parent
			}
		}
		rows, left := waterfall(spans)
		require.Zero(t, left)
		line := map[string]int{}
		for i, r := range rows {
			line[r.Fields[0][1]] = i
		}
		require.Len(t, rows, n)
		require.Len(t, line, n)
		for _, s := range spans {
			if s.ParentID != nil && acyclic {
				if parent, ok := line[s.ParentID.String()]; ok {
					require.Less(t, parent, line[s.ID.String()])
					require.Equal(t, rows[parent].Depth+1, rows[line[s.ID.String()]].Depth)
				}
			}
		}
	})
	many := make([]model.SpanModel, mostRows+5)
	for i := range many {
		many[i] = *testSpan(1, uint64(i+1))
	}
	rows, left := waterfall(many)
	require.Len(t, rows, mostRows)
	require.Equal(t, 5, left)
}

// TestTitleOfAnnouncedTrace checks that a trace is called by its root, and not by the announcement of it, which came before.
func TestTitleOfAnnouncedTrace(t *testing.T) {
	store := NewStore(100, 1<<20)
	now := time.Now().UnixMicro()
	spans, err := Decode(fmt.Appendf(nil, `[
		{"traceId":"a1","id":"2","parentId":"9","kind":"CLIENT","name":"invoke","timestamp":%d,"localEndpoint":{"serviceName":"sampler"},"tags":{"faas.invoked_name":"main"}},
		{"traceId":"a1","id":"1","parentId":"9","name":"main","timestamp":%d,"duration":1000,"localEndpoint":{"serviceName":"shop"}}]`, now, now+1000), "")
	require.NoError(t, err)
	store.Add(spans)
	_, _, text := page(t, store, "/zipkin/?endTs="+fmt.Sprint(now/1000+1000))
	require.Contains(t, text, `<a href="/zipkin/traces/00000000000000a1">shop: main</a>`)
	_, _, text = page(t, store, "/zipkin/traces/a1")
	require.Contains(t, text, `<summary>sampler: invoke</summary>`)
	require.Contains(t, text, `<dt>faas.invoked_name</dt><dd>main</dd>`)
}
