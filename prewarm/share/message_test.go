package share

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// TestMessages checks that what is written is read as it was.
func TestMessages(t *testing.T) {
	const now = 1000.0
	v := newsvendor.Demand{Function: 3, Key: 7, Probability: 0.25, Busy: 0.5, Spread: 0.125, Slack: 2, Notice: math.Inf(1)}
	for i := range v.Times {
		v.Times[i] = now + float64(i)/4
	}
	v.Conditions[0] = newsvendor.Condition{Probability: 0.5, Lead: -1, Spread: 0.25}
	o := source.Observation{
		Kind: source.Ended, Function: "f", Version: "2", Trace: "t", Call: "c", ParentCall: "p", Span: "s", ParentSpan: "q", Activation: "a", Instance: "i", Clock: "m",
		Time: time.Unix(5, 6), Begin: time.Unix(4, 7), Wait: -1, Init: time.Second, Temperature: source.Cold, Failed: true,
	}
	results := []actuator.Result{{Outcome: actuator.Created, Instance: "i", Asked: time.Unix(1, 0), Ready: time.Unix(2, 0)}, {Outcome: actuator.Held}}
	supply := newsvendor.Supply{Function: 3, Free: true, Fresh: true, Asked: now - 1}
	for i := range supply.Start {
		supply.Start[i] = 1 + float64(i)/8
	}
	text := encode(&Message{
		At: 1, Key: "f", Observation: newObservation(&o), Told: &Told{Trace: "t", Until: 5, Demands: []Demand{newDemand(&v, now)}, Root: "r", Began: 9},
		Done: &Done{Owner: "x", ID: 4, Results: newResults(results)}, Supply: newSupply(&supply, now),
	})
	m, err := Parse(text)
	require.NoError(t, err)
	require.Equal(t, v, m.Told.Demands[0].demand(3, now))
	require.Equal(t, o, m.Observation.observation("f"))
	require.Equal(t, results, m.Done.results())
	require.Equal(t, supply, m.Supply.supply(3, now))
	supply.Asked = math.NaN()
	m, err = Parse(encode(&Message{At: 1, Key: "f", Supply: newSupply(&supply, now)}))
	require.NoError(t, err)
	back := m.Supply.supply(3, now)
	require.True(t, math.IsNaN(back.Asked))
}

// TestWrongMessages checks that what is wrong is said.
func TestWrongMessages(t *testing.T) {
	for text, want := range map[string]string{
		`garbage`:                                        "no message: ",
		`{"v":2,"at":1}`:                                 "a message of version 2: this program reads version 1",
		`{"v":1,"f":"f","s":{}}`:                         "a message without a time",
		`{"v":1,"at":1,"f":"f"}`:                         "a message that says nothing",
		`{"v":1,"at":1,"s":{}}`:                          "without the name of a function",
		`{"v":1,"at":1,"c":{}}`:                          "an owner without a name",
		`{"v":1,"at":1,"f":"f","o":{"k":9}}`:             "an observation of kind 9",
		`{"v":1,"at":1,"f":"f","a":{"owner":"x","n":0}}`: "0 containers are asked for",
		`{"v":1,"at":1,"f":"f","r":{"owner":"x"}}`:       "0 containers are to be renewed",
		`{"v":1,"at":1,"f":"f","r":{"n":1}}`:             "an owner without a name",
		`{"v":1,"at":1,"f":"f","s":{"start":[2` + strings.Repeat(",1", 31) + `]}}`:        "start times that do not ascend",
		`{"v":1,"at":1,"f":"f","s":{"start":[1` + strings.Repeat(",1", 32) + `]}}`:        "times that are no array of 32 whole numbers",
		`{"v":1,"at":1,"f":"f","s":{"start":[1]}}`:                                        "times that are no array of 32 whole numbers",
		`{"v":1,"at":1,"n":{"owner":"","p":1}}`:                                           "an owner without a name",
		`{"v":1,"at":1,"n":{"owner":"x","p":-1}}`:                                         "what stands of a partition is",
		`{"v":1,"at":1,"n":{"owner":"x","containers":-1}}`:                                "what stands of a partition is",
		`{"v":1,"at":1,"f":"f","o":{},"by":{"p":-1}}`:                                     "spans of a partition -1",
		`{"v":1,"at":1,"f":"f","s":{"start":7}}`:                                          "times that are no array of 32 whole numbers",
		`{"v":1,"at":1,"f":"f","s":{"start":[1` + strings.Repeat(",1.5", 31) + `]}}`:      "times that are no array of 32 whole numbers",
		`{"v":1,"at":1,"f":"f","d":{"owner":"x","results":[{"outcome":99}]}}`:             "a result that there is not",
		`{"v":1,"at":1,"f":"f","t":{}}`:                                                   "demands of no trace",
		`{"v":1,"at":1,"f":"f","t":{"trace":"t","demands":[{"p":2}]}}`:                    "demand 0 has a number that is none",
		`{"v":1,"at":1,"f":"f","t":{"trace":"t","demands":[{"p":1,"busy":-1}]}}`:          "demand 0 has a number that is none",
		`{"v":1,"at":1,"f":"f","t":{"trace":"t","demands":[{"p":1,"if":[[2,0,0]]}]}}`:     "demand 0 has a number that is none",
		`{"v":1,"at":1,"f":"f","t":{"trace":"` + strings.Repeat("t", 300) + `"}}`:         "demands of no trace",
		`{"v":1,"at":1,"f":"f","x":"` + strings.Repeat("x", mostBytes) + `","c":{"owner"`: "more than 1048576",
	} {
		_, err := Parse([]byte(text))
		require.ErrorContains(t, err, want, text[:min(len(text), 100)])
	}
}

// FuzzParse checks that no message does harm to a decider, and that what is read is written as it was.
func FuzzParse(f *testing.F) {
	for _, m := range []*Message{
		{At: 1, Key: "f", Told: &Told{Trace: "t", Until: 1e7, Root: "g", Began: 1, Demands: []Demand{{Probability: 1}}}},
		{At: 2, Key: "f", Observation: &Observation{Kind: source.Started, Trace: "t", Time: 3}},
		{At: 3, Claim: &Claim{Owner: "x"}},
		{At: 4, Key: "f", Asked: &Asked{Owner: "x", ID: 1, N: 2}},
		{At: 5, Key: "f", Done: &Done{Owner: "x", ID: 1, Results: []Result{{Outcome: actuator.Created}}}},
		{At: 6, Key: "f", Supply: &Supply{Free: true}},
		{At: 7, Standing: &Standing{Owner: "x", Claim: 1, Want: 1, Containers: 2, MemoryMB: 512, Starting: 1}},
	} {
		f.Add(encode(m))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Parse(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(m)
		require.NoError(t, err)
		second, err := Parse(again)
		require.NoError(t, err)
		third, err := json.Marshal(second)
		require.NoError(t, err)
		require.Equal(t, string(again), string(third))
		d := fuzzed(t)
		for range 2 {
			_ = d.units[0].take(prewarm.Time(time.Second), 0, m)
		}
		d.Stand(prewarm.Time(time.Minute), m)
		d.Pass(prewarm.Time(time.Minute))
		d.State()
	})
}
