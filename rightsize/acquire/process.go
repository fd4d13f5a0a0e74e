package acquire

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"strings"
	"time"
)

// ProcessOptions says which processes of this machine are those of a function. PIDs or Pattern must be set.
type ProcessOptions struct {
	// PIDs are processes by their number.
	PIDs []int
	// Pattern matches the names of programs (of the file, without its folder); their processes are those of the function, as they come and go. This
	// process is none.
	Pattern *regexp.Regexp
	// Proportional counts of memory that several processes share only their part (PSS), rather than all of it (RSS). It needs the rights to look.
	Proportional bool

	root string // of /proc
}

// Processes is a Source of the processes of this machine: a process with all that it started counts as a container does. It needs Linux.
type Processes struct {
	o ProcessOptions
}

// NewProcesses returns a Processes; it looks at nothing yet.
func NewProcesses(o ProcessOptions) (*Processes, error) {
	if (len(o.PIDs) == 0) == (o.Pattern == nil) {
		return nil, errors.New("processes are named by their numbers or by a pattern, and not by both")
	}
	for _, pid := range o.PIDs {
		if pid < 1 {
			return nil, fmt.Errorf("%d is no number of a process", pid)
		}
	}
	if o.root == "" {
		if err := canLook(); err != nil {
			return nil, err
		}
		o.root = "/proc"
	}
	return &Processes{o}, nil
}

// Acquire looks at the processes at each step, until none of those that are named by number is left.
func (p *Processes) Acquire(ctx context.Context, r Request) (*Result, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	m := &processMeter{o: &p.o, roots: map[identity]rootState{}}
	samples, err := live(ctx, &r, m.take)
	if len(samples) == 0 {
		if err == nil {
			err = ctx.Err() // before the first look
		}
		if err == nil {
			err = fmt.Errorf("no process was seen whose program is called %s", strings.TrimSuffix(strings.TrimPrefix(p.o.Pattern.String(), "^(?:"), ")$"))
		}
		return nil, err
	}
	result := m.result
	if cerr := result.complete(r.Function, samples, r.Step); cerr != nil {
		return nil, cerr
	}
	return &result, err
}

// identity is that of a process: numbers are given again, with another start.
type identity struct {
	pid   int
	start uint64 // ticks since boot
}

// rootState is what is remembered of a process that counts as a container.
type rootState struct {
	cpu  float64 // seconds, of all its processes
	seen time.Time
	each map[identity]float64 // seconds of each of its processes
}

// processMeter makes samples of what processes there are.
type processMeter struct {
	o      *ProcessOptions
	roots  map[identity]rootState // of the look before
	any    bool                   // there was a process in some look
	ids    int                    // different ones so far
	vacant int                    // ended, and none came after them
	result Result
}

// take looks at the processes.
func (m *processMeter) take(now time.Time) (Sample, bool, error) {
	all, err := readProcesses(m.o.root)
	if err != nil {
		return Sample{}, false, &finalError{err}
	}
	roots := m.find(all)
	if len(roots) == 0 && m.o.Pattern == nil {
		if !m.any {
			return Sample{}, false, &finalError{fmt.Errorf("there is no process %s", join(m.o.PIDs))}
		}
		m.result.note("process %s has ended", join(m.o.PIDs))
		return Sample{}, false, errNoMore
	}
	s := Sample{Time: now.UnixMilli(), Memory: math.NaN(), CPU: math.NaN(), Pods: len(roots)}
	states := map[identity]rootState{}
	came, gone := 0, 0
	for _, root := range roots {
		state := rootState{seen: now, each: map[identity]float64{}}
		memory := 0.0
		for _, p := range root {
			bytes, err := m.memory(p)
			if err != nil {
				return Sample{}, false, err
			}
			memory += bytes
			state.cpu += p.cpu
			state.each[p.identity] = p.cpu
		}
		s.Memory = larger(s.Memory, memory)
		id := root[0].identity
		before, known := m.roots[id]
		if known {
			s.CPU = larger(s.CPU, state.since(before))
		} else {
			came++
			m.ids++
		}
		states[id] = state
	}
	for id := range m.roots {
		if _, still := states[id]; !still {
			gone++
		}
	}
	m.vacant += gone
	again := min(came, m.vacant)
	m.vacant -= again
	m.result.Restarts += again
	m.any = m.any || len(roots) > 0
	m.roots = states
	m.result.Pods = m.ids
	return s, len(roots) > 0, nil
}

// since returns the cores that were used since another look. The processor time of a child that ended is its parent's, unless that did not wait for it: then
// only those count that are left.
func (s rootState) since(before rootState) float64 {
	grown := s.cpu - before.cpu
	if grown < 0 {
		grown = 0
		for id, cpu := range s.each {
			grown += max(cpu-before.each[id], 0)
		}
	}
	return grown / s.seen.Sub(before.seen).Seconds()
}

// find returns the processes of each root, the root first.
func (m *processMeter) find(all map[int]process) (roots [][]process) {
	children := map[int][]int{}
	for pid, p := range all {
		children[p.parent] = append(children[p.parent], pid)
	}
	isRoot := map[int]bool{}
	if m.o.Pattern == nil {
		for _, pid := range m.o.PIDs {
			p, there := all[pid]
			isRoot[pid] = there && !p.ended
		}
	} else {
		for pid, p := range all {
			isRoot[pid] = !p.ended && pid != os.Getpid() && m.o.Pattern.MatchString(p.name)
		}
	}
	for pid, is := range isRoot {
		if !is || hasRootAbove(all, isRoot, pid) {
			continue
		}
		var tree []process
		seen := map[int]bool{pid: true}
		for queue := []int{pid}; len(queue) > 0; queue = queue[1:] {
			tree = append(tree, all[queue[0]])
			for _, child := range children[queue[0]] {
				if !seen[child] {
					seen[child] = true
					queue = append(queue, child)
				}
			}
		}
		roots = append(roots, tree)
	}
	return roots
}

// hasRootAbove reports whether an ancestor of a process is a root too.
func hasRootAbove(all map[int]process, isRoot map[int]bool, pid int) bool {
	for steps := 0; steps < len(all); steps++ {
		if pid = all[pid].parent; pid == 0 {
			return false
		}
		if isRoot[pid] {
			return true
		}
	}
	return false
}

func join(pids []int) string {
	text := ""
	for i, pid := range pids {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprint(pid)
	}
	return text
}
