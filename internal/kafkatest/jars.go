package kafkatest

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/maven"
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
			err := maven.Fetch(ctx, client, maven.Jar{Path: name, SHA256: digest, Most: 100 << 20}, filepath.Join(folder, path.Base(name)))
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
