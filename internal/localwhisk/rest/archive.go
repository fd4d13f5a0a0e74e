package rest

import (
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
)

// activationStore keeps the records of activations, and removes the oldest beyond its limits. The newest are kept as they are. Older ones, which
// are rarely asked for and resemble each other, are kept in compressed blocks, so that tens of thousands take some megabytes.
type activationStore struct {
	maxRecords, maxBytes int

	mu          sync.Mutex
	byID        map[activationKey]uint64 // numbers of the records, which are numbered in the order of put
	names       map[indexedName]*indexedName
	first       uint64    // number of the oldest
	index       []indexed // of all, from first on
	blocks      []block   // the older records, from first on
	bytes       int       // of the blocks
	recent      []*record // the newer records, after those in blocks
	recentBytes int

	compressor *flate.Writer // of blocks; nil before the first

	// The block that was decompressed last, and the number of its first record.
	decoded      []byte
	decodedStart uint64
}

type activationKey [16]byte

// indexed has what lists filter and sort records by.
type indexed struct {
	id              activationKey
	start, received int64
	of              *indexedName
}

// indexedName is the namespace of a record and the full name of its action or trigger; many records share one.
type indexedName struct{ namespace, path string }

// block is a compressed sequence of records, each a line of JSON.
type block struct {
	compressed []byte
	records    int
}

const (
	blockRecords = 256
	blockBytes   = 1 << 20
)

// archived is a record with the fields that its JSON does not have.
type archived struct {
	*record
	Path     string `json:"~path"`
	Kind     int    `json:"~kind"`
	Received int64  `json:"~received"`
}

func newActivationStore(maxRecords, maxBytes int) *activationStore {
	return &activationStore{maxRecords: maxRecords, maxBytes: maxBytes, byID: map[activationKey]uint64{}, names: map[indexedName]*indexedName{}}
}

func activationKeyOf(id string) (key activationKey, ok bool) {
	n, err := hex.Decode(key[:], []byte(id))
	return key, err == nil && n == len(key)
}

// put adds a record, and removes the oldest beyond the limits.
func (a *activationStore) put(r *record) {
	key, ok := activationKeyOf(r.ID)
	if !ok {
		return // cannot happen: the ids are ours
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
	a.recentBytes += r.bytes()
	// The newer half stays uncompressed: most requests are for recent records.
	if n := len(a.recent); n >= 2*min(blockRecords, a.maxRecords) || n > 1 && a.recentBytes >= 2*blockBytes {
		a.seal((n + 1) / 2)
	}
	for len(a.blocks) > 0 && (len(a.index) > a.maxRecords || a.bytes+a.recentBytes > a.maxBytes) {
		a.removeOldest()
	}
}

// seal moves the n oldest records of recent into a block.
func (a *activationStore) seal(n int) {
	var text bytes.Buffer
	lines := json.NewEncoder(&text)
	lines.SetEscapeHTML(false)
	for _, r := range a.recent[:n] {
		a.recentBytes -= r.bytes()
		if err := lines.Encode(archived{r, r.path, int(r.kind), r.received.UnixNano()}); err != nil {
			text.WriteByte('\n') // cannot happen: only invalid JSON is an error, and all of it was checked
		}
	}
	compressed := a.compress(text.Bytes())
	a.blocks = append(a.blocks, block{compressed, n})
	a.bytes += len(compressed)
	a.recent = append(make([]*record, 0, 2*blockRecords), a.recent[n:]...)
}

// compress returns a compressed copy of text.
func (a *activationStore) compress(text []byte) []byte {
	var to bytes.Buffer
	if a.compressor == nil {
		a.compressor, _ = flate.NewWriter(nil, flate.BestSpeed) // the only error is an unknown level
	}
	a.compressor.Reset(&to)
	a.compressor.Write(text) // a buffer takes everything
	a.compressor.Close()
	return bytes.Clone(to.Bytes()) // without the room that the buffer has left
}

// removeOldest removes the oldest block.
func (a *activationStore) removeOldest() {
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
func (a *activationStore) get(namespace, id string) *record {
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

// getNumber returns the record with a number, nil if it was removed.
func (a *activationStore) getNumber(n uint64) *record {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n < a.first {
		return nil
	}
	return a.read(n)
}

// read returns the record with a number, which must not have been removed.
func (a *activationStore) read(n uint64) *record {
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
		if a.decoded == nil || a.decodedStart != start {
			text, err := io.ReadAll(flate.NewReader(bytes.NewReader(b.compressed)))
			if err != nil {
				return nil
			}
			a.decoded, a.decodedStart = text, start
		}
		r, err := unarchive(bytes.SplitN(a.decoded, []byte("\n"), int(n-start)+2)[n-start])
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
func (a *activationStore) find(keep func(*indexed) bool) []uint64 {
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
