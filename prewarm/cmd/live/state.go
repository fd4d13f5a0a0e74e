//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/tppfaas/tppfaas/prewarm/controller"
)

// controllerState asks a controller for its state.
func controllerState(ctx context.Context, url string) (*controller.State, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v1/state", nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the controller's state: %s", answer.Status)
	}
	state := &controller.State{}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 16<<20)).Decode(state); err != nil {
		return nil, fmt.Errorf("the controller's state: %w", err)
	}
	return state, nil
}
