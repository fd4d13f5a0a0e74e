// Hello is a function for Apache OpenWhisk: it greets, and invokes the first of the functions in the parameter then, which goes on with the
// rest.
//
// It is compiled before it is deployed, and speaks the action loop: a request a line on standard input, an answer a line on descriptor 3.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"os"
	"strings"
	"time"
)

// Request is what OpenWhisk sends for an invocation.
type Request struct {
	Value        map[string]any `json:"value"`
	ActivationID string         `json:"activation_id"`
	ActionName   string         `json:"action_name"` // /NAMESPACE/PACKAGE/NAME
	APIKey       string         `json:"api_key"`     // with the annotation provide-api-key
}

// Handler is a function. It calls announce for each function that it is about to invoke, and puts what that returns into the payload.
type Handler func(ctx context.Context, r Request, announce func(name string) map[string]any) (map[string]any, error)

func main() {
	if err := serve(os.Stdin, os.NewFile(3, "answers"), traced(hello)); err != nil {
		log.Fatal(err)
	}
}

func hello(ctx context.Context, r Request, announce func(name string) map[string]any) (map[string]any, error) {
	if then, _ := r.Value["then"].([]any); len(then) > 0 {
		next := fmt.Sprint(then[0])
		payload := map[string]any{"name": r.Value["name"], "then": then[1:]}
		maps.Copy(payload, announce(next))
		if err := invoke(ctx, r, next, payload); err != nil {
			return nil, err
		}
	}
	return map[string]any{"greeting": fmt.Sprintf("Hello, %v!", r.Value["name"])}, nil
}

var client = &http.Client{Timeout: 30 * time.Second}

// invoke invokes a function of the same namespace, and does not wait for its end.
func invoke(ctx context.Context, r Request, name string, payload map[string]any) error {
	body, err := json.Marshal(payload)
	if err != nil {
		return err
	}
	url := os.Getenv("__OW_API_HOST") + "/api/v1/namespaces/_/actions/" + name + "?blocking=false"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	user, password, _ := strings.Cut(r.APIKey, ":")
	request.SetBasicAuth(user, password)
	request.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
		return fmt.Errorf("invoking %s: %s %s", name, answer.Status, text)
	}
	return nil
}

// serve answers requests until there are no more.
func serve(requests io.Reader, answers io.Writer, handle func(context.Context, Request) (map[string]any, error)) error {
	out := json.NewEncoder(answers)
	if os.Getenv("__OW_WAIT_FOR_ACK") != "" {
		if err := out.Encode(map[string]bool{"ok": true}); err != nil {
			return err
		}
	}
	for in := bufio.NewReader(requests); ; {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var r Request
		var answer map[string]any
		if err = json.Unmarshal(line, &r); err == nil {
			answer, err = handle(context.Background(), r)
		}
		if err != nil {
			answer = map[string]any{"error": err.Error()}
		}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
}
