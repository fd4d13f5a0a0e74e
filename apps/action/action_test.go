package action

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/loopback"
)

// TestComposition checks that one request runs through the whole graph, each function once for each path to it; that spans form the tree of
// the calls; and that the calls of one function come in their order, no closer than they should.
func TestComposition(t *testing.T) {
	p := newTestPlatform(t, "tree_small")
	r := &Runner{}
	text := r.Run(t.Context(), p.request("main", apps.Main, nil))
	require.NotContains(t, string(text), "error")
	n := p.app.Invocations()
	spans := p.wait(n)
	p.running.Wait()
	require.NoError(t, r.Close(t.Context()))
	require.Len(t, p.sent, n-1)

	var answered result
	require.NoError(t, json.Unmarshal(text, &answered))
	require.Equal(t, apps.Main, answered.Function)
	require.Len(t, answered.Activations, len(p.app.Functions[p.app.Index(apps.Main)].Invokes))
	byID := map[string]ptrace.Span{}
	byActivation := map[string]ptrace.Span{}
	for i, s := range spans {
		require.Equal(t, spans[0].TraceID(), s.TraceID())
		require.Equal(t, s.Name(), p.names[i])
		id, _ := s.Attributes().Get("activationId")
		byActivation[id.Str()] = s
		byID[s.SpanID().String()] = s
	}
	require.Len(t, byID, n)
	require.True(t, byActivation["main"].ParentSpanID().IsEmpty())
	for id, text := range p.answers {
		var a result
		require.NoError(t, json.Unmarshal(text, &a))
		f := p.app.Functions[p.app.Index(a.Function)]
		require.Len(t, a.Activations, len(f.Invokes))
		for _, child := range a.Activations {
			require.Equal(t, byActivation[id].SpanID(), byActivation[child].ParentSpanID())
		}
		s := byActivation[id]
		slept := s.EndTimestamp().AsTime().Sub(s.StartTimestamp().AsTime())
		require.GreaterOrEqual(t, slept, f.Duration+time.Duration(max(len(f.Invokes)-1, 0))*apps.CallGap)
	}
	for i, name := range p.app.Functions[p.app.Index(apps.Main)].Successors() {
		require.Equal(t, p.app.DeployedName(name), p.sent[i].action, "the calls of main come first, in their order")
		if i > 0 {
			require.Greater(t, p.sent[i].at.Sub(p.sent[i-1].at), apps.CallGap/3, "much too close")
		}
	}
}

// TestVariations checks that main draws what the drawer draws for the seed, and that a given plan is followed.
func TestVariations(t *testing.T) {
	p := newTestPlatform(t, "parallel_small")
	for _, more := range []map[string]any{
		{"random": true, "seed": 7, "missing": 2, "anomalies": 1},
		{"missing": 3, "seed": 8},
	} {
		task, err := newTask(p.request("main", apps.Main, more).Value)
		require.NoError(t, err)
		v := apps.Variation{RandomDurations: more["random"] == true, Missing: more["missing"].(int)}
		v.Anomalies, _ = more["anomalies"].(int)
		d, err := apps.NewDrawer(p.app, v, uint64(more["seed"].(int)))
		require.NoError(t, err)
		calls, _, missing := d.Next()
		require.Len(t, missing, v.Missing)
		require.Equal(t, plan(calls), task.calls)
		given, err := newTask(p.request("x", apps.Main, map[string]any{"calls": Calls(calls), "random": true}).Value)
		require.NoError(t, err)
		require.Len(t, given.calls, len(calls))
		for i := range calls {
			require.InDelta(t, inMilliseconds(calls[i].Sleep), given.calls[i].Sleep, 1e-9)
		}
	}
}

// TestGraphAsInTheFile checks that a deployment can pass graph.yaml itself to its functions.
func TestGraphAsInTheFile(t *testing.T) {
	value := `{"application": "a", "function": "main", "graph": {"functions": {"main": {"invokes": ["f2", "f1"]},
		"f2": {"duration": 0, "gamma": {"shape": 1, "rate": 1}}, "f1": {"duration": 300, "gamma": {"shape": 30, "rate": 0.1}, "invokes": ["f2"]}}}}`
	task, err := newTask(json.RawMessage(value))
	require.NoError(t, err)
	var names []string
	for _, c := range task.calls {
		names = append(names, task.app.Functions[c.Function].Name)
	}
	require.Equal(t, []string{"main", "f2", "f1", "f2"}, names)
	require.Equal(t, 300.0, task.calls[2].Sleep)
}

