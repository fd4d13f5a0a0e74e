package filestorage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	contrib "github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a storage in memory. While full is set, operations that write fail.
type memory struct {
	entries map[string][]byte
	full    bool
	batches int
}

func (m *memory) Get(ctx context.Context, key string) ([]byte, error) {
	return m.entries[key], nil
}

func (m *memory) Set(ctx context.Context, key string, value []byte) error {
	return m.Batch(ctx, storage.SetOperation(key, value))
}

func (m *memory) Delete(ctx context.Context, key string) error {
	return m.Batch(ctx, storage.DeleteOperation(key))
}

func (m *memory) Batch(_ context.Context, ops ...*storage.Operation) error {
	m.batches++
	for _, op := range ops {
		if op.Type != storage.Get && m.full {
			return syscall.ENOSPC
		}
	}
	for _, op := range ops {
		switch op.Type {
		case storage.Get:
			op.Value = m.entries[op.Key]
		case storage.Set:
			m.entries[op.Key] = op.Value
		case storage.Delete:
			delete(m.entries, op.Key)
		}
	}
	return nil
}

func (m *memory) Close(context.Context) error { return nil }

func (m *memory) Walk(_ context.Context, fn storage.WalkFunc) error {
	for key, value := range m.entries {
		if _, err := fn(key, value); err != nil {
			return err
		}
	}
	return nil
}

// TestReserve checks which operations are refused when there is less room than the reserve, and that room in the client's own file counts.
func TestReserve(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	const reserve = 2000 // half of it for an exporter
	free, size, file := int64(1100), int64(4*reserve), int64(0)
	v := newVolume("", reserve)
	v.room = func() (int64, int64, error) { return free, size, nil }
	v.occupied = func(string) int64 { return file }
	c, err := newClient(t.Context(), &memory{entries: map[string][]byte{"0": make([]byte, 99)}}, zap.New(core), v, "", false)
	require.NoError(t, err)
	set := func(key string, n int) error { return c.Set(t.Context(), key, make([]byte, n)) }
	require.NoError(t, c.Batch(t.Context(), storage.SetOperation("qmv0", nil), storage.GetOperation("0")), "the queue has started")
	require.NoError(t, c.Delete(t.Context(), "qmv0"))
	require.NoError(t, set("1", 99))
	require.ErrorIs(t, set("1", 100), storage.ErrStorageFull, "one byte more than there is room for")
	require.ErrorIs(t, set("batch/7", 94), storage.ErrStorageFull)
	require.NoError(t, set("batch/7", 93))
	size-- // a quarter of the volume is less than the reserve, and half of it one byte less
	require.NoError(t, set("1", 100))
	require.ErrorIs(t, set("1", 101), storage.ErrStorageFull)
	require.NoError(t, set("1", 99))
	size++
	free = 0
	require.ErrorIs(t, set("8", 0), storage.ErrStorageFull)
	require.NoError(t, set("handed/1", 5000), "what serves to remove data is allowed")
	require.NoError(t, set("qmv0", 5000))
	require.NoError(t, c.Delete(t.Context(), "batch/7"))
	require.Equal(t, 1, logs.Len(), "logged once a minute")
	require.Contains(t, logs.All()[0].Message, "full up to the reserve")

	require.NoError(t, c.Delete(t.Context(), "handed/1"))
	require.NoError(t, c.Delete(t.Context(), "qmv0"))
	file = 2*200 + overhead + 1010 // it has 200 bytes of data
	require.NoError(t, set("1", 9))
	file = 2*110 + overhead + 1009
	require.ErrorIs(t, set("9", 9), storage.ErrStorageFull)
	require.NoError(t, set("9", 8))
	_, walks := c.(storage.Walker)
	require.True(t, walks)
	v.room = func() (int64, int64, error) { return 0, 0, errors.ErrUnsupported }
	require.NoError(t, set("9", 1000), "the room is not known")
}

