// Collector receives the spans of functions, enriches them with OpenWhisk's activation records, and exports them to Zipkin.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.opentelemetry.io/collector/otelcol"

	"github.com/tppfaas/tppfaas/collector/distribution"
	"github.com/tppfaas/tppfaas/internal/cli"
)

const long = `Receives the spans of functions over OTLP, enriches them with OpenWhisk's activation records, and exports them to Zipkin.

Without --config it serves a platform on this machine: it listens on 127.0.0.1:4317 (gRPC) and :4318 (HTTP), looks records up at
OW_APIHOST (http://127.0.0.1:3233) with the key OW_AUTH (that of sampler platform on this machine), and exports to the Zipkin server
at TPPFAAS_ZIPKIN (http://127.0.0.1:9411). Spans that wait are stored in the folder TPPFAAS_STATE (.collector).

Examples:
  collector
  OW_APIHOST=https://openwhisk.example.com OW_AUTH=user:password collector
  collector --config my.yaml
  collector --config builtin:local --config yaml:exporters::zipkin::timeout:\ 30s
  collector validate --config my.yaml`

func main() {
	command := otelcol.NewCommand(distribution.Settings())
	command.Use = "collector"
	command.Long = long
	command.SilenceErrors = true
	command.SilenceUsage = true
	command.Short = "take the spans of functions, add what OpenWhisk knows of them, and ship them to Zipkin"
	command.SetVersionTemplate(cli.VersionLine("collector") + "\n")
	addReference(command)
	if err := command.Execute(); err != nil {
		fmt.Fprintf(os.Stderr, "collector: %s\n", strings.Join(strings.Fields(err.Error()), " "))
		os.Exit(1)
	}
}

// addReference adds the hidden command completion markdown, which prints the collector's part of docs/reference.md as the other programs do.
func addReference(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	completion, _, err := root.Find([]string{"completion"})
	if err != nil {
		panic(err) // it has just been added
	}
	completion.AddCommand(&cobra.Command{
		Use: "markdown", Hidden: true, Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return cli.WriteReference(command.OutOrStdout(), describe(root)...)
		},
	})
}

// describe returns what the reference says of a command and of those below it.
func describe(c *cobra.Command) []cli.Reference {
	help := c.Long
	if help == "" {
		help = "Usage: " + c.UseLine()
	}
	reference := cli.Reference{Name: c.CommandPath(), Summary: strings.ToLower(c.Short[:1]) + strings.TrimSuffix(c.Short[1:], "."), Help: help + "\n"}
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		value, usage := pflag.UnquoteUsage(f)
		option := cli.Option{Name: "--" + f.Name, Value: value, Default: f.DefValue, Usage: usage}
		switch f.Name {
		case "help":
			return
		case "config":
			option.Value = "location" // the library quotes a whole example
		case "feature-gates":
			option.Default = "" // a list of all gates, which the command featuregate explains
		}
		reference.Options = append(reference.Options, option)
	})
	all := []cli.Reference{reference}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "completion" && sub.Name() != "help" {
			all = append(all, describe(sub)...)
		}
	}
	return all
}
