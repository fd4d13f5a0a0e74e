package policy

import (
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

func init() {
	Register(Kind{
		Name: "none", Form: "none", Help: "keeps no container after its use: every start is cold",
		New: func(*Args, Options) (prewarm.Policy, error) { return &keepAlive{rule: "nothing is kept"}, nil },
	})
	Register(Kind{
		Name: "keepalive", Form: "keepalive[:K]", Help: "keeps an idle container for K seconds (600) after its use",
		New: func(a *Args, _ Options) (prewarm.Policy, error) {
			return &keepAlive{hold: seconds(a.Number("K", 600, 0, maxSeconds)), rule: "kept for K after its use"}, nil
		},
	})
}

// keepAlive is the fixed keep-alive: an idle container is removed once it was idle for longer than K, counted from the end of its last run. It
// starts nothing. Function platforms have had K from 5 minutes (AWS Lambda) over 10 (OpenWhisk) to 20 (Azure Functions); measurements vary
// by year and load, see Shilkov, "Comparison of Cold Starts in Serverless Functions across AWS, Azure, and GCP", and Ngo et al., arXiv 2203.10227.
//
// A gap of exactly K is warm: the container is removed strictly after. K = 0, which is the policy none, gives it back at once.
type keepAlive struct {
	hold time.Duration
	rule string
}

// Grown implements prewarm.Grower.
func (k *keepAlive) Grown(*prewarm.Fleet, *prewarm.Decisions) {}

// Handle implements prewarm.Policy.
func (k *keepAlive) Handle(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	if e.Kind != prewarm.Idle {
		return
	}
	keep(fleet.Container(e.Container), e.At, k.hold, k.rule, d)
}

// keep keeps an idle container for a time from at on, so that it is still there at the end of it.
func keep(c *prewarm.Container, at prewarm.Time, hold time.Duration, rule string, d *prewarm.Decisions) {
	if hold <= 0 {
		d.GiveBack(c, prewarm.Why{Rule: rule})
		return
	}
	d.Hold(c, at+hold+1, prewarm.Why{Rule: rule})
}
