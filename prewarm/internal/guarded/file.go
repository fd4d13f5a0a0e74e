package guarded

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// checkEvery is how often files are looked at again for changes.
const checkEvery = 5 * time.Second

// reloaded is a value made of files, which is made anew when one of them changes: certificates and tokens are renewed while a server runs.
type reloaded[T any] struct {
	files []string
	parse func() (T, error)

	mu      sync.Mutex
	value   T
	stamps  []stamp
	checked time.Time
}

// stamp tells versions of a file apart.
type stamp struct {
	time time.Time
	size int64
}

// load makes the value for the first time.
func (r *reloaded[T]) load() error {
	stamps, err := r.look()
	if err != nil {
		return err
	}
	value, err := r.parse()
	if err != nil {
		return err
	}
	r.value, r.stamps, r.checked = value, stamps, time.Now()
	return nil
}

// get returns the value. While the files cannot be used it is the old one.
func (r *reloaded[T]) get() T {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.checked) >= checkEvery {
		r.checked = now
		stamps, err := r.look()
		changed := false
		for i := range stamps {
			changed = changed || stamps[i] != r.stamps[i]
		}
		if err == nil && changed {
			if value, err := r.parse(); err == nil {
				r.value, r.stamps = value, stamps
			}
		}
	}
	return r.value
}

func (r *reloaded[T]) look() ([]stamp, error) {
	stamps := make([]stamp, len(r.files))
	for i, name := range r.files {
		info, err := os.Stat(name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, errors.Unwrap(err))
		}
		stamps[i] = stamp{info.ModTime(), info.Size()}
	}
	return stamps, nil
}
