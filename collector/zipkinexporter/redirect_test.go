package zipkinexporter

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumererror"
)

// TestRedirect checks that no span is lost to a gateway which answers with another address, of a login page or of the same server with https: a
// client that followed with GET would take the page for Zipkin's answer.
func TestRedirect(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			page := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					t.Error("the page was asked for")
				}
			}))
			defer page.Close()
			gateway := httptest.NewServer(http.RedirectHandler(page.URL, status))
			defer gateway.Close()
			h := start(t, func(c *Config) { c.ClientConfig.Endpoint = gateway.URL })
			err := h.push(t.Context(), spans("a", "b"))
			if status == 307 || status == 308 { // with which the method stays, and the body
				require.NoError(t, err)
				return
			}
			var left consumererror.Traces
			require.ErrorAs(t, err, &left)
			require.Equal(t, []string{"a", "b"}, namesOf(left.Data()))
			require.ErrorContains(t, err, fmt.Sprintf("failed the request with status code %d", status))
			require.ErrorContains(t, err, page.URL)
			require.Zero(t, h.logs.FilterMessageSnippet("set aside").Len())
		})
	}
}
