//go:build unix

package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const waiting = "TPPFAAS_TEST_WAITING"

// TestMain runs, in a process that the tests start, a command that says when it is interrupted and ends with its input.
func TestMain(m *testing.M) {
	if os.Getenv(waiting) == "" {
		os.Exit(m.Run())
	}
	Main(func(ctx context.Context, args []string, stdout, _ io.Writer) int {
		fmt.Fprintln(stdout, "ready")
		if len(args) > 0 { // it writes more than it is read of
			_, _ = io.Copy(io.Discard, os.Stdin)
			fmt.Fprintln(stdout, "more")
		}
		<-ctx.Done()
		fmt.Fprintln(stdout, "interrupted")
		_, _ = io.Copy(io.Discard, os.Stdin)
		return 7
	})
}

// signals are what a command is sent, and how it ends.
type signals struct {
	nohup   bool
	first   []syscall.Signal // the last one interrupts
	further []syscall.Signal
	killed  syscall.Signal // 0: the command ends by itself
	atOnce  bool           // the further ones follow at once, as those of timeout(1) do
}

// TestSignals sends signals to a command, one after the other, and checks after which it is interrupted and how it ends.
func TestSignals(t *testing.T) {
	for name, c := range map[string]signals{
		"Ctrl-C":                      {first: []syscall.Signal{syscall.SIGINT}},
		"SIGTERM":                     {first: []syscall.Signal{syscall.SIGTERM}},
		"a closed terminal":           {first: []syscall.Signal{syscall.SIGHUP}, further: []syscall.Signal{syscall.SIGHUP}},
		"a second Ctrl-C":             {first: []syscall.Signal{syscall.SIGINT}, further: []syscall.Signal{syscall.SIGINT}, killed: syscall.SIGINT},
		"timeout":                     {first: []syscall.Signal{syscall.SIGTERM}, further: []syscall.Signal{syscall.SIGTERM}, atOnce: true},
		"SIGTERM after the terminal":  {first: []syscall.Signal{syscall.SIGHUP}, further: []syscall.Signal{syscall.SIGTERM}, killed: syscall.SIGTERM},
		"a closed terminal and nohup": {nohup: true, first: []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM}},
	} {
		t.Run(name, func(t *testing.T) {
			if !c.nohup && signal.Ignored(syscall.SIGHUP) && slices.Contains(append(c.first, c.further...), syscall.SIGHUP) {
				t.Skip("the tests run under nohup, and so would the command")
			}
			if c.atOnce {
				// On a busy machine the further ones may come too late to be the same; were they never taken for the same, all attempts would end so.
				for range 20 {
					if end(t, c) == nil {
						return
					}
				}
			}
			if err := end(t, c); err != nil {
				t.Error(err)
			}
		})
	}
}

// end starts a command and sends it signals, and returns an error if it does not end as it should.
func end(t *testing.T, c signals) error {
	t.Helper()
	command := exec.Command(os.Args[0])
	if c.nohup {
		command = exec.Command("sh", "-c", `trap "" HUP; exec "$0"`, os.Args[0])
	}
	command.Env = append(os.Environ(), waiting+"=1")
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(output)
	expect := func(want string) {
		t.Helper()
		if line, err := lines.ReadString('\n'); strings.TrimSpace(line) != want {
			t.Errorf("the command says %q (%v), want %q", line, err, want)
		}
	}
	send := func(signals []syscall.Signal) {
		for _, s := range signals {
			if err := command.Process.Signal(s); err != nil {
				t.Error(err)
			}
		}
	}
	expect("ready")
	send(c.first)
	expect("interrupted")
	if !c.atOnce {
		time.Sleep(2 * sameSignal)
	}
	send(c.further)
	if c.atOnce {
		time.Sleep(2 * sameSignal) // the end of its input must not come before
	}
	if c.killed == 0 {
		input.Close()
	}
	if _, err := io.Copy(io.Discard, lines); err != nil {
		t.Error(err)
	}
	_ = command.Wait()
	status := command.ProcessState.Sys().(syscall.WaitStatus)
	if c.killed != 0 && !(status.Signaled() && status.Signal() == c.killed) || c.killed == 0 && status.ExitStatus() != 7 {
		return fmt.Errorf("the command ends with %v, want it to end by %v (7 by itself)", command.ProcessState, c.killed)
	}
	return nil
}

// TestBrokenPipe checks that a command that is interrupted together with what reads its output goes on to its end, and one that is not
// interrupted ends with its reader, as is usual.
func TestBrokenPipe(t *testing.T) {
	for _, interrupted := range []bool{true, false} {
		command := exec.Command(os.Args[0])
		command.Env = append(os.Environ(), waiting+"=1")
		input, err := command.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		output, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if !interrupted {
			command.Args = append(command.Args, "write")
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(output).ReadString('\n'); line != "ready\n" {
			t.Fatalf("the command says %q (%v)", line, err)
		}
		output.Close()
		if interrupted {
			if err := command.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
		input.Close()
		_ = command.Wait()
		status := command.ProcessState.Sys().(syscall.WaitStatus)
		if interrupted && status.ExitStatus() != 7 || !interrupted && !(status.Signaled() && status.Signal() == syscall.SIGPIPE) {
			t.Errorf("interrupted %v: the command ends with %v", interrupted, command.ProcessState)
		}
	}
}
