package policy_test

import (
	"slices"
	"strconv"
	"strings"
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

// TestDefaults checks that a spec without arguments is the one with the values that are published for the policy, or that its help names; and that
// each of these matters.
func TestDefaults(t *testing.T) {
	const stem = ":reactive=yes:initial=2:min=1:max=4:ttl=120:threshold=1:increment=1:interval=600:limit=100:variance=10"
	const histogram = ":range=240:head=5:tail=99:margin=10:oob=0.5:min=10:cv=2"
	whole := map[string]string{
		"chain": ":0:theta=0:hold=120", "faascache": "", "fpc": ":idle=600:grace=10:keep=0:keeping=600:promotion=no:stale=0.1" + stem,
		"histogram": histogram, "histogram-app": histogram, "hpa": ":80:request=100:min=1:max=10:path=behavior:tolerance=0.1:stabilization=300:sync=15",
		"jit": ":0.5:0.5:keep=0:hold=120:delay=quantile", "keepalive": ":600",
		"kpa": ":100:0.7:min=0:max=0:initial=1:burst=211:stable=60:grace=30:retention=0:delay=0", "none": "", "openfaas-ce": ":5:10:min=1:rate=5",
		"openfaas-pro": ":rps:50:0.9:min=1:max=20:zero=0:down=0:loop=15", "openwhisk": ":idle=600:grace=10" + stem, "ski": ":2560:2",
	}
	options := policy.Options{Functions: []prewarm.Function{{Name: "f", MemoryMB: 256}, {Name: "stem cells", MemoryMB: 256, StemCell: true}}}
	for _, k := range policy.Kinds() {
		arguments, known := whole[k.Name]
		if !known {
			require.Contains(t, []string{"newsvendor", "learning"}, k.Name, "the defaults of a policy are missing here")
			continue
		}
		usual, err := policy.New(k.Name, options)
		require.NoError(t, err)
		same, err := policy.New(k.Name+arguments, options)
		require.NoError(t, err)
		require.Equal(t, usual, same, k.Name)
		words := strings.Split(k.Name+arguments, ":")
		for i := range words[1:] {
			name, text, named := strings.Cut(words[i+1], "=")
			if !named {
				name, text = "", words[i+1]
			} else {
				name += "="
			}
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				continue
			}
			changed := slices.Clone(words)
			var other prewarm.Policy
			for _, w := range []float64{v / 2, 2*v + 1} { // one of which is allowed
				if w == v {
					continue
				}
				changed[i+1] = name + strconv.FormatFloat(w, 'f', -1, 64)
				if other, err = policy.New(strings.Join(changed, ":"), options); err == nil {
					break
				}
			}
			require.NoError(t, err)
			require.NotEqual(t, usual, other, "%s is nowhere", strings.Join(changed, ":"))
		}
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
