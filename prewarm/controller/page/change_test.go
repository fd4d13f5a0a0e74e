package page

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/prewarm/controller"
)

// apply does what the page does with a change.
func apply[T any, K comparable](list []T, d *delta[T, K], key func(*T) K) map[K]T {
	m := map[K]T{}
	for i := range list {
		m[key(&list[i])] = list[i]
	}
	if d != nil {
		for _, e := range d.Set {
			m[key(e)] = *e
		}
		for _, k := range d.Gone {
			delete(m, k)
		}
	}
	return m
}

// TestChangesLeadToTheState checks for any two lists that the difference leads from one to the other, and has nothing that is the same in both.
func TestChangesLeadToTheState(t *testing.T) {
	key := func(f *controller.FunctionState) string { return f.Name }
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) controller.FunctionState {
			return controller.FunctionState{Name: fmt.Sprint("f", rapid.IntRange(0, 12).Draw(t, "name")), Busy: rapid.IntRange(0, 1).Draw(t, "busy")}
		}), 0, 10, func(f controller.FunctionState) string { return f.Name })
		from, to := list.Draw(t, "from"), list.Draw(t, "to")
		d := difference(from, to, key)
		require.Equal(t, apply(to, nil, key), apply(from, d, key))
		if d == nil {
			return
		}
		for _, f := range d.Set {
			require.False(t, slices.Contains(from, *f), "%v is not new", f)
		}
		require.NotEmpty(t, len(d.Set)+len(d.Gone))
	})
}

// TestChangeIsSmall checks that what has not changed is not sent.
func TestChangeIsSmall(t *testing.T) {
	from := scenario(time.Minute)
	to := *from
	to.Time = to.Time.Add(time.Second)
	c := changeOf(from, &to)
	require.Nil(t, c.Functions)
	require.Nil(t, c.Traces)
	require.Nil(t, c.Containers)
	require.Nil(t, c.Decisions)
	require.Nil(t, c.Models)
	require.Nil(t, c.Sources)
	text, err := json.Marshal(c)
	require.NoError(t, err)
	whole, err := json.Marshal(from)
	require.NoError(t, err)
	require.Less(t, 10*len(text), len(whole))

	to.Models, to.Sources = nil, from.Sources[:1]
	c = changeOf(from, &to)
	require.Nil(t, *c.Models)
	require.Len(t, *c.Sources, 1)
}

// BenchmarkChange is what an event costs where there are thousands of functions.
func BenchmarkChange(b *testing.B) {
	from := scenario(time.Minute)
	for i := range 5000 {
		from.Functions = append(from.Functions, controller.FunctionState{Name: fmt.Sprint("function-", i)})
	}
	to := *from
	to.Functions = slices.Clone(from.Functions)
	for i := range 50 {
		to.Functions[100*i].Busy++
	}
	for b.Loop() {
		event("change", changeOf(from, &to))
	}
}
