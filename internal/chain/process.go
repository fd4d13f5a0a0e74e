//go:build unix

package chain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a server in a process of its own. It can be killed and started again with the same arguments.
type Process struct {
	name  string
	path  string
	args  []string
	env   []string
	ready string // a URL that answers 200 when the server is ready

	mu      sync.Mutex
	command *exec.Cmd
	ended   chan struct{}
	log     tail
}

// Name returns the name of the part: platform, zipkin or collector.
func (p *Process) Name() string { return p.name }

// PID returns the process id.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.command.Process.Pid
}

// Ended returns a channel that is closed when the process has ended; each Start makes a new one.
func (p *Process) Ended() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// Log returns the last 64 KiB, or somewhat more, of its output.
func (p *Process) Log() string { return p.log.String() }

// Start starts the process, and returns when it is ready. If the process ends instead, the error has the last line of its output.
func (p *Process) Start(ctx context.Context) error {
	command := exec.Command(p.path, p.args...)
	command.Env = p.env
	command.Stdout, command.Stderr = &p.log, &p.log
	// In a process group of its own it gets no Ctrl-C: that is for the sampler, which needs this process until it has ended.
	command.SysProcAttr = killedWithThread()
	command.SysProcAttr.Setpgid = true
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		// The kernel kills the process when the thread that started it ends, so also when this process is killed.
		runtime.LockOSThread()
		defer close(ended)
		err := command.Start()
		started <- err
		if err == nil {
			_ = command.Wait()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	p.mu.Lock()
	p.command, p.ended = command, ended
	p.mu.Unlock()
	if err := p.await(ctx); err != nil {
		return errors.Join(err, p.Kill())
	}
	return nil
}

// await returns when the process is ready.
func (p *Process) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.ready, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if answer, err := client.Do(request); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.Ended():
			return fmt.Errorf("%s ended: %s", p.name, lastLine(p.log.String()))
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer at %s: %w: %s", p.name, p.ready, ctx.Err(), lastLine(p.log.String()))
		case <-time.After(pause):
		}
	}
}

// Kill kills the process with SIGKILL.
func (p *Process) Kill() error { return p.end(syscall.SIGKILL, 0) }

// Stop sends SIGTERM. If the process has not ended ten seconds later, Stop kills it and returns an error.
func (p *Process) Stop() error { return p.end(syscall.SIGTERM, 10*time.Second) }

// end sends a signal and waits for the end of the process, which it kills after the given time unless the signal is SIGKILL.
func (p *Process) end(signal syscall.Signal, patience time.Duration) error {
	p.mu.Lock()
	command, ended := p.command, p.ended
	p.mu.Unlock()
	if command == nil {
		return nil
	}
	if err := command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	if signal != syscall.SIGKILL {
		select {
		case <-ended:
		case <-time.After(patience):
			_ = command.Process.Kill()
			<-ended
			return fmt.Errorf("%s did not end when asked to and was killed: %s", p.name, lastLine(p.log.String()))
		}
	}
	<-ended
	return nil
}

// tail is a writer that keeps the end of what is written to it.
type tail struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// tailSize is the number of bytes that a tail keeps at least.
const tailSize = 64 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b.Write(p)
	if over := t.b.Len() - 2*tailSize; over > 0 {
		t.b.Next(over + tailSize)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// lastLine returns the last line of a text that is not blank.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// executable returns the absolute path of a program, or an error if it does not exist.
func executable(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(absolute); err != nil {
		return "", err
	}
	return absolute, nil
}

// Run runs a command to its end, in a process group of its own. When ctx is done, it sends the command SIGINT, as Ctrl-C does, and kills it five
// minutes later. On Linux the command is also killed when this process ends, however that happens.
func Run(ctx context.Context, path string, args, env []string, stdout, stderr io.Writer) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	command := exec.CommandContext(ctx, path, args...)
	command.Env, command.Stdout, command.Stderr = env, stdout, stderr
	command.SysProcAttr = killedWithThread()
	command.SysProcAttr.Setpgid = true
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 5 * time.Minute
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return nil
}
