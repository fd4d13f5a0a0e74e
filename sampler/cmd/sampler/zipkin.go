package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/localzipkin"
)

const zipkinUsage = `Usage: sampler zipkin [options]

Runs a Zipkin server in the foreground: its v2 API over memory, for samplings on this machine. When memory is full the traces that
have been silent for longest go first. Its page /zipkin/ lists traces and draws them. It ends with Ctrl-C. Without -listen it listens at
TPPFAAS_ZIPKIN, where that is an http address of this machine, else at 127.0.0.1:9411.

Examples:
  sampler zipkin                           on 127.0.0.1:9411
  sampler zipkin -listen 127.0.0.1:0       on a free port
`

// zipkin is the subcommand zipkin: it serves until the context is done.
func zipkin(fs *flag.FlagSet) cli.Run {
	var options localzipkin.Options
	fs.StringVar(&options.Listen, "listen", whereClientsLook("TPPFAAS_ZIPKIN", "127.0.0.1:9411"), "the `address` to listen on, HOST:PORT")
	fs.IntVar(&options.MaxSpans, "spans", 500_000, "most `spans` that are kept")
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		if err := noArguments(args); err != nil {
			return err
		}
		if options.MaxSpans < 1 {
			return cli.Usagef("-spans: must be positive, and is %d", options.MaxSpans)
		}
		server, err := localzipkin.Start(ctx, options)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(stdout, "Zipkin on %s, with a page at /zipkin/; Ctrl-C ends it\n", server.URL()); err != nil {
			server.Close()
			return err
		}
		<-ctx.Done()
		return server.Close()
	}
}
