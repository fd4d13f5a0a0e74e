package kafkatest

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// TestFetchChecksWhatComes checks that a wrong jar and a failed download are errors and leave no file.
func TestFetchChecksWhatComes(t *testing.T) {
	for want, handler := range map[string]http.HandlerFunc{
		"SHA-256": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("another jar")) },
		"404":     http.NotFound,
	} {
		t.Setenv("XDG_CACHE_HOME", t.TempDir())
		t.Setenv("HOME", t.TempDir())
		server := httptest.NewServer(handler)
		t.Setenv("TPPFAAS_MAVEN", server.URL)
		_, err := Fetch(t.Context())
		server.Close()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want something about %s", err, want)
		}
		folder, err := Folder()
		if err != nil {
			t.Fatal(err)
		}
		if files, err := os.ReadDir(folder); err != nil || len(files) > 0 {
			t.Errorf("%s: %v is there, %v", want, files, err)
		}
	}
}

// TestJars checks that the list has the broker in its version.
func TestJars(t *testing.T) {
	if want := "/kafka_2.13-" + Version + ".jar\n"; !strings.Contains(jars, want) {
		t.Errorf("the list lacks %s", want)
	}
}
