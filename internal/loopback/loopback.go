// Package loopback finds addresses of this machine for servers that must know theirs before they listen: processes of tests, and programs
// that are configured with an address.
//
//	addresses, err := loopback.FreeAddresses(2)
package loopback

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
)

// Ports are handed out in blocks of blockSize, of which there are most at most.
const (
	blockSize = 64
	most      = 187
)

// FreeAddresses returns n different addresses of the loopback interface, host and port, on which nobody listens. None is returned twice
// before some thousand others, and none that another process got from here while that process lives: its server may not listen yet. An
// error says that there are not as many.
func FreeAddresses(n int) ([]string, error) { return shared.freeAddresses(n) }

var shared = func() *pool {
	text, _ := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range") // of Linux alone
	first, blocks := beside(string(text))
	return &pool{first: first, blocks: blocks}
}()

// beside returns the ports that are handed out, as their first one and the number of their blocks. They lie below those that the kernel gives to
// connections and to listeners of port 0, or above if these begin low: one of these could take a free address before its server listens there.
// Linux has both ends of the kernel's ports in a file; without its text they begin at 32768, or as elsewhere at 49152.
func beside(text string) (first, blocks int) {
	const lowest, highest = 1024, 65535 // that everyone may listen on
	low, high := 32768, 60999
	if n, err := fmt.Sscan(text, &low, &high); n != 2 || err != nil || low > high {
		low, high = 32768, 60999
	}
	if first = low - most*blockSize; first >= lowest {
		return first, most
	}
	below, above := (low-lowest)/blockSize, (highest-high)/blockSize
	switch {
	case below < 16 && above < 16: // then as good as it gets
		return 32768 - most*blockSize, most
	case below < above:
		return high + 1, min(above, most)
	}
	return low - below*blockSize, below
}

// pool hands out the ports of the blocks that this process owns. A process owns a block while it listens on the block's first port, which
// it does until it ends.
type pool struct {
	first, blocks int

	mu   sync.Mutex
	own  []net.Listener // on the first ports of the blocks that are owned
	next int            // of the ports of own, in order
	full bool           // no block was free: ports are handed out again
}

func (p *pool) freeAddresses(n int) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	addresses := make([]string, 0, n)
	var last error
	for tried := 0; len(addresses) < n; tried++ {
		if p.next == len(p.own)*(blockSize-1) && !p.claim() {
			p.next, p.full = 0, true
		}
		if p.full && tried >= len(p.own)*(blockSize-1) {
			if last == nil {
				last = fmt.Errorf("no block of ports from %d on is free", p.first)
			}
			return nil, fmt.Errorf("loopback: found %d free addresses of %d: %w", len(addresses), n, last)
		}
		base := p.own[p.next/(blockSize-1)].Addr().(*net.TCPAddr).Port
		l, err := listen(base + 1 + p.next%(blockSize-1))
		p.next++
		if err != nil {
			last = err
			continue
		}
		defer l.Close() // not before all are found, so that they differ
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}

// claim makes one more block this process's, a random one, so that processes that do so at once seldom try the same.
func (p *pool) claim() bool {
	if p.full {
		return false
	}
	for _, block := range rand.Perm(p.blocks) {
		if l, err := listen(p.first + block*blockSize); err == nil {
			p.own = append(p.own, l)
			return true
		}
	}
	return false
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
}
