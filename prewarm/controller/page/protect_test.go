package page

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestProtect checks which requests pass, by their method and headers.
func TestProtect(t *testing.T) {
	const get, post = http.MethodGet, http.MethodPost
	for _, c := range []struct {
		name, method, host, origin, site string
		hosts                            []string
		want                             int
	}{
		{"a browser on this machine", get, "localhost:8080", "", "none", nil, 200},
		{"by address", get, "127.0.0.1:8080", "", "", nil, 200},
		{"by IPv6", get, "[::1]:8080", "", "", nil, 200},
		{"a probe of a pod", get, "10.1.2.3:8080", "", "", nil, 200},
		{"rebound name", get, "evil.example:8080", "", "", nil, 421},
		{"name that begins like this machine's", get, "localhost.evil.example", "", "", nil, 421},
		{"name that begins like an address", get, "127.0.0.1.evil.example:80", "", "", nil, 421},
		{"no name", get, "", "", "", nil, 421},
		{"configured name", get, "Prewarm.example.com", "", "", []string{"prewarm.example.com"}, 200},
		{"configured name with any port", get, "prewarm.example.com:8443", "", "", []string{"PREWARM.example.com"}, 200},
		{"configured name with a port", get, "prewarm.example.com:8443", "", "", []string{"prewarm.example.com:8443"}, 200},
		{"configured name with another port", get, "prewarm.example.com:1", "", "", []string{"prewarm.example.com:8443"}, 421},
		{"any name", get, "anything", "", "", []string{"*"}, 200},

		{"curl", post, "localhost:8080", "", "", nil, 200},
		{"own page", post, "localhost:8080", "http://localhost:8080", "same-origin", nil, 200},
		{"own page behind TLS elsewhere", post, "prewarm.example.com", "https://prewarm.example.com", "same-origin", []string{"prewarm.example.com"}, 200},
		{"another page", post, "localhost:8080", "https://evil.example", "cross-site", nil, 403},
		{"another port", post, "localhost:8080", "http://localhost:3000", "same-site", nil, 403},
		{"another page in an old browser", post, "localhost:8080", "https://evil.example", "", nil, 403},
		{"a page without origin", post, "localhost:8080", "null", "", nil, 403},
		{"a page that hides its origin", post, "localhost:8080", "", "cross-site", nil, 403},
		{"rebound name that changes something", post, "evil.example:8080", "http://evil.example:8080", "same-origin", nil, 421},
		{"reading from another page", get, "localhost:8080", "https://evil.example", "cross-site", nil, 200}, // which it cannot see
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), c.method, "/v1/pause", nil)
			r.Host = c.host
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
			}
			if c.site != "" {
				r.Header.Set("Sec-Fetch-Site", c.site)
			}
			w := httptest.NewRecorder()
			reached := false
			Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }), c.hosts).ServeHTTP(w, r)
			require.Equal(t, c.want, w.Code, w.Body)
			require.Equal(t, c.want == 200, reached)
		})
	}
}

// TestNamesInAnswersAreShort checks that what a request says of itself is neither repeated at any length nor with characters that terminals obey.
func TestNamesInAnswersAreShort(t *testing.T) {
	require.Equal(t, `"a?b"`, quote("a\x1bb"))
	require.Less(t, len(quote(string(make([]byte, 100000)))), 100)
}
