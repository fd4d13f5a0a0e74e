package whisk

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// ParseAddress reads the address of a server. Without a scheme it is https, as for wsk. Trailing slashes are removed; a query or a
// fragment is an error.
func ParseAddress(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		var parse *url.Error
		if errors.As(err, &parse) {
			err = parse.Err
		}
		return nil, fmt.Errorf("this is no address: %w", err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the scheme %s is neither http nor https", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("this address has no host")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("an address ends with its host or path")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

// withoutAPI returns the address without a trailing /api or /api/v1.
func withoutAPI(base *url.URL) *url.URL {
	u := *base
	path := strings.TrimRight(u.Path, "/")
	if before, ok := strings.CutSuffix(path, "/api/v1"); ok {
		path = before
	}
	u.Path, u.RawPath = strings.TrimSuffix(path, "/api"), ""
	return &u
}

// DisplayAddress returns an address without user and password, for messages.
func DisplayAddress(u *url.URL) string {
	shown := *u
	shown.User = nil
	return shown.String()
}

// CheckKey reports what is wrong with a key, which must be of the form user:password. The error does not contain the key.
func CheckKey(key string) error {
	user, password, ok := strings.Cut(key, ":")
	switch {
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return errors.New("the key contains white space or control characters")
	case !ok || user == "" || password == "":
		return errors.New("the key must be of the form user:password")
	}
	return nil
}
