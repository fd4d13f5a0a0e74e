package guard

import (
	"fmt"
	"time"

	"github.com/tppfaas/tppfaas/prewarm/actuator"
)

// standing counts the containers that have been asked for and are there, as far as the guard knows, and remembers how its functions have done.
type standing struct {
	options    *Options
	containers int
	memoryMB   int
	commands   map[uint64]*stand
	functions  map[string]*function
	expiry     time.Time // not later than the first Until of all commands; zero if there is none
	kept       int       // functions that were kept when they were last sifted
}

// stand is what stands of one command.
type stand struct {
	function string
	n, each  int // containers, and the memory of one in MiB
	gone     int // containers when it was removed
	until    time.Time
	settled  bool   // it is not in flight any more
	replaced *stand // what stood of the Scale before, for as long as this one is in flight
	before   uint64 // its command
}

// function is what a guard knows of a function.
type function struct {
	containers int
	scale      uint64 // the Scale whose replicas stand, if there is one
	scaled     bool   // there is one
	scaling    bool   // a Scale is in flight
	begun      time.Time
	failures   int // in a row
	coolUntil  time.Time
	err        error // of the last failure
}

func newStanding(o *Options) standing {
	return standing{options: o, commands: map[uint64]*stand{}, functions: map[string]*function{}}
}

// of returns what is known of a function.
func (s *standing) of(name string, now time.Time) *function {
	f := s.functions[name]
	if f == nil {
		if len(s.functions) > 2*s.kept+64 {
			s.sift(now)
		}
		f = &function{}
		s.functions[name] = f
	}
	return f
}

// sift forgets the functions of which there is nothing to know.
func (s *standing) sift(now time.Time) {
	for name, f := range s.functions {
		if f.containers == 0 && !f.scaling && now.Sub(f.begun) > s.options.Interval && now.Sub(f.coolUntil) > s.options.MaxCoolDown {
			delete(s.functions, name)
		}
	}
	s.kept = len(s.functions)
}

// early returns an error if it is too early for another command of the function.
func (s *standing) early(now time.Time, c *actuator.Command) error {
	f := s.functions[c.Function]
	if f == nil {
		return nil
	}
	if wait := f.coolUntil.Sub(now); wait > 0 {
		return fmt.Errorf("%w, it is left alone for %v: %w", ErrCoolDown, wait.Round(time.Millisecond), f.err)
	}
	if wait := s.options.Interval - now.Sub(f.begun); wait > 0 && !f.begun.IsZero() && c.Kind != actuator.Renew {
		return fmt.Errorf("%w, it is left alone for %v", ErrInterval, wait.Round(time.Millisecond))
	}
	return nil
}

// scaling reports whether a Scale has to wait for one of the same function that is in flight, or it might overtake it.
func (s *standing) scaling(c *actuator.Command) bool {
	f := s.functions[c.Function]
	return c.Kind == actuator.Scale && f != nil && f.scaling
}

// room returns how many of the containers that a command asks for the limits allow, and if these are fewer, because of which limit.
func (s *standing) room(c *actuator.Command, inFlight int) (n int, err error) {
	function, all, memory := 0, s.containers, s.memoryMB
	if f := s.functions[c.Function]; f != nil {
		function = f.containers
		if st := s.commands[f.scale]; f.scaled && c.Kind == actuator.Scale && st != nil { // what it replaces
			function, all, memory = function-st.n, all-st.n, memory-st.n*st.each
		}
	}
	n = max(c.N, 0)
	limit := func(most int, format string, args ...any) {
		if most = max(most, 0); most < n {
			n, err = most, fmt.Errorf("%w: "+format, append([]any{ErrLimit}, args...)...)
		}
	}
	if c.Kind != actuator.Scale {
		limit(inFlight, "at most %d are asked for at once", inFlight)
	}
	limit(s.options.PerFunction-function, "at most %d of a function, and there are %d", s.options.PerFunction, function)
	limit(s.options.Containers-all, "at most %d in all, and there are %d", s.options.Containers, all)
	if c.MemoryMB > 0 {
		limit((s.options.MemoryMB-memory)/c.MemoryMB, "at most %d MiB in all, and there are %d", s.options.MemoryMB, memory)
	}
	return n, err
}

