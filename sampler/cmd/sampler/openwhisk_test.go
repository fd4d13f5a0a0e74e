//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/apps/action"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/localwhisk/rest"
	"github.com/tppfaas/tppfaas/sampler/internal/testenv"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// process is the command as a process.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  bytes.Buffer
	errs io.Closer // the end at which its messages are read
	done chan struct{}

	mu   sync.Mutex
	said bytes.Buffer
	line chan struct{} // something was said
}

// start starts the command.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	require.NoError(t, standIn())
	self, err := os.Executable()
	require.NoError(t, err)
	p := &process{t: t, cmd: exec.Command(self, args...), done: make(chan struct{}), line: make(chan struct{}, 1)}
	p.cmd.Env = append(os.Environ(), append(env, "RUN_SAMPLER=1", "HOME="+t.TempDir())...)
	p.cmd.Stdout = &p.out
	errs, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	p.errs = errs
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.done)
		for lines := bufio.NewScanner(errs); lines.Scan(); {
			p.mu.Lock()
			p.said.Write(append(lines.Bytes(), '\n'))
			p.mu.Unlock()
			select {
			case p.line <- struct{}{}:
			default:
			}
		}
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
	})
	return p
}

// standIn puts a file beside the test binary, where make puts the action's executable beside the command. The containers of
// the test environment do not look at it.
var standIn = sync.OnceValue(func() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(filepath.Dir(self), action.FileName("none")), []byte("a stand-in"), 0o777)
})

func (p *process) stderr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// wait waits for the end of the process and returns its exit status.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(2 * time.Minute):
		p.t.Fatalf("it does not end: %s", p.stderr())
	}
	return p.cmd.ProcessState.ExitCode()
}

// interruptAgain presses Ctrl-C, again and again, until the process ends: one that follows the first too soon counts for the same.
func (p *process) interruptAgain() {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		select {
		case <-p.done:
			return true
		default:
			_ = p.cmd.Process.Signal(os.Interrupt) // it may just have ended
			return false
		}
	}, 2*time.Minute, 10*time.Millisecond, "it does not end: %s", p.stderr())
}

// saying waits until the process has printed a text to standard error.
func (p *process) saying(text string) {
	p.t.Helper()
	for deadline := time.After(time.Minute); !strings.Contains(p.stderr(), text); {
		select {
		case <-p.line:
		case <-p.done:
			p.t.Fatalf("it has ended, and not said %q: %s", text, p.stderr())
		case <-deadline:
			p.t.Fatalf("it does not say %q: %s", text, p.stderr())
		}
	}
}

// scene is a test environment with an application.
type scene struct {
	*testenv.Env
	t   *testing.T
	env []string
	dir string // with the application, and for the output
	out string
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{Env: testenv.New(t, rest.Limits{}), t: t, dir: t.TempDir()}
	s.env = []string{
		"OW_APIHOST=" + s.OpenWhisk.URL, "OW_AUTH=" + s.Platform.Auth(), "TPPFAAS_ZIPKIN=" + s.Zipkin.URL,
		"TPPFAAS_COLLECTOR=" + s.CollectorURL, "TPPFAAS_ACTION_APIHOST=" + s.Platform.URL(),
	}
	s.out = filepath.Join(s.dir, "out.json")
	app := filepath.Join(s.dir, "quick")
	require.NoError(t, os.Mkdir(app, 0o777))
	require.NoError(t, os.WriteFile(filepath.Join(app, "graph.yaml"), []byte(`functions:
  main: {invokes: [a, b]}
  a: {duration: 5, gamma: {shape: 4, rate: 0.8}, invokes: [b]}
  b: {duration: 5, gamma: {shape: 4, rate: 0.8}}
`), 0o666))
	return s
}

