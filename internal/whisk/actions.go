package whisk

import (
	"context"
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
	type wire struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"` // NAMESPACE or NAMESPACE/PACKAGE
		Version   string `json:"version"`
		Updated   int64  `json:"updated"` // ms
		Limits    Limits `json:"limits"`
	}
	listed, err := listAll(ctx, c, actions, func(a *wire) string {
		if a.Name == "" {
			return ""
		}
		return a.Namespace + "/" + a.Name
	})
	if err != nil {
		return nil, err
	}
	all := make([]ListedAction, len(listed))
	for i, a := range listed {
		_, pack, _ := strings.Cut(a.Namespace, "/")
		all[i] = ListedAction{Name: a.Name, Package: pack, Version: a.Version, MemoryMB: a.Limits.Memory, Updated: time.UnixMilli(a.Updated)}
	}
	return all, nil
}
