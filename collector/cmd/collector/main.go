// Collector takes the spans of functions, adds what OpenWhisk knows of them, and ships them to Zipkin.
package main

import (
	"fmt"
	"os"
	"strings"

	"go.opentelemetry.io/collector/otelcol"

	"github.com/tppfaas/tppfaas/collector/distribution"
)

const long = `Takes the spans of functions over OTLP, adds what OpenWhisk knows of their activations, and ships them to Zipkin.

Without --config it serves a platform on this machine: it listens on 127.0.0.1:4317 (gRPC) and :4318 (HTTP), asks OpenWhisk at
OW_APIHOST (http://127.0.0.1:3233) with the key OW_AUTH (that of a standalone OpenWhisk), and ships to the Zipkin server at
TPPFAAS_ZIPKIN (http://127.0.0.1:9411). What waits is kept in the folder TPPFAAS_STATE (.collector).

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
	if err := command.Execute(); err != nil {
		fmt.Fprintf(os.Stderr, "collector: %s\n", strings.Join(strings.Fields(err.Error()), " "))
		os.Exit(1)
	}
}
