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

// spool keeps batches in a storage extension until all their spans are handed on. Batches are numbered; the storage has
// the batch under batch/N, which of its spans were handed on under handed/N, and the numbers of the first batch that may be
// there and of the next to come under first and next.
type spool struct {
	client storage.Client

	mu    sync.Mutex // held while the storage is written, so that first and next never go back
	first uint64
	next  uint64
	there map[uint64]bool
}

// openSpool returns the spool in the storage extension with the id, and the batches that it holds.
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
	s := &spool{client: client, there: map[uint64]bool{}}
	batches, err := s.load(ctx)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("storage %s: %w", id, err), client.Close(ctx))
	}
	return s, batches, nil
}

func batchKey(number uint64) string  { return fmt.Sprintf("batch/%d", number) }
func handedKey(number uint64) string { return fmt.Sprintf("handed/%d", number) }

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
		content, handed := storage.GetOperation(batchKey(number)), storage.GetOperation(handedKey(number))
		if err := s.client.Batch(ctx, content, handed); err != nil {
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
		b.handed = make([]byte, (b.left+7)/8)
		copy(b.handed, handed.Value)
		for i := range b.left {
			if b.handed[i/8]&(1<<(i%8)) != 0 {
				b.left--
			}
		}
		s.there[number] = true
		batches = append(batches, b)
	}
	return batches, nil
}

// add stores a batch and gives it its number.
func (s *spool) add(ctx context.Context, b *batch) error {
	content, err := new(ptrace.ProtoMarshaler).MarshalTraces(b.traces)
	if err != nil {
		return err
	}
	b.handed = make([]byte, (b.left+7)/8)
	s.mu.Lock()
	defer s.mu.Unlock()
	b.number = s.next
	if err := s.client.Batch(ctx, storage.SetOperation(batchKey(b.number), content), storage.SetOperation("next", number(s.next+1))); err != nil {
		return err
	}
	s.there[b.number] = true
	s.next++
	return nil
}

// note stores which spans of the batches have been handed on, and removes the batches without others.
func (s *spool) note(ctx context.Context, batches []*batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ops []*storage.Operation
	for _, b := range batches {
		if b.left > 0 {
			ops = append(ops, storage.SetOperation(handedKey(b.number), b.handed))
			continue
		}
		ops = append(ops, storage.DeleteOperation(batchKey(b.number)), storage.DeleteOperation(handedKey(b.number)))
		delete(s.there, b.number)
	}
	first := s.first
	for first < s.next && !s.there[first] {
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