// sampler samples 30 requests. What is missing counts as lost after so long that nothing does on a slow machine; where something is, -settle follows.
func (s *scene) sampler(more ...string) *process {
	s.t.Helper()
	args := append([]string{"-platform", "openwhisk", "-d", filepath.Join(s.dir, "quick"), "-n", "30", "-l", "0.02", "-u", "0.04", "-r", "-o", s.out,
		"-settle", "30", "-patience", "20", "-config", "../../config.yaml", "-arch", "none"}, more...)
	return start(s.t, s.env, args...)
}

// whole checks that the dataset has n traces, and nothing else is left.
func (s *scene) whole(n int) *tpp.Dataset {
	s.t.Helper()
	dataset := s.dataset(n)
	require.NoFileExists(s.t, s.out+".journal")
	s.nothingLeft()
	return dataset
}

func (s *scene) dataset(n int) *tpp.Dataset {
	s.t.Helper()
	dataset, err := dataset.ReadFile(s.out)
	require.NoError(s.t, err)
	require.Len(s.t, dataset.Sequences, n)
	for _, q := range dataset.Sequences {
		require.Equal(s.t, 4, q.Len())
	}
	return dataset
}

func (s *scene) nothingLeft() {
	s.t.Helper()
	p := start(s.t, s.env, "clean")
	require.Zero(s.t, p.wait(), p.stderr())
	require.Equal(s.t, "no sampling has left anything\n", p.out.String())
}

// at makes OpenWhisk call f at the nth invocation, and break the connection off.
func (s *scene) at(n int32, f func(*http.Request)) {
	var count atomic.Int32
	s.OpenWhisk.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && count.Add(1) == n {
			f(r)
			panic(http.ErrAbortHandler)
		}
		return false
	})
}

func TestOpenWhisk(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	p := s.sampler("-json", "-announce")
	require.Zero(t, p.wait(), p.stderr())
	var report struct {
		File                        string
		Requests, Sequences, Events int
	}
	require.NoError(t, json.Unmarshal(p.out.Bytes(), &report))
	require.Equal(t, s.out, report.File)
	require.Equal(t, []int{30, 30, 120}, []int{report.Requests, report.Sequences, report.Events})
	s.whole(30)
	_, password, _ := strings.Cut(s.Platform.Auth(), ":")
	require.NotContains(t, p.stderr(), password)
}

// TestKilled checks that after the process was killed, before or after OpenWhisk got a request, -resume brings everything into one
// dataset.
func TestKilled(t *testing.T) {
	for _, taken := range []bool{false, true} {
		t.Run(fmt.Sprintf("taken %v", taken), func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			var first *process
			ready := make(chan struct{})
			s.at(10, func(r *http.Request) {
				<-ready
				if err := first.cmd.Process.Kill(); err != nil {
					t.Error(err)
				}
				<-first.done
				if taken {
					s.OpenWhisk.Handle(r.WithContext(t.Context()))
				}
			})
			first = s.sampler()
			close(ready)
			require.Equal(t, -1, first.wait())
			require.NoFileExists(t, s.out)
			require.FileExists(t, s.out+".journal")
			s.OpenWhisk.Fail(nil)

			p := s.sampler()
			require.Equal(t, cli.Usage, p.wait())
			require.Equal(t, "sampler: "+s.out+".journal: there is the journal of an earlier run: -resume goes on with it, -discard starts over\n", p.stderr())

			p = s.sampler("-resume")
			require.Zero(t, p.wait(), p.stderr())
			s.whole(30)
		})
	}
}