// begin lets n containers of a command stand.
func (s *standing) begin(now time.Time, c *actuator.Command, n int) {
	f := s.of(c.Function, now)
	if c.Kind != actuator.Renew {
		f.begun = now
	}
	if c.Kind == actuator.Scale {
		before, replaced := f.scale, (*stand)(nil)
		if f.scaled {
			replaced = s.remove(before)
		}
		f.scale, f.scaled, f.scaling = c.ID, true, true
		s.commands[c.ID] = &stand{function: c.Function, each: c.MemoryMB, until: c.Until, replaced: replaced, before: before}
	}
	st := s.commands[c.ID]
	if st == nil {
		st = &stand{function: c.Function, each: c.MemoryMB, until: c.Until}
		s.commands[c.ID] = st
	}
	st.settled = false
	s.add(st, n)
}

func (s *standing) add(st *stand, n int) {
	st.n += n
	s.containers += n
	s.memoryMB += n * st.each
	if f := s.functions[st.function]; f != nil {
		f.containers += n
	}
}

// settle lets only those of the n containers of a command stand that are there.
func (s *standing) settle(now time.Time, c *actuator.Command, n, stands int) {
	st := s.commands[c.ID]
	if st == nil {
		return // released before
	}
	if c.Kind == actuator.Scale && stands > 0 {
		stands, st.replaced = n, nil // its one result stands for all
	}
	s.add(st, -min(n-min(stands, n), st.n))
	st.settled = true
	if st.n == 0 || st.until.IsZero() {
		s.remove(c.ID)
		if old := st.replaced; old != nil && now.Before(old.until) { // it has failed: what was there stands as before
			n := old.gone
			old.gone, old.n = 0, 0
			s.commands[st.before] = old
			f := s.functions[c.Function]
			f.scale, f.scaled = st.before, true
			s.add(old, n)
			s.expires(old)
		}
		return
	}
	s.expires(st)
}

// expires lets expire look at what stands when its time is over.
func (s *standing) expires(st *stand) {
	if s.expiry.IsZero() || st.until.Before(s.expiry) {
		s.expiry = st.until
	}
}

// scaled says that a Scale is not in flight any more.
func (s *standing) scaled(c *actuator.Command) {
	if f := s.functions[c.Function]; f != nil && c.Kind == actuator.Scale {
		f.scaling = false
	}
}

// release lets n containers of a command not stand any more.
func (s *standing) release(command uint64, n int) {
	if st := s.commands[command]; st != nil {
		s.add(st, -min(max(n, 0), st.n))
		if st.n == 0 && st.settled {
			s.remove(command)
		}
	}
}

// remove forgets a command and its containers, and returns what stood of it, nil if there is no such command.
func (s *standing) remove(command uint64) *stand {
	st := s.commands[command]
	if st == nil {
		return nil
	}
	st.gone = st.n
	s.add(st, -st.n)
	delete(s.commands, command)
	if f := s.functions[st.function]; f != nil && f.scaled && f.scale == command {
		f.scaled = false
	}
	return st
}

// expire forgets the commands whose time is over.
func (s *standing) expire(now time.Time) {
	if s.expiry.IsZero() || now.Before(s.expiry) {
		return
	}
	s.expiry = time.Time{}
	for id, st := range s.commands {
		switch {
		case !st.settled:
		case !now.Before(st.until):
			s.remove(id)
		case s.expiry.IsZero() || st.until.Before(s.expiry):
			s.expiry = st.until
		}
	}
}

// failed begins or prolongs the cool-down of a function.
func (s *standing) failed(now time.Time, name string, err error) {
	f := s.of(name, now)
	pause := s.options.CoolDown
	for range min(f.failures, 62) {
		if pause = 2 * pause; pause >= s.options.MaxCoolDown || pause <= 0 {
			break
		}
	}
	if pause < 0 || pause > s.options.MaxCoolDown {
		pause = s.options.MaxCoolDown
	}
	f.failures++
	f.coolUntil, f.err = now.Add(pause), err
}

// succeeded ends the cool-down of a function.
func (s *standing) succeeded(name string) {
	if f := s.functions[name]; f != nil {
		f.failures, f.coolUntil, f.err = 0, time.Time{}, nil
	}
}
