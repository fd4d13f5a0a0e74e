package loopback

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFreeAddresses listens on all addresses at once, although they were asked for one by one.
func TestFreeAddresses(t *testing.T) {
	for range 200 {
		addresses, err := FreeAddresses(1)
		require.NoError(t, err)
		require.Len(t, addresses, 1)
		l, err := net.Listen("tcp", addresses[0])
		require.NoError(t, err)
		defer l.Close()
		port := l.Addr().(*net.TCPAddr).Port
		require.True(t, port >= firstPort && port < firstPort+blocks*blockSize, addresses[0])
	}
}

// TestNobodyListensYet asks for addresses without listening there, as two processes would: none is given to both, and none twice.
func TestNobodyListensYet(t *testing.T) {
	one, other := &pool{first: 19_000, blocks: 10}, &pool{first: 19_000, blocks: 10}
	seen := map[string]bool{}
	for range 100 {
		for _, p := range []*pool{one, other} {
			addresses, err := p.freeAddresses(2)
			require.NoError(t, err)
			for _, a := range addresses {
				require.False(t, seen[a], a)
				seen[a] = true
			}
		}
	}
	release(one, other)
}

// TestAgain hands out a port again only after all others.
func TestAgain(t *testing.T) {
	p := &pool{first: 18_900, blocks: 1}
	defer release(p)
	all, err := p.freeAddresses(blockSize - 1)
	require.NoError(t, err)
	again, err := p.freeAddresses(3)
	require.NoError(t, err)
	require.Equal(t, all[:3], again)
	_, err = p.freeAddresses(blockSize)
	require.ErrorContains(t, err, "loopback: found 63 free addresses of 64")

	none := &pool{first: p.first, blocks: 1}
	_, err = none.freeAddresses(1)
	require.ErrorContains(t, err, "is free")
}

func release(pools ...*pool) {
	for _, p := range pools {
		for _, l := range p.own {
			l.Close()
		}
	}
}
