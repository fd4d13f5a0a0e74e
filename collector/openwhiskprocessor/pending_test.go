package openwhiskprocessor

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// isClosed reports whether a channel is closed.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestPhases checks which phases accept spans, when the queue counts as drained, and that its waiters return when it is closed.
func TestPhases(t *testing.T) {
	q := newPending(testConfig())
	require.False(t, q.drain(), "there is nothing to drain before the start")
	require.Equal(t, closed, q.phase)
	require.Equal(t, codes.Unavailable, status.Code(q.reserve(1, 1)))

	q = newPending(testConfig())
	q.open()
	require.NoError(t, q.reserve(2, 10))
	require.True(t, q.drain())
	require.Equal(t, draining, q.phase)
	require.Equal(t, codes.Unavailable, status.Code(q.reserve(1, 1)))
	require.Equal(t, codes.Unavailable, status.Code(q.reserve(0, 0)), "spans that need no room are refused too")
	q.release(1, 0)
	require.False(t, isClosed(q.drained))
	q.release(1, 10)
	require.True(t, isClosed(q.drained))
	q.release(0, 0)
	require.Zero(t, q.close())
	require.Nil(t, q.take())
	require.Nil(t, q.takeFinished(1))

	q = newPending(testConfig())
	q.open()
	require.True(t, q.drain())
	require.True(t, isClosed(q.drained), "nothing waits")
	require.Zero(t, q.close())
}

// TestQueue follows activations through the queue: one is looked up again when it is due, and an answer that comes after the queue was
// abandoned has no effect.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newPending(testConfig())
		q.open()
		b := &batch{traces: message(0, "a", "b", "a"), left: 3, bytes: 100}
		require.NoError(t, q.reserve(b.left, b.bytes))
		q.enlist(b)
		begin := time.Now()
		a, other := q.take(), q.take()
		require.Equal(t, "a", a.id)
		require.Len(t, a.items, 2)
		require.Equal(t, "b", other.id)

		s := q.settle(a, notYet, 0, time.Now())
		require.True(t, s.again)
		require.Empty(t, s.items)
		require.Same(t, a, q.take())
		require.Equal(t, 50*time.Millisecond, time.Since(begin))
		s = q.settle(a, found, 0, time.Now())
		require.False(t, s.again)
		require.Len(t, s.items, 2)
		require.Empty(t, s.reason)
		require.False(t, q.isWaiting("a", s.items[0].span))
		q.finish(s.items)
		require.Len(t, q.takeFinished(1), 1)
		require.Len(t, q.takeFinished(9), 1)

		require.True(t, q.isWaiting("b", other.items[0].span))
		require.True(t, q.drain())
		require.Len(t, q.abandon(), 1)
		s = q.settle(other, found, 0, time.Now())
		require.False(t, s.again)
		require.Empty(t, s.items)
		q.release(3, 100)
		require.True(t, isClosed(q.drained))
		require.Zero(t, q.close())
	})
}
