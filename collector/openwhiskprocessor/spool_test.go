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

// storageHost is a host with a file storage.
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

// TestWaitingSpansSurviveTheProcess checks that a process delivers exactly those spans that an earlier process left in the storage
// without delivering them.
func TestWaitingSpansSurviveTheProcess(t *testing.T) {
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
	// The span without an activation and those with a record have been delivered, and the storage tells so.
	require.Eventually(t, func() bool { return len(first.sink.all()) == 3 && first.noted() == 3 }, time.Minute, time.Millisecond)
	// A shutdown leaves waiting spans in the storage, as a kill does.
	require.NoError(t, first.Shutdown(background))
	require.Len(t, first.sink.all(), 3)
	require.NoError(t, host.extension.Shutdown(background))

	host = newStorageHost(t, dir)
	second := start(t, config, &fakeClient{answer: always(record, nil)}, host)
	require.Eventually(t, func() bool { return second.waiting() == 0 }, time.Minute, time.Millisecond)
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

// noted returns the number of the test's 6 spans that have no room reserved any more.
func (h *harness) noted() int {
	spans, _ := h.pending.load()
	return 6 - spans
}

func TestMissingStorage(t *testing.T) {
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
