package mirror

import "hash/maphash"

// idKind is what an id is of.
type idKind uint8

const (
	ofCall idKind = iota
	ofSpan
)

// idKey is an id of a kind.
type idKey struct {
	kind idKind
	id   string
}

// ids finds the invocations of a trace by their ids. Most traces have few, which a look at all hashes finds faster than a map.
type ids struct {
	entries []idEntry
	index   map[idKey]*invocation // nil while there are few
}

type idEntry struct {
	hash uint64
	v    *invocation
	kind idKind
}

// fewIDs is the number up to which hashes are looked at.
const fewIDs = 64

var idSeed = maphash.MakeSeed()

func (v *invocation) name(k idKind) string {
	if k == ofCall {
		return v.call
	}
	return v.span
}

// find returns the invocation with an id, nil if there is none.
func (s *ids) find(k idKind, id string) *invocation {
	if id == "" {
		return nil
	}
	if s.index != nil {
		return s.index[idKey{k, id}]
	}
	h := maphash.String(idSeed, id)
	for i := len(s.entries) - 1; i >= 0; i-- {
		if e := &s.entries[i]; e.hash == h && e.kind == k && e.v.name(k) == id {
			return e.v
		}
	}
	return nil
}

// add adds the id that v has.
func (s *ids) add(k idKind, v *invocation) {
	id := v.name(k)
	if s.index == nil && len(s.entries) < fewIDs {
		s.entries = append(s.entries, idEntry{hash: maphash.String(idSeed, id), v: v, kind: k})
		return
	}
	if s.index == nil {
		s.index = make(map[idKey]*invocation, 2*fewIDs)
		for _, e := range s.entries {
			s.index[idKey{e.kind, e.v.name(e.kind)}] = e.v
		}
	}
	s.index[idKey{k, id}] = v
}

// reset forgets all ids.
func (s *ids) reset() {
	clear(s.entries)
	s.entries, s.index = s.entries[:0], nil
}
