package openwhisk

import (
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/apps"
)

func TestAssemble(t *testing.T) {
	app := quick()
	calls := []apps.Call{{Function: 0, Invokes: []int{1, 2}}, {Function: 1}, {Function: 3}}
	tags := func(call, function, id string, more ...string) map[string]string {
		m := map[string]string{"call": call, "faas.name": "quick-dev-" + function, "activationId": id, "waitTimeMilli": "4"}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		maps.DeleteFunc(m, func(_, v string) bool { return v == "" })
		return m
	}
	main := span{ID: "1", Name: "quick-dev-main", Timestamp: 1_000_000, Duration: 50_000, Tags: tags("0", "main", "a", "initTimeMilli", "30")}
	left := span{ID: "2", Name: "quick-dev-left", Timestamp: 1_040_000, Duration: 9_000, Tags: tags("1", "left", "b")}
	end := span{ID: "3", Name: "quick-dev-end", Timestamp: 1_055_000, Duration: 9_000, Tags: tags("2", "end", "c")}
	without := func(s span, more ...string) span {
		s.Tags = tags(s.Tags["call"], s.Tags["faas.name"][len("quick-dev-"):], s.Tags["activationId"], more...)
		return s
	}
	for _, c := range []struct {
		name  string
		spans []span
		want  string // what is missing
	}{
		{"complete", []span{end, main, left}, ""},
		{"phases and others", []span{main, {ID: "9", Name: "wait", Tags: map[string]string{"phase.of": "a"}}, left, {Name: "x"}, end}, ""},
		{"an announcement only", []span{main, left, {Name: "start", Timestamp: 5, Duration: 1, Tags: tags("2", "end", "c", "waitTimeMilli", "")}}, "missing quick-dev-end"},
		{"announcements", []span{
			{Name: "invoke", Timestamp: 1, Tags: map[string]string{"faas.invoked_name": "quick-dev-main", "call.id": "x"}},
			{Name: "start", Timestamp: 2, Duration: 1, Tags: tags("0", "main", "a", "waitTimeMilli", "")}, main,
			{Name: "invoke", Timestamp: 3, Duration: 1, Tags: tags("0", "main", "a", "waitTimeMilli", "")}, left,
			{Name: "start", Timestamp: 4, Tags: tags("2", "end", "another", "error", "no")}, end,
		}, ""},
		{"a function that is called start", []span{main, left, {Name: "start", Timestamp: 1_055_000, Duration: 9_000, Tags: end.Tags}}, ""},
		{"twice the same", []span{main, left, left, end}, ""},
		{"before and after its record", []span{main, without(left, "waitTimeMilli", ""), left, end}, ""},
		{"no record", []span{main, without(left, "waitTimeMilli", "", "openwhisk.record", "timeout"), end},
			"missing quick-dev-left (the collector has not found what OpenWhisk knows of activation b, openwhisk.record timeout)"},
		{"a function fails", []span{main, without(left, "error", "invoking quick-dev-end: 429")}, "missing quick-dev-end (quick-dev-left: invoking quick-dev-end: 429)"},
		{"two in one place", []span{main, left, without(left, "activationId", "d"), end}, "quick-dev-left ran twice in one place, as b and as d"},
		{"another function", []span{main, left, without(end, "faas.name", "quick-dev-right")}, "missing quick-dev-end"},
		{"a call that is none", []span{main, left, without(end, "call", "3")}, "missing quick-dev-end"},
		{"a wait that is none", []span{main, left, without(end, "waitTimeMilli", "-1")}, "missing quick-dev-end (the collector has not found"},
		{"nothing", nil, "missing quick-dev-main, quick-dev-left, quick-dev-end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			trace, lost := assemble(app, calls, c.spans)
			if c.want != "" {
				require.Nil(t, trace)
				require.Contains(t, lost.Error(), c.want)
				return
			}
			require.Nil(t, lost)
			require.Equal(t, []string{"a", "b", "c"}, []string{trace[0].ID, trace[1].ID, trace[2].ID})
			require.Equal(t, []string{"", "a", "a"}, []string{trace[0].Cause, trace[1].Cause, trace[2].Cause})
			require.Equal(t, 30*time.Millisecond, trace[0].Init)
			require.Equal(t, 4*time.Millisecond, trace[1].Wait)
			require.Equal(t, time.UnixMilli(1064), trace[2].End)
		})
	}
}

func TestDuration(t *testing.T) {
	calls := []apps.Call{
		{Invokes: []int{1, 2}}, {Sleep: 100 * time.Millisecond, Invokes: []int{3}}, {Sleep: 90 * time.Millisecond}, {Sleep: 7 * time.Millisecond},
	}
	require.Equal(t, 107*time.Millisecond, duration(calls))
	calls[2].Sleep = 100 * time.Millisecond
	require.Equal(t, 115*time.Millisecond, duration(calls))
}
