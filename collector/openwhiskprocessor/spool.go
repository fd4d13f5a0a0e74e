package openwhiskprocessor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/ptrace"
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
func openSpool(ctx context.Context, host component.Host, id, of component.ID) (*spool, []*batch, error) {
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
	batches, err := s.load(ctx)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("storage %s: %w", id, err), client.Close(ctx))
	}
	return s, batches, nil
}

func batchKey(number uint64) string { return fmt.Sprintf("batch/%d", number) }

// deliveredKey has its name from an earlier version, so that a storage of that version can be read.
func deliveredKey(number uint64) string { return fmt.Sprintf("handed/%d", number) }

// load reads the batches that are not delivered.
func (s *spool) load(ctx context.Context) ([]*batch, error) {
	for key, to := range map[string]*uint64{"first": &s.first, "next": &s.next} {
		value, err := s.client.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		if len(value) == 8 {
			*to = binary.BigEndian.Uint64(value)
		}
	}
	var batches []*batch
	for number := s.first; number < s.next; number++ {
		content, delivered := storage.GetOperation(batchKey(number)), storage.GetOperation(deliveredKey(number))
		if err := s.client.Batch(ctx, content, delivered); err != nil {
			return nil, err
		}
		if content.Value == nil {
			continue
		}
		traces, err := new(ptrace.ProtoUnmarshaler).UnmarshalTraces(content.Value)
		if err != nil {
			return nil, fmt.Errorf("batch %d: %w", number, err)
		}
		b := &batch{number: number, traces: traces, bytes: len(content.Value), left: traces.SpanCount()}
		b.delivered = newBitset(b.left)
		copy(b.delivered, delivered.Value)
		for i := range b.left {
			if b.delivered.has(i) {
				b.left--
			}
		}
		s.stored[number] = true
		batches = append(batches, b)
	}
	return batches, nil
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
	for _, b := range batches {
		if b.left > 0 {
			ops = append(ops, storage.SetOperation(deliveredKey(b.number), b.delivered))
			continue
		}
		ops = append(ops, storage.DeleteOperation(batchKey(b.number)), storage.DeleteOperation(deliveredKey(b.number)))
		delete(s.stored, b.number)
	}
	first := s.first
	for first < s.next && !s.stored[first] {
		first++
	}
	if first != s.first {
		ops = append(ops, storage.SetOperation("first", number(first)))
	}
	if err := s.client.Batch(ctx, ops...); err != nil {
		return err
	}
	s.first = first
	return nil
}

func (s *spool) close(ctx context.Context) error { return s.client.Close(ctx) }

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