// TestBranches checks that functions know the branches of their application, from the sampler and from graph.yaml, and that main draws
// them anew for each request that gives no seed.
func TestBranches(t *testing.T) {
	p := newTestPlatform(t, "checkout")
	value := func() json.RawMessage { return p.request("main", apps.Main, nil).Value }
	lengths := map[int]bool{}
	for range 200 {
		task, err := newTask(value())
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%+v", p.app), fmt.Sprintf("%+v", task.app))
		lengths[len(task.calls)] = true
	}
	require.Greater(t, len(lengths), 3, "requests of different lengths: %v", lengths)

	task, err := newTask(json.RawMessage(`{"application": "a", "function": "main", "seed": 1, "graph": {"functions": {
		"main": {"invokes": [{"choice": {"none": 0.5, "f1": 0.5}}, {"loop": {"f2": 1, "max": 3}}]},
		"f1": {"duration": 1, "gamma": {"shape": 1, "rate": 1}}, "f2": {"duration": 1, "gamma": {"shape": 1, "rate": 1}, "invokes": ["f1"]}}}}`))
	require.NoError(t, err)
	runs := map[string]int{}
	for _, c := range task.calls {
		runs[task.app.Functions[c.Function].Name]++
	}
	require.Equal(t, 3, runs["f2"])
	_, err = newTask(json.RawMessage(`{"application": "a", "function": "main", "graph": {"functions": {"main": {"invokes": [{"choice": {"none": 0.5}}]}}}}`))
	require.ErrorContains(t, err, "main: the probabilities of a choice must add up to 1, not 0.5")
}

// TestGammaDurations checks that the sleeps that main draws over many seeds have the mean and the deviation of the function's gamma.
func TestGammaDurations(t *testing.T) {
	p := newTestPlatform(t, "sequence")
	sum, squares := 0.0, 0.0
	const n = 2000
	for seed := range n {
		task, err := newTask(p.request("main", apps.Main, map[string]any{"random": true, "seed": seed}).Value)
		require.NoError(t, err)
		v := task.calls[1].Sleep
		sum += v
		squares += v * v
	}
	f := p.app.Functions[p.app.Index(p.app.Functions[p.app.Index(apps.Main)].Successors()[0])]
	mean := sum / n
	deviation := math.Sqrt(squares/n - mean*mean)
	want := math.Sqrt(f.Gamma.Shape) / f.Gamma.Rate
	require.InDelta(t, f.Gamma.Mean(), mean, 5*want/math.Sqrt(n))
	require.InEpsilon(t, want, deviation, 0.15)
}

