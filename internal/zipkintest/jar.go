package zipkintest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
)

// Version is the version of the server.
const Version = "3.5.1"

const (
	name   = "zipkin-server-" + Version + "-exec.jar"
	path   = "/io/zipkin/zipkin-server/" + Version + "/" + name
	digest = "7ac633a6832647e71e50012a5e3e91fbc7054414955261724526030faf271d8d"
)

// Repository returns the URL of the repository of jars: Maven Central, or the value of the environment variable TPPFAAS_MAVEN.
func Repository() string {
	if mirror := os.Getenv("TPPFAAS_MAVEN"); mirror != "" {
		return mirror
	}
	return "https://repo1.maven.org/maven2"
}

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
	if _, err := os.Stat(jar); err == nil {
		return jar, nil
	}
	if err := os.MkdirAll(filepath.Dir(jar), 0o777); err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, Repository()+path, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", request.URL, response.Status)
	}
	return jar, atomicfile.Write(jar, func(w io.Writer) error {
		hash := sha256.New()
		if _, err := io.Copy(io.MultiWriter(w, hash), response.Body); err != nil {
			return fmt.Errorf("%s: %w", request.URL, err)
		}
		if got := hex.EncodeToString(hash.Sum(nil)); got != digest {
			return fmt.Errorf("%s: its SHA-256 is %s, it must be %s", request.URL, got, digest)
		}
		return nil
	})
}
