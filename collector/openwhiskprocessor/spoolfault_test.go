package openwhiskprocessor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

var errDisk = errors.New("input/output error")

// disk is a storage in memory whose n-th operation, counted from 1, fails, or all from that one on.
type disk struct {
	component.StartFunc
	component.ShutdownFunc

	mu      sync.Mutex
	entries map[string][]byte
	count   int
	fail    int // 0 for none
	onward  bool
}

var diskID = component.MustNewID("disk")

func (d *disk) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{diskID: d}
}

func (d *disk) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return d, nil
}

func (d *disk) next() error {
	d.count++
	if d.fail > 0 && (d.count == d.fail || d.onward && d.count > d.fail) {
		return errDisk
	}
	return nil
}

func (d *disk) Get(ctx context.Context, key string) ([]byte, error) {
	op := storage.GetOperation(key)
	err := d.Batch(ctx, op)
	return op.Value, err
}

func (d *disk) Set(ctx context.Context, key string, value []byte) error {
	return d.Batch(ctx, storage.SetOperation(key, value))
}

func (d *disk) Delete(ctx context.Context, key string) error {
	return d.Batch(ctx, storage.DeleteOperation(key))
}

func (d *disk) Batch(_ context.Context, ops ...*storage.Operation) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.next(); err != nil {
		return err
	}
	for _, op := range ops {
		switch op.Type {
		case storage.Get:
			op.Value = d.entries[op.Key]
		case storage.Set:
			d.entries[op.Key] = append([]byte(nil), op.Value...)
		case storage.Delete:
			delete(d.entries, op.Key)
		}
	}
	return nil
}

func (d *disk) Walk(_ context.Context, fn storage.WalkFunc) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.next(); err != nil {
		return err
	}
	for key, value := range d.entries {
		if _, err := fn(key, value); err != nil {
			return err
		}
	}
	return nil
}

func (d *disk) Close(context.Context) error { return nil }

// unlisted is a disk that cannot list its keys.
type unlisted struct{ d *disk }

func (l unlisted) Get(ctx context.Context, key string) ([]byte, error) { return l.d.Get(ctx, key) }
func (l unlisted) Set(ctx context.Context, key string, value []byte) error {
	return l.d.Set(ctx, key, value)
}
func (l unlisted) Delete(ctx context.Context, key string) error { return l.d.Delete(ctx, key) }
func (l unlisted) Batch(ctx context.Context, ops ...*storage.Operation) error {
	return l.d.Batch(ctx, ops...)
}
func (l unlisted) Close(context.Context) error { return nil }

// batches returns the numbers of the batches in the storage.
func (d *disk) batches() (all []string) {
	for key := range d.entries {
		if strings.HasPrefix(key, "batch/") {
			all = append(all, key)
		}
	}
	return all
}

// TestStorageFaults lets each operation of the storage fail, alone and with all later ones, in a process that accepts, delivers and leaves
// spans behind, and in the one after it. Every span that was accepted is delivered, by one of them or a third with a storage that works.
func TestStorageFaults(t *testing.T) {
	run := func(t *testing.T, d *disk, send bool, delivered map[string]int) (accepted []string, started bool) {
		synctest.Test(t, func(t *testing.T) {
			config := testConfig()
			config.Storage = &diskID
			config.ShutdownTimeout = 0
			set, _ := settings()
			s := newSink()
			p, err := newProcessor(set, config, s, provide(&fakeClient{answer: func(_ context.Context, id string, _ int) (whisk.Record, error) {
				if send && strings.HasPrefix(id, "late") {
					return whisk.Record{}, whisk.ErrNotYet
				}
				return record, nil
			}}))
			require.NoError(t, err)
			if started = p.Start(background, d) == nil; started && send {
				for n, ids := range [][]string{{"a", "late b", "c"}, {"late d"}, {"e"}, {"f", "late g"}} {
					err := p.ConsumeTraces(background, message(10*n, ids...))
					synctest.Wait()
					if err == nil {
						accepted = append(accepted, ids...)
					} else {
						require.Equal(t, codes.Unavailable, status.Code(err), "its sender is asked to send it again")
					}
				}
			}
			if started {
				time.Sleep(time.Second)
				synctest.Wait()
			}
			require.NoError(t, p.Shutdown(background))
			for _, span := range s.all() {
				id, _ := span.Attributes().Get(attrActivationID)
				delivered[id.Str()]++
			}
		})
		return accepted, started
	}
	whole := &disk{entries: map[string][]byte{}}
	run(t, whole, true, map[string]int{})
	first := whole.count
	run(t, whole, false, map[string]int{})
	require.Empty(t, whole.batches())
	require.Greater(t, whole.count-first, 1)
	for _, onward := range []bool{false, true} {
		for n := 1; n <= whole.count; n++ {
			name := fmt.Sprintf("operation %d, and all later: %v", n, onward)
			d := &disk{entries: map[string][]byte{}, fail: n, onward: onward}
			delivered := map[string]int{}
			accepted, _ := run(t, d, true, delivered)
			run(t, d, false, delivered)
			d.fail = 0
			_, started := run(t, d, false, delivered)
			require.True(t, started)
			for _, id := range accepted {
				require.GreaterOrEqual(t, delivered[id], 1, "%s: %s is lost", name, id)
			}
			if !onward && n < first {
				for id, times := range delivered {
					require.Equal(t, 1, times, "%s: %s", name, id)
				}
			}
			require.Empty(t, d.batches(), name)
		}
	}
}

