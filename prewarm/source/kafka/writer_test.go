package kafka

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWriterWaits checks that who waits for room does so while more than half of it is taken, here by messages to a broker that is not there, and that none of
// them is refused meanwhile: there is room for as many again.
func TestWriterWaits(t *testing.T) {
	w, err := NewWriter(Options{Brokers: []string{"127.0.0.1:1"}})
	require.NoError(t, err)
	failed := make(chan error, mostBuffered)
	write := func(n int) {
		for range n {
			w.Write("demands", 0, "f", time.Time{}, nil, func(_ Message, err error) { failed <- err })
		}
	}
	write(mostBuffered / 2)
	require.NoError(t, w.Wait(t.Context()))
	write(1)
	ended, end := context.WithCancel(t.Context())
	end()
	require.ErrorIs(t, w.Wait(ended), context.Canceled)
	require.Empty(t, failed)

	waited := make(chan error)
	go func() { waited <- w.Wait(t.Context()) }()
	require.Error(t, w.Close(ended), "what was to be written is lost")
	require.NoError(t, <-waited)
	for range mostBuffered/2 + 1 {
		require.Error(t, <-failed)
	}
}
