package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/actuator/guard"
)

// saver writes records down and only then hands commands to the guard, in a goroutine of its own: a slow disk does not delay decisions. Without a
// journal it hands commands over at once.
type saver struct {
	journal *Journal
	guard   *guard.Guard
	done    func(actuator.Command, []actuator.Result)
	jobs    chan job
	blocked chan string // why nothing can be written, "" once it can again
	ended   sync.WaitGroup
	failing bool // as was told to blocked
}

// job is something to be written, and what is done then.
type job struct {
	records  []Record
	commands []actuator.Command
	saved    *Saved // the whole state, instead of records
	written  chan<- error
	done     chan<- struct{} // closed when it is done
	last     bool
}

const (
	mostJobs  = 1024
	syncEvery = time.Second
)

func newSaver(j *Journal, g *guard.Guard, done func(actuator.Command, []actuator.Result)) *saver {
	s := &saver{journal: j, guard: g, done: done, jobs: make(chan job, mostJobs), blocked: make(chan string, 1)}
	s.ended.Add(1)
	go s.run()
	return s
}

// add hands over what was decided, and reports false if there is no room.
func (s *saver) add(records []Record, commands []actuator.Command) bool {
	j := job{commands: append([]actuator.Command(nil), commands...)}
	if s.journal != nil {
		j.records = append([]Record(nil), records...)
	}
	if len(j.records)+len(j.commands) == 0 {
		return true
	}
	select {
	case s.jobs <- j:
		return true
	default:
		return false
	}
}

// compact has the whole state written, and reports false if there is no room for that; whether it was written is sent to written, unless that is nil.
func (s *saver) compact(saved *Saved, written chan<- error) bool {
	err := error(nil)
	if s.journal != nil {
		select {
		case s.jobs <- job{saved: saved, written: written}:
			return true
		default:
			err = errBehind
		}
	}
	if written != nil {
		written <- err
	}
	return err == nil
}

// run does the jobs.
func (s *saver) run() {
	defer s.ended.Done()
	ticker := time.NewTicker(syncEvery)
	defer ticker.Stop()
	for {
		select {
		case j := <-s.jobs:
			s.do(&j)
			if j.done != nil {
				close(j.done)
			}
			if j.last {
				return
			}
		case <-ticker.C:
			if s.journal != nil {
				s.tell(s.journal.Sync())
			}
		}
	}
}

func (s *saver) do(j *job) {
	var err error
	if s.journal != nil {
		if j.saved != nil {
			err = s.journal.Compact(j.saved)
		} else {
			err = s.journal.Append(j.records)
		}
		if s.tell(err); j.written != nil {
			j.written <- err
		}
	}
	for i := range j.commands {
		command := &j.commands[i]
		switch {
		case err != nil:
		case s.guard == nil:
			err = errNoActuator
		default:
			err = s.guard.Do(*command)
			if err == nil {
				continue
			}
		}
		s.done(*command, heldResults(command, err))
	}
}

// tell tells the loop whether the state can be written, when that changes.
func (s *saver) tell(err error) {
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	if (err != nil) == s.failing {
		return
	}
	select {
	case s.blocked <- reason:
		s.failing = err != nil
	default: // next time
	}
}

// Reasons for which nothing is done.
var (
	errNoActuator = errors.New("there is no actuator")
	errBehind     = errors.New("the state cannot be written as fast as it changes")
)

// drain waits until all jobs are done that there are.
func (s *saver) drain(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case s.jobs <- job{done: done}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close writes the whole state for the last time, and ends the goroutine and the use of the journal.
func (s *saver) close(ctx context.Context, saved *Saved) error {
	written := make(chan error, 1)
	last := job{last: true, written: written}
	if s.journal != nil {
		last.saved = saved
	}
	select {
	case s.jobs <- last:
	case <-ctx.Done():
		return fmt.Errorf("the state was not written: %w", ctx.Err())
	}
	if s.journal == nil {
		s.ended.Wait()
		return nil
	}
	select {
	case err := <-written:
		s.ended.Wait()
		if closed := s.journal.Close(); err == nil {
			err = closed // else it says the same again
		}
		return err
	case <-ctx.Done():
		return fmt.Errorf("the state was not written: %w", ctx.Err())
	}
}