func TestStartIsAnnounced(t *testing.T) {
	p := newTestPlatform(t, "sequence")
	r := &Runner{}
	run := func(id string, more map[string]any) (announced, own ptrace.Span) {
		all := map[string]any{"announce": "true", "calls": []plannedCall{{Function: p.app.Index(apps.Main)}},
			"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "shop=1"}
		maps.Copy(all, more)
		before := len(p.wait(0))
		require.NotContains(t, string(r.Run(t.Context(), p.request(id, apps.Main, all))), "error")
		spans := p.wait(before + 2)[before:]
		announced, own = spans[0], spans[1]
		if announced.Name() != "start" {
			announced, own = own, announced
		}
		require.Equal(t, "start", announced.Name())
		require.Equal(t, announced.StartTimestamp(), announced.EndTimestamp())
		require.Equal(t, own.StartTimestamp(), announced.StartTimestamp())
		require.Equal(t, own.SpanID(), announced.ParentSpanID())
		require.Equal(t, "b7ad6b7169203331", own.ParentSpanID().String())
		require.Equal(t, "0af7651916cd43dd8448eb211c80319c", own.TraceID().String())
		require.Equal(t, "shop=1", own.TraceState().AsRaw())
		require.Equal(t, ptrace.SpanKindServer, own.Kind())
		return announced, own
	}
	cold, own := run("aa", map[string]any{"call.id": "17"})
	instance, _ := own.Attributes().Get("faas.instance")
	require.Regexp(t, "^[0-9a-f]{16}$", instance.Str())
	want := map[string]any{
		"activationId": "aa", "application": "sequence", "faas.name": "sequence-dev-main", "call": int64(0), "call.id": "17", "faas.instance": instance.Str(),
	}
	require.Equal(t, want, own.Attributes().AsRaw())
	want["faas.coldstart"] = true
	require.Equal(t, want, cold.Attributes().AsRaw())
	warm, own := run("bb", nil)
	want = map[string]any{
		"activationId": "bb", "application": "sequence", "faas.name": "sequence-dev-main", "call": int64(0), "faas.instance": instance.Str(),
	}
	require.Equal(t, want, own.Attributes().AsRaw(), "a caller that announces nothing sends no id")
	want["faas.coldstart"] = false
	require.Equal(t, want, warm.Attributes().AsRaw())
	require.NoError(t, r.Close(t.Context()))
}

// TestCallsAreAnnounced checks that there is one announcement of each call, made by the caller before the callee begins, under an id that the
// callee repeats.
func TestCallsAreAnnounced(t *testing.T) {
	p := newTestPlatform(t, "tree_small")
	p.announce = true
	r := &Runner{}
	require.NotContains(t, string(r.Run(t.Context(), p.request("main", apps.Main, nil))), "error")
	n := p.app.Invocations()
	spans := p.wait(3*n - 1)
	p.running.Wait()
	require.NoError(t, r.Close(t.Context()))
	require.Len(t, p.wait(0), 3*n-1, "start and the span of each function, and invoke of each but main")
	text := func(s ptrace.Span, name string) string {
		v, _ := s.Attributes().Get(name)
		return v.Str()
	}
	own, begun := map[string]ptrace.Span{}, map[string]ptrace.Span{} // by call id
	for _, s := range spans {
		switch id := text(s, "call.id"); s.Name() {
		case "invoke":
		case "start":
			require.NotContains(t, begun, id)
			begun[id] = s
		default:
			require.NotContains(t, own, id)
			own[id] = s
		}
	}
	invoked := 0
	for i, s := range spans {
		if s.Name() != "invoke" {
			continue
		}
		invoked++
		id := text(s, "call.id")
		require.Contains(t, own, id)
		require.Contains(t, begun, id)
		require.Equal(t, own[id].Name(), text(s, "faas.invoked_name"))
		require.Equal(t, own[id].ParentSpanID(), s.ParentSpanID(), "the parent of both is the caller's span")
		require.Equal(t, own[id].TraceID(), s.TraceID())
		require.Equal(t, s.StartTimestamp(), s.EndTimestamp())
		require.LessOrEqual(t, s.StartTimestamp(), begun[id].StartTimestamp())
		require.NotEqual(t, own[id].Name(), p.names[i], "the service is the caller's")
	}
	require.Equal(t, n-1, invoked)
	require.Len(t, own, n)
	require.Len(t, begun, n)
}

// TestAnnouncementsDelayNothing checks that a function makes its calls and answers while no announcement gets through.
func TestAnnouncementsDelayNothing(t *testing.T) {
	p := newTestPlatform(t, "tree_small")
	p.announce, p.hanging = true, make(chan struct{})
	r := &Runner{}
	text := r.Run(t.Context(), p.request("main", apps.Main, nil))
	require.NotContains(t, string(text), "error")
	p.mu.Lock()
	require.Empty(t, p.spans)
	for _, sent := range p.sent {
		require.NotEmpty(t, sent.body["call.id"])
	}
	p.mu.Unlock()
	close(p.hanging)
	p.running.Wait()
	require.NoError(t, r.Close(t.Context()))
}

// TestAnnouncementsThatAreLost checks that a function says in its log that the collector does not take its announcements, and works all the same.
func TestAnnouncementsThatAreLost(t *testing.T) {
	p := newTestPlatform(t, "sequence")
	log := make(lines, 64)
	r := &Runner{Log: log}
	calls := []plannedCall{{Function: p.app.Index(apps.Main), Invokes: []int{1}}, {Function: p.app.Index("f1")}}
	text := r.Run(t.Context(), p.request("x", apps.Main, map[string]any{"calls": calls, "announce": true, "collector": "http://127.0.0.1:1"}))
	require.Contains(t, string(text), `"activations":{"1":`)
	lost := 0
	for lost < 2 {
		var n int
		if _, err := fmt.Sscanf(<-log, "%d announcements have not been sent: traces export: the collector at http://127.0.0.1:1 cannot be reached: ", &n); err == nil {
			lost += n
		}
	}
	require.Equal(t, 2, lost, "that main begins, and that it invokes f1")
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.Error(t, r.Close(ctx), "its span is still tried")
	p.running.Wait()
}

// TestTraceContextPassesThrough checks that a function without a collector passes on the trace context that it was given.
func TestTraceContextPassesThrough(t *testing.T) {
	p := newTestPlatform(t, "sequence")
	r := &Runner{}
	given := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	calls := []plannedCall{{Function: p.app.Index(apps.Main), Invokes: []int{1}}, {Function: p.app.Index("f1")}}
	for _, collector := range []any{"", nil, "no address", "ftp://x"} {
		text := r.Run(t.Context(), p.request("aa", apps.Main, map[string]any{"collector": collector, "traceparent": given, "calls": calls}))
		require.NotContains(t, string(text), "error")
		require.Equal(t, given, p.sent[len(p.sent)-1].body["traceparent"])
	}
	require.NoError(t, r.Close(t.Context()))
}

// TestCollectorThatHangs checks that a function answers while the collector hangs.
func TestCollectorThatHangs(t *testing.T) {
	p := newTestPlatform(t, "sequence")
	p.hanging = make(chan struct{})
	r := &Runner{}
	calls := []plannedCall{{Function: p.app.Index(apps.Main)}}
	for i := range 2000 { // more than there is room for
		text := r.Run(t.Context(), p.request(fmt.Sprint(i), apps.Main, map[string]any{"calls": calls}))
		require.NotContains(t, string(text), "error")
	}
	require.Empty(t, p.spans)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.Error(t, r.Close(ctx), "the export was given up")
	close(p.hanging)
}

// TestCollectorThatIsReplaced checks that a function whose container is warm answers soon, and sends its span, where the collector that it is given is
// another and the one before hangs.
func TestCollectorThatIsReplaced(t *testing.T) {
	p := newTestPlatform(t, "sequence")
	arrived := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	}))
	defer hanging.Close()
	r := &Runner{}
	calls := []plannedCall{{Function: p.app.Index(apps.Main)}}
	require.NotContains(t, string(r.Run(t.Context(), p.request("aa", apps.Main, map[string]any{"calls": calls, "collector": hanging.URL}))), "error")
	<-arrived
	request := p.request("bb", apps.Main, map[string]any{"calls": calls})
	request.Deadline = milliseconds(time.Now().Add(exportTimeout / 2).UnixMilli())
	require.NotContains(t, string(r.Run(t.Context(), request)), "error")
	require.Less(t, time.Now().UnixMilli(), int64(request.Deadline), "the run has waited for the export to the first collector")
	require.Len(t, p.wait(1), 1)
	require.True(t, p.has("bb"))
	require.NoError(t, r.Close(t.Context()))
}

