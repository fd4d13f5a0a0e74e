package whisk

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ListedAction is an action in a list.
type ListedAction struct {
	// Name is its name, and Package that of its package; "" if it has none.
	Name, Package string
	Version       string
	// MemoryMB is the memory of its containers, in MiB; 0 if the list does not say it.
	MemoryMB int
	// Updated is when it was last put.
	Updated time.Time
}

// Path returns PACKAGE/NAME, or NAME.
func (a *ListedAction) Path() string {
	if a.Package == "" {
		return a.Name
	}
	return a.Package + "/" + a.Name
}

// Actions lists all actions of the namespace, also those in its packages.
func (c *Client) Actions(ctx context.Context) ([]ListedAction, error) {
	const page = 200 // the most that OpenWhisk gives at once
	type wire struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"` // NAMESPACE or NAMESPACE/PACKAGE
		Version   string `json:"version"`
		Updated   int64  `json:"updated"` // ms
		Limits    Limits `json:"limits"`
	}
	var all []ListedAction
	for {
		var some []wire
		r := Request{
			Method: http.MethodGet, Path: namespace + actions,
			Query: url.Values{"limit": {strconv.Itoa(page)}, "skip": {strconv.Itoa(len(all))}},
			Check: func() error {
				switch {
				case len(some) > page:
					return errors.New("more actions than were asked for")
				case slices.ContainsFunc(some, func(a wire) bool { return a.Name == "" }):
					return errors.New("an action without a name")
				}
				return nil
			},
		}
		if err := c.do(ctx, r, &some); err != nil {
			return nil, err
		}
		for _, a := range some {
			_, pack, _ := strings.Cut(a.Namespace, "/")
			all = append(all, ListedAction{Name: a.Name, Package: pack, Version: a.Version, MemoryMB: a.Limits.Memory, Updated: time.UnixMilli(a.Updated)})
		}
		if len(some) < page {
			return all, nil
		}
	}
}
