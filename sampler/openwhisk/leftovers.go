package openwhisk

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Leftover is a package that a sampler has deployed and not removed: its run goes on, or was killed.
type Leftover struct {
	// Package is the package's name, Application that of the application.
	Package, Application string
	// Created is when it was deployed.
	Created time.Time
}

// Leftovers lists what samplers have deployed and not removed, the oldest first.
func (t *Target) Leftovers(ctx context.Context) ([]Leftover, error) {
	all, err := t.client.Packages(ctx)
	if err != nil {
		return nil, t.explain(err)
	}
	var found []Leftover
	for _, p := range all {
		value, ok := p.Annotations.Get(annotation).(map[string]any)
		if !ok || !strings.HasPrefix(p.Name, packagePrefix) {
			continue
		}
		l := Leftover{Package: p.Name, Created: time.UnixMilli(p.Updated)}
		l.Application, _ = value["application"].(string)
		if text, ok := value["created"].(string); ok {
			if at, err := time.Parse(time.RFC3339, text); err == nil {
				l.Created = at
			}
		}
		found = append(found, l)
	}
	slices.SortFunc(found, func(a, b Leftover) int { return a.Created.Compare(b.Created) })
	return found, nil
}

// RemoveLeftover removes a package with everything in it.
func (t *Target) RemoveLeftover(ctx context.Context, pack string) error {
	return t.explain(t.remove(ctx, pack))
}
