package zipkintest

import (
	"context"
	"net/http"
	"os"
	"path/filepath"

	"github.com/tppfaas/tppfaas/internal/maven"
)

// Version is the version of the server.
const Version = "3.5.1"

const (
	name   = "zipkin-server-" + Version + "-exec.jar"
	path   = "io/zipkin/zipkin-server/" + Version + "/" + name
	digest = "7ac633a6832647e71e50012a5e3e91fbc7054414955261724526030faf271d8d"
)

// Jar returns the path of the fetched jar, in the user's cache.
func Jar() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "tppfaas", name), nil
}

// Fetch downloads the jar, 131 MB, unless it is there, and returns its path. A jar with a wrong checksum is an error and is not kept.
func Fetch(ctx context.Context) (jar string, err error) {
	if jar, err = Jar(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(jar), 0o777); err != nil {
		return "", err
	}
	return jar, maven.Fetch(ctx, http.DefaultClient, maven.Jar{Path: path, SHA256: digest, Most: 1 << 30}, jar)
}
