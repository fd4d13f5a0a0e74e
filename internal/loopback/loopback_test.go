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
		require.True(t, port >= shared.first && port < shared.first+shared.blocks*blockSize, addresses[0])
	}
}

// TestBeside checks that ports of the kernel are not handed out, wherever these are.
func TestBeside(t *testing.T) {
	for _, c := range []struct {
		text          string
		first, blocks int
	}{
		{"32768\t60999\n", 20_800, 187},
		{"", 20_800, 187},
		{"x", 20_800, 187},
		{"60999 32768", 20_800, 187},
		{"16000\t65535\n", 4_032, 187},
		{"49152 65535", 37_184, 187},
		{"10000 65535", 1_040, 140},
		{"1024 60999", 61_000, 70},
		{"1024 32767", 32_768, 187},
		{"1024 65535", 20_800, 187},
	} {
		first, blocks := beside(c.text)
		require.Equal(t, []int{c.first, c.blocks}, []int{first, blocks}, c.text)
		require.LessOrEqual(t, first+blocks*blockSize, 65536)
	}
}

// another returns a pool of the same ports, as another process has it.
func another() *pool { return &pool{first: shared.first, blocks: shared.blocks} }

// TestNobodyListensYet asks for addresses without listening there, as two processes would: none is given to both, and none twice.
func TestNobodyListensYet(t *testing.T) {
	one, other := another(), another()
	defer release(one, other)
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
}

// TestAgain hands out a port again only after all others.
func TestAgain(t *testing.T) {
	p, all := oneBlock(t)
	defer release(p)
	again, err := p.freeAddresses(3)
	require.NoError(t, err)
	require.Equal(t, all[:3], again)
	_, err = p.freeAddresses(blockSize)
	require.ErrorContains(t, err, "loopback: found 63 free addresses of 64")

	none := &pool{first: p.first, blocks: 1}
	_, err = none.freeAddresses(1)
	require.ErrorContains(t, err, "is free")
}

// oneBlock returns a pool that has one block alone, and the addresses of that block, all of which are free.
func oneBlock(t *testing.T) (*pool, []string) {
	t.Helper()
	blocks := another()
	defer release(blocks)
	for blocks.claim() {
		last := len(blocks.own) - 1
		p := &pool{first: blocks.own[last].Addr().(*net.TCPAddr).Port, blocks: 1, own: blocks.own[last:], full: true}
		if all, err := p.freeAddresses(blockSize - 1); err == nil {
			blocks.own = blocks.own[:last]
			return p, all
		}
	}
	t.Fatal("somebody listens in every block")
	return nil, nil
}

func release(pools ...*pool) {
	for _, p := range pools {
		for _, l := range p.own {
			l.Close()
		}
	}
}