// TestCtrlC checks that after Ctrl-C what is complete is written and what was deployed is removed, and that -resume sends the rest.
func TestCtrlC(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var first *process
	ready := make(chan struct{})
	s.at(10, func(r *http.Request) {
		<-ready
		if err := first.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		first.saying("interrupted; Ctrl-C again quits at once")
		s.OpenWhisk.Handle(r)
	})
	first = s.sampler()
	close(ready)
	require.Equal(t, cli.Failed, first.wait())
	s.OpenWhisk.Fail(nil)
	dataset, err := dataset.ReadFile(s.out)
	require.NoError(t, err)
	n := len(dataset.Sequences)
	require.True(t, n >= 10 && n < 30, "%d traces", n)
	lines := strings.Split(strings.TrimSpace(first.stderr()), "\n")
	require.Equal(t, fmt.Sprintf("sampler: interrupted: %s has %d of 30 traces, and -resume goes on (%s.journal)", s.out, n, s.out), lines[len(lines)-1])
	s.nothingLeft()

	p := s.sampler("-resume")
	require.Zero(t, p.wait(), p.stderr())
	after := s.whole(30)
	require.Equal(t, dataset.Sequences, after.Sequences[:n])
}

// TestCtrlCWhileDeploying checks that after Ctrl-C before anything was sent what was deployed is removed, and that nothing promises
// -resume, for which there is no journal.
func TestCtrlCWhileDeploying(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var p *process
	ready := make(chan struct{})
	var uploads atomic.Int32
	s.OpenWhisk.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/actions/") && uploads.Add(1) == 2 {
			<-ready
			if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
				t.Error(err)
			}
			p.saying("interrupted; Ctrl-C again quits at once")
		}
		return false
	})
	p = s.sampler()
	close(ready)
	require.Equal(t, cli.Failed, p.wait())
	require.NotContains(t, p.stderr(), "-resume")
	require.NoFileExists(t, s.out)
	require.NoFileExists(t, s.out+".journal")
	s.nothingLeft()
}

// TestSecondCtrlC checks that the second Ctrl-C quits at once, whatever hangs.
func TestSecondCtrlC(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	var p *process
	ready := make(chan struct{})
	s.at(5, func(*http.Request) {
		<-ready
		s.Zipkin.Fail(func(http.ResponseWriter, *http.Request) bool { <-hang; return true })
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
	})
	p = s.sampler()
	close(ready)
	p.saying("interrupted; Ctrl-C again quits at once")
	p.interruptAgain()
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok && status.Signaled() && status.Signal() == syscall.SIGINT)
	require.FileExists(t, s.out+".journal")
}

// hangs makes OpenWhisk answer nothing from the nth invocation on, for as long as the test runs, and calls f at that.
func (s *scene) hangs(n int32, f func()) {
	hang := make(chan struct{})
	s.t.Cleanup(func() { close(hang) })
	var count atomic.Int32
	s.OpenWhisk.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && count.Add(1) == n {
			f()
		}
		if count.Load() < n {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body) // before, a server does not see that its client goes
		select {
		case <-hang:
		case <-r.Context().Done():
		}
		return true
	})
}

// TestCtrlCWhileOpenWhiskHangs checks that the command ends soon after Ctrl-C, keeps what is complete, and says what is left on OpenWhisk
// and how it is removed.
func TestCtrlCWhileOpenWhiskHangs(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	s := newScene(t)
	var p *process
	ready := make(chan struct{})
	s.hangs(10, func() {
		<-ready
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
	})
	p = s.sampler()
	close(ready)
	p.saying("interrupted; Ctrl-C again quits at once")
	begin := time.Now()
	require.Equal(t, cli.Failed, p.wait())
	require.Less(t, time.Since(begin), 45*time.Second, "some 20 s are due")
	text := p.stderr()
	require.Regexp(t, `package (tppfaas-quick-\w+) is left on OpenWhisk, or a part of it; sampler clean tppfaas-quick-\w+ removes it: OpenWhisk has not answered in time\n`, text)
	require.Contains(t, text, "-resume goes on")
	s.OpenWhisk.Fail(nil)
	d, err := dataset.ReadFile(s.out)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(d.Sequences), 9)

	p = s.sampler("-resume")
	require.Zero(t, p.wait(), p.stderr())
	s.whole(30)
}

