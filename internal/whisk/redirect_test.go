package whisk

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRedirect checks that a gateway which sends its clients elsewhere, as many do from http to https, turns no change into a GET: a client that
// followed with one would take the answer for that to the change, and nothing would have been changed.
func TestRedirect(t *testing.T) {
	const key = "user:secret"
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			var asked []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.Method)
				_, _ = w.Write([]byte(`{"name": "p", "activationId": "a"}`))
			}))
			defer server.Close()
			gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, server.URL+r.URL.RequestURI(), status)
			}))
			defer gateway.Close()
			base, err := ParseAddress(gateway.URL)
			require.NoError(t, err)
			h := NewHTTPClient(false, 1)
			defer h.CloseIdleConnections()
			c, err := New(Options{Base: base, Key: key, HTTP: h})
			require.NoError(t, err)

			// What only reads is read there.
			_, err = c.Package(t.Context(), "p")
			require.NoError(t, err)
			require.Equal(t, []string{"GET"}, asked)

			asked = nil
			changes := map[string]func() error{
				"PUT":    func() error { return c.PutPackage(t.Context(), Package{Name: "p"}) },
				"DELETE": func() error { return c.DeletePackage(t.Context(), "p") },
				"POST":   func() error { _, err := c.Invoke(t.Context(), "p/a", nil); return err },
			}
			for method, change := range changes {
				err := change()
				if status == 307 || status == 308 { // with which the method stays
					require.NoError(t, err)
					require.Equal(t, []string{method}, asked)
					asked = nil
					continue
				}
				var e *Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, Rejected, e.Kind)
				require.False(t, e.MaybeProcessed)
				require.ErrorContains(t, err, fmt.Sprintf("%s refuses (%d): it is at %s", c.Name(), status, server.URL))
				require.NotContains(t, err.Error(), "secret")
				require.Empty(t, asked)
			}
		})
	}
}
