package localwhisk

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// faultyBackend is a simulation that fails at some work, and records the calls.
type faultyBackend struct {
	*simulation
	creation, init, unpause error
	asked                   []string
}

func (b *faultyBackend) Create(c *PoolContainer, load int, ready func(error)) {
	b.asked = append(b.asked, "create")
	b.simulation.Create(c, load, func(error) { ready(b.creation) })
}

func (b *faultyBackend) Init(c *PoolContainer, load int, done func(error)) {
	b.asked = append(b.asked, "init")
	b.simulation.Init(c, load, func(error) { done(b.init) })
}

func (b *faultyBackend) Pause(*PoolContainer) { b.asked = append(b.asked, "pause") }

func (b *faultyBackend) Unpause(c *PoolContainer, done func(error)) {
	b.asked = append(b.asked, "unpause")
	b.simulation.Unpause(c, func(error) { done(b.unpause) })
}

func (b *faultyBackend) Remove(*PoolContainer) { b.asked = append(b.asked, "remove") }

// TestBackendFailures checks that a container that cannot be created, initialised or unpaused ends its activation with an error and frees its memory.
func TestBackendFailures(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name                    string
		creation, init, unpause error
		errs                    []string // of two invocations, 20 s apart
		asked                   string
	}{
		{"nothing", nil, nil, nil, []string{"", ""}, "create init pause unpause pause remove"},
		{"creation", broken, nil, nil, slices.Repeat([]string{"localwhisk: creating a container for f: broken"}, 2), "create remove create remove"},
		{"init", nil, broken, nil, slices.Repeat([]string{"localwhisk: initialising f: broken"}, 2), "create init remove create init remove"},
		{"unpause", nil, nil, broken, []string{"", "localwhisk: unpausing a container of f: broken"}, "create init pause unpause remove"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clock := NewVirtualClock(epoch)
			config := exact()
			config.MemoryMB = config.FunctionMemoryMB // so that memory that is not freed is noticed
			backend := &faultyBackend{simulation: newSimulation(clock, config, 1), creation: tt.creation, init: tt.init, unpause: tt.unpause}
			platform, err := NewWithBackend(clock, config, 1, backend)
			if err != nil {
				t.Fatal(err)
			}
			if err := platform.Deploy(Function{Name: "f", Handler: (*Run).Finish}); err != nil {
				t.Fatal(err)
			}
			var errs []string
			for _, at := range []time.Duration{0, 20 * time.Second} {
				clock.AfterFunc(at, func() {
					_, err := platform.Invoke("f", nil, func(a Activation) {
						text := ""
						if a.Err != nil {
							text = a.Err.Error()
						}
						errs = append(errs, text)
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			if err := clock.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(errs, tt.errs) {
				t.Errorf("errors %q, want %q", errs, tt.errs)
			}
			if got := strings.Join(backend.asked, " "); got != tt.asked {
				t.Errorf("asked: %s; want %s", got, tt.asked)
			}
		})
	}
}

// TestBackendDownForStemCells checks that the engine does not ask a failing backend again and again for missing stem cells.
func TestBackendDownForStemCells(t *testing.T) {
	clock := NewVirtualClock(epoch)
	config := exact()
	config.StemCells = 1
	backend := &faultyBackend{simulation: newSimulation(clock, config, 1), creation: errors.New("down")}
	platform, err := NewWithBackend(clock, config, 1, backend)
	if err != nil {
		t.Fatal(err)
	}
	if err := platform.Deploy(Function{Name: "f", Handler: (*Run).Finish}); err != nil {
		t.Fatal(err)
	}
	if _, err := platform.Invoke("f", nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := clock.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	// The backend is asked when the stem cell is taken, and again when the removal of the container frees memory.
	if got, want := strings.Join(backend.asked, " "), "create init remove pause remove create remove"; got != want {
		t.Errorf("asked: %s; want %s", got, want)
	}
}
