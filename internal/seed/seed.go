// Package seed derives many independent streams of random numbers from one seed, one for each purpose.
//
//	durations := rand.New(seed.Stream(7, "durations"))
package seed

import (
	"hash/fnv"
	"math/rand/v2"
)

// Stream returns the source of a seed for a purpose. The draws for one purpose do not depend on those for others.
func Stream(seed uint64, purpose string) rand.Source {
	h := fnv.New64a()
	h.Write([]byte(purpose))
	return rand.NewPCG(scramble(seed), scramble(h.Sum64()^seed))
}

// Hash returns a number that is drawn for an index alone, whatever those for other indices.
func Hash(seed, index uint64) uint64 { return scramble(scramble(seed) + index) }

// scramble is the finaliser of SplitMix64 (Steele, Lea and Flood, 2014). It turns seeds that differ in one bit into unrelated states, which the
// generator alone does not.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
