// Collector receives the spans of functions, enriches them with OpenWhisk's activation records, and exports them to Zipkin.
package main

import (
	"fmt"
	"os"
	"strings"

	"go.opentelemetry.io/collector/otelcol"

	"github.com/tppfaas/tppfaas/collector/distribution"
)

const long = `Receives the spans of functions over OTLP, enriches them with OpenWhisk's activation records, and exports them to Zipkin.

Without --config it serves a platform on this machine: it listens on 127.0.0.1:4317 (gRPC) and :4318 (HTTP), looks records up at
OW_APIHOST (http://127.0.0.1:3233) with the key OW_AUTH (that of a standalone OpenWhisk), and exports to the Zipkin server at
TPPFAAS_ZIPKIN (http://127.0.0.1:9411). Spans that wait are stored in the folder TPPFAAS_STATE (.collector).

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
