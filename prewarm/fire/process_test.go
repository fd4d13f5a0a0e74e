//go:build unix

package fire

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/loopback"
	"github.com/tppfaas/tppfaas/internal/testbin"
	"github.com/tppfaas/tppfaas/prewarm/controller"
)

var core = flag.String("core", "", "`number` of the processor that the controllers are bound to, by taskset")

var soakFor = flag.Duration("for", 10*time.Minute, "with -soak: how long the load runs")

var soak = flag.Bool("soak", false, "run in full: ten minutes instead of seconds, ten thousand traces in flight instead of some hundred")

func TestMain(m *testing.M) {
	if folder := os.Getenv(profiled); folder != "" {
		os.Exit(serveProfiled(folder))
	}
	os.Exit(testbin.Main(m))
}

// process is a controller in a process of its own.
type process struct {
	t         *testing.T
	args      []string
	url, grpc string
	command   *exec.Cmd
	log       output
	ended     chan struct{}
}

// output keeps what a process has printed.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// serve starts a controller with arguments beside those of its addresses and its state; it is stopped when the test ends.
func serve(t *testing.T, args ...string) *process {
	t.Helper()
	addresses, err := loopback.FreeAddresses(2)
	require.NoError(t, err)
	p := &process{t: t, url: "http://" + addresses[0], grpc: addresses[1]}
	p.args = append([]string{"serve", "-listen", addresses[0], "-grpc", addresses[1], "-state", filepath.Join(t.TempDir(), "state")}, args...)
	p.start()
	t.Cleanup(func() {
		p.end(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("the controller's log:\n%s", p.log.String())
		}
	})
	return p
}

func (p *process) start() {
	p.t.Helper()
	environment := append(os.Environ(), "GOMAXPROCS=1")
	path, err := os.Executable()
	if *profiles == "" {
		path, err = testbin.Path("prewarm/cmd/prewarm")
	} else {
		environment = append(environment, profiled+"="+*profiles)
	}
	require.NoError(p.t, err)
	args := p.args
	if *core != "" {
		path, args = "taskset", append([]string{"-c", *core, path}, args...)
	}
	p.command = exec.Command(path, args...)
	p.command.Env = environment
	p.command.Stdout, p.command.Stderr = &p.log, &p.log
	require.NoError(p.t, p.command.Start())
	p.ended = make(chan struct{})
	go func() {
		defer close(p.ended)
		_ = p.command.Wait()
	}()
	p.await("ready", func() bool {
		select {
		case <-p.ended:
			p.t.Fatalf("the controller has ended:\n%s", p.log.String())
		default:
		}
		answer, err := http.Get(p.url + "/healthz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

// end sends a signal, and waits for the end.
func (p *process) end(signal syscall.Signal) {
	_ = p.command.Process.Signal(signal)
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		_ = p.command.Process.Kill()
		<-p.ended
		p.t.Error("the controller did not end when asked to")
	}
}

// await waits for a condition.
func (p *process) await(what string, condition func() bool) {
	p.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			p.t.Fatalf("this does not come: %s; the controller's log:\n%s", what, p.log.String())
		}
	}
}

func (p *process) state() *controller.State {
	p.t.Helper()
	answer, err := http.Get(p.url + "/v1/state")
	require.NoError(p.t, err)
	defer answer.Body.Close()
	require.Equal(p.t, http.StatusOK, answer.StatusCode)
	s := &controller.State{}
	require.NoError(p.t, json.NewDecoder(answer.Body).Decode(s))
	return s
}

// resident returns the memory of the process in MiB.
func (p *process) resident() float64 {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.command.Process.Pid))
	if err != nil {
		return 0 // not on Linux
	}
	pages, err := strconv.ParseFloat(strings.Fields(string(text))[1], 64)
	require.NoError(p.t, err)
	return pages * float64(os.Getpagesize()) / (1 << 20)
}
