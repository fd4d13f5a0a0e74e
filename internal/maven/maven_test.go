package maven

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFetch keeps a jar with the right checksum alone, of at most so many bytes, and does not ask for it again.
func TestFetch(t *testing.T) {
	text := []byte("a jar")
	sum := sha256.Sum256(text)
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; r.URL.Path != "/x/x.jar" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(text)
	}))
	defer server.Close()
	t.Setenv("TPPFAAS_MAVEN", server.URL)
	file := filepath.Join(t.TempDir(), "x.jar")
	good := Jar{Path: "x/x.jar", SHA256: hex.EncodeToString(sum[:]), Most: 100}
	for _, c := range []struct {
		jar  Jar
		want string
	}{
		{Jar{Path: "y.jar", SHA256: good.SHA256, Most: 100}, "404"},
		{Jar{Path: good.Path, SHA256: "00", Most: 100}, "its SHA-256 is " + good.SHA256 + ", it must be 00"},
		{Jar{Path: good.Path, SHA256: good.SHA256, Most: 4}, "SHA-256"},
	} {
		require.ErrorContains(t, Fetch(t.Context(), server.Client(), c.jar, file), c.want)
		require.NoFileExists(t, file)
	}
	for range 2 {
		require.NoError(t, Fetch(t.Context(), server.Client(), good, file))
	}
	require.Equal(t, 4, asked)
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, text, got)
}
