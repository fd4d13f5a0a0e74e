package rest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
)

// TestStartsOfAnotherPlatform checks that with Options.Starts a cold start waits, and initialises, at least as long as on that platform, and
// that a warm one does not; and that a start which is under way holds the end of the platform up by nothing.
func TestStartsOfAnotherPlatform(t *testing.T) {
	starts := localwhisk.StandaloneConfig()
	c := serve(t, Options{Starts: &starts, StartSeed: 1, InstantRecords: true})
	c.want(200, "", "PUT", under+"actions/a", goAction)
	times := func() (wait, init float64) {
		answer, body := c.do("POST", under+"actions/a?blocking=true", "{}")
		if answer.StatusCode != 200 {
			t.Fatalf("%d %s", answer.StatusCode, body)
		}
		var annotations []struct {
			Key   string
			Value any
		}
		if err := json.Unmarshal(c.record(answer.Header.Get("X-Openwhisk-Activation-Id")).Annotations, &annotations); err != nil {
			t.Fatal(err)
		}
		for _, a := range annotations {
			v, _ := a.Value.(float64)
			switch a.Key {
			case "waitTime":
				wait = v
			case "initTime":
				init = v
			}
		}
		return wait, init
	}
	milliseconds := func(d time.Duration) float64 { return float64(d.Milliseconds()) }
	if wait, init := times(); wait < milliseconds(starts.Creation.Min) || init < milliseconds(starts.Init.Min) {
		t.Errorf("cold: waited %v ms and initialised %v ms, want at least %v and %v", wait, init, starts.Creation.Min, starts.Init.Min)
	}
	if _, init := times(); init != 0 {
		t.Errorf("warm: initialised %v ms", init)
	}

	slow := localwhisk.DefaultConfig()
	slow.Creation.Min = time.Hour
	other := serve(t, Options{Starts: &slow})
	other.want(200, "", "PUT", under+"actions/a", goAction)
	other.want(202, "", "POST", under+"actions/a", "{}")
	if err := other.server.Close(); err != nil {
		t.Error(err)
	}
}
