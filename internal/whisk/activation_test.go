package whisk

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRecord(t *testing.T) {
	const head = `{"activationId": "a", "start": 5, `
	for _, test := range []struct {
		name, answer string
		want         Record
	}{
		{"whole numbers", head + `"end": 9, "annotations": [{"key": "waitTime", "value": 8}, {"key": "initTime", "value": 60}]}`,
			Record{End: time.UnixMilli(9), Wait: 8 * time.Millisecond, Init: 60 * time.Millisecond, Cold: true}},
		{"fractions and exponents", head + `"annotations": [{"key": "waitTime", "value": 8.5}, {"key": "initTime", "value": 6e1}]}`,
			Record{Wait: 8500 * time.Microsecond, Init: 60 * time.Millisecond, Cold: true}},
		{"no times", head + `"annotations": [{"key": "waitTime", "value": "8"}, {"key": "initTime", "value": null}]}`, Record{}},
		{"impossible times", head + `"annotations": [{"key": "waitTime", "value": -1}, {"key": "initTime", "value": 1e300}]}`, Record{}},
		{"twice", head + `"annotations": [{"key": "waitTime", "value": 1}, {"key": "waitTime", "value": 2}]}`, Record{Wait: time.Millisecond}},
		{"an initialisation of 0 ms", head + `"annotations": [{"key": "initTime", "value": 0}]}`, Record{Cold: true}},
		{"no annotations", head + `"annotations": null}`, Record{}},
		{"success", head + `"response": {"status": "success", "success": true, "result": {"error": "none"}}}`, Record{}},
		{"failure", head + `"response": {"status": "application error", "success": false, "result": {"error": "e"}}}`, Record{Error: "application error: e"}},
		{"failure with an object", head + `"response": {"status": "application error", "result": {"error": {"a":  [1]}}}}`, Record{Error: `application error: {"a":[1]}`}},
		{"failure without a reason", head + `"response": {"status": "whisk internal error", "result": [1]}}`, Record{Error: "whisk internal error"}},
		{"failure with null", head + `"response": {"status": "whisk internal error", "result": {"error": null}}}`, Record{Error: "whisk internal error"}},
		{"long failure", head + `"response": {"status": "application error", "result": {"error": "` + strings.Repeat("é", 300) + `"}}}`,
			Record{Error: "application error: " + strings.Repeat("é", 128) + "…"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.want.Start = time.UnixMilli(5)
			r, err := fakeClient(t, answering(200, nil, test.answer)).Activation(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, test.want, r)
		})
	}
}

// FuzzRecord checks that no answer makes the parser panic, gives times that cannot be, or passes for the record of another activation.
func FuzzRecord(f *testing.F) {
	for _, e := range recorded(f) {
		f.Add([]byte(e.Response.Body), e.Response.Status)
	}
	f.Add([]byte(`{"activationId":"a","start":9e18,"annotations":[{"key":"waitTime","value":-1},{"key":"initTime","value":1e300}]}`), 200)
	f.Add([]byte(`{"activationId":"a","start":1,"response":{"status":"x","result":{"error":"\ud800\u0000"}}}`), 200)
	f.Add([]byte("null"), 200)
	f.Add([]byte(`["a"]`), 200)
	const year = 366 * 24 * time.Hour
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		if status < 200 || status > 599 {
			return
		}
		r, err := fakeClient(t, answering(status, nil, string(body))).Activation(t.Context(), "a")
		if err != nil {
			require.Equal(t, Record{}, r)
			require.NotContains(t, err.Error(), "\n")
			return
		}
		var document struct{ ActivationID string }
		require.NoError(t, json.Unmarshal(body, &document))
		require.Equal(t, "a", document.ActivationID)
		if r.Wait < 0 || r.Wait > year || r.Init < 0 || r.Init > year || r.Start.UnixMilli() <= 0 || r.Init > 0 && !r.Cold {
			t.Fatalf("%+v", r)
		}
	})
}
