package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/manifest"
)

var writeCommand = cli.Command{
	Name: "write", Arguments: "FILE -function NAME -memory 64Mi -cpu 100m", Summary: "set limits and requests in stack.yml or a manifest of Kubernetes",
	Help: `Usage: rightsize write FILE -function NAME [-memory 64Mi] [-cpu 100m] [-request-memory 32Mi] [-request-cpu 50m] [-write] [options]

Sets limits and requests of a function in OpenFaaS's stack.yml or in a manifest of Kubernetes (Deployment, StatefulSet, DaemonSet, Job, CronJob,
Pod, Knative Service, OpenFaaS Function, List). Prints the change as a diff; -write makes it, and keeps the old file as FILE.bak, or FILE.bak.1 and
so on. Everything else in the file stays as it is to the byte. A file that is not understood is left alone: a template, a key that is there twice, a
value that would change for other functions too.

Examples:
  rightsize write stack.yml -function qrcode -memory 64Mi -cpu 100m             show what would change
  rightsize write stack.yml -function qrcode -memory 64Mi -cpu 100m -write
  rightsize write deploy.yaml -function web -container app -memory 1Gi -request-memory 512Mi
  rightsize write stack.yml -function qrcode -memory 64Mi -json                 the change as one JSON object
`,
	Define: runWrite,
}

// writeResult is what -json prints.
type writeResult struct {
	File     string            `json:"file"`
	Function string            `json:"function"`
	Kind     string            `json:"kind"`
	Changes  []manifest.Change `json:"changes"`
	Written  bool              `json:"written"`
	Backup   string            `json:"backup,omitempty"`
}

// runWrite is the subcommand write: it sets limits and requests in a file.
func runWrite(fs *flag.FlagSet) cli.Run {
	var t manifest.Target
	var r manifest.Resources
	targetFlags(fs, &t)
	fs.StringVar(&r.MemoryLimit, "memory", "", "limit of memory, as a `quantity`: 64Mi")
	fs.StringVar(&r.CPULimit, "cpu", "", "limit of CPU, as a `quantity`: 100m")
	fs.StringVar(&r.MemoryRequest, "request-memory", "", "request of memory, as a `quantity`: 32Mi")
	fs.StringVar(&r.CPURequest, "request-cpu", "", "request of CPU, as a `quantity`: 50m")
	write := fs.Bool("write", false, "write the file instead of printing the diff alone")
	asJSON := fs.Bool("json", false, "print the change as one JSON object")
	return func(_ context.Context, args []string, stdout, stderr io.Writer) error {
		switch {
		case len(args) == 0:
			return cli.Usagef("the FILE is missing")
		case len(args) > 1:
			return cli.Usagef("%q is left over on the line", args[1])
		case t.Function == "":
			return cli.Usagef("-function is missing")
		case r == (manifest.Resources{}):
			return cli.Usagef("nothing is to be set: give -memory, -cpu, -request-memory or -request-cpu")
		}
		for _, o := range []struct{ name, value string }{
			{"memory", r.MemoryLimit}, {"cpu", r.CPULimit}, {"request-memory", r.MemoryRequest}, {"request-cpu", r.CPURequest},
		} {
			if o.value != "" {
				if _, err := rightsize.ParseQuantity(o.value); err != nil {
					return cli.Usagef("-%s: %v", o.name, err)
				}
			}
		}
		file := args[0]
		text, err := manifest.ReadFile(file)
		if err != nil {
			return err
		}
		edit, err := manifest.Set(text, t, r)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		result := writeResult{File: file, Function: t.Function, Kind: edit.Kind, Changes: edit.Changes}
		if *write && len(edit.Changes) > 0 {
			if result.Backup, err = manifest.WriteFile(file, text, edit.Text); err != nil {
				return err
			}
			result.Written = true
		}
		if *asJSON {
			if result.Changes == nil {
				result.Changes = []manifest.Change{}
			}
			return json.NewEncoder(stdout).Encode(result)
		}
		if _, err := io.WriteString(stdout, manifest.Diff(file, text, edit.Text)); err != nil {
			return err
		}
		switch {
		case len(edit.Changes) == 0:
			fmt.Fprintf(stderr, "%s has these values already\n", t.Function)
		case result.Written:
			fmt.Fprintf(stderr, "%s is written; %s is how it was\n", file, result.Backup)
		default:
			fmt.Fprintf(stderr, "nothing is written: -write does\n")
		}
		return nil
	}
}

// targetFlags declares the options that say which function of a file is meant.
func targetFlags(fs *flag.FlagSet, t *manifest.Target) {
	fs.StringVar(&t.Function, "function", "", "`name` of the function in the file")
	fs.StringVar(&t.Namespace, "namespace", "", "`namespace` of the function, where the file has several")
	fs.StringVar(&t.Container, "container", "", "`name` of the container, where there are several")
}
