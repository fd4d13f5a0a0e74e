package controller

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/internal/errorfs"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// killedFolder is the environment variable that makes the test's binary a controller, see TestKilled.
const killedFolder = "TPPFAAS_TEST_KILLED"

// keep is a policy that keeps n containers of b, and starts those that are missing one after the other.
func keep(n int) prewarm.PolicyFunc {
	return func(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
		if missing := n - fleet.Count(1); e.Kind == prewarm.Woken && missing > 0 {
			d.Start(1, 1, prewarm.Why{Rule: "as many as wanted"})
			d.Wake(e.At+time.Millisecond, 1)
		}
	}
}

// killedContainers is how many containers the controller of TestKilled wants.
const killedContainers = 250

// beKilled is a controller with a journal, on a platform that is a file with a line for each command, until the process is killed. A line on its standard
// output says that it has begun.
func beKilled(folder string) error {
	platform, err := os.OpenFile(filepath.Join(folder, "platform"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	a := &fake{answer: func(ctx context.Context, c actuator.Command) ([]actuator.Result, error) {
		text, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		if _, err := platform.Write(append(text, '\n')); err != nil {
			return nil, err
		}
		time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond) // a platform takes time: it is killed in the middle of a command
		return make([]actuator.Result, c.Results()), nil
	}}
	j, saved, err := OpenJournal(filepath.Join(folder, "state"))
	if err != nil {
		return err
	}
	c := newController(panicker{}, a, func(o *Options, run *RunOptions) {
		if saved != nil {
			o.Epoch = saved.Epoch
		}
		o.NewPolicy = func([]prewarm.Function) (prewarm.Policy, error) { return keep(killedContainers), nil }
		run.Journal, run.Saved, run.SaveEvery = j, saved, 5*time.Millisecond
		run.NewGuard = newGuardFor(a)
	})
	go func() {
		sink := c.Sink("test")
		for i := 0; ; i++ {
			_ = sink.Observe(context.Background(), []source.Observation{invoked("a", fmt.Sprint("t", os.Getpid(), "-", i), "1")})
			time.Sleep(500 * time.Microsecond)
		}
	}()
	fmt.Println("begun")
	return c.Run(context.Background())
}

// panicker is a testing.TB outside of a test.
type panicker struct{ testing.TB }

func (panicker) Helper()           {}
func (panicker) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// TestKilled kills a controller with SIGKILL again and again, at random moments, and checks each time that it has not forgotten any container that the
// platform was asked for; that no number is used twice; that the requests in flight are known on, as long as nobody says that they are over; and in the end
// that restarts have not led to more containers than were wanted.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	folder := t.TempDir()
	rounds := 0
	inFlight := map[string]bool{}
	// On a slow machine there are fewer rounds, of which each lasts longer, until something was asked for.
	begun, longest := time.Now(), 15*time.Millisecond
	nothing := func() bool { return len(platformCommands(t, folder)) == 0 || len(inFlight) == 0 }
	for ; rounds < 40 && (time.Since(begun) < 8*time.Second || nothing() && time.Since(begun) < time.Minute); rounds++ {
		p := exec.CommandContext(t.Context(), os.Args[0])
		p.Env = append(os.Environ(), killedFolder+"="+folder)
		p.Stderr = os.Stderr
		out, err := p.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatalf("it does not begin: %q, %v", line, err)
		}
		<-time.After(rand.N(longest))
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = p.Wait() // it was killed
		checkKilled(t, folder, inFlight)
		if t.Failed() {
			break
		}
		if nothing() {
			longest = min(2*longest, time.Second)
		}
	}
	t.Logf("killed %d times; %d containers were asked for, %d requests are in flight", rounds, len(platformCommands(t, folder)), len(inFlight))
	if nothing() {
		t.Error("nothing was asked for")
	}
}

// platformCommands returns the commands that the platform was sent.
func platformCommands(t *testing.T, folder string) []actuator.Command {
	t.Helper()
	f, err := os.Open(filepath.Join(folder, "platform"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var commands []actuator.Command
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var c actuator.Command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err) // lines are written at once
		}
		commands = append(commands, c)
	}
	return commands
}

// checkKilled checks what a killed process has left. It adds the requests in flight to those that were before, which must still be there.
func checkKilled(t *testing.T, folder string, inFlight map[string]bool) {
	t.Helper()
	commands := platformCommands(t, folder)
	saved, err := readJournal(errorfs.OS{}, filepath.Join(folder, "state", journalName))
	if err != nil {
		t.Fatal(err)
	}
	if saved == nil {
		if len(commands) > 0 {
			t.Errorf("%d commands were carried out, and nothing was written down", len(commands))
		}
		return
	}
	seen := map[uint64]bool{}
	total := 0
	for _, c := range commands {
		if seen[c.ID] {
			t.Errorf("command %d was carried out twice", c.ID)
		}
		seen[c.ID] = true
		total += c.N
		if saved.Command <= c.ID {
			t.Errorf("command %d was carried out, and the next would be %d", c.ID, saved.Command)
		}
		if !slices.ContainsFunc(saved.Warmed, func(w SavedWarm) bool { return w.Command == c.ID && w.N == c.N && w.Function == c.Function }) {
			t.Errorf("command %d was carried out, and is forgotten", c.ID)
		}
	}
	there := map[string]int{}
	if saved.Mirror != nil {
		for _, k := range saved.Mirror.Traces {
			there[k.Key]++
		}
	}
	for key := range inFlight {
		if there[key] != 1 {
			t.Errorf("request %s is known %d times", key, there[key])
		}
	}
	for key := range there {
		inFlight[key] = true
	}
	m, err := saved.NewMirror(mirror.Options{Epoch: saved.Epoch, Platform: whisk, Functions: ab}, saved.Epoch.Add(saved.Last), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range saved.Warmed {
		for _, id := range w.Containers {
			if known, ok := m.Container(id); !ok || !known.Warmed || known.Used || ab[known.Function].Name != w.Function {
				t.Errorf("container %d of command %d is not known: %+v", id, w.Command, known)
			}
		}
		if len(w.Containers) != w.N {
			t.Errorf("command %d has asked for %d containers, and %v are known", w.Command, w.N, w.Containers)
		}
	}
	if total > killedContainers {
		t.Errorf("%d containers were asked for, and %d were wanted", total, killedContainers)
	}
}
