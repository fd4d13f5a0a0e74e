// Package testprocess runs a server of a test as a process that does not outlive the test's own.
//
//	p, err := testprocess.Start(exec.Command("java", "-jar", "server.jar"))
//	if err != nil {
//		t.Fatal(err)
//	}
//	t.Cleanup(p.Kill)
package testprocess

import (
	"bytes"
	"os/exec"
	"runtime"
	"sync"
)

// Process is a process that was started.
type Process struct {
	// Ended is closed when it has ended.
	Ended <-chan struct{}

	output buffer
	stop   func()
}

// Start starts a command, and keeps what it prints. On Linux it is killed when this process ends, however that does.
func Start(command *exec.Cmd) (*Process, error) {
	started, ended, stop := make(chan error, 1), make(chan struct{}), make(chan struct{})
	p := &Process{Ended: ended, stop: sync.OnceFunc(func() { close(stop) })}
	command.Stdout, command.Stderr = &p.output, &p.output
	command.SysProcAttr = killedWithThread()
	go func() {
		// The kernel kills the process when the thread that started it ends, so also when this process is killed.
		runtime.LockOSThread()
		defer close(ended)
		err := command.Start()
		started <- err
		if err != nil {
			return
		}
		go func() {
			select {
			case <-stop:
				_ = command.Process.Kill()
			case <-ended:
			}
		}()
		_ = command.Wait()
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// Kill kills the process, and waits until it has ended. It may be called again.
func (p *Process) Kill() {
	p.stop()
	<-p.Ended
}

// Output returns what it has printed.
func (p *Process) Output() string { return p.output.String() }

// buffer may be used by several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *buffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *buffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
