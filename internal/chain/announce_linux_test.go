package chain

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/apps"
)

// zipkinSpan is a span as Zipkin's API has it.
type zipkinSpan struct {
	ID, ParentID, Name  string
	Timestamp, Duration int64 // µs
	Tags                map[string]string
	LocalEndpoint       struct{ ServiceName string }
}

// traces returns all traces that Zipkin has.
func (c *Chain) traces(t *testing.T) [][]zipkinSpan {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.ZipkinURL+"/api/v2/traces?limit=1000&lookback=3600000", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var traces [][]zipkinSpan
	if err := json.NewDecoder(answer.Body).Decode(&traces); err != nil {
		t.Fatal(err)
	}
	return traces
}

// TestAnnouncements samples with announcements through the real programs. It checks that each invocation of each trace was announced once by its
// caller, as a child of the caller's span and not later than its start, and that its start and its finished span repeat the id of the call.
func TestAnnouncements(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	const application, requests = "tree_small", 20
	app, err := apps.Load(application)
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, Options{})
	c.sample(t, "-announce", "-d", application, "-n", fmt.Sprint(requests), "-l", "0.2", "-u", "0.4", "-o", filepath.Join(t.TempDir(), "x.json"))
	n := app.Invocations()
	var traces [][]zipkinSpan
	for deadline := time.After(time.Minute); ; { // a start may arrive after the finished span that the sampler waits for
		traces = c.traces(t)
		announced := 0
		for _, trace := range traces {
			for _, s := range trace {
				if s.Name == "invoke" || s.Name == "start" {
					announced++
				}
			}
		}
		if announced >= 2*n*requests {
			break
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-deadline:
			t.Fatalf("%d of %d announcements came", announced, 2*n*requests)
		}
	}
	if len(traces) != requests {
		t.Fatalf("%d traces, want %d", len(traces), requests)
	}
	colds := 0
	for _, trace := range traces {
		invokes, starts, finished := map[string]zipkinSpan{}, map[string]zipkinSpan{}, map[string]zipkinSpan{} // by call id
		for _, s := range trace {
			kind := finished
			switch {
			case s.Tags["phase.of"] != "":
				continue
			case s.Name == "invoke":
				kind = invokes
			case s.Name == "start":
				kind = starts
			}
			id := s.Tags["call.id"]
			if before, twice := kind[id]; twice || id == "" {
				t.Fatalf("the call %q of %+v is that of %+v too", id, s, before)
			}
			kind[id] = s
		}
		if len(invokes) != n || len(starts) != n || len(finished) != n {
			t.Fatalf("%d invoke, %d start, %d finished spans, want %d of each", len(invokes), len(starts), len(finished), n)
		}
		for id, invoke := range invokes {
			began, own := starts[id], finished[id]
			if began.Tags["faas.coldstart"] != own.Tags["faas.coldstart"] {
				t.Errorf("start says coldstart %q, the record %q", began.Tags["faas.coldstart"], own.Tags["faas.coldstart"])
			}
			if own.Tags["faas.coldstart"] == "true" {
				colds++
			}
			switch {
			case invoke.Tags["faas.invoked_name"] != own.Tags["faas.name"] || began.Tags["faas.name"] != own.Tags["faas.name"] || own.Tags["faas.name"] == "":
				t.Errorf("announced %v, began %v, finished %v", invoke.Tags, began.Tags, own.Tags)
			case invoke.ParentID != own.ParentID || began.ParentID != own.ID:
				t.Errorf("invoke has the parent %s, the span %s has %s, its start %s", invoke.ParentID, own.ID, own.ParentID, began.ParentID)
			case invoke.Timestamp > began.Timestamp || invoke.Duration > 1 || began.Duration > 1:
				t.Errorf("announced at %d for %d µs, began at %d for %d", invoke.Timestamp, invoke.Duration, began.Timestamp, began.Duration)
			}
		}
	}
	if colds == 0 {
		t.Error("no start was cold")
	}
}
