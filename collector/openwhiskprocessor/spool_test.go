package openwhiskprocessor

import (
	"context"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensiontest"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// storageHost is a host with a real file storage in a folder.
type storageHost struct {
	id        component.ID
	extension extension.Extension
}

func (h *storageHost) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{h.id: h.extension}
}

func newStorageHost(t testing.TB, dir string) *storageHost {
	t.Helper()
	factory := filestorage.NewFactory()
	config := factory.CreateDefaultConfig().(*filestorage.Config)
	config.Directory = dir
	e, err := factory.Create(background, extensiontest.NewNopSettings(factory.Type()), config)
	require.NoError(t, err)
	h := &storageHost{component.NewID(factory.Type()), e}
	require.NoError(t, e.Start(background, h))
	return h
}

// TestWaitingSpansOutliveTheProcess: a process ends without a word, as by SIGKILL: the storage is all that is left. The next
// takes up the spans that had not been handed on, and no others.
func TestWaitingSpansOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	host := newStorageHost(t, dir)
	config := testConfig()
	config.Storage = &host.id
	config.ShutdownTimeout = 0
	first := start(t, config, &fakeClient{answer: func(_ context.Context, id string, _ int) (whisk.Record, error) {
		if id == "at once" {
			return record, nil
		}
		return whisk.Record{}, whisk.ErrNotYet
	}}, host)
	require.NoError(t, first.ConsumeTraces(background, message(0, "late", "at once", "later", "")))
	require.NoError(t, first.ConsumeTraces(background, message(4, "at once")))
	require.NoError(t, first.ConsumeTraces(background, message(5, "late")))
	// The span without an activation and those whose record is at hand went on; what was handed on is noted.
	require.Eventually(t, func() bool { return len(first.sink.all()) == 3 && first.noted() == 3 }, 10*time.Second, time.Millisecond)
	// Nothing is told to the process: its memory is simply not used again. (A shutdown leaves the spans where they are.)
	require.NoError(t, first.Shutdown(background))
	require.Len(t, first.sink.all(), 3)
	require.NoError(t, host.extension.Shutdown(background))

	host = newStorageHost(t, dir)
	second := start(t, config, &fakeClient{answer: always(record, nil)}, host)
	require.Eventually(t, func() bool { return second.waiting() == 0 }, 10*time.Second, time.Millisecond)
	got := counts(second.sink.all())
	require.Len(t, got, 3)
	for _, n := range []int{0, 2, 5} {
		require.Equal(t, 1, got[spanID(n)], "span %d", n)
	}
	require.NoError(t, second.Shutdown(background))
	require.NoError(t, host.extension.Shutdown(background))

	host = newStorageHost(t, dir)
	third := start(t, config, &fakeClient{answer: always(record, nil)}, host)
	require.Zero(t, third.waiting(), "nothing is left")
	require.Equal(t, third.spool.first, third.spool.next)
	require.NoError(t, third.Shutdown(background))
	require.NoError(t, host.extension.Shutdown(background))
}

// noted is the number of spans that need no room any more.
func (b *bench) noted() int {
	spans, _ := b.pending.load()
	return 6 - spans
}

func TestStorageThatIsNotThere(t *testing.T) {
	host := newStorageHost(t, t.TempDir())
	other := component.MustNewID("redis_storage")
	config := testConfig()
	config.Storage = &other
	set, _ := settings()
	p, err := newProcessor(set, config, newSink(), provide(&fakeClient{}))
	require.NoError(t, err)
	require.EqualError(t, p.Start(background, host), "storage: there is no extension redis_storage")
	require.NoError(t, p.Shutdown(background))
	require.NoError(t, host.extension.Shutdown(background))
}
