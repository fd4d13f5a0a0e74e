// Package idmap has a map from numbers to values for what comes and goes all the time: unlike Go's own it allocates only when it has more keys than it
// ever had, whatever is set and deleted in between.
//
//	var m idmap.Map[prewarm.ID, int32]
//	m.Set(17, 3)
//	at, ok := m.Get(17)
//	m.Delete(17)
package idmap

import "math/bits"

// Map maps numbers to values. It is a table with linear probing, in which a deletion moves back what follows (Knuth, "The Art of Computer
// Programming", volume 3, section 6.4, algorithm R), so that it leaves nothing behind. The zero value is empty.
type Map[K ~uint64, V any] struct {
	slots []slot[K, V] // a power of two, of which a quarter at least is free
	shift uint8        // by which a hash is cut to an index
	n     int
}

type slot[K ~uint64, V any] struct {
	key   K
	used  bool
	value V
}

// least is the number of slots of the smallest table.
const least = 8

// Len returns the number of keys.
func (m *Map[K, V]) Len() int { return m.n }

// home returns where a key belongs if nothing is in its way: multiplied by 2⁶⁴ over the golden ratio, numbers that follow one another lie far apart.
func (m *Map[K, V]) home(key K) int { return int(uint64(key) * 0x9e3779b97f4a7c15 >> m.shift) }

// find returns the slot of a key, or the free one in which it would be put.
func (m *Map[K, V]) find(key K) *slot[K, V] {
	for i := m.home(key); ; i++ {
		s := &m.slots[i&(len(m.slots)-1)]
		if !s.used || s.key == key {
			return s
		}
	}
}

// Get returns the value of a key, and whether there is one.
func (m *Map[K, V]) Get(key K) (value V, ok bool) {
	if m.n == 0 {
		return value, false
	}
	s := m.find(key)
	return s.value, s.used
}

// Set sets the value of a key.
func (m *Map[K, V]) Set(key K, value V) {
	if len(m.slots) > 0 {
		if s := m.find(key); s.used {
			s.value = value
			return
		}
	}
	if 4*(m.n+1) > 3*len(m.slots) {
		m.grow()
	}
	*m.find(key) = slot[K, V]{key, true, value}
	m.n++
}

func (m *Map[K, V]) grow() {
	old := m.slots
	m.slots = make([]slot[K, V], max(2*len(old), least))
	m.shift = uint8(64 - bits.TrailingZeros(uint(len(m.slots))))
	for i := range old {
		if s := &old[i]; s.used {
			*m.find(s.key) = *s
		}
	}
}

// Delete deletes a key, and reports whether it was there.
func (m *Map[K, V]) Delete(key K) bool {
	if m.n == 0 {
		return false
	}
	mask := len(m.slots) - 1
	free := m.home(key) & mask
	for ; m.slots[free].used && m.slots[free].key != key; free = (free + 1) & mask {
	}
	if !m.slots[free].used {
		return false
	}
	for i := (free + 1) & mask; m.slots[i].used; i = (i + 1) & mask {
		// What belongs behind the free slot, up to where it is, is found where it is.
		if home := m.home(m.slots[i].key); (i-home)&mask >= (i-free)&mask {
			m.slots[free] = m.slots[i]
			free = i
		}
	}
	m.slots[free] = slot[K, V]{}
	m.n--
	return true
}

// Clear deletes all keys, and keeps the memory.
func (m *Map[K, V]) Clear() {
	clear(m.slots)
	m.n = 0
}
