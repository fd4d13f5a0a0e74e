//go:build linux

package chain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// meter records the memory and the processor time of the processes of a chain.
type meter struct {
	begin time.Time
	end   chan struct{}
	ended sync.WaitGroup
	once  sync.Once

	mu        sync.Mutex
	processes map[string]int // process ids
	readings  map[string][]reading
	order     []string
}

type reading struct {
	at       time.Duration
	memory   float64 // MiB, resident
	cpu      float64 // s
	children int
}

const containersName = "containers"

func newMeter(c *Chain) *meter {
	m := &meter{begin: time.Now(), end: make(chan struct{}), processes: map[string]int{}, readings: map[string][]reading{}, order: []string{"sampler"}}
	for _, p := range c.Processes() {
		m.order = append(m.order, p.Name())
	}
	m.order = append(m.order, "supervisor", containersName)
	m.find(c)
	return m
}

// find updates the process ids, which change when a process is started again.
func (m *meter) find(c *Chain) {
	for _, p := range c.Processes() {
		m.watch(p.Name(), p.PID())
	}
	for _, child := range children(c.Platform.PID()) {
		m.watch("supervisor", child)
	}
}

func (m *meter) watch(name string, pid int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.processes[name] = pid
}

func (m *meter) elapsed() time.Duration { return time.Since(m.begin) }

// start starts a goroutine that reads every five seconds until stop.
func (m *meter) start() {
	m.ended.Go(func() {
		tick := time.NewTicker(5 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				m.read()
			case <-m.end:
				return
			}
		}
	})
}

func (m *meter) stop() {
	m.once.Do(func() { close(m.end) })
	m.ended.Wait()
}

func (m *meter) read() {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.elapsed()
	for name, pid := range m.processes {
		m.readings[name] = append(m.readings[name], use(at, pid))
	}
	all := reading{at: at}
	for _, pid := range children(m.processes["supervisor"]) {
		r := use(at, pid)
		all.memory += r.memory
		all.cpu += r.cpu
		all.children++
	}
	m.readings[containersName] = append(m.readings[containersName], all)
}

// use returns the resident memory and the processor time of a process.
func use(at time.Duration, pid int) reading {
	r := reading{at: at}
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid)); err == nil {
		if f := strings.Fields(string(text)); len(f) > 1 {
			pages, _ := strconv.ParseFloat(f[1], 64)
			r.memory = pages * float64(os.Getpagesize()) / (1 << 20)
		}
	}
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		if f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])); len(f) > 12 {
			user, _ := strconv.ParseFloat(f[11], 64)
			system, _ := strconv.ParseFloat(f[12], 64)
			r.cpu = (user + system) / 100
		}
	}
	return r
}

func children(pid int) []int {
	var all []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range tasks {
		text, _ := os.ReadFile(file)
		for _, f := range strings.Fields(string(text)) {
			if n, err := strconv.Atoi(f); err == nil {
				all = append(all, n)
			}
		}
	}
	return all
}

// report logs the mean memory of each process in each tenth of the time, and fails if one has grown from the sixth tenth to the last.
func (m *meter) report(t *testing.T) {
	whole := m.readings[containersName][len(m.readings[containersName])-1].at
	for _, name := range m.order {
		var tenths [10]float64
		var counts [10]int
		last := reading{}
		for _, r := range m.readings[name] {
			k := min(int(10*r.at/whole), 9)
			if r.memory > 0 {
				tenths[k] += r.memory
				counts[k]++
				last = r
			}
		}
		line, _ := json.Marshal(name)
		text := string(line)
		for k := range tenths {
			tenths[k] /= float64(max(counts[k], 1))
			text += fmt.Sprintf(" %.0f", tenths[k])
		}
		t.Logf("%s MiB in tenths of the time; %.1f s of processor time, %d processes", text, last.cpu, max(last.children, 1))
		if name != containersName && tenths[9] > 1.1*tenths[5]+2 {
			t.Errorf("the memory of %s grows: %.0f MiB in the sixth tenth, %.0f in the last", name, tenths[5], tenths[9])
		}
	}
}
