package loopback

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFreeAddresses listens on all addresses at once.
func TestFreeAddresses(t *testing.T) {
	addresses, err := FreeAddresses(20)
	require.NoError(t, err)
	require.Len(t, addresses, 20)
	for _, a := range addresses {
		l, err := net.Listen("tcp", a)
		require.NoError(t, err)
		defer l.Close()
		port := l.Addr().(*net.TCPAddr).Port
		require.True(t, port >= firstPort && port < firstPort+ports, a)
	}
}

func TestTooManyAddresses(t *testing.T) {
	_, err := freeAddresses(4, 3)
	require.ErrorContains(t, err, "free addresses of 4")
}
