package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Command sends a command, pause or resume, to a running controller, and returns its mode. A token is sent over https, or to this machine.
func Command(ctx context.Context, address, command, token string, insecure bool) (mode string, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("%q is no address of a controller, such as http://127.0.0.1:4320", address)
	}
	if token != "" && u.Scheme == "http" && !Loopback(u.Hostname()) {
		return "", fmt.Errorf("%s: the token is sent over https, or to this machine, and not to %s", command, address)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.JoinPath("v1", command).String(), nil)
	if err != nil {
		return "", err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if insecure {
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(r)
	var failure *url.Error
	if errors.As(err, &failure) {
		err = failure.Err // the rest of it is said here
	}
	if err != nil {
		return "", fmt.Errorf("no answer of a controller at %s: %w", address, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return "", fmt.Errorf("the answer of the controller at %s: %w", address, err)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	switch {
	case response.StatusCode == http.StatusUnauthorized:
		return "", fmt.Errorf("the controller at %s wants a token (-token-file), or another one", address)
	case response.StatusCode != http.StatusOK && line == "":
		return "", fmt.Errorf("%s, which is to be the controller, answers %s", address, response.Status)
	case response.StatusCode != http.StatusOK:
		return "", fmt.Errorf("the controller at %s answers %s: %s", address, response.Status, line)
	}
	return line, nil
}
