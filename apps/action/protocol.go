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

// Loop serves the protocol of OpenWhisk's action loop: it reads a line of JSON from in for each invocation, and writes a line with the
// answer to out. With acknowledge it first writes that it is ready, as __OW_WAIT_FOR_ACK demands. It returns at the end of in.
//
// The span is exported in the background after the answer is written. A container that OpenWhisk pauses meanwhile exports it when it is
// resumed.
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

// answer runs the invocation of a line.
func answer(ctx context.Context, r *Runner, line []byte) json.RawMessage {
	var request Request
	if err := json.Unmarshal(line, &request); err != nil {
		return r.Run(ctx, Request{Value: json.RawMessage(`"not JSON"`)})
	}
	return r.Run(ctx, request)
}

// exportGrace bounds how long a program that is about to end waits for its spans to be exported.
const exportGrace = 300 * time.Millisecond

// Once serves the protocol of the docker skeleton: value has the parameters, the environment the rest of the request, and the answer is
// the last line of out.
func Once(ctx context.Context, r *Runner, value []byte, getenv func(string) string, out io.Writer) error {
	var deadline milliseconds
	if text := getenv("__OW_DEADLINE"); text != "" {
		// A deadline that is no number counts as none.
		_ = json.Unmarshal([]byte(text), &deadline)
	}
	r.single = true
	text := r.Run(ctx, Request{
		Value: value, ActivationID: getenv("__OW_ACTIVATION_ID"), ActionName: getenv("__OW_ACTION_NAME"), APIKey: getenv("__OW_API_KEY"),
		Deadline: deadline,
	})
	if _, err := out.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	return nil
}

// Main is the program: it serves the action loop if descriptor 3 is open, else one invocation with the last argument or standard input as
// its parameters.
func Main(ctx context.Context, args []string) error {
	r := &Runner{Log: os.Stderr, APIHost: os.Getenv("__OW_API_HOST")}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), exportGrace)
		defer cancel()
		_ = r.Close(ctx) // spans are lost if the collector is away
	}()
	if len(args) > 0 {
		return Once(ctx, r, []byte(args[len(args)-1]), os.Getenv, os.Stdout)
	}
	if results := os.NewFile(3, "results"); results != nil {
		// Descriptor 3 may also be one that Go has opened for itself.
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
