package controller

import (
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/policy"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// ungrown is a policy that cannot take up more functions.
type ungrown struct{ prewarm.Policy }

// TestFunctionAppears checks that a policy keeps what it knows when a function appears, and that only one which cannot is made anew.
func TestFunctionAppears(t *testing.T) {
	for _, spec := range []string{"chain", "histogram", "fpc", "kpa", "cannot"} {
		made := 0
		s := newSteps(t, nil, 0, func(o *Options) {
			o.NewPolicy = func(functions []prewarm.Function) (prewarm.Policy, error) {
				made++
				if spec == "cannot" {
					p, err := policy.New("chain", policy.Options{Platform: whisk, Functions: functions})
					return ungrown{p}, err
				}
				return policy.New(spec, policy.Options{Platform: whisk, Functions: functions})
			}
		})
		at := time.Duration(0)
		for range 3 {
			for _, f := range []string{"a", "new"} {
				s.observe(source.Invoked, f, "t"+at.String(), "1", "", "", at)
				s.observe(source.Started, f, "t"+at.String(), "1", "", "x"+f, at)
				s.observe(source.Ended, f, "t"+at.String(), "1", "", "x"+f, at+time.Second)
				at += time.Minute
				s.Pass(at)
			}
		}
		want := 1
		if spec == "cannot" {
			want = 2
		}
		if made != want || len(s.fleet.Functions) != 3 || s.faults > 0 {
			t.Errorf("%s: the policy was made %d times, want %d; functions are %v", spec, made, want, s.fleet.Functions)
		}
	}
}
