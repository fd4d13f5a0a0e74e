// Package maven downloads jars that tests run, and checks them.
//
//	err := maven.Fetch(ctx, http.DefaultClient, maven.Jar{Path: "org/x/x/1.0/x-1.0.jar", SHA256: digest, Most: 10 << 20}, file)
package maven

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
)

// Repository returns the URL of the repository of jars: Maven Central, or the value of the environment variable TPPFAAS_MAVEN.
func Repository() string {
	if mirror := os.Getenv("TPPFAAS_MAVEN"); mirror != "" {
		return mirror
	}
	return "https://repo1.maven.org/maven2"
}

// Jar is a file of a repository.
type Jar struct {
	Path   string // in the repository
	SHA256 string // in hexadecimal digits
	Most   int64  // how many bytes are read
}

// Fetch downloads a jar into a file, unless it is there. One with a wrong checksum is an error and is not kept.
func Fetch(ctx context.Context, client *http.Client, jar Jar, file string) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, Repository()+"/"+jar.Path, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", request.URL, response.Status)
	}
	return atomicfile.Write(file, func(w io.Writer) error {
		hash := sha256.New()
		if _, err := io.Copy(io.MultiWriter(w, hash), io.LimitReader(response.Body, jar.Most)); err != nil {
			return fmt.Errorf("%s: %w", request.URL, err)
		}
		if got := hex.EncodeToString(hash.Sum(nil)); got != jar.SHA256 {
			return fmt.Errorf("%s: its SHA-256 is %s, it must be %s", request.URL, got, jar.SHA256)
		}
		return nil
	})
}
