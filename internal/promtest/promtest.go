// Package promtest starts a real Prometheus for tests.
//
//	address := promtest.Start(t, config, "")
package promtest

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/integration"
	"github.com/tppfaas/tppfaas/internal/loopback"
)

// how says how to get a Prometheus.
const how = "apt-get install prometheus"

// Start starts a Prometheus with a configuration, the text of a prometheus.yml, over what is in the folder data, or over nothing if that is "". It
// returns its URL once it is ready. The test's end ends it.
func Start(t testing.TB, config, data string, options ...string) string {
	t.Helper()
	program := integration.Program(t, "prometheus", how)
	directory := t.TempDir()
	if data == "" {
		data = filepath.Join(directory, "data")
	}
	file := filepath.Join(directory, "prometheus.yml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	addresses, err := loopback.FreeAddresses(1)
	require.NoError(t, err)
	command := exec.Command(program, append([]string{
		"--config.file=" + file, "--storage.tsdb.path=" + data, "--web.listen-address=" + addresses[0], "--log.level=error",
	}, options...)...)
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Signal(os.Interrupt)
		_ = command.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	address := "http://" + addresses[0]
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	require.Eventually(t, func() bool {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, address+"/-/ready", nil)
		if err != nil {
			return false
		}
		response, err := client.Do(r)
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK || response.StatusCode == http.StatusUnauthorized // it wants to know who asks
	}, time.Minute, 50*time.Millisecond, "Prometheus does not become ready")
	return address
}

// Fill makes a folder of data for Start of metrics in the form of OpenMetrics, with a time for each sample, # EOF last.
func Fill(t testing.TB, metrics []byte) (data string) {
	t.Helper()
	program := integration.Program(t, "promtool", how)
	directory := t.TempDir()
	file := filepath.Join(directory, "metrics.txt")
	require.NoError(t, os.WriteFile(file, metrics, 0o600))
	data = filepath.Join(directory, "data")
	out, err := exec.Command(program, "tsdb", "create-blocks-from", "openmetrics", file, data).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return data
}