// TestItemsAreRestored checks that the exporter's queue may remove its items at the start and add them again, however full the volume is, and
// that it may not once it has taken one.
func TestItemsAreRestored(t *testing.T) {
	v := newVolume("", 1000)
	v.room = func() (int64, int64, error) { return 0, 1 << 40, nil }
	v.occupied = func(string) int64 { return 0 }
	m := &memory{entries: map[string][]byte{"3": make([]byte, 500), "4": make([]byte, 500)}}
	c, err := newClient(t.Context(), m, zap.NewNop(), v, "queue", false)
	require.NoError(t, err)
	require.NoError(t, c.Batch(t.Context(), storage.GetOperation("3"), storage.GetOperation("4")))
	require.NoError(t, c.Batch(t.Context(), storage.DeleteOperation("3"), storage.DeleteOperation("4")))
	require.NoError(t, c.Set(t.Context(), "1005", make([]byte, 500)))
	require.NoError(t, c.Set(t.Context(), "1006", make([]byte, 500)))
	require.ErrorIs(t, c.Set(t.Context(), "1007", make([]byte, 500)), storage.ErrStorageFull, "more than there was")
	require.NoError(t, c.Batch(t.Context(), storage.SetOperation("qmv0", nil), storage.GetOperation("1005")))
	require.NoError(t, c.Delete(t.Context(), "1005"))
	require.ErrorIs(t, c.Set(t.Context(), "1007", nil), storage.ErrStorageFull)
}

// TestRoomForWhatMoves checks that a processor's data is refused unless it will have room in the exporter's file.
func TestRoomForWhatMoves(t *testing.T) {
	const reserve = 1000
	free := int64(0)
	occupies := map[string]int64{}
	v := newVolume("", reserve)
	v.room = func() (int64, int64, error) { return free, 1 << 40, nil }
	v.occupied = func(file string) int64 { return occupies[file] }
	processor, err := newClient(t.Context(), &memory{entries: map[string][]byte{"batch/0": make([]byte, 93)}}, zap.NewNop(), v, "spans", true)
	require.NoError(t, err)
	exporter, err := newClient(t.Context(), &memory{entries: map[string][]byte{}}, zap.NewNop(), v, "queue", false)
	require.NoError(t, err)
	set := func() error { return processor.Set(t.Context(), "batch/1", make([]byte, 93)) }
	free = 1100
	require.ErrorIs(t, set(), storage.ErrStorageFull, "200 bytes may become 800, and half of the reserve is kept")
	free = 1299
	require.ErrorIs(t, set(), storage.ErrStorageFull)
	occupies["spans"] = 1 << 20
	require.ErrorIs(t, set(), storage.ErrStorageFull, "room in its own file does not help")
	occupies["queue"] = overhead + 1
	require.NoError(t, set())
	require.NoError(t, processor.Delete(t.Context(), "batch/1"))
	require.NoError(t, exporter.Close(t.Context()))
	require.ErrorIs(t, set(), storage.ErrStorageFull)
	free++
	require.NoError(t, set())
}

// TestFullStorageStillReads checks that the exporter's queue gets its items when it cannot note that they are under way.
func TestFullStorageStillReads(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	m := &memory{entries: map[string][]byte{"3": []byte("item")}, full: true}
	c, err := newClient(t.Context(), m, zap.New(core), newVolume("", 0), "", true)
	require.NoError(t, err)
	get := storage.GetOperation("3")
	require.NoError(t, c.Batch(t.Context(), storage.SetOperation("qmv0", []byte("x")), get))
	require.Equal(t, "item", string(get.Value))
	require.ErrorIs(t, c.Batch(t.Context(), storage.SetOperation("qmv0", []byte("x"))), syscall.ENOSPC)
	require.ErrorIs(t, c.Batch(t.Context(), storage.SetOperation("qmv0", nil), storage.SetOperation("4", nil), storage.GetOperation("3")), syscall.ENOSPC,
		"an item that is not stored is not accepted")
	require.Equal(t, 1, logs.Len())
}

func start(t *testing.T, dir string, reserve int64) (storage.Extension, *observer.ObservedLogs) {
	t.Helper()
	factory := NewFactory()
	config := factory.CreateDefaultConfig().(*Config)
	config.Directory, config.ReserveMiB = dir, reserve
	require.NoError(t, config.Validate())
	set := extensiontest.NewNopSettings(factory.Type())
	core, logs := observer.New(zap.InfoLevel)
	set.Logger = zap.New(core)
	e, err := factory.Create(t.Context(), set, config)
	require.NoError(t, err)
	require.NoError(t, e.Start(t.Context(), componenttest.NewNopHost()))
	return e.(storage.Extension), logs
}

