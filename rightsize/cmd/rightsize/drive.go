package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/rightsize/drive"
)

var driveCommand = cli.Command{
	Name: "drive", Arguments: "-url ADDRESS", Summary: "call a function at random times with payloads of random size",
	Help: `Usage: rightsize drive -url ADDRESS [-calls MIN:MAX] [-size MIN:MAX] [-for TIME] [options]

Calls a function, any that takes HTTP, a random number of times a minute, at random times, with a payload of letters and digits of random size. The same
-seed makes the same plan of times, sizes and bytes. With -journal each call is written down, and the same line goes on where a run was ended, by Ctrl-C or
otherwise. A password or token that is wrong ends it at once, and so does an address at which there is no function.

Examples:
  rightsize drive -url http://127.0.0.1:8081 -calls 60:600 -size 16:2048 -for 5m
  rightsize drive -url http://127.0.0.1:8080/function/qrcode -journal calls.jsonl
  rightsize drive -url https://gateway.example.org/function/qrcode -user admin -password-file password
  rightsize drive -url http://127.0.0.1:8080/function/resize -body '{"text": "PAYLOAD"}' -content-type application/json
`,
	Define: runDrive,
}

// rangeValue is an option that takes a range.
type rangeValue struct{ *drive.Range }

func (r rangeValue) String() string {
	if r.Range == nil {
		return ""
	}
	return r.Range.String()
}

func (r rangeValue) Set(text string) (err error) {
	*r.Range, err = drive.ParseRange(text)
	return err
}

func runDrive(fs *flag.FlagSet) cli.Run {
	o := drive.Options{Calls: drive.Range{Min: 5, Max: 60}, Sizes: drive.Range{Min: 16, Max: 2048}}
	var access accessOptions
	access.define(fs)
	fs.StringVar(&o.URL, "url", "", "`address` of the function")
	fs.Var(rangeValue{&o.Calls}, "calls", "calls a minute, `min:max`")
	fs.Var(rangeValue{&o.Sizes}, "size", "sizes of payloads in bytes, `min:max`")
	fs.Uint64Var(&o.Seed, "seed", 1, "`seed` of the plan")
	fs.DurationVar(&o.Duration, "for", 0, "`time` after which to end; without, Ctrl-C does")
	fs.DurationVar(&o.Timeout, "timeout", time.Minute, "`time` within which a call has to be answered")
	fs.IntVar(&o.Parallel, "parallel", 64, "`calls` at a time, at most")
	fs.IntVar(&o.MaxFailures, "max-failures", 100, "end after so many `calls` in a row have failed; -1 is never")
	fs.StringVar(&o.Method, "method", "POST", "`method` of the calls")
	fs.StringVar(&o.Body, "body", "", "`text` to send, with PAYLOAD where the payload is to stand; without, the payload alone")
	fs.StringVar(&o.ContentType, "content-type", "text/plain", "`type` of what is sent")
	fs.StringVar(&o.Journal, "journal", "", "`file` to which each call is written, as a line of JSON, and from which a run goes on")
	asJSON := fs.Bool("json", false, "print the summary as a JSON object")
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		switch {
		case len(args) > 0:
			return cli.Usagef("%q is left over on the line", args[0])
		case o.URL == "":
			return cli.Usagef("-url is missing: the address of the function")
		case o.MaxFailures == 0:
			return cli.Usagef("-max-failures: at least 1, or -1 for never")
		case o.Parallel < 1:
			return cli.Usagef("-parallel: at least 1")
		case o.Timeout <= 0:
			return cli.Usagef("-timeout: must be positive")
		}
		access.complete()
		o.Username, o.Password, o.PasswordFile, o.Token, o.TokenFile = access.Username, access.Password, access.PasswordFile, access.Token, access.TokenFile
		o.CAFile, o.CertFile, o.KeyFile, o.InsecureSkipVerify = access.CAFile, access.CertFile, access.KeyFile, access.InsecureSkipVerify
		show := progress.New(stderr, 0, "calls")
		defer show.Done()
		if o.Duration > 0 {
			show.Expect(time.Now().Add(o.Duration))
		}
		failed := 0
		o.OnCall = func(c drive.Call) {
			if c.Error != "" {
				failed++
			}
			show.Add(1, fmt.Sprintf("%d failed, the last took %.4g ms", failed, c.Latency))
		}
		o.OnMessage = show.Print
		d, err := drive.New(o)
		if err != nil {
			return cli.Usagef("%v", err)
		}
		summary, err := d.Run(ctx)
		show.Done()
		if errors.Is(err, context.Canceled) && o.Duration == 0 {
			err = nil // that is how it ends
		}
		if summary.Calls == 0 && err != nil {
			return err
		}
		write := summary.WriteText
		if *asJSON {
			write = func(w io.Writer) error { return json.NewEncoder(w).Encode(driveJSON(summary)) }
		}
		if werr := write(stdout); err == nil {
			err = werr
		}
		return err
	}
}

// driveJSON is the summary of a run as -json prints it.
func driveJSON(s *drive.Summary) map[string]any {
	statuses := map[string]int{}
	for status, n := range s.ByStatus {
		statuses[strconv.Itoa(status)] = n
	}
	object := map[string]any{
		"calls": s.Calls, "failed": s.Failed, "earlier": s.Earlier, "broken_off": s.BrokenOff, "statuses": statuses, "bytes": s.Bytes, "max_late_ms": s.MaxLate,
	}
	if q := s.Latency(0.5, 0.9, 0.99, 1); q != nil {
		object["latency_ms"] = map[string]float64{"0.5": q[0], "0.9": q[1], "0.99": q[2], "1": q[3]}
	}
	if s.LastError != "" {
		object["last_error"] = s.LastError
	}
	return object
}
