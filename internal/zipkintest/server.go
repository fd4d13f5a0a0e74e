package zipkintest

import (
	"net"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/internal/integration"
	"github.com/tppfaas/tppfaas/internal/loopback"
	"github.com/tppfaas/tppfaas/internal/testprocess"
)

// Start runs a Zipkin server with its storage in memory, on a free port of the loopback interface, until the test ends. It returns the base URL,
// without /api/v2. If there is no Java or no jar, the test ends as integration.Missing says.
func Start(t testing.TB) (url string) {
	t.Helper()
	java := integration.Program(t, "java", "install Java 17 or later (Debian: apt-get install default-jre-headless)")
	jar, err := Jar()
	if err != nil {
		t.Fatal(err)
	}
	integration.File(t, jar, "the Zipkin server", "make fetch-zipkin")
	// The port is free now, but another process may take it while the server starts, which takes seconds: then it is tried with another one.
	var log string
	for range 3 {
		addresses, err := loopback.FreeAddresses(1)
		if err != nil {
			t.Fatal(err)
		}
		if url, log = start(t, java, jar, addresses[0]); url != "" {
			return url
		}
	}
	t.Fatalf("the Zipkin server ended: %s", log)
	return ""
}

// start runs a server on an address of the loopback interface until the test ends. If the server ends before it is ready, it returns no URL, and what the server has printed.
func start(t testing.TB, java, jar, address string) (url, output string) {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	p, err := testprocess.Start(exec.Command(java, "-Xmx512m", "-jar", jar,
		"--armeria.ports[0].ip=127.0.0.1", "--armeria.ports[0].port="+port, "--armeria.ports[0].protocols[0]=http",
		"--zipkin.collector.http.enabled=true", "--logging.level.root=WARN"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	url = "http://" + address
	for deadline := time.Now().Add(2 * time.Minute); ; {
		select {
		case <-p.Ended:
			return "", p.Output()
		case <-time.After(50 * time.Millisecond):
		}
		if response, err := http.Get(url + "/health"); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return url, ""
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the Zipkin server does not get ready: %s", p.Output())
		}
	}
}
