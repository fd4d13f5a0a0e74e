package openfaas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
)

// forever is how long something lasts of which nobody has said when it ends.
const forever = 10 * time.Minute

// lease is what a command has asked for and when that ends.
type lease struct {
	Command uint64    `json:"command"`
	N       int       `json:"n"`
	Until   time.Time `json:"until"`
}

// function is what the actuator has done about a function. The number of replicas is the platform's own and the leases, or that of Scale if it is
// higher. Where the gateway has another number than the one set last, somebody else has set it: that is then the platform's own, and all that was
// asked for before is forgotten.
type function struct {
	Name string `json:"name"`
	// Own is how many replicas the platform has by itself, and Set how many were set last; before that there were Before, which may still be so
	// if the answer was lost.
	Own    int     `json:"own"`
	Set    int     `json:"set"`
	Before int     `json:"before"`
	Leases []lease `json:"leases,omitempty"`
	Scale  *lease  `json:"scale,omitempty"`

	turn  chan struct{} // has a value while nobody changes it
	retry time.Time     // when giving back is tried again after it has failed
	fails int
}

func newFunction(name string) *function {
	f := &function{Name: name, Set: -1, Before: -1, turn: make(chan struct{}, 1)}
	f.turn <- struct{}{}
	return f
}

// add adds what a command asks for.
func (f *function) add(c actuator.Command) {
	l := lease{c.ID, max(c.N, 0), c.Until}
	if c.Until.IsZero() {
		l.Until = time.Now().Add(forever)
	}
	if c.Kind == actuator.Scale {
		f.Scale = &l
		return
	}
	if !slices.ContainsFunc(f.Leases, func(l lease) bool { return l.Command == c.ID }) {
		f.Leases = append(f.Leases, l)
	}
}

// expire removes what has ended.
func (f *function) expire(now time.Time) {
	f.Leases = slices.DeleteFunc(f.Leases, func(l lease) bool { return !now.Before(l.Until) })
	if f.Scale != nil && !now.Before(f.Scale.Until) {
		f.Scale = nil
	}
}

// due returns when something of it ends next; zero if there is nothing.
func (f *function) due() (t time.Time) {
	for _, l := range f.Leases {
		if t.IsZero() || l.Until.Before(t) {
			t = l.Until
		}
	}
	if f.Scale != nil && (t.IsZero() || f.Scale.Until.Before(t)) {
		t = f.Scale.Until
	}
	if f.Before >= 0 { // it is not known what was set
		t = f.retry
	}
	if !t.IsZero() && t.Before(f.retry) {
		return f.retry
	}
	return t
}

// want returns how many replicas there should be.
func (f *function) want() int {
	n := f.Own
	for _, l := range f.Leases {
		n += l.N
	}
	if f.Scale != nil {
		n = max(n, f.Scale.N)
	}
	return n
}

// of returns what is known of a function.
func (a *Actuator) of(name string) *function {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.functions[name]
	if f == nil {
		f = newFunction(name)
		a.functions[name] = f
	}
	return f
}

func (a *Actuator) all() []*function {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []*function
	for _, f := range a.functions {
		all = append(all, f)
	}
	return all
}

// take returns what is known of a function when it is the caller's turn to change it.
func (a *Actuator) take(ctx context.Context, name string) (*function, error) {
	for {
		f := a.of(name)
		select {
		case <-f.turn:
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", name, ctx.Err())
		}
		a.mu.Lock()
		known := a.functions[name] == f
		a.mu.Unlock()
		if known {
			return f, nil
		}
		f.turn <- struct{}{} // it was forgotten meanwhile
	}
}

