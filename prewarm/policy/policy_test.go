package policy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/policy"
	"github.com/tppfaas/tppfaas/prewarm/policytest"
)

// TestVectors runs the tests of testdata.
func TestVectors(t *testing.T) { policytest.Run(t, "testdata/*.txt") }

// TestWrongSpecsSayWhatIsAllowed checks the messages for wrong specs.
func TestWrongSpecsSayWhatIsAllowed(t *testing.T) {
	for spec, message := range map[string]string{
		"":                    `there is no policy ""; there are `,
		"nothing":             `there is no policy "nothing"; there are `,
		"none:1":              `policy none:1: there are no arguments, and one is "1" (its form is none)`,
		"keepalive:x":         `policy keepalive:x: K is "x", must be a number (its form is keepalive[:K])`,
		"keepalive:-1":        "K is -1, must be from 0 to",
		"keepalive:NaN":       "must be a number",
		"keepalive:1:2":       `there is no argument for "2"; there are K`,
		"keepalive:":          `K is "", must be a number`,
		"chain:hold=-5s":      "hold is -5, must be from 0 to",
		"chain:hold=2562047h": "hold is 9.2233692e+09, must be from 0 to 3.15576e+08", // with the time of the run it would be more than a Time can say
		"hpa:sync=1ns":        "sync is 1e-09, must be from 0.1 to",
		"hpa:sync=0":          "sync is 0, must be from 0.1 to",
		"openfaas-pro:loop=0": "loop is 0, must be from 0.1 to",
		"kpa:stable=1us":      "stable is 1e-06, must be from 1 to",
		"keepalive:hold=10":   `there is no argument for "hold=10"; there are K`,
	} {
		p, err := policy.New(spec, policy.Options{})
		require.ErrorContains(t, err, message, spec)
		require.NotContains(t, err.Error(), "\n")
		require.Nil(t, p)
	}
}

// TestKinds checks that every kind explains itself, and can be made as its form says without what may be left out.
func TestKinds(t *testing.T) {
	require.NotEmpty(t, policy.Kinds())
	for _, k := range policy.Kinds() {
		require.NotEmpty(t, k.Help, k.Name)
		require.Regexp(t, "^"+k.Name, k.Form)
		_, err := policy.New(k.Name, policy.Options{Functions: []prewarm.Function{{Name: "f", MemoryMB: 256}}})
		require.NoError(t, err, k.Name)
	}
}

// FuzzNew checks that no spec makes New panic, and that it returns either a policy or an error of one line.
func FuzzNew(f *testing.F) {
	for _, k := range policy.Kinds() {
		f.Add(k.Name)
		f.Add(k.Name + ":1:0.5")
	}
	f.Fuzz(func(t *testing.T, spec string) {
		p, err := policy.New(spec, policy.Options{Functions: []prewarm.Function{{Name: "f", MemoryMB: 256}}})
		require.Equal(t, err == nil, p != nil, spec)
	})
}
