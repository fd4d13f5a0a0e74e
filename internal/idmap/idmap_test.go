package idmap

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestIsAMap sets and deletes keys, of which many share a place, and compares with Go's map.
func TestIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m Map[uint64, int]
		want := map[uint64]int{}
		keys := rapid.OneOf(rapid.Uint64Range(0, 20), rapid.SampledFrom([]uint64{1 << 63, 3 << 62, 1<<64 - 1, 1 << 40}))
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				k := keys.Draw(t, "key")
				want[k] = rapid.Int().Draw(t, "value")
				m.Set(k, want[k])
			},
			"delete": func(t *rapid.T) {
				k := keys.Draw(t, "key")
				if _, ok := want[k]; m.Delete(k) != ok {
					t.Fatalf("%d was there: %v", k, ok)
				}
				delete(want, k)
			},
			"clear": func(t *rapid.T) {
				if rapid.IntRange(0, 20).Draw(t, "whether") == 0 {
					m.Clear()
					clear(want)
				}
			},
			"": func(t *rapid.T) {
				if m.Len() != len(want) {
					t.Fatalf("%d keys, want %d", m.Len(), len(want))
				}
				for k := range uint64(21) {
					v, ok := m.Get(k)
					if w, there := want[k]; ok != there || v != w {
						t.Fatalf("key %d: %v %v, want %v %v", k, v, ok, w, there)
					}
				}
			},
		})
	})
}

// TestAllocatesNothing has keys come and go.
func TestAllocatesNothing(t *testing.T) {
	var m Map[uint64, [2]int]
	const present = 3000
	for k := range uint64(present) {
		m.Set(k, [2]int{})
	}
	k, rng := uint64(present), rand.New(rand.NewPCG(1, 1))
	live := make([]uint64, present)
	for i := range live {
		live[i] = uint64(i)
	}
	require.Zero(t, testing.AllocsPerRun(10, func() {
		for range 10 * present {
			i := rng.IntN(present)
			m.Delete(live[i])
			live[i] = k
			m.Set(k, [2]int{int(k)})
			k++
		}
	}))
	for _, k := range live {
		_, ok := m.Get(k)
		require.True(t, ok)
	}
	require.Equal(t, present, m.Len())
}
