//go:build integration

package localzipkin_test

import (
	"net/http"
	"testing"

	"github.com/tppfaas/tppfaas/internal/zipkintest"
)

// TestIntegrationConformance asks of a real Zipkin server what TestConformance asks of ours.
func TestIntegrationConformance(t *testing.T) {
	conform(t, zipkintest.Start(t))
	http.DefaultClient.CloseIdleConnections()
}
