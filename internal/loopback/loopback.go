// Package loopback finds addresses of this machine for servers that must know theirs before they listen: processes of tests, and programs
// that are configured with an address.
//
//	addresses, err := loopback.FreeAddresses(2)
package loopback

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports from firstPort on, ports in all. They lie below those that the kernel gives to connections and to listeners of port 0 (from 32768
// on Linux, 49152 elsewhere), one of which could take a free address before its server listens there.
const (
	firstPort = 20_000
	ports     = 12_000
)

// FreeAddresses returns n different addresses of the loopback interface, host and port, on which nobody listens. It tries random ports, so
// that processes which do so at the same time find different ones. An error says that there are not as many.
func FreeAddresses(n int) ([]string, error) { return freeAddresses(n, ports) }

func freeAddresses(n, ports int) ([]string, error) {
	addresses := make([]string, 0, n)
	var last error
	for attempt := 0; len(addresses) < n; attempt++ {
		if attempt == 100*(n+1) {
			return nil, fmt.Errorf("loopback: found %d free addresses of %d: %w", len(addresses), n, last)
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(ports)))
		if err != nil {
			last = err
			continue
		}
		defer l.Close() // not before all are found, so that they differ
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}
