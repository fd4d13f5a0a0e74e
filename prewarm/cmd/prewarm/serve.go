package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/prewarm/controller/serve"
	"github.com/tppfaas/tppfaas/prewarm/policy"
)

func serveUsage() string {
	var names []string
	for _, k := range policy.Kinds() {
		names = append(names, k.Name)
	}
	return `Usage: prewarm serve [-model FILE...] [-learn] [-act -actuator PLATFORM] [OPTIONS]

Runs a policy on a live platform: it takes traces and arrivals as they come, follows what containers there are, and has containers warmed for what it
expects. Without -act it only shows what it would do.

Examples:
  prewarm serve -learn                                  look on, learn, and show on http://127.0.0.1:4320 what it would do
  prewarm serve -model tree_small.safetensors           the same with a trained model
  prewarm serve -learn -state /var/lib/prewarm -act -actuator openwhisk
  prewarm serve -policy keepalive:600 -log json
  prewarm pause                                         the controller on this machine does nothing until prewarm resume
  prewarm serve -learn -kafka kafka-1:9092,kafka-2:9092   read spans from Kafka, with others of the same -kafka-group
  prewarm serve -model tree_small.safetensors -share -kafka kafka-1:9092 -act -actuator openwhisk   the same on each of several machines, as one
  prewarm serve -learn -listen :4320 -cert tls.crt -key tls.key -token-file token

It listens on -listen for OTLP over HTTP (POST /v1/traces), for announced arrivals (POST /v1/arrivals), and shows its page (/), its state as JSON
(/v1/state, /v1/events), metrics for Prometheus (/metrics), /healthz and /readyz; on -grpc for OTLP over gRPC. Point the otlp exporter of a collector
at either. Addresses that others can reach need -cert, -key and -token-file.

A newsvendor decides only on functions that a -model names or that it has learned, and only as long as what it expects agrees with what comes. Other
policies decide on all functions. Policies: ` + strings.Join(names, ", ") + `; prewarm lab -h explains them.

Actuators:
` + actuatorsHelp() + `
prewarm pause has a running controller do nothing until prewarm resume.

Exit status: 0 ended by a signal, 1 failed, 2 called wrongly.
`
}

// serveOptions are what the line says.
type serveOptions struct {
	serve    serve.Options
	models   list
	log      string
	actuator actuatorOptions
	kafka    kafkaOptions
}

func runServe(fs *flag.FlagSet) cli.Run {
	var o serveOptions
	fs.StringVar(&o.serve.Listen, "listen", "127.0.0.1:4320", "`address` for HTTP: sources, page, state and metrics")
	fs.StringVar(&o.serve.GRPC, "grpc", "127.0.0.1:4321", "`address` for OTLP over gRPC, or off")
	fs.StringVar(&o.serve.Policy, "policy", "newsvendor:2560", "`policy` that decides")
	fs.Var(&o.models, "model", "`file` of a model; may be given several times, for different functions")
	fs.BoolVar(&o.serve.Learn, "learn", false, "learn models from what is seen, beside those of -model")
	fs.BoolVar(&o.serve.Act, "act", false, "do what is decided, by -actuator")
	fs.StringVar(&o.serve.State, "state", "", "`folder` for what must survive a restart; it is created if there is none")
	fs.IntVar(&o.serve.MemoryMB, "memory", 256, "memory of a container in `MiB`, of functions of which it is not known")
	fs.IntVar(&o.serve.Limits.Containers, "most-warm", 64, "`containers` that are warmed and wait for their use, at most")
	fs.IntVar(&o.serve.Limits.PerFunction, "most-per-function", 8, "`containers` of one function that are warmed and wait for their use, at most")
	fs.IntVar(&o.serve.Limits.MemoryMB, "most-memory", 8192, "memory of all containers that are warmed and wait for their use, in `MiB`, at most")
	fs.IntVar(&o.serve.Limits.InFlight, "in-flight", 16, "`containers` that are asked for at the same time, at most")
	fs.StringVar(&o.serve.Cert, "cert", "", "`file` with the certificate in PEM, for HTTPS and gRPC")
	fs.StringVar(&o.serve.Key, "key", "", "`file` with the key of -cert")
	fs.StringVar(&o.serve.TokenFile, "token-file", "", "`file` with the token that clients have to send")
	fs.StringVar(&o.log, "log", "text", "`form` of messages: text or json")
	o.actuator.define(fs)
	o.kafka.define(fs)
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		if len(args) > 0 {
			return cli.Usagef("%q is left over on the line (a model is given with -model)", args[0])
		}
		if err := o.check(fs); err != nil {
			return err
		}
		return o.run(ctx, stderr)
	}
}

