package zipkintest

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// TestFetchChecksWhatComes checks that a wrong jar and a failed download are errors and leave no file.
func TestFetchChecksWhatComes(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"SHA-256": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("another jar")) },
		"404":     http.NotFound,
	} {
		t.Setenv("XDG_CACHE_HOME", t.TempDir())
		t.Setenv("HOME", t.TempDir())
		server := httptest.NewServer(handler)
		t.Setenv("TPPFAAS_MAVEN", server.URL)
		_, err := Fetch(t.Context())
		server.Close()
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want something about %s", err, name)
		}
		jar, err := Jar()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(jar); err == nil {
			t.Errorf("%s: a wrong jar was kept", name)
		}
	}
}
