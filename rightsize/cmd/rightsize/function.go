package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/rightsize/qrcode"
)

var functionCommand = cli.Command{
	Name: "function", Summary: "serve a small function that draws QR codes, to try the other commands with",
	Help: `Usage: rightsize function [-listen ADDRESS]

Serves a function that draws a QR code, as a PNG, of the text that is posted to it, until Ctrl-C. It prints its address and the number of its process.

Examples:
  rightsize function
  rightsize function -listen 127.0.0.1:0          on any port that is free
  curl --data "hello" http://127.0.0.1:8081 >hello.png
`,
	Define: runFunction,
}

func runFunction(fs *flag.FlagSet) cli.Run {
	listen := fs.String("listen", "127.0.0.1:8081", "`address` to listen on")
	asJSON := fs.Bool("json", false, "print the address and the number of the process as a JSON object")
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		if len(args) > 0 {
			return cli.Usagef("%q is left over on the line", args[0])
		}
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *listen)
		if err != nil {
			return err
		}
		url := "http://" + listener.Addr().String()
		if *asJSON {
			err = json.NewEncoder(stdout).Encode(map[string]any{"url": url, "pid": os.Getpid()})
		} else {
			_, err = fmt.Fprintf(stdout, "%s draws QR codes, process %d\n", url, os.Getpid())
		}
		if err != nil {
			listener.Close()
			return err
		}
		server := &http.Server{Handler: qrcode.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute}
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(listener) }()
		select {
		case err = <-ended:
		case <-ctx.Done():
			// Calls that are under way are answered.
			patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			err = server.Shutdown(patience)
			<-ended
		}
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	}
}