// check returns what is wrong with the options, and completes them.
func (o *serveOptions) check(fs *flag.FlagSet) error {
	for _, limit := range []struct {
		option string
		value  int
	}{
		{"most-warm", o.serve.Limits.Containers}, {"most-per-function", o.serve.Limits.PerFunction}, {"most-memory", o.serve.Limits.MemoryMB},
		{"in-flight", o.serve.Limits.InFlight}, {"memory", o.serve.MemoryMB},
	} {
		if limit.value < 1 {
			return cli.Usagef("-%s: at least 1", limit.option)
		}
	}
	if o.log != "text" && o.log != "json" {
		return cli.Usagef("-log: must be text or json, not %q", o.log)
	}
	if o.serve.GRPC == "off" {
		o.serve.GRPC = ""
	}
	o.serve.Models = o.models
	if err := o.actuator.check(fs, &o.serve); err != nil {
		return err
	}
	if err := o.kafka.check(fs, &o.serve); err != nil {
		return err
	}
	if err := o.serve.Check(); err != nil {
		return cli.Usagef("%v", err)
	}
	return nil
}

func (o *serveOptions) run(ctx context.Context, stderr io.Writer) error {
	var handler slog.Handler = slog.NewTextHandler(stderr, nil)
	if o.log == "json" {
		handler = slog.NewJSONHandler(stderr, nil)
	}
	o.serve.Log = slog.New(handler)
	o.serve.Version = cli.Version()
	s, err := serve.New(ctx, o.serve)
	if err != nil {
		return err
	}
	mode := "dry run: it decides and does nothing (-act has it act)"
	if o.serve.Act {
		mode = "acting by " + o.actuator.kind
	}
	o.serve.Log.Info("serving", "page", s.URL(), "policy", o.serve.Policy, "mode", mode)
	if o.serve.State == "" && o.serve.Share == nil {
		o.serve.Log.Info("nothing survives a restart without -state")
	}
	defer o.checkActuator(ctx)()
	return s.Run(ctx)
}

// checkTime bounds how long is waited for the platform's answer to a check.
const checkTime = 30 * time.Second

// checkActuator warns in the background where the platform that is to be acted on cannot be reached or refuses the key: nobody would hear of it before
// something is warmed. The controller serves all the same, since that may pass. What it returns breaks the check off, and waits for its end.
func (o *serveOptions) checkActuator(ctx context.Context) (end func()) {
	c, ok := o.serve.Actuator.(interface{ Check(context.Context) error })
	if !ok || !o.serve.Act {
		return func() {}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := c.Check(ctx); err != nil && !errors.Is(ctx.Err(), context.Canceled) {
			o.serve.Log.Warn("nothing can be warmed as things are", "actuator", o.actuator.kind, "error", err)
		}
	}()
	return func() { cancel(); <-ended }
}

const pauseUsage = `Usage: prewarm pause [-url ADDRESS] [-token-file FILE]

Has a running controller do nothing until prewarm resume, also after a restart of it: it follows what happens, learns, and warms nothing.

Examples:
  prewarm pause
  prewarm pause -url https://prewarm.example.org:4320 -token-file token
`

const resumeUsage = `Usage: prewarm resume [-url ADDRESS] [-token-file FILE]

Ends what prewarm pause has begun.

Examples:
  prewarm resume
`

// runPause defines the subcommands pause and resume.
func runPause(command string) func(*flag.FlagSet) cli.Run {
	return func(fs *flag.FlagSet) cli.Run {
		url := fs.String("url", "http://127.0.0.1:4320", "`address` of the controller")
		tokenFile := fs.String("token-file", "", "`file` with its token")
		insecure := fs.Bool("insecure", false, "do not check the controller's certificate")
		timeout := fs.Duration("timeout", 10*time.Second, "`time` within which it has to answer")
		return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
			if len(args) > 0 {
				return cli.Usagef("%q is left over on the line", args[0])
			}
			if *timeout <= 0 {
				return cli.Usagef("-timeout: must be positive")
			}
			token := ""
			if *tokenFile != "" {
				var err error
				if token, err = serve.ReadToken(*tokenFile); err != nil {
					return fmt.Errorf("-token-file: %w", err)
				}
			}
			ctx, cancel := context.WithTimeout(ctx, *timeout)
			defer cancel()
			mode, err := serve.Command(ctx, *url, command, token, *insecure)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(stdout, mode)
			return err
		}
	}
}