// TestCloseWithoutTime checks that nothing of a runner goes on that is closed when there is no time left, which goleak looks for.
func TestCloseWithoutTime(t *testing.T) {
	p := newTestPlatform(t, "sequence")
	r := &Runner{}
	calls := []plannedCall{{Function: p.app.Index(apps.Main)}}
	require.NotContains(t, string(r.Run(t.Context(), p.request("aa", apps.Main, map[string]any{"calls": calls}))), "error")
	require.Len(t, p.wait(1), 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.Close(ctx), context.Canceled)
}

// TestCertificateOfTheCollector checks that the parameter insecure, with which a function does not check the certificate of OpenWhisk, holds for the
// collector too: for spans, announcements and the connection of a warm-up.
func TestCertificateOfTheCollector(t *testing.T) {
	for _, insecure := range []bool{false, true} {
		t.Run(fmt.Sprint(insecure), func(t *testing.T) {
			p := newTestPlatform(t, "sequence")
			secure := httptest.NewUnstartedServer(http.HandlerFunc(p.collect))
			secure.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that refuse the certificate
			secure.StartTLS()
			defer secure.Close()
			var lines bytes.Buffer
			r := &Runner{Log: &lines}
			more := map[string]any{
				"calls": []plannedCall{{Function: p.app.Index(apps.Main)}}, "collector": secure.URL, "insecure": insecure, "announce": true,
			}
			require.NotContains(t, string(r.Run(t.Context(), p.request("aa", apps.Main, more))), "error")
			if insecure {
				require.Len(t, p.wait(2), 2) // the start and the span
			}
			_ = r.Close(t.Context())
			more["prewarm"], more["apihost"] = true, nil
			warm := &Runner{Log: &lines}
			require.Contains(t, string(warm.Run(t.Context(), p.request("bb", apps.Main, more))), "prewarmed")
			_ = warm.Close(t.Context())
			if insecure {
				require.NotContains(t, lines.String(), "no trusted connection")
			} else {
				require.Equal(t, 3, strings.Count(lines.String(), "no trusted connection"), lines.String())
			}
		})
	}
}

