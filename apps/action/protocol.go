package action

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Loop speaks the action loop: a line of JSON on in for each invocation, a line with the answer on out. With acknowledge it first
// says that it is there, as __OW_WAIT_FOR_ACK demands. It returns at the end of in.
//
// The answer is written before the span is exported, which goes on beside: a container that is stopped meanwhile (OpenWhisk pauses
// it) sends it when it goes on.
func Loop(ctx context.Context, r *Runner, in io.Reader, out io.Writer, acknowledge bool) error {
	if acknowledge {
		if _, err := io.WriteString(out, "{ \"ok\": true}\n"); err != nil {
			return fmt.Errorf("acknowledging: %w", err)
		}
	}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(strings.TrimSpace(string(line))) > 0 {
			if _, err := out.Write(append(answer(ctx, r, line), '\n')); err != nil {
				return fmt.Errorf("answering: %w", err)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading an invocation: %w", err)
		}
	}
}

func answer(ctx context.Context, r *Runner, line []byte) json.RawMessage {
	var request Request
	if err := json.Unmarshal(line, &request); err != nil {
		return r.Run(ctx, Request{Value: json.RawMessage(`"not JSON"`)})
	}
	return r.Run(ctx, request)
}

// linger bounds how long a program that runs once stays to export its span.
const linger = 300 * time.Millisecond

// Once speaks the protocol of the docker skeleton: the parameters come as text, the rest of the request in the environment, and the
// answer is the last line of out.
func Once(ctx context.Context, r *Runner, value []byte, getenv func(string) string, out io.Writer) error {
	var deadline milliseconds
	if text := getenv("__OW_DEADLINE"); text != "" {
		// One that is no number is none.
		_ = json.Unmarshal([]byte(text), &deadline)
	}
	text := r.Run(ctx, Request{
		Value: value, ActivationID: getenv("__OW_ACTIVATION_ID"), ActionName: getenv("__OW_ACTION_NAME"), APIKey: getenv("__OW_API_KEY"),
		Deadline: deadline,
	})
	if _, err := out.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	return nil
}

// Main is the program: the action loop where descriptor 3 is open, else a single run on the last argument or standard input.
func Main(ctx context.Context, args []string) error {
	r := &Runner{Log: os.Stderr}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), linger)
		defer cancel()
		_ = r.Close(ctx) // a collector that is away costs nothing but this
	}()
	if len(args) > 0 {
		return Once(ctx, r, []byte(args[len(args)-1]), os.Getenv, os.Stdout)
	}
	if results := os.NewFile(3, "results"); results != nil {
		// Not any descriptor: Go's own may have come to be 3.
		if info, err := results.Stat(); err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0 {
			return Loop(ctx, r, os.Stdin, results, os.Getenv("__OW_WAIT_FOR_ACK") != "")
		}
	}
	value, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	return Once(ctx, r, value, os.Getenv, os.Stdout)
}
