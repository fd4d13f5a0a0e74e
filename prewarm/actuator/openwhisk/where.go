package openwhisk

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
)

// The list of actions is asked for again after lookAgain if a function is not in it, and in any case after outdated: it may have been deployed anew, into
// another package.
const (
	lookAgain = 5 * time.Second
	outdated  = time.Minute
)

// where knows in which packages functions are: what is observed of them has their names alone.
type where struct {
	client *whisk.Client

	mu      sync.Mutex
	asking  chan struct{} // closed when the list has come that somebody has asked for; nil if nobody has
	asked   time.Time     // when it was last asked for
	err     error         // of the last time
	actions map[string]whisk.ListedAction
}

// find returns the action of a function: of several packages that have one of the name, that which was put last.
func (w *where) find(ctx context.Context, function string) (whisk.ListedAction, error) {
	for {
		w.mu.Lock()
		a, ok := w.actions[function]
		age := time.Since(w.asked)
		if ok && age < outdated {
			w.mu.Unlock()
			return a, nil
		}
		if w.asking == nil && age < lookAgain && !w.asked.IsZero() {
			err := w.err
			w.mu.Unlock()
			if err == nil {
				err = &actuator.NoFunctionError{Err: errors.New("OpenWhisk has no action of that name, in no package")}
			}
			return whisk.ListedAction{}, err
		}
		if asking := w.asking; asking != nil {
			w.mu.Unlock()
			select {
			case <-asking:
				continue
			case <-ctx.Done():
				return whisk.ListedAction{}, ctx.Err()
			}
		}
		done := make(chan struct{})
		w.asking = done
		w.mu.Unlock()
		list, err := w.client.Actions(ctx)
		brokenOff := err != nil && ctx.Err() != nil // which is nothing that others should be told
		w.mu.Lock()
		w.asking = nil
		if !brokenOff {
			w.asked, w.err = time.Now(), err
		}
		if err == nil {
			w.actions = latest(list)
		}
		w.mu.Unlock()
		close(done)
		if brokenOff {
			return whisk.ListedAction{}, err
		}
	}
}

// forget forgets where a function is: it is not there any more.
func (w *where) forget(function string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.actions, function)
}

// latest returns the actions by name, of those with the same name the one that was put last.
func latest(list []whisk.ListedAction) map[string]whisk.ListedAction {
	byName := make(map[string]whisk.ListedAction, len(list))
	for _, a := range list {
		if other, ok := byName[a.Name]; !ok || a.Updated.After(other.Updated) {
			byName[a.Name] = a
		}
	}
	return byName
}

// action returns the name under which OpenWhisk knows a function: PACKAGE/NAME, or NAME.
func (a *Actuator) action(ctx context.Context, function string) (string, error) {
	switch {
	case strings.Contains(function, "/"):
		return function, nil
	case a.options.Package != "":
		return a.options.Package + "/" + function, nil
	}
	found, err := a.where.find(ctx, function)
	return found.Path(), err
}
