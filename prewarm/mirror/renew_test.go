package mirror

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
)

// TestRenewed checks what a mirror makes of renewals of two idle containers a and b, which are idle since 1 s and removed after 10 s.
func TestRenewed(t *testing.T) {
	epoch := time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return epoch.Add(time.Duration(seconds * 1e9)) }
	result := func(o actuator.Outcome, instance string) actuator.Result {
		return actuator.Result{Outcome: o, Instance: instance, Asked: at(9), Ready: at(9.05)}
	}
	for _, c := range []struct {
		name    string
		answer  float64 // when it comes
		results []actuator.Result
		// until when there is a, b, and one that is new; 0 if it is not there
		a, b, other float64
		renewed     int
	}{
		{"both", 9.1, []actuator.Result{result(actuator.Collapsed, "b"), result(actuator.Collapsed, "a")}, 19.05, 19.05, 0, 2},
		{"both, of which nothing more is said", 9.1, []actuator.Result{result(actuator.Collapsed, ""), result(actuator.Collapsed, "")}, 19.05, 19.05, 0, 2},
		{"one of them", 9.1, []actuator.Result{result(actuator.Collapsed, "b"), result(actuator.Failed, "")}, 11, 19.05, 0, 1},
		{"none", 9.1, []actuator.Result{result(actuator.Failed, ""), result(actuator.Held, "")}, 11, 11, 0, 0},
		{"the answer comes late", 12, []actuator.Result{result(actuator.Collapsed, "b"), result(actuator.Collapsed, "a")}, 0, 0, 19.05, 0},
		{"the failure comes late", 12, []actuator.Result{result(actuator.Failed, ""), result(actuator.Failed, "")}, 0, 0, 0, 0},
		{"one was gone", 9.1, []actuator.Result{result(actuator.Collapsed, "b"), result(actuator.Created, "c")}, 0, 19.05, 19.1, 1},
		{"one that nothing was known of", 9.1, []actuator.Result{result(actuator.Collapsed, "a"), result(actuator.Collapsed, "d")}, 19.05, 11, 19.05, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := New(Options{
				Epoch: epoch, Functions: []prewarm.Function{{Name: "f", MemoryMB: 256}},
				Platform: prewarm.Platform{Warm: true, Arrivals: true, Renew: true, Late: prewarm.OwnContainer, IdleTimeout: 10 * time.Second},
			})
			require.NoError(t, err)
			ids, _ := m.Warm(0, 0, 2, nil)
			for i, instance := range []string{"a", "b"} {
				m.Warmed(time.Second, ids[i], actuator.Result{Outcome: actuator.Created, Instance: instance, Asked: at(0), Ready: at(1)}, nil)
			}
			m.Renewing(9*time.Second, ids, nil)
			m.Pass(prewarm.Time(c.answer*1e9)-1, nil)
			require.Empty(t, func() (gone []prewarm.ID) {
				for _, id := range ids {
					if _, ok := m.Container(id); !ok && c.answer < 9+longestRenewal.Seconds() {
						gone = append(gone, id)
					}
				}
				return gone
			}(), "while the answer is waited for")
			events := m.Renewed(prewarm.Time(c.answer*1e9), 0, ids, c.results, nil)
			renewed := 0
			for _, e := range events {
				if e.Kind == prewarm.Renewed {
					renewed++
				}
			}
			require.Equal(t, c.renewed, renewed)
			until := func(id prewarm.ID) float64 {
				k, ok := m.Container(id)
				if !ok {
					return 0
				}
				return k.Until.Seconds()
			}
			require.InDelta(t, c.a, until(ids[0]), 1e-6)
			require.InDelta(t, c.b, until(ids[1]), 1e-6)
			require.InDelta(t, c.other, until(ids[1]+1), 1e-6)
		})
	}
}
