package rest

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
)

// activations are the records that are kept: the oldest are forgotten first. The newest are there as they are; older ones, which
// hardly anybody asks for and which resemble each other, in compressed blocks, so that tens of thousands take some megabytes.
type activations struct {
	most, mostBytes int

	mu     sync.Mutex
	byID   map[activationKey]uint64 // number of the record; they are counted in the order in which they are put
	names  map[indexedName]*indexedName
	first  uint64    // number of the oldest
	index  []indexed // of all, from first on
	blocks []block   // from first on
	bytes  int       // of the blocks
	recent []*record // behind the blocks
	fresh  int       // bytes of recent
	opened []byte    // the block that was opened last, and the number of its first record
	start  uint64
}

type activationKey [16]byte

// indexed is what lists are made by.
type indexed struct {
	id              activationKey
	start, received int64
	of              *indexedName
}

// indexedName is the namespace of a record and the path of what it is of: the same for many records.
type indexedName struct{ namespace, path string }

// block is some records, one after the other, each a line of JSON.
type block struct {
	compressed []byte
	records    int
}

const (
	blockRecords = 256
	blockBytes   = 1 << 20
)

// archived is a record with what its JSON does not show.
type archived struct {
	*record
	Path     string `json:"~path"`
	Kind     int    `json:"~kind"`
	Received int64  `json:"~received"`
}

func newActivations(most, mostBytes int) *activations {
	return &activations{most: most, mostBytes: mostBytes, byID: map[activationKey]uint64{}, names: map[indexedName]*indexedName{}}
}

func activationKeyOf(id string) (key activationKey, ok bool) {
	n, err := hex.Decode(key[:], []byte(id))
	return key, err == nil && n == len(key)
}

func (a *activations) put(r *record) {
	key, ok := activationKeyOf(r.ID)
	if !ok {
		return // an id of ours is none
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.byID[key] = a.first + uint64(len(a.index))
	of := indexedName{r.Namespace, r.path}
	if a.names[of] == nil {
		a.names[of] = &of
	}
	a.index = append(a.index, indexed{key, r.Start, r.received.UnixNano(), a.names[of]})
	a.recent = append(a.recent, r)
	a.fresh += r.bytes()
	// The newest half stays as it is: it is what is asked for.
	if n := len(a.recent); n >= 2*min(blockRecords, a.most) || n > 1 && a.fresh >= 2*blockBytes {
		a.seal((n + 1) / 2)
	}
	for len(a.blocks) > 0 && (len(a.index) > a.most || a.bytes+a.fresh > a.mostBytes) {
		a.forget()
	}
}

// seal makes a block of the n oldest records of recent.
func (a *activations) seal(n int) {
	var text bytes.Buffer
	lines := json.NewEncoder(&text)
	lines.SetEscapeHTML(false)
	for _, r := range a.recent[:n] {
		a.fresh -= r.bytes()
		if err := lines.Encode(archived{r, r.path, int(r.kind), r.received.UnixNano()}); err != nil {
			text.WriteByte('\n') // nothing but invalid JSON can be the reason, and all of it was checked
		}
	}
	b := block{s2.EncodeBetter(nil, text.Bytes()), n}
	b.compressed = slices.Clip(bytes.Clone(b.compressed)) // its capacity is that of the worst case
	a.blocks = append(a.blocks, b)
	a.bytes += len(b.compressed)
	a.recent = append(make([]*record, 0, 2*blockRecords), a.recent[n:]...)
}

// forget drops the oldest block.
func (a *activations) forget() {
	b := a.blocks[0]
	for i := range a.index[:b.records] {
		delete(a.byID, a.index[i].id)
	}
	a.index = a.index[b.records:]
	a.first += uint64(b.records)
	a.bytes -= len(b.compressed)
	a.blocks[0] = block{}
	a.blocks = a.blocks[1:]
}

// get returns a record, nil if there is none.
func (a *activations) get(namespace, id string) *record {
	key, ok := activationKeyOf(id)
	if !ok {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	n, ok := a.byID[key]
	if !ok || a.index[n-a.first].of.namespace != namespace {
		return nil
	}
	return a.read(n)
}

// numbered returns the record with a number, nil if it is forgotten.
func (a *activations) numbered(n uint64) *record {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n < a.first {
		return nil
	}
	return a.read(n)
}

// read returns a record that is there.
func (a *activations) read(n uint64) *record {
	sealed := a.first + uint64(len(a.index)-len(a.recent))
	if n >= sealed {
		return a.recent[n-sealed]
	}
	start := a.first
	for _, b := range a.blocks {
		if n >= start+uint64(b.records) {
			start += uint64(b.records)
			continue
		}
		if a.opened == nil || a.start != start {
			text, err := s2.Decode(nil, b.compressed)
			if err != nil {
				return nil
			}
			a.opened, a.start = text, start
		}
		r, err := unarchive(bytes.SplitN(a.opened, []byte("\n"), int(n-start)+2)[n-start])
		if err != nil {
			return nil
		}
		return r
	}
	return nil
}

func unarchive(line []byte) (*record, error) {
	x := archived{record: &record{}}
	if err := json.Unmarshal(line, &x); err != nil {
		return nil, fmt.Errorf("a record that was kept: %w", err)
	}
	x.path, x.kind, x.received = x.Path, container.OutcomeKind(x.Kind), time.Unix(0, x.Received)
	return x.record, nil
}

// find returns the numbers of the records for which keep holds, the latest start first.
func (a *activations) find(keep func(*indexed) bool) []uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	var found []uint64
	for i := len(a.index) - 1; i >= 0; i-- {
		if keep(&a.index[i]) {
			found = append(found, a.first+uint64(i))
		}
	}
	slices.SortStableFunc(found, func(x, y uint64) int {
		p, q := &a.index[x-a.first], &a.index[y-a.first]
		return cmp.Or(cmp.Compare(q.start, p.start), cmp.Compare(q.received, p.received))
	})
	return found
}