func TestCollectorThatFails(t *testing.T) {
	p := newTestPlatform(t, "sequence")
	r := &Runner{}
	calls := []plannedCall{{Function: p.app.Index(apps.Main)}}
	text := r.Run(t.Context(), p.request("aa", apps.Main, map[string]any{"calls": calls, "collector": "http://127.0.0.1:1"}))
	require.NotContains(t, string(text), "error")
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_ = r.Close(ctx)
}

// TestCollectorComesBack checks that a span is sent again that the collector did not take.
func TestCollectorComesBack(t *testing.T) {
	p := newTestPlatform(t, "sequence")
	addresses, err := loopback.FreeAddresses(1)
	require.NoError(t, err)
	address := addresses[0]
	l, err := net.Listen("tcp", address)
	require.NoError(t, err)
	tried := make(chan struct{})
	go func() { // it takes a connection and dies
		if c, err := l.Accept(); err == nil {
			c.Close()
		}
		l.Close()
		close(tried)
	}()
	r := &Runner{}
	calls := []plannedCall{{Function: p.app.Index(apps.Main)}}
	text := r.Run(t.Context(), p.request("aa", apps.Main, map[string]any{"calls": calls, "collector": "http://" + address}))
	require.NotContains(t, string(text), "error")
	<-tried
	again, err := net.Listen("tcp", address)
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(p.collect), ReadHeaderTimeout: time.Minute}
	go server.Serve(again)
	require.Len(t, p.wait(1), 1)
	require.NoError(t, r.Close(t.Context()))
	require.NoError(t, server.Close())
}

// TestOpenWhiskFails checks that an invocation that OpenWhisk cannot have taken is repeated, and that everything else is one clear error
// without the key.
func TestOpenWhiskFails(t *testing.T) {
	calls := []plannedCall{{Function: 0, Invokes: []int{1}}, {Function: 1}}
	for name, test := range map[string]struct {
		failing func(n int) (int, string)
		more    map[string]any
		want    string // of the error; "" for none
		posts   int
	}{
		"throttled twice": {failing: func(n int) (int, string) {
			if n <= 2 {
				return 429, `{"code":"x","error":"Too many requests in the last minute (count: 61, allowed: 60)."}`
			}
			return 0, ""
		}, posts: 3},
		"busy once": {failing: func(n int) (int, string) {
			if n == 1 {
				return 503, "busy"
			}
			return 0, ""
		}, posts: 2},
		"no such action": {failing: func(int) (int, string) { return 404, `{"code":"x","error":"The requested resource does not exist."}` },
			want: "does not have this (404): The requested resource does not exist", posts: 1},
		"internal error":   {failing: func(int) (int, string) { return 500, "oops" }, want: "fails (500)", posts: 1},
		"wrong key":        {more: map[string]any{"auth": "user:another-key-that-must-not-be-seen"}, want: "does not accept the key (401)"},
		"no key":           {more: map[string]any{"auth": nil}, want: "neither the parameter auth nor the annotation provide-api-key"},
		"no address":       {more: map[string]any{"apihost": "openwhisk"}, want: `apihost: "openwhisk" is no address`},
		"throttled always": {failing: func(int) (int, string) { return 429, `{"error":"Too many"}` }, want: "has had too many requests (429): Too many", posts: -1},
		"nobody there":     {more: map[string]any{"apihost": "http://127.0.0.1:1"}, want: "127.0.0.1:1 cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newTestPlatform(t, "sequence")
			p.failing = test.failing
			planned := append([]plannedCall(nil), calls...)
			planned[0].Function, planned[1].Function = p.app.Index(apps.Main), p.app.Index("f1")
			more := map[string]any{"calls": planned, "collector": ""}
			for k, v := range test.more {
				more[k] = v
			}
			r := &Runner{}
			request := p.request("aa", apps.Main, more)
			request.Deadline = milliseconds(time.Now().Add(2 * time.Second).UnixMilli())
			if test.want == "" {
				request.Deadline = 0
			}
			text := string(r.Run(t.Context(), request))
			require.NoError(t, r.Close(t.Context()))
			if test.want == "" {
				require.NotContains(t, text, "error")
			} else {
				require.Contains(t, text, `{"error":"sequence-dev-main: invoking sequence-dev-f1: `)
				var answer map[string]string
				require.NoError(t, json.Unmarshal([]byte(text), &answer))
				require.Contains(t, answer["error"], test.want)
			}
			require.NotContains(t, text, "must-not-be-seen")
			p.mu.Lock()
			defer p.mu.Unlock()
			if test.posts >= 0 {
				require.Equal(t, test.posts, p.posts)
			} else {
				require.Greater(t, p.posts, 2)
			}
		})
	}
}

