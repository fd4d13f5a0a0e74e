package whisk

import (
	"encoding/json"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// recordedLists returns lists of records that a real OpenWhisk has answered with.
func recordedLists(t testing.TB) map[string]exchange {
	t.Helper()
	text, err := os.ReadFile("testdata/lists.json")
	require.NoError(t, err)
	var all map[string]exchange
	require.NoError(t, json.Unmarshal(text, &all))
	return all
}

// TestRecordedLists checks that lists of a real OpenWhisk are understood: with whole records, and without.
func TestRecordedLists(t *testing.T) {
	all := recordedLists(t)
	var asked *http.Request
	list := func(name string, o ListOptions) ([]Listed, error) {
		c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = r
			all[name].ServeHTTP(w, r)
		}), nil)
		records, malformed, err := c.ListActivations(t.Context(), o)
		require.Zero(t, malformed)
		return records, err
	}
	records, err := list("list_docs", ListOptions{Since: time.UnixMilli(1795332578000), Limit: 10, Skip: 3, Docs: true})
	require.NoError(t, err)
	require.Equal(t, "/api/v1/namespaces/_/activations", asked.URL.Path)
	require.Equal(t, "docs=true&limit=10&since=1795332578000&skip=3", asked.URL.RawQuery)
	require.Len(t, records, 10)
	part, whole, cold := records[0], records[1], records[2]
	require.Equal(t, Listed{
		Record: Record{Start: time.UnixMilli(1795332578811), End: time.UnixMilli(1795332578814), Wait: 3 * time.Millisecond, Error: "application error: this is an application error"},
		ID:     "ff85775466d844de85775466d8e4de2d", Name: "s1", Path: "guest/s1", Version: "0.0.1", Kind: "go:1.20", Cause: whole.ID, HasWait: true, Failed: true,
	}, part)
	require.Equal(t, "sequence", whole.Kind)
	require.Equal(t, "65a20fee68684163a20fee6868016300", whole.ID)
	require.Empty(t, whole.Cause)
	require.True(t, whole.Failed)
	require.True(t, cold.Cold)
	require.Equal(t, 33*time.Millisecond, cold.Init)
	require.Equal(t, 345*time.Millisecond, cold.Wait)
	require.False(t, cold.Failed)

	records, err = list("list", ListOptions{Limit: 30})
	require.NoError(t, err)
	require.Equal(t, "docs=false&limit=30&skip=0", asked.URL.RawQuery)
	require.Len(t, records, 18)
	trigger := records[1]
	require.Equal(t, "tr", trigger.Name)
	require.Empty(t, trigger.Kind)
	require.True(t, trigger.End.IsZero())
	require.False(t, trigger.HasWait)
	require.Equal(t, "guest/pkg/act", records[2].Path)
	failed := 0
	for _, r := range records {
		if r.Failed {
			failed++
		}
	}
	require.Equal(t, 7, failed)

	_, err = list("list_too_many", ListOptions{Limit: 201})
	require.ErrorContains(t, err, "The value '201' is not in the range of 0 to 200 for activations")
}

func TestMalformedLists(t *testing.T) {
	for answer, want := range map[string]int{
		`[{"activationId": "a", "name": "f", "start": 1}]`: 0, `[null]`: 1, `[7, {"activationId": "a", "name": "f", "start": 1}, "x"]`: 2,
		`[{"activationId": "a", "start": 1}]`: 1, `[{"activationId": "../a", "name": "f", "start": 1}]`: 1, `[{"activationId": "a", "name": "f", "start": -1}]`: 1,
		`[{"activationId": "a", "name": "f", "start": 1, "annotations": 5}]`: 1,
	} {
		_, malformed, err := fakeClient(t, answering(200, nil, answer)).ListActivations(t.Context(), ListOptions{Limit: 3})
		require.NoError(t, err, answer)
		require.Equal(t, want, malformed, answer)
	}
	_, _, err := fakeClient(t, answering(200, nil, `{}`)).ListActivations(t.Context(), ListOptions{Limit: 3})
	require.Equal(t, Nonsense, KindOf(err))
	_, _, err = fakeClient(t, answering(200, nil, `[1, 2, 3, 4]`)).ListActivations(t.Context(), ListOptions{Limit: 3})
	require.ErrorContains(t, err, "more records than were asked for")
}

func TestWarmUps(t *testing.T) {
	for result, want := range map[string]bool{
		`{"prewarmed": true, "cold": false, "instance": "x"}`: true, `{"prewarmed": false}`: false, `{"text": "\"prewarmed\": true"}`: false,
		`{"of": {"prewarmed": true}}`: false, `{"prewarmed": "yes"}`: false, `[{"prewarmed": true}]`: false, `{}`: false, `null`: false,
	} {
		r, ok := parseListed(json.RawMessage(`{"activationId": "a", "name": "f", "start": 1, "response": {"result": ` + result + `}}`))
		require.True(t, ok)
		require.Equal(t, want, r.Prewarmed, result)
	}
}

// FuzzListed checks that no text makes the parser panic, or gives times that cannot be.
func FuzzListed(f *testing.F) {
	for _, e := range recordedLists(f) {
		var records []json.RawMessage
		if json.Unmarshal(e.Response.Body, &records) == nil {
			for _, r := range records {
				f.Add([]byte(r))
			}
		}
	}
	f.Add([]byte(`{"activationId":"a","name":"f","start":9e18,"cause":"\u0000","response":{"result":{"prewarmed":true}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, ok := parseListed(text)
		if !ok {
			require.Equal(t, Listed{}, r)
			return
		}
		const year = 366 * 24 * time.Hour
		if r.ID == "" || r.Name == "" || r.Start.UnixMilli() <= 0 || r.Wait < 0 || r.Wait > year || r.Init < 0 || r.Init > year || r.Init > 0 && !r.Cold ||
			r.Cause != "" && !plausibleID(r.Cause) {
			t.Fatalf("%+v", r)
		}
	})
}