// TestSecondCtrlCDuringRemoval checks that the second Ctrl-C quits at once while the removal of what was deployed hangs.
func TestSecondCtrlCDuringRemoval(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	hang, removing := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(hang) })
	var once sync.Once
	s.OpenWhisk.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodDelete {
			return false
		}
		once.Do(func() { close(removing) })
		<-hang
		return true
	})
	p := s.sampler("-n", "2")
	<-removing
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	p.saying("interrupted; Ctrl-C again quits at once")
	p.interruptAgain()
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok && status.Signaled() && status.Signal() == syscall.SIGINT)
}

// TestNobodyReads checks that a sampling whose messages nobody reads any more, as in a pipeline with head, goes on and leaves nothing behind.
func TestNobodyReads(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	p := s.sampler("-n", "3")
	require.NoError(t, p.errs.Close())
	require.Zero(t, p.wait())
	s.whole(3)
}

// TestCannotBeWritten checks that a dataset that cannot be written is kept, and written by -resume.
func TestCannotBeWritten(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.at(10, func(r *http.Request) {
		s.OpenWhisk.Handle(r)
		if err := os.Mkdir(s.out, 0o777); err != nil {
			t.Error(err)
		}
	})
	p := s.sampler()
	require.Equal(t, cli.Failed, p.wait())
	require.Contains(t, p.stderr(), fmt.Sprintf("sampler: write %s: is a folder, not a file; the 30 traces that are complete are kept in %s.journal, and -resume writes them\n", s.out, s.out))
	s.nothingLeft()
	require.NoError(t, os.Remove(s.out))
	s.OpenWhisk.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			t.Error("something was sent")
		}
		return false
	})
	p = s.sampler("-resume")
	require.Zero(t, p.wait(), p.stderr())
	s.whole(30)
}

// TestNotWritten checks that nothing is said to be in a journal that is not.
func TestNotWritten(t *testing.T) {
	full := errors.New("write x.json: no space left on device")
	require.EqualError(t, notWritten(full, 30, 0, "x.json.journal"),
		"write x.json: no space left on device; the 30 traces that are complete are kept in x.json.journal, and -resume writes them")
	require.EqualError(t, notWritten(full, 30, 29, "x.json.journal"),
		"write x.json: no space left on device; of the 30 traces that are complete 29 are not in x.json.journal, which could not be written either: -resume asks Zipkin for them again")
}

// TestNothingComplete checks that without any trace nothing is written, and that nothing promises more.
func TestNothingComplete(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.Lose(func(function, _ string) bool { return function == "quick-dev-a" })
	p := s.sampler("-allow-incomplete", "-settle", "2")
	require.Equal(t, cli.Failed, p.wait())
	lines := strings.Split(strings.TrimSpace(p.stderr()), "\n")
	require.Equal(t, fmt.Sprintf("sampler: no trace is complete and nothing is written; -resume goes on (%s.journal)", s.out), lines[len(lines)-1])
	require.NoFileExists(t, s.out)
	s.nothingLeft()
}

// TestIncomplete checks that fewer traces than requests are a failure without -allow-incomplete.
func TestIncomplete(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var lost atomic.Int32
	s.Lose(func(function, _ string) bool { return function == "quick-dev-a" && lost.Add(1)%30 == 1 })
	p := s.sampler("-settle", "5")
	require.Equal(t, cli.Failed, p.wait())
	require.Contains(t, p.stderr(), ": missing quick-dev-a\n")
	require.Contains(t, p.stderr(), fmt.Sprintf("sampler: %s has 29 of 30 traces, and -resume goes on (%s.journal); -allow-incomplete is content with that\n", s.out, s.out))
	s.dataset(29)
	s.nothingLeft()

	p = s.sampler("-resume", "-allow-incomplete", "-settle", "2")
	require.Zero(t, p.wait(), p.stderr())
	require.Contains(t, p.out.String(), s.out+": 29 traces of quick, 116 invocations, ")
	s.whole(29)
}

