//go:build linux

package chain

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/tpp/dataset"
)

var (
	soak     = flag.Duration("soak", 0, "how long to run the chain under load; 0: not at all")
	soakRate = flag.Float64("rate", 30, "requests of tree_small a second in the soak")
)

// victim is a process that is killed under load.
type victim struct {
	name string
	when float64 // the share of the time after which it is killed
	// durable says that no request may be lost with it.
	durable bool
	sent    int // number of requests that had been sent when it was killed
	lost    int // number of requests lost with it
}

// TestSoak runs the whole chain at a high load. Each process is killed with SIGKILL on the way and started again, as a service manager would. Only
// requests may be lost that were in flight when a process was killed that keeps everything in memory, and the sampler must name them. The memory
// of a process must not grow between the sixth and the last tenth of the time.
//
//	go test ./internal/chain -run Soak -soak 10m -v -timeout 30m
func TestSoak(t *testing.T) {
	if *soak == 0 {
		t.Skip("only with -soak")
	}
	// Enough memory that the platform evicts no containers. Zipkin is full long before the end, even after it was killed.
	c := start(t, Options{MemoryMB: 262144, ZipkinArgs: []string{"-spans", "60000"}})
	n := int(*soakRate * soak.Seconds())
	file := filepath.Join(t.TempDir(), "soak.json.gz")
	args := []string{"-d", "tree_small", "-n", fmt.Sprint(n), "-l", fmt.Sprint(1 / *soakRate), "-u", fmt.Sprint(1 / *soakRate), "-r", "-o", file}
	victims := []*victim{{name: "collector", when: 0.2, durable: true}, {name: "zipkin", when: 0.25}, {name: "platform", when: 0.3}, {name: "sampler", when: 0.4, durable: true}}

	m := newMeter(c)
	s := c.background(t, args...)
	m.watch("sampler", s.command.Process.Pid)
	m.start()
	defer m.stop()
	again := append(slices.Clone(args), "-resume")
	resumed := time.Now()
	for _, v := range victims {
		// A sampler that has just been resumed gets some time.
		at := max(time.Duration(v.when*float64(*soak))-m.elapsed(), 10*time.Second-time.Since(resumed))
		select {
		case <-time.After(at):
		case <-s.ended:
			t.Fatalf("the sampler ends before the %s is killed: %v: %s", v.name, s.err, s.stderr.String())
		}
		v.sent = len(readProgress(t, file+".journal").sent)
		t.Logf("after %v the %s is killed; %d requests are sent", m.elapsed().Round(time.Second), v.name, v.sent)
		if v.name == "sampler" {
			if err := s.command.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		} else if err := c.restart(t, v.name); err != nil {
			t.Fatal(err)
		}
		m.find(c)
		if v.name == "sampler" || v.name == "platform" { // a new platform does not have the actions
			<-s.ended
			t.Logf("after %v the sampler has ended: %v\n%s", m.elapsed().Round(time.Second), s.err, s.stderr.String())
			s = c.background(t, again...)
			m.watch("sampler", s.command.Process.Pid)
			resumed = time.Now()
		}
	}
	<-s.ended
	m.stop()
	t.Logf("after %v the sampler has ended: %v\n%s", m.elapsed().Round(time.Second), s.err, s.stderr.String())
	p := readProgress(t, file+".journal")
	missing := p.missing(n)
	p.report(t, victims[len(victims)-1].sent)
	blame(t, missing, victims)
	for i, request := range missing[:min(20, len(missing))] {
		if !strings.Contains(s.stderr.String(), fmt.Sprintf("request %d: ", request)) {
			t.Errorf("the sampler does not name the lost request %d (%d of %d)", request, i, len(missing))
		}
	}
	if len(missing) > 0 {
		last := c.background(t, append(again, "-allow-incomplete")...)
		if <-last.ended; last.err != nil {
			t.Errorf("%v: %s", last.err, last.stderr.String())
		}
		t.Logf("%s", last.stdout.String())
	}
	data, err := dataset.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(data.Sequences) != n-len(missing) {
		t.Errorf("the dataset has %d traces, want %d", len(data.Sequences), n-len(missing))
	}
	if _, err := os.Stat(file + ".journal"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the journal is left: %v", err)
	}
	m.report(t)
}

// restart kills a process of the chain and starts it again.
func (c *Chain) restart(t *testing.T, name string) error {
	for _, p := range c.Processes() {
		if p.Name() == name {
			return errors.Join(p.Kill(), p.Start(t.Context()))
		}
	}
	return fmt.Errorf("there is no %s", name)
}

// blame assigns each lost request to the victim that was killed nearest to it, at most 10 s away, and fails if a durable one has lost any.
func blame(t *testing.T, missing []int, victims []*victim) {
	t.Helper()
	for _, request := range missing {
		nearest := slices.MinFunc(victims, func(a, b *victim) int { return distance(a.sent, request) - distance(b.sent, request) })
		if seconds := float64(distance(nearest.sent, request)) / *soakRate; seconds > 10 {
			t.Errorf("request %d is lost, sent %.0f s from the nearest death", request, seconds)
		}
		nearest.lost++
	}
	for _, v := range victims {
		t.Logf("%s killed: %d lost", v.name, v.lost)
		if v.durable && v.lost > 0 {
			t.Errorf("%d requests are lost with the %s", v.lost, v.name)
		}
	}
}

func distance(a, b int) int { return max(a-b, b-a) }

// progress is the content of a journal.
type progress struct {
	sent     map[int]time.Time // when each request was sent
	complete map[int]bool
}

// readProgress reads a journal, which may be written at the same time. If there is none, everything is complete.
func readProgress(t *testing.T, path string) progress {
	t.Helper()
	p := progress{sent: map[int]time.Time{}, complete: map[int]bool{}}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return progress{}
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewReader(file)
	for {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			return p
		}
		var line struct {
			Send, Complete *int
			At             int64
		}
		switch err := json.Unmarshal(text, &line); {
		case err != nil:
			t.Fatalf("%s: %v", path, err)
		case line.Send != nil:
			p.sent[*line.Send] = time.UnixMicro(line.At)
		case line.Complete != nil:
			p.complete[*line.Complete] = true
		}
	}
}

func (p progress) missing(n int) []int {
	var missing []int
	for i := range n {
		if p.complete != nil && !p.complete[i] {
			missing = append(missing, i)
		}
	}
	return missing
}

// report logs how late the requests from one on were sent.
func (p progress) report(t *testing.T, from int) {
	first, ok := p.sent[from]
	if !ok {
		return
	}
	late, last := 0.0, from
	for i, at := range p.sent {
		if i >= from {
			late = math.Max(late, at.Sub(first).Seconds() - float64(i-from) / *soakRate)
			last = max(last, i)
		}
	}
	t.Logf("%d requests, the last %d at %.1f a second, at most %.2f s later than the first of them", len(p.sent), last-from+1,
		float64(last-from)/p.sent[last].Sub(first).Seconds(), late)
}

// sampling is a sampler that runs in the background.
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
