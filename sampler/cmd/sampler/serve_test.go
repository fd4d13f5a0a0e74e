//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// serving runs a command that serves until the test ends, and returns the line that it prints when it is ready. It must end with
// status 0.
func serving(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		status := program.Run(ctx, args, w, &stderr)
		w.Close()
		ended <- status
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("sampler %s ended with status %d: %s", strings.Join(args, " "), <-ended, stderr.String())
	}
	t.Cleanup(func() {
		cancel()
		if status := <-ended; status != 0 {
			t.Errorf("sampler %s: status %d: %s", strings.Join(args, " "), status, stderr.String())
		}
	})
	return line
}

func answers(t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(url, response.Status, err)
	}
	return string(text)
}

func TestPlatform(t *testing.T) {
	var ready struct{ APIHost, Namespace string }
	if err := json.Unmarshal([]byte(serving(t, "platform", "-listen", "127.0.0.1:0", "-namespace", "shop", "-json")), &ready); err != nil {
		t.Fatal(err)
	}
	if ready.Namespace != "shop" || answers(t, ready.APIHost+"/ping") != "pong" {
		t.Errorf("it says %+v", ready)
	}
	said := serving(t, "platform", "-listen", "127.0.0.1:0", "-per-minute", "0")
	if !strings.HasPrefix(said, "OpenWhisk on http://127.0.0.1:") || !strings.Contains(said, "namespace guest, the key of OpenWhisk's standalone server") {
		t.Errorf("it says %q", said)
	}
}

func TestZipkin(t *testing.T) {
	said := serving(t, "zipkin", "-listen", "127.0.0.1:0")
	url, ok := strings.CutPrefix(strings.TrimSuffix(said, "; Ctrl-C ends it\n"), "Zipkin on ")
	if !ok || !strings.Contains(answers(t, url+"/health"), "UP") {
		t.Errorf("it says %q", said)
	}
}

func TestServingCalledWrongly(t *testing.T) {
	for line, want := range map[string]string{
		"platform here":                           `unexpected argument "here"`,
		"platform -listen 0.0.0.0:3233":           "everybody knows the key",
		"platform -listen :3233":                  "everybody knows the key",
		"platform -listen 3233":                   "-listen: address 3233: missing port",
		"platform -memory 100":                    "-memory: the smallest container needs 128 MiB",
		"platform -per-minute -1":                 "-per-minute: must not be negative",
		"platform -idle-timeout 0s":               "must be positive",
		"platform -user nobody":                   "is not of the form UID:GID",
		"platform -idle-timeout x":                "option -idle-timeout",
		"platform -namespace a/b":                 "is no name of a namespace",
		"platform -listen 127.0.0.1:99999":        "invalid port",
		"zipkin x":                                `unexpected argument "x"`,
		"zipkin -spans 0":                         "-spans: must be positive",
		"zipkin -listen 127.0.0.1:99999 -spans 1": "invalid port",
	} {
		stdout, stderr, status := try(t.Context(), line)
		if status == 0 || stdout != "" || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("sampler %s: status %d, prints %q, says %q, want %q", line, status, stdout, stderr, want)
		}
	}
}

// TestWhereClientsLook checks that a server listens where the environment sends its clients, but only on this machine.
func TestWhereClientsLook(t *testing.T) {
	for value, want := range map[string]string{
		"":                            "127.0.0.1:3233",
		"http://127.0.0.1:4000":       "127.0.0.1:4000",
		"http://localhost:4000":       "localhost:4000",
		"http://[::1]:4000":           "[::1]:4000",
		"http://127.0.0.1":            "127.0.0.1:3233",
		"https://127.0.0.1:4000":      "127.0.0.1:3233",
		"http://openwhisk.local:3233": "127.0.0.1:3233",
		"10.0.0.1":                    "127.0.0.1:3233",
	} {
		t.Setenv("OW_APIHOST", value)
		if got := whereClientsLook("OW_APIHOST", "127.0.0.1:3233"); got != want {
			t.Errorf("with OW_APIHOST=%q: %s, want %s", value, got, want)
		}
	}
}