// TestDamagedEntry checks that an entry that cannot be read is set aside under another key, with its content, and that the start goes on
// with the others, whatever else the storage contains and says of itself.
func TestDamagedEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{entries: map[string][]byte{}}
		s := &spool{client: d, stored: map[uint64]bool{}}
		for n := range 3 {
			require.NoError(t, s.add(background, &batch{traces: message(n, "late"), left: 1}))
		}
		require.NoError(t, s.client.Set(background, "handed/2", []byte{}), "shorter than it should be")
		broken := []byte{0xff, 0xff, 0x07}
		maps.Copy(d.entries, map[string][]byte{
			"batch/1": broken, "first": {1}, "next": binary.BigEndian.AppendUint64(nil, math.MaxUint64), "batch/x": broken,
			fmt.Sprintf("batch/%d", uint64(math.MaxUint64)): broken, "handed/77": {1}, "else": {1},
		})
		config := testConfig()
		config.Storage = &diskID
		b := start(t, config, &fakeClient{answer: always(record, nil)}, d)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, counts(b.sink.all()), 2)
		require.Equal(t, broken, d.entries["damaged/1"])
		require.NotContains(t, d.entries, "batch/1")
		logged := b.logs.FilterMessageSnippet("damaged").All()
		require.Len(t, logged, 1)
		require.Equal(t, "damaged/1", logged[0].ContextMap()["new_key"])
		require.NoError(t, b.ConsumeTraces(background, message(9, "new")))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, counts(b.sink.all()), 3)
		require.Less(t, d.count, 30, "it asked for each number")
		require.NoError(t, b.Shutdown(background))
	})
}

// TestSpoolWithoutList checks that a storage that cannot list its keys is read too.
func TestSpoolWithoutList(t *testing.T) {
	d := &disk{entries: map[string][]byte{}}
	s := &spool{client: unlisted{d}, stored: map[uint64]bool{}}
	var all []*batch
	for n := range 4 {
		b := &batch{traces: message(n, "late", "late too"), left: 2}
		require.NoError(t, s.add(background, b))
		all = append(all, b)
	}
	require.NoError(t, s.remove(background, all[0]))
	require.Equal(t, uint64(1), s.first)
	require.Equal(t, binary.BigEndian.AppendUint64(nil, 1), d.entries["first"])
	all[2].delivered.add(1)
	all[2].left--
	require.NoError(t, s.update(background, all[2:3]))
	set, _ := settings()
	for _, client := range []storage.Client{d, unlisted{d}} {
		again := &spool{client: client, stored: map[uint64]bool{}}
		batches, err := again.load(background, set.Logger)
		require.NoError(t, err)
		left := map[uint64]int{}
		for _, b := range batches {
			left[b.number] = b.left
		}
		require.Equal(t, map[uint64]int{1: 2, 2: 1, 3: 2}, left)
		require.Equal(t, []uint64{1, 4}, []uint64{again.first, again.next})
	}
}

// TestFullStorage checks that a message is refused, counted and not delivered when the storage has no room for it.
func TestFullStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{entries: map[string][]byte{}}
		config := testConfig()
		config.Storage = &diskID
		b := start(t, config, &fakeClient{answer: always(record, nil)}, d)
		d.mu.Lock()
		d.fail, d.onward = d.count+1, true
		d.mu.Unlock()
		err := b.ConsumeTraces(background, message(0, "", "a"))
		require.Equal(t, codes.Unavailable, status.Code(err))
		require.ErrorContains(t, err, errDisk.Error())
		require.Empty(t, b.sink.all())
		require.Zero(t, b.waiting())
		require.NoError(t, b.Shutdown(background))
	})
}

// TestSaveIsRepeated checks that a note of deliveries that failed is written with the next one, and then no more.
func TestSaveIsRepeated(t *testing.T) {
	d := &disk{entries: map[string][]byte{}}
	set, _ := settings()
	f := &forwarder{spool: &spool{client: d, stored: map[uint64]bool{}}, logger: set.Logger}
	var all []*batch
	for n := range 2 {
		b := &batch{traces: message(n, "late"), left: 1}
		require.NoError(t, f.spool.add(background, b))
		b.left = 0
		all = append(all, b)
	}
	d.fail = d.count + 1
	f.save(background, all[:1])
	require.Len(t, d.batches(), 2)
	require.Equal(t, all[:1], f.unsaved)
	f.save(background, all[1:])
	require.Empty(t, d.batches())
	require.Empty(t, f.unsaved)
}
