package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/prewarm/policytest"
)

// TestRandomRequests lets random requests arrive on random platforms under each policy. Every invocation must get its container, nothing may contradict
// what the fleet knows, and of policies that keep nothing no container is left at the end.
func TestRandomRequests(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{
			"none", "chain:0:hold=20", "jit:0.5:0.5", "jit:0:0", "jit:0.9:0.3:keep=5", "jit:delay=orion", "keepalive:60", "openwhisk", "fpc", "histogram", "histogram-app",
			"faascache",
		}
		kept := len(names) - 1 // of FaasCache what is idle is left
		i := rapid.IntRange(0, len(names)-1).Draw(t, "policy")
		var text strings.Builder
		line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
		line("policy %s", names[i])
		line("platform late=%s arrivals=%s dispatch=%v return=%v",
			rapid.SampledFrom([]string{"takes", "own"}).Draw(t, "late"), rapid.SampledFrom([]string{"yes", "no"}).Draw(t, "arrivals"),
			rapid.SampledFrom([]float64{0, 0.005}).Draw(t, "dispatch"), rapid.SampledFrom([]float64{0, 0.002}).Draw(t, "return"))
		if rapid.Bool().Draw(t, "limited") {
			line("platform memory=%d", 256*rapid.IntRange(1, 6).Draw(t, "containers"))
		}
		functions := []string{"A", "B", "C", "D"}
		for _, f := range functions {
			line("function %s app=shop start=%v", f, rapid.SampledFrom([]float64{0, 0.5, 2}).Draw(t, "start"))
		}
		var call func(depth int) string
		call = func(depth int) string {
			s := fmt.Sprintf("%s %v", rapid.SampledFrom(functions).Draw(t, "function"), rapid.SampledFrom([]float64{0, 0.3, 1, 7}).Draw(t, "run"))
			n := 0
			if depth < 3 {
				n = rapid.IntRange(0, 3).Draw(t, "children")
			}
			var children []string
			for range n {
				children = append(children, call(depth+1))
			}
			if n > 0 {
				s += " (" + strings.Join(children, ", ") + ")"
			}
			return s
		}
		known := call(0)
		line("recorded app=shop 10 warm %s", known)
		line("recorded app=shop 25 cold %s", call(0))
		line("test random")
		at := 0.0
		for range rapid.IntRange(1, 12).Draw(t, "requests") {
			request := known
			if rapid.Bool().Draw(t, "another") {
				request = call(0)
			}
			line("at %v arrive %s", at, request)
			at += rapid.SampledFrom([]float64{0, 0.1, 2, 30}).Draw(t, "gap")
		}
		for _, f := range functions {
			line("at 100h expect waiting %s 0 expect busy %s 0 expect starting %s 0", f, f, f)
			if i < kept {
				line("at 100h expect count %s 0", f)
			}
		}
		tests, err := policytest.Parse("random.txt", text.String())
		require.NoError(t, err)
		require.NoError(t, tests[0].Run(), text.String())
	})
}
