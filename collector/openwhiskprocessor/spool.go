package openwhiskprocessor

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"
)

// spool keeps batches in a storage extension until all their spans are delivered. Batches are numbered. The storage holds
// batch N under the key batch/N, a bit for each of its spans that tells whether it was delivered under handed/N, the lowest
// number that may be in use under first, and the number of the next batch under next. A nil *spool stores nothing.
type spool struct {
	client storage.Client

	mu     sync.Mutex // held during writes, so that first and next only grow
	first  uint64
	next   uint64
	stored map[uint64]bool // numbers of the batches in the storage
}

// openSpool opens the spool of the component of in the storage extension id, and returns the batches that it contains.
func openSpool(ctx context.Context, host component.Host, id, of component.ID, logger *zap.Logger) (*spool, []*batch, error) {
	extension, ok := host.GetExtensions()[id]
	if !ok {
		return nil, nil, fmt.Errorf("storage: there is no extension %s", id)
	}
	provider, ok := extension.(storage.Extension)
	if !ok {
		return nil, nil, fmt.Errorf("storage: the extension %s is no storage", id)
	}
	client, err := provider.GetClient(ctx, component.KindProcessor, of, "spans")
	if err != nil {
		return nil, nil, fmt.Errorf("storage %s: %w", id, err)
	}
	s := &spool{client: client, stored: map[uint64]bool{}}
	batches, err := s.load(ctx, logger)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("storage %s: %w", id, err), client.Close(ctx))
	}
	return s, batches, nil
}

func batchKey(number uint64) string { return fmt.Sprintf("batch/%d", number) }

// deliveredKey has its name from an earlier version, so that a storage of that version can be read.
func deliveredKey(number uint64) string { return fmt.Sprintf("handed/%d", number) }

// damagedKey is where an entry is put that cannot be read.
func damagedKey(number uint64) string { return fmt.Sprintf("damaged/%d", number) }

// load reads the batches that are not delivered. An entry that cannot be read is put under another key and logged.
func (s *spool) load(ctx context.Context, logger *zap.Logger) ([]*batch, error) {
	entries, err := s.entries(ctx)
	if err != nil {
		return nil, err
	}
	var batches []*batch
	for _, e := range entries {
		s.next = max(s.next, e.number+1)
		traces, err := new(ptrace.ProtoUnmarshaler).UnmarshalTraces(e.content)
		if err != nil {
			logger.Error("An entry of the storage is damaged; it is set aside under another key",
				zap.String("key", batchKey(e.number)), zap.String("new_key", damagedKey(e.number)), zap.Int("bytes", len(e.content)), zap.Error(err))
			if err := s.client.Batch(ctx, storage.SetOperation(damagedKey(e.number), e.content),
				storage.DeleteOperation(batchKey(e.number)), storage.DeleteOperation(deliveredKey(e.number))); err != nil {
				logger.Error("A damaged entry of the storage stays where it is", zap.String("key", batchKey(e.number)), zap.Error(err))
				s.stored[e.number] = true // so that first does not pass it
			}
			continue
		}
		b := &batch{number: e.number, traces: traces, bytes: len(e.content), left: traces.SpanCount()}
		b.delivered = newBitset(b.left)
		copy(b.delivered, e.delivered)
		for i := range traces.SpanCount() {
			if b.delivered.has(i) {
				b.left--
			}
		}
		s.stored[e.number] = true
		batches = append(batches, b)
	}
	s.first = s.next
	for number := range s.stored {
		s.first = min(s.first, number)
	}
	return batches, nil
}

// entry is a batch in the storage.
type entry struct {
	number             uint64
	content, delivered []byte
}

// entries returns the entries of the storage, in the order of their numbers.
func (s *spool) entries(ctx context.Context) ([]entry, error) {
	walker, ok := s.client.(storage.Walker)
	if !ok {
		return s.entriesByNumber(ctx)
	}
	contents, delivered := map[uint64][]byte{}, map[uint64][]byte{}
	err := walker.Walk(ctx, func(key string, value []byte) ([]*storage.Operation, error) {
		for prefix, values := range map[string]map[uint64][]byte{"batch/": contents, "handed/": delivered} {
			if digits, ok := strings.CutPrefix(key, prefix); ok {
				// The largest number would have no successor.
				if number, err := strconv.ParseUint(digits, 10, 64); err == nil && number < math.MaxUint64 {
					values[number] = bytes.Clone(value)
				}
			}
		}
		return nil, nil
	})
	if err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(contents))
	for number, content := range contents {
		entries = append(entries, entry{number, content, delivered[number]})
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.number, b.number) })
	return entries, nil
}

// entriesByNumber is entries for a storage that cannot list its keys: it asks for each number that may be in use.
func (s *spool) entriesByNumber(ctx context.Context) ([]entry, error) {
	for key, to := range map[string]*uint64{"first": &s.first, "next": &s.next} {
		value, err := s.client.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		if len(value) == 8 {
			*to = binary.BigEndian.Uint64(value)
		}
	}
	var entries []entry
	for number := s.first; number < s.next; number++ {
		content, delivered := storage.GetOperation(batchKey(number)), storage.GetOperation(deliveredKey(number))
		if err := s.client.Batch(ctx, content, delivered); err != nil {
			return nil, err
		}
		if content.Value != nil {
			entries = append(entries, entry{number, content.Value, delivered.Value})
		}
	}
	return entries, nil
}

// add stores a batch, unless it is empty, and sets its number.
func (s *spool) add(ctx context.Context, b *batch) error {
	if s == nil || b.left == 0 {
		return nil
	}
	content, err := new(ptrace.ProtoMarshaler).MarshalTraces(b.traces)
	if err != nil {
		return err
	}
	b.delivered = newBitset(b.left)
	s.mu.Lock()
	defer s.mu.Unlock()
	b.number = s.next
	if err := s.client.Batch(ctx, storage.SetOperation(batchKey(b.number), content), storage.SetOperation("next", number(s.next+1))); err != nil {
		return err
	}
	s.stored[b.number] = true
	s.next++
	return nil
}

// remove removes a batch that add stored.
func (s *spool) remove(ctx context.Context, b *batch) error {
	if b.delivered == nil {
		return nil
	}
	b.left = 0
	return s.update(ctx, []*batch{b})
}

// update stores which spans of the batches have been delivered, and removes the batches of which all have.
func (s *spool) update(ctx context.Context, batches []*batch) error {
	if len(batches) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var ops []*storage.Operation
	removed := map[uint64]bool{}
	for _, b := range batches {
		if b.left > 0 {
			ops = append(ops, storage.SetOperation(deliveredKey(b.number), b.delivered))
			continue
		}
		ops = append(ops, storage.DeleteOperation(batchKey(b.number)), storage.DeleteOperation(deliveredKey(b.number)))
		removed[b.number] = true
	}
	first := s.first
	for first < s.next && (!s.stored[first] || removed[first]) {
		first++
	}
	if first != s.first {
		ops = append(ops, storage.SetOperation("first", number(first)))
	}
	if err := s.client.Batch(ctx, ops...); err != nil {
		return err
	}
	for number := range removed {
		delete(s.stored, number)
	}
	s.first = first
	return nil
}

func (s *spool) close(ctx context.Context) error { return s.client.Close(ctx) }

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
