package learn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
)

// Learned is what a policy has learned and saved, for others who learn no models themselves.
type Learned struct {
	path  string
	saved *saved // those applications that have a model which was learned
}

// ReadLearned reads what Save has written into a folder, or into the folder learned in it, which is where a server has it in its state. It is an error if there is
// nothing, or no application of which a model was learned.
func ReadLearned(folder string) (*Learned, error) {
	for _, in := range []string{filepath.Join(folder, "learned"), folder} {
		path := filepath.Join(in, fileName)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		s, err := readSaved(path)
		if err != nil {
			return nil, fmt.Errorf("learn: %s: %w", path, err)
		}
		s.Applications = slices.DeleteFunc(s.Applications, func(a savedApplication) bool { return a.Kind == "" || a.Given != "" })
		if len(s.Applications) == 0 {
			return nil, fmt.Errorf("learn: %s: no model was learned yet", path)
		}
		return &Learned{path, s}, nil
	}
	return nil, fmt.Errorf("learn: %s: nothing was learned there: it has no %s", folder, fileName)
}

// Functions returns the names of the functions of all applications.
func (l *Learned) Functions() (names []string) {
	for i := range l.saved.Applications {
		names = append(names, l.saved.Applications[i].Functions...)
	}
	return names
}

// Applications returns the applications, of the functions of a platform, which are found by their names. Those of which a function is missing there are left out. An error
// says which model cannot be used.
func (l *Learned) Applications(ctx context.Context, platform prewarm.Platform, functions []prewarm.Function, seed uint64) ([]*newsvendor.Application, error) {
	p, err := newPolicy(ctx, Options{Platform: platform, Functions: functions, Fixed: true, Seed: seed})
	if err != nil {
		return nil, fmt.Errorf("learn: %w", err)
	}
	p.library.grow(len(functions))
	var all []*newsvendor.Application
	for i := range l.saved.Applications {
		s := &l.saved.Applications[i]
		if !p.knows(s) {
			continue
		}
		if err := p.restore(s, true); err != nil {
			return nil, fmt.Errorf("learn: %s: application %s: %w", l.path, s.Functions[0], err)
		}
		if a := p.library.of[p.function(s.Functions[0])]; a.present != nil {
			all = append(all, a.present)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("learn: %s: no application of functions that are here", l.path)
	}
	return all, nil
}
