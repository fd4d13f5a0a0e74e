//go:build linux

package chain

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/tpp"
)

var (
	soak     = flag.Duration("soak", 0, "how long to run the chain under load; 0: not at all")
	soakRate = flag.Float64("rate", 30, "requests of tree_small a second in the soak")
)

// TestSoak runs the whole chain at a high load, and looks at the memory of every process: what it is in the last tenth of the time must
// be what it was in the sixth.
//
//	go test ./internal/chain -run Soak -soak 10m -v -timeout 30m
func TestSoak(t *testing.T) {
	if *soak == 0 {
		t.Skip("only with -soak")
	}
	c := start(t, "", "-memory", "262144")
	s := c.background(t, "-d", "tree_small", "-n", fmt.Sprint(int(*soakRate*soak.Seconds())),
		"-l", fmt.Sprint(1 / *soakRate), "-u", fmt.Sprint(1 / *soakRate), "-r", "-o", filepath.Join(t.TempDir(), "soak.json.gz"), "-json")
	m := newMeter(c, s)
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	begin := time.Now()
	for running := true; running; {
		select {
		case <-tick.C:
			m.read(time.Since(begin))
		case <-s.ended:
			running = false
		}
	}
	if s.err != nil {
		t.Fatalf("%v: %s", s.err, s.stderr.String())
	}
	t.Logf("%s", s.stdout.String())
	m.report(t, *soak)
}

// TestKills kills each process in turn under load, as kill -9 does, and starts it again as a service manager would. It counts what is
// lost.
//
//	go test ./internal/chain -run Kills -soak 2m -v
func TestKills(t *testing.T) {
	if *soak == 0 {
		t.Skip("only with -soak")
	}
	for _, victim := range []string{"collector", "zipkin", "platform", "sampler"} {
		t.Run(victim, func(t *testing.T) {
			c := start(t, "", "-memory", "262144")
			file := filepath.Join(t.TempDir(), "kills.json")
			n := int(*soakRate * soak.Seconds() / 4)
			args := []string{"-d", "tree_small", "-n", fmt.Sprint(n), "-l", fmt.Sprint(1 / *soakRate), "-u", fmt.Sprint(1 / *soakRate), "-r", "-o", file}
			s := c.background(t, args...)
			select {
			case <-time.After(*soak / 8): // half of the requests
			case <-s.ended:
				t.Fatalf("%v: %s", s.err, s.stderr.String())
			}
			if victim == "sampler" {
				if err := s.command.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			} else {
				for _, p := range c.Processes() {
					if p.Name() != victim {
						continue
					}
					if err := p.Kill(); err != nil {
						t.Fatal(err)
					}
					if err := p.Start(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			<-s.ended
			t.Logf("the sampler ends: %v\n%s%s", s.err, s.stdout.String(), s.stderr.String())
			if _, err := os.Stat(file + ".journal"); err == nil {
				again := c.background(t, append(args, "-resume")...)
				<-again.ended
				t.Logf("and with -resume: %v\n%s%s", again.err, again.stdout.String(), again.stderr.String())
			}
			data, err := tpp.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s killed: %d of %d traces, %d lost", victim, len(data.Sequences), n, n-len(data.Sequences))
		})
	}
}

// sampling is a sampler that runs beside the test.
type sampling struct {
	command        *exec.Cmd
	stdout, stderr bytes.Buffer
	ended          chan struct{}
	err            error // once it has ended
}

func (c *Chain) background(t *testing.T, args ...string) *sampling {
	t.Helper()
	s := &sampling{command: exec.CommandContext(t.Context(), c.Platform.path, append([]string{"-platform", "openwhisk"}, args...)...), ended: make(chan struct{})}
	s.command.Env = append(os.Environ(), c.Env()...)
	s.command.Stdout, s.command.Stderr = &s.stdout, &s.stderr
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.err = s.command.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		_ = s.command.Process.Signal(syscall.SIGKILL)
		<-s.ended
	})
	return s
}

// meter reads what the processes of a chain use.
type meter struct {
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

func newMeter(c *Chain, s *sampling) *meter {
	m := &meter{processes: map[string]int{"sampler": s.command.Process.Pid}, readings: map[string][]reading{}, order: []string{"sampler"}}
	for _, p := range c.Processes() {
		m.processes[p.Name()] = p.PID()
		m.order = append(m.order, p.Name())
	}
	for _, child := range children(c.Platform.PID()) {
		m.processes["warden"] = child
	}
	m.order = append(m.order, "warden", containersName)
	return m
}

func (m *meter) read(at time.Duration) {
	for name, pid := range m.processes {
		m.readings[name] = append(m.readings[name], use(at, pid))
	}
	all := reading{at: at}
	for _, pid := range children(m.processes["warden"]) {
		r := use(at, pid)
		all.memory += r.memory
		all.cpu += r.cpu
		all.children++
	}
	m.readings[containersName] = append(m.readings[containersName], all)
}

// use reads the resident memory and the processor time of a process.
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

// report prints the memory of each process in tenths of the time, and fails if that of one of ours has grown since the sixth.
func (m *meter) report(t *testing.T, whole time.Duration) {
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
