//go:build linux && integration

package chain

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/zipkintest"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// event is what both a dataset and an activation record know of an invocation.
type event struct {
	arrival, wait, init float64 // ms
	name                string
}

func compareEvents(a, b event) int {
	return cmp.Or(cmp.Compare(a.arrival, b.arrival), cmp.Compare(a.name, b.name), cmp.Compare(a.wait, b.wait), cmp.Compare(a.init, b.init))
}

// TestIntegrationChain runs requests through the real programs and a real Zipkin server. It checks that every trace is complete, that the dataset has the
// arrival, wait and init times of the activation records, and that there are as many cold starts as the platform has started containers.
func TestIntegrationChain(t *testing.T) {
	const application, requests = "tree_small", 50
	app, err := apps.Load(application)
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, Options{Zipkin: zipkintest.Start(t), PlatformArgs: []string{"-log", "info"}})
	file := filepath.Join(t.TempDir(), "chain.json")
	c.sample(t, "-d", application, "-n", fmt.Sprint(requests), "-l", "0.4", "-u", "0.7", "-o", file)

	data, err := dataset.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(data.Sequences) != requests || data.NumEvents() != requests*app.Invocations() {
		t.Fatalf("%d traces with %d invocations, want %d with %d", len(data.Sequences), data.NumEvents(), requests, requests*app.Invocations())
	}
	var got []event
	cold := 0
	for i := range data.Sequences {
		s := &data.Sequences[i]
		for j, mark := range s.Marks {
			got = append(got, event{s.ArrivalTimes[j], s.WaitTimes[j], s.InitTimes[j], data.MarkNames[mark]})
			if s.ColdStart(j) {
				cold++
			}
		}
		if !slices.IsSorted(s.ArrivalTimes) {
			t.Errorf("trace %d is not in the order of arrival", i)
		}
	}
	want := c.records(t)
	slices.SortFunc(got, compareEvents)
	slices.SortFunc(want, compareEvents)
	if !slices.Equal(got, want) {
		t.Errorf("the traces and the records of activations differ: %s", firstDifference(got, want))
	}
	started := strings.Count(c.Platform.Log(), "container started")
	if cold != started || cold == 0 {
		t.Errorf("%d cold starts, and the platform has started %d containers", cold, started)
	}
}

// records returns the activations that the platform has stored, as events.
func (c *Chain) records(t *testing.T) []event {
	t.Helper()
	var events []event
	for skip := 0; ; skip += 200 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("%s/api/v1/namespaces/_/activations?docs=true&limit=200&skip=%d", c.APIHost, skip), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c.Key)))
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var page []struct {
			Name        string
			Start       float64
			Annotations []struct {
				Key   string
				Value any
			}
		}
		err = json.NewDecoder(answer.Body).Decode(&page)
		answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range page {
			e := event{arrival: a.Start, name: a.Name}
			for _, kv := range a.Annotations {
				switch v, _ := kv.Value.(float64); kv.Key {
				case "waitTime":
					e.wait = v
					e.arrival -= v
				case "initTime":
					e.init = v
				}
			}
			events = append(events, e)
		}
		if len(page) < 200 {
			return events
		}
	}
}

func firstDifference(got, want []event) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("%+v, want %+v", got[i], want[i])
		}
	}
	return fmt.Sprintf("%d events, want %d", len(got), len(want))
}