// TestKeyThatOpenWhiskProvides checks that the key of the request is used if the parameters have none.
func TestKeyThatOpenWhiskProvides(t *testing.T) {
	p := newTestPlatform(t, "sequence")
	calls := []plannedCall{{Function: p.app.Index(apps.Main), Invokes: []int{1}}, {Function: p.app.Index("f1")}}
	request := p.request("aa", apps.Main, map[string]any{"auth": nil, "calls": calls, "collector": ""})
	request.APIKey = key
	r := &Runner{}
	require.NotContains(t, string(r.Run(t.Context(), request)), "error")
	require.Len(t, p.sent, 1)
	require.NoError(t, r.Close(t.Context()))
}

func TestWrongParameters(t *testing.T) {
	p := newTestPlatform(t, "sequence")
	for want, more := range map[string]map[string]any{
		"parameter graph":                        {"graph": nil},
		"only main can draw them":                {"function": "f1"},
		"there is no call 99":                    {"call": 99, "calls": []plannedCall{{}}},
		"call 0 is of function 77":               {"calls": []plannedCall{{Function: 77}}},
		"call 0 sleeps -1 ms":                    {"calls": []plannedCall{{Function: 0, Sleep: -1}}},
		"call 0 makes call 0":                    {"calls": []plannedCall{{Invokes: []int{0}}}},
		"is neither true nor false":              {"random": "perhaps"},
		"more than the":                          {"missing": 1000},
		"parameter call: call 0 is of":           {"function": "f2", "calls": []plannedCall{{Function: p.app.Index("f1")}}},
		"parameters: json: cannot unmarshal":     {"call": "first"},
		"application \"\": a name starts with a": {"application": ""},
	} {
		r := &Runner{}
		text := string(r.Run(t.Context(), p.request("aa", apps.Main, more)))
		var answer map[string]string
		require.NoError(t, json.Unmarshal([]byte(text), &answer))
		require.Contains(t, answer["error"], want)
	}
	r := &Runner{}
	for _, value := range []string{"", "null", "[]", `"x"`, "{"} {
		require.Contains(t, string(r.Run(t.Context(), Request{Value: json.RawMessage(value)})), `{"error":"`)
	}
}

// TestContainerHost checks that a function without the parameter apihost asks the API that its container names, and that what it cannot
// reach is in its log.
func TestContainerHost(t *testing.T) {
	p := newTestPlatform(t, "sequence")
	calls := []plannedCall{{Function: p.app.Index(apps.Main), Invokes: []int{1}}, {Function: p.app.Index("f1")}}
	for _, c := range []struct{ host, want string }{
		{p.whisk.URL, ""},
		{"http://127.0.0.1:1", "127.0.0.1:1 cannot be reached"},
		{"http://", "the container's __OW_API_HOST: this address has no host"},
		{"", "is no address with a scheme"},
	} {
		var log bytes.Buffer
		r := &Runner{Log: &log, APIHost: c.host}
		value, err := json.Marshal(p.parameters(apps.Main, map[string]any{"apihost": nil, "calls": calls, "collector": ""}))
		require.NoError(t, err)
		limit := 300 * time.Millisecond // until then it is tried again
		if c.want == "" {
			limit = time.Minute
		}
		answer := string(r.Run(t.Context(), Request{Value: value, ActivationID: "x", Deadline: milliseconds(time.Now().Add(limit).UnixMilli())}))
		require.NoError(t, r.Close(t.Context()))
		if c.want == "" {
			require.NotContains(t, answer, "error")
			continue
		}
		require.Contains(t, answer, c.want)
		require.Contains(t, log.String(), c.want)
	}
}

// TestCollectorThatIsNotThere checks that a function says in its log that its spans were not exported.
func TestCollectorThatIsNotThere(t *testing.T) {
	p := newTestPlatform(t, "sequence")
	log := make(lines, 16)
	r := &Runner{Log: log}
	value, err := json.Marshal(p.parameters(apps.Main, map[string]any{"calls": []plannedCall{{Function: p.app.Index(apps.Main)}}, "collector": "http://127.0.0.1:1"}))
	require.NoError(t, err)
	require.NotContains(t, string(r.Run(t.Context(), Request{Value: value, ActivationID: "x"})), "error")
	require.Contains(t, <-log, "slept")
	require.Contains(t, <-log, "1 spans have not been exported: the collector at http://127.0.0.1:1 cannot be reached: ")
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.Error(t, r.Close(ctx))
}