// change changes what is asked for of a function, and sets the number of replicas that follows. It returns that number, and the one that the gateway
// has made of it. After an error nothing new is asked for.
func (a *Actuator) change(ctx context.Context, name string, how func(f *function)) (target, set int, err error) {
	f, err := a.take(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	defer func() { a.forget(f); f.turn <- struct{}{} }()
	s, err := a.read(ctx, name)
	if err != nil {
		if a.missing(f, err) {
			_ = a.save() // or another time
		}
		return 0, 0, err
	}
	has := int(s.Replicas)
	a.mu.Lock()
	if has != f.Set && has != f.Before {
		f.Own, f.Leases, f.Scale = has, nil, nil
	}
	own, leases, scale := f.Own, slices.Clone(f.Leases), f.Scale
	f.expire(time.Now())
	how(f)
	target = f.want()
	f.Set, f.Before = target, has
	gone := target == f.Own && target <= has
	a.mu.Unlock()
	set = target
	// Noted before it is done: whatever happens now, it is known next time that either number is this program's. Where all is given back there is nothing to know.
	if err = a.save(); gone {
		err = nil
	}
	if err == nil && target != has {
		if err = a.scale(ctx, name, target); err == nil {
			set, err = a.settled(ctx, name, has, target)
		}
	}
	a.mu.Lock()
	if err != nil {
		f.Own, f.Leases, f.Scale = own, leases, scale
		f.fails++
		f.retry = time.Now().Add(min(time.Second<<min(f.fails-1, 10), time.Minute))
		a.mu.Unlock()
		a.signal()
		return 0, 0, err
	}
	f.cut(set)
	f.Set, f.Before = set, -1
	f.retry, f.fails = time.Time{}, 0
	a.mu.Unlock()
	if a.save() != nil { // it is done, and what was noted before is enough to give it back; this is noted later
		a.mu.Lock()
		f.Before = has
		a.mu.Unlock()
		a.delay(f)
		a.signal()
	}
	return target, set, nil
}

// mostMissing is how often giving back is tried of a function that is not there, which is some minutes.
const mostMissing = 10

// missing has a function forgotten that has not been there for long, and of which nothing is asked for any more: it has no replicas to give back. It reports whether
// it is one.
func (a *Actuator) missing(f *function, err error) bool {
	var none *actuator.NoFunctionError
	a.mu.Lock()
	defer a.mu.Unlock()
	if !errors.As(err, &none) || f.fails < mostMissing {
		return false
	}
	if f.expire(time.Now()); len(f.Leases) > 0 || f.Scale != nil {
		return false
	}
	f.Set, f.Before = -1, -1
	return true
}

// Bounds of settled.
const (
	settleReads = 10
	settlePause = 100 * time.Millisecond
)

// settled returns the number of replicas that the gateway has set when it was asked for target: it may be lower. Gateways of Kubernetes tell the
// number before for a moment.
func (a *Actuator) settled(ctx context.Context, name string, before, target int) (int, error) {
	for i := 1; ; i++ {
		s, err := a.read(ctx, name)
		if err != nil {
			return 0, err
		}
		switch has := int(s.Replicas); {
		case has != before, i == settleReads && target > before:
			return min(has, target), nil
		case i == settleReads:
			return 0, fmt.Errorf("%s: the gateway still has %d replicas in place of %d", name, has, target)
		}
		if err := whisk.Sleep(ctx, settlePause); err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
	}
}

// cut takes away of what was asked for last what the gateway has not done, which has set so many.
func (f *function) cut(set int) {
	n := f.Own - set
	for _, l := range f.Leases {
		n += l.N
	}
	for i := len(f.Leases) - 1; i >= 0 && n > 0; i-- {
		d := min(n, f.Leases[i].N)
		f.Leases[i].N -= d
		n -= d
	}
	if f.Scale != nil {
		f.Scale.N = min(f.Scale.N, set)
	}
}

// forget forgets a function of which nothing is asked for. The caller has its turn.
func (a *Actuator) forget(f *function) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(f.Leases) == 0 && f.Scale == nil && f.Before < 0 {
		delete(a.functions, f.Name)
	}
}

func (a *Actuator) signal() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// giveBack gives back what has ended, until the actuator is closed.
func (a *Actuator) giveBack() {
	defer close(a.giving)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-a.wake:
		case <-a.closed.Done():
			return
		}
		now := time.Now()
		pause := time.Hour
		for _, f := range a.all() {
			a.mu.Lock()
			due := f.due()
			a.mu.Unlock()
			if !due.IsZero() && !due.After(now) {
				if _, _, err := a.change(a.closed, f.Name, func(*function) {}); err != nil {
					a.delay(f)
				}
			}
			a.mu.Lock()
			if due = f.due(); !due.IsZero() {
				pause = min(pause, max(time.Until(due), 0))
			}
			a.mu.Unlock()
		}
		timer.Reset(pause)
	}
}

// delay lets giving back wait after it has failed.
func (a *Actuator) delay(f *function) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !f.retry.After(time.Now()) {
		f.fails++
		f.retry = time.Now().Add(min(time.Second<<min(f.fails-1, 10), time.Minute))
	}
}

// state is the content of the file.
type state struct {
	Functions []*function `json:"functions"`
}

// save writes what is asked for to the file of the state.
func (a *Actuator) save() error {
	if a.options.State == "" {
		return nil
	}
	a.saving.Lock()
	defer a.saving.Unlock()
	a.mu.Lock()
	var s state
	for _, f := range a.functions {
		if len(f.Leases) > 0 || f.Scale != nil || f.Before >= 0 {
			s.Functions = append(s.Functions, f)
		}
	}
	slices.SortFunc(s.Functions, func(a, b *function) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	text, err := json.Marshal(s)
	a.mu.Unlock()
	if err != nil {
		return err
	}
	err = atomicfile.WriteOn(a.options.disk, a.options.State, func(w io.Writer) error { _, err := w.Write(text); return err })
	if err != nil {
		return fmt.Errorf("noting what was started: %w", err)
	}
	return nil
}

// mostReplicas is more than a function ever has.
const mostReplicas = 1 << 20

// possible reports whether the numbers can be numbers of replicas.
func (f *function) possible() bool {
	bad := func(n int) bool { return n < 0 || n > mostReplicas }
	return !bad(f.Own) && !(f.Scale != nil && bad(f.Scale.N)) && !slices.ContainsFunc(f.Leases, func(l lease) bool { return bad(l.N) })
}

// load reads the file of the state.
func load(path string) (map[string]*function, error) {
	functions := map[string]*function{}
	if path == "" {
		return functions, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return functions, nil
	}
	if err != nil {
		return nil, fmt.Errorf("what was started before: %w", err)
	}
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("what was started before, %s: %w", path, err)
	}
	for _, f := range s.Functions {
		if f == nil || f.Name == "" {
			return nil, fmt.Errorf("what was started before, %s: a function without a name", path)
		}
		if !f.possible() {
			return nil, fmt.Errorf("what was started before, %s: %s has impossible numbers of replicas", path, f.Name)
		}
		of := newFunction(f.Name)
		of.Own, of.Set, of.Before, of.Leases, of.Scale = f.Own, f.Set, f.Before, f.Leases, f.Scale
		of.retry = time.Now()
		functions[f.Name] = of
	}
	return functions, nil
}
