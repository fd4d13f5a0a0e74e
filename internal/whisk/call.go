package whisk

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// about returns a request about a package or an action.
func (c *Client) about(method, collection, name string) (Request, error) {
	path, err := entityPath(collection, name)
	if err != nil {
		return Request{}, fmt.Errorf("%s: %w", c.server.Name, err)
	}
	return Request{Method: method, Path: path}, nil
}

// namespace is the path of everything in the namespace of the key.
const namespace = "api/v1/namespaces/_/"

// entityPath returns the path of a package, or of an action by its name or PACKAGE/NAME.
func entityPath(collection, name string) (string, error) {
	segments := strings.Split(name, "/")
	for i, s := range segments {
		if s == "" || s == "." || s == ".." {
			return "", fmt.Errorf("%q is no name in %s", name, collection)
		}
		segments[i] = url.PathEscape(s)
	}
	return namespace + collection + "/" + strings.Join(segments, "/"), nil
}

// do makes a request, and once more with another key if that in the key file has changed since the refused one was read.
func (c *Client) do(ctx context.Context, r Request, answer any) error {
	c.mu.Lock()
	r.Key = c.key
	c.mu.Unlock()
	err := c.server.Do(ctx, r, answer)
	var e *Error
	if c.keyFile == "" || !errors.As(err, &e) || e.Kind != Unauthorized && e.Kind != Forbidden {
		return err
	}
	key, read := c.readKey()
	if read != nil {
		e.Text, e.cause = OneLine(strings.TrimPrefix(e.Text+"; ", "; ")+read.Error()), read
		return e
	}
	if key == r.Key {
		return err
	}
	r.Key = key
	return c.server.Do(ctx, r, answer)
}

// readKey takes the key from its file.
func (c *Client) readKey() (string, error) {
	text, err := os.ReadFile(c.keyFile)
	if err != nil {
		return "", fmt.Errorf("key file: %w", err)
	}
	key := strings.TrimSpace(string(text))
	if err := CheckKey(key); err != nil {
		return "", fmt.Errorf("key file %s: %w", c.keyFile, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.key = key
	return key, nil
}