// lines is a log whose lines can be waited for.
type lines chan string

func (l lines) Write(text []byte) (int, error) {
	l <- string(text)
	return len(text), nil
}

// TestActionLoop runs the program as OpenWhisk's Go runtime does: invocations on standard input, answers on descriptor 3. Every
// invocation has its own activation id, also in a warm container whose environment keeps the first.
func TestActionLoop(t *testing.T) {
	p := newTestPlatform(t, "sequence")
	file, err := program()
	require.NoError(t, err)
	results, out, err := os.Pipe()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), file)
	c.Env = []string{"__OW_WAIT_FOR_ACK=1", "__OW_ACTIVATION_ID=first", "__OW_API_HOST=http://127.0.0.1:1"}
	c.ExtraFiles = []*os.File{out}
	var log bytes.Buffer
	c.Stdout, c.Stderr = &log, &log
	in, err := c.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	require.NoError(t, out.Close())
	lines := bufio.NewReader(results)
	read := func() string {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		return line
	}
	require.JSONEq(t, `{"ok": true}`, read())
	calls := []plannedCall{{Function: p.app.Index(apps.Main)}}
	for i := range 3 {
		value, err := json.Marshal(p.parameters(apps.Main, map[string]any{"calls": calls}))
		require.NoError(t, err)
		_, err = fmt.Fprintf(in, `{"value":%s,"activation_id":"id%d","action_name":"/guest/tppfaas/x","deadline":"%d"}`+"\n", value, i, time.Now().Add(time.Minute).UnixMilli())
		require.NoError(t, err)
		require.JSONEq(t, `{"function":"main","call":0,"activations":{}}`, read())
	}
	_, err = io.WriteString(in, "this is no JSON\n\n")
	require.NoError(t, err)
	require.Contains(t, read(), "error")
	seen := map[string]bool{}
	for _, s := range p.wait(3) {
		id, _ := s.Attributes().Get("activationId")
		seen[id.Str()] = true
	}
	require.Equal(t, map[string]bool{"id0": true, "id1": true, "id2": true}, seen)
	require.NoError(t, in.Close())
	require.NoError(t, c.Wait())
	require.Equal(t, strings.Repeat("sequence-dev-main: slept 0 ms, invoked 0\n", 3)+"parameters: json: cannot unmarshal string into Go value of type action.parameters\n", log.String())
	require.NoError(t, results.Close())
}

// TestDockerSkeleton runs the program once for an invocation: the parameters as argument, or on standard input.
func TestDockerSkeleton(t *testing.T) {
	p := newTestPlatform(t, "sequence")
	file, err := program()
	require.NoError(t, err)
	calls := []plannedCall{{Function: p.app.Index(apps.Main), Invokes: []int{1}}, {Function: p.app.Index("f1")}}
	value, err := json.Marshal(p.parameters(apps.Main, map[string]any{"calls": calls, "auth": nil}))
	require.NoError(t, err)
	for _, way := range []string{"argument", "standard input"} {
		id := "id of " + way
		// The program stays only for a moment to export its span. On a busy machine that may be too short: then it is run again.
		for tries := 1; !p.has(id); tries++ {
			require.LessOrEqual(t, tries, 20, "the program never exports its span")
			c := exec.CommandContext(t.Context(), file)
			if way == "argument" {
				c.Args = append(c.Args, string(value))
			} else {
				c.Stdin = bytes.NewReader(value)
			}
			c.Env = []string{"__OW_ACTIVATION_ID=" + id, "__OW_API_KEY=" + key, fmt.Sprintf("__OW_DEADLINE=%d", time.Now().Add(time.Minute).UnixMilli())}
			out, err := c.Output()
			require.NoError(t, err)
			require.Contains(t, string(out), `{"function":"main","call":0,"activations":{"1":"0000000000`)
			require.Equal(t, 1, strings.Count(string(out), "\n"))
		}
	}
	p.wait(4) // two of main, and those of f1 that it invoked
}