// TestCtrlCWhileRemoving checks that Ctrl-C after the dataset is whole neither stops the removal, nor promises -resume, for which there is no
// journal.
func TestCtrlCWhileRemoving(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var p *process
	ready := make(chan struct{})
	s.OpenWhisk.Fail(s.atRemoval(func(http.ResponseWriter, *http.Request) bool {
		<-ready
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		p.saying("interrupted; Ctrl-C again quits at once, and -resume goes on")
		return false
	}))
	p = s.sampler()
	close(ready)
	require.Equal(t, cli.Failed, p.wait())
	lines := strings.Split(strings.TrimSpace(p.stderr()), "\n")
	require.Equal(t, fmt.Sprintf("sampler: interrupted: %s has 30 of 30 traces, and needs no -resume", s.out), lines[len(lines)-1])
	s.whole(30)
}

// atRemoval returns a function that calls f at the first removal of an action.
func (s *scene) atRemoval(f func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	var count atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodDelete && count.Add(1) == 1 && f(w, r)
	}
}

// TestDiscard checks that -discard starts over, and removes what the earlier run has deployed.
func TestDiscard(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var first *process
	ready := make(chan struct{})
	s.at(3, func(*http.Request) {
		<-ready
		_ = first.cmd.Process.Kill()
	})
	first = s.sampler()
	close(ready)
	first.wait()
	s.OpenWhisk.Fail(nil)
	list := start(t, s.env, "clean", "-json")
	require.Zero(t, list.wait(), list.stderr())
	var leftover struct {
		Package, Application string
		Removed              bool
	}
	require.NoError(t, json.Unmarshal(list.out.Bytes(), &leftover))
	require.Equal(t, "quick", leftover.Application)
	require.False(t, leftover.Removed)

	// The journal alone names what is left: it stays until that is removed.
	var broken *process
	ready = make(chan struct{})
	s.OpenWhisk.Fail(s.atRemoval(func(_ http.ResponseWriter, r *http.Request) bool {
		<-ready
		if err := broken.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
		return true
	}))
	broken = s.sampler("-discard")
	close(ready)
	require.Equal(t, cli.Failed, broken.wait())
	require.FileExists(t, s.out+".journal")
	s.OpenWhisk.Fail(nil)

	p := s.sampler("-discard")
	require.Zero(t, p.wait(), p.stderr())
	s.whole(30)
}

// TestClean checks that sampler clean lists leftovers, and removes those that it should.
func TestClean(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var names []string
	for range 2 {
		var p *process
		ready := make(chan struct{})
		s.at(1, func(*http.Request) {
			<-ready
			_ = p.cmd.Process.Kill()
		})
		p = s.sampler()
		close(ready)
		p.wait()
		require.NoError(t, os.Remove(s.out+".journal"))
	}
	s.OpenWhisk.Fail(nil)
	clean := func(status int, args ...string) string {
		t.Helper()
		p := start(t, s.env, append([]string{"clean"}, args...)...)
		require.Equal(t, status, p.wait(), p.stderr())
		return p.out.String() + p.stderr()
	}
	for line := range strings.Lines(clean(0)) {
		name, rest, _ := strings.Cut(line, ": ")
		require.Regexp(t, `^quick, deployed \d+s ago\n$`, rest)
		names = append(names, name)
	}
	require.Len(t, names, 2)
	require.NotContains(t, clean(0, "-older", "1h"), "removed")
	require.Equal(t, "sampler clean: there is no package tppfaas-x that a sampling has left\n", clean(1, "tppfaas-x"))
	require.Equal(t, "sampler clean: either -older or names of packages\n", clean(2, "-older", "1h", "x"))
	require.Regexp(t, "(?m)^"+names[1]+": quick, deployed .* ago, removed$", clean(0, names[1]))
	require.Regexp(t, "^"+names[0]+": quick, deployed .* ago, removed\n$", clean(0, "-older", "0s"))
	s.nothingLeft()
}
