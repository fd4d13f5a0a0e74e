package kafkatest

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/zipkintest"
)

// Version is the version of the broker.
const Version = "4.3.1"

// jars has the SHA-256 and the path in the repository of each jar of org.apache.kafka:kafka_2.13 and of what it depends on.
//
//go:embed jars.txt
var jars string

// Folder returns the path of the folder with the fetched jars, in the user's cache.
func Folder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "tppfaas", "kafka-"+Version), nil
}

// attempts is how often a jar is asked for: of 45 one may well fail.
const attempts = 4

// Fetch downloads the jars, 45 MB, as far as they are not there, and returns their folder. A jar with a wrong checksum is an error and is not kept.
func Fetch(ctx context.Context) (folder string, err error) {
	if folder, err = Folder(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return "", err
	}
	client := &http.Client{Timeout: 5 * time.Minute}
	defer client.CloseIdleConnections()
	for line := range strings.Lines(jars) {
		digest, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			return "", fmt.Errorf("the list of jars has the line %q", line)
		}
		for attempt := 1; ; attempt++ {
			err := fetch(ctx, client, name, digest, filepath.Join(folder, path.Base(name)))
			if err == nil {
				break
			}
			if attempt == attempts || ctx.Err() != nil {
				return "", err
			}
			select {
			case <-time.After(time.Duration(attempt) * time.Second):
			case <-ctx.Done():
			}
		}
	}
	return folder, nil
}

// fetch downloads a jar, unless it is there.
func fetch(ctx context.Context, client *http.Client, name, digest, file string) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, zipkintest.Repository()+"/"+name, nil)
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
		if _, err := io.Copy(io.MultiWriter(w, hash), io.LimitReader(response.Body, 100<<20)); err != nil {
			return fmt.Errorf("%s: %w", request.URL, err)
		}
		if got := hex.EncodeToString(hash.Sum(nil)); got != digest {
			return fmt.Errorf("%s: its SHA-256 is %s, it must be %s", request.URL, got, digest)
		}
		return nil
	})
}