var exporterID = component.MustNewIDWithName("zipkin", "second")

// TestDamagedFileIsSetAside damages the file of one component and checks that it is set aside, under a name that the log says, that the
// component starts with an empty one, and that others keep theirs.
func TestDamagedFileIsSetAside(t *testing.T) {
	dir := t.TempDir()
	e, _ := start(t, dir, 1)
	for _, kind := range []component.Kind{component.KindExporter, component.KindProcessor} {
		c, err := e.GetClient(t.Context(), kind, exporterID, "traces")
		require.NoError(t, err)
		for i := range 500 {
			require.NoError(t, c.Set(t.Context(), fmt.Sprint(i), make([]byte, 300)))
		}
		require.NoError(t, c.Close(t.Context()))
	}
	path := filepath.Join(dir, "exporter_zipkin_second_traces")
	content, err := os.ReadFile(path)
	require.NoError(t, err, "the contributed extension calls its files otherwise")
	for i := 2; i < len(content)/4096; i++ {
		content[i*4096] ^= 0x55
	}
	require.NoError(t, os.WriteFile(path, content, 0o600))

	e, logs := start(t, dir, 1)
	c, err := e.GetClient(t.Context(), component.KindExporter, exporterID, "traces")
	require.NoError(t, err)
	value, err := c.Get(t.Context(), "1")
	require.NoError(t, err)
	require.Nil(t, value)
	require.NoError(t, c.Close(t.Context()))
	entry := logs.FilterMessageSnippet("is damaged").All()
	require.Len(t, entry, 1)
	aside := entry[0].ContextMap()["set_aside"].(string)
	require.True(t, strings.HasPrefix(aside, path+".damaged."))
	kept, err := os.ReadFile(aside)
	require.NoError(t, err)
	require.Equal(t, content, kept)

	c, err = e.GetClient(t.Context(), component.KindProcessor, exporterID, "traces")
	require.NoError(t, err)
	value, err = c.Get(t.Context(), "1")
	require.NoError(t, err)
	require.Len(t, value, 300)
	require.NoError(t, c.Close(t.Context()))
}

// TestTwoCollectors checks that a second collector over the same folder is told why it cannot start, and leaves the files to the first.
func TestTwoCollectors(t *testing.T) {
	dir := t.TempDir()
	first, _ := start(t, dir, 1)
	c, err := first.GetClient(t.Context(), component.KindExporter, exporterID, "traces")
	require.NoError(t, err)
	require.NoError(t, c.Set(t.Context(), "1", []byte("a")))
	second, _ := start(t, dir, 1)
	_, err = second.GetClient(t.Context(), component.KindExporter, exporterID, "traces")
	require.EqualError(t, err, filepath.Join(dir, "exporter_zipkin_second_traces")+" is in use, by another collector or by one that has not ended yet: timeout")
	value, err := c.Get(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, "a", string(value))
	require.NoError(t, c.Close(t.Context()))
}

// TestRoom checks that the room of a real volume and what a file occupies are known.
func TestRoom(t *testing.T) {
	dir := t.TempDir()
	free, size, err := room(dir)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("the room is not known here")
	}
	require.NoError(t, err)
	require.Positive(t, size)
	require.LessOrEqual(t, free, size)
	file := filepath.Join(dir, "file")
	require.Zero(t, occupied(file))
	require.NoError(t, os.WriteFile(file, make([]byte, 1<<20), 0o600))
	require.NoError(t, os.Truncate(file, 1<<30))
	require.Less(t, occupied(file), int64(1<<29))
	_, _, err = room(filepath.Join(dir, "none"))
	require.Error(t, err)
}

func TestConfig(t *testing.T) {
	require.Equal(t, contrib.NewFactory().Type(), NewFactory().Type())
	config := createDefaultConfig().(*Config)
	config.Directory, config.ReserveMiB = t.TempDir(), -1
	require.ErrorContains(t, config.Validate(), "reserve_mib: must be from 0")
}