func TestZip(t *testing.T) {
	for kind, env := range map[string]string{"go:1.20": "openwhisk/action-golang-v1.20", "go:1.24": "openwhisk/action-golang-v1.24", "blackbox": ""} {
		packed, err := Zip([]byte("program"), kind)
		require.NoError(t, err)
		again, err := Zip([]byte("program"), kind)
		require.NoError(t, err)
		require.Equal(t, packed, again)
		z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
		require.NoError(t, err)
		found := map[string]string{}
		for _, f := range z.File {
			r, err := f.Open()
			require.NoError(t, err)
			content, err := io.ReadAll(r)
			require.NoError(t, err)
			found[f.Name] = string(content)
			if f.Name == "exec" {
				require.Equal(t, os.FileMode(0o755), f.Mode())
			}
		}
		want := map[string]string{"exec": "program"}
		if env != "" {
			want["exec.env"] = env
		}
		require.Equal(t, want, found)
	}
	for _, kind := range []string{"nodejs:20", "go", "go:", "go:default", ""} {
		_, err := Zip(nil, kind)
		require.ErrorContains(t, err, "kind")
	}
}

// FuzzRequest checks that no parameters make the function panic, or give an invalid task.
func FuzzRequest(f *testing.F) {
	app, err := apps.Load("tree_small")
	if err != nil {
		f.Fatal(err)
	}
	value, err := json.Marshal(map[string]any{"application": "a", "graph": Graph(app), "function": "main", "missing": 2, "random": true})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	f.Add([]byte(`{"application":"a","graph":{"functions":[{"name":"main"}]},"function":"main","calls":[{"f":0,"sleep_ms":0}],"deadline":"1"}`))
	f.Add([]byte(`{"graph":{"functions":[{"name":"main","duration_ms":1e400}]}}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		task, err := newTask(value)
		if err == nil && (task.Call < 0 || task.Call >= len(task.calls) || task.app.Validate() != nil) {
			t.Fatalf("%+v", task)
		}
	})
}

// BenchmarkRun runs a function that neither sleeps nor invokes nor exports.
func BenchmarkRun(b *testing.B) {
	app, err := apps.Load("sequence")
	if err != nil {
		b.Fatal(err)
	}
	value, err := json.Marshal(map[string]any{"application": "sequence", "graph": Graph(app), "function": "main", "calls": []plannedCall{{Function: app.Index(apps.Main)}}})
	if err != nil {
		b.Fatal(err)
	}
	r := &Runner{}
	for b.Loop() {
		r.Run(context.Background(), Request{Value: value, ActivationID: "a"})
	}
}

// BenchmarkInvoke runs a function that makes one call, at a platform and a collector in the same process that do nothing else, and exports its
// spans in the background. With announcements there are two more messages to the collector, which take their share of the processors.
func BenchmarkInvoke(b *testing.B) {
	app, err := apps.Load("sequence")
	if err != nil {
		b.Fatal(err)
	}
	server := func(status int, answer string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, answer)
		}))
		b.Cleanup(s.Close)
		return s.URL
	}
	whisk, collector := server(http.StatusAccepted, `{"activationId":"0123456789abcdef0123456789abcdef"}`), server(http.StatusOK, "")
	for name, announce := range map[string]bool{"announced": true, "silent": false} {
		value, err := json.Marshal(map[string]any{
			"application": "sequence", "graph": Graph(app), "function": "main", "apihost": whisk, "auth": key, "collector": collector, "announce": announce,
			"calls": []plannedCall{{Function: app.Index(apps.Main), Invokes: []int{1}}, {Function: app.Index("f1")}},
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			r := &Runner{}
			for b.Loop() {
				if answer := r.Run(context.Background(), Request{Value: value, ActivationID: "a"}); bytes.Contains(answer, []byte("error")) {
					b.Fatal(string(answer))
				}
			}
			if err := r.Close(context.Background()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// TestWait checks that a sleep is never too short, and that it ends with its context.
func TestWait(t *testing.T) {
	for name, f := range map[string]func(context.Context, time.Duration) error{"sleep": sleep, "timerSleep": timerSleep} {
		for _, d := range []time.Duration{1, 100 * time.Microsecond, 1300 * time.Microsecond, 20 * time.Millisecond} {
			begin := time.Now()
			require.NoError(t, f(t.Context(), d), name)
			require.GreaterOrEqual(t, time.Since(begin), d, name)
		}
		ctx, cancel := context.WithCancel(t.Context())
		asleep := make(chan error)
		go func() { asleep <- f(ctx, time.Hour) }()
		cancel()
		require.ErrorIs(t, <-asleep, context.Canceled, name)
		require.ErrorIs(t, f(ctx, time.Hour), context.Canceled, name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.EqualError(t, wait(ctx, time.Hour), "its time limit is shorter than its sleep")
	require.NoError(t, wait(ctx, 0))
}
