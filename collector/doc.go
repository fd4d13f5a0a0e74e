// Package collector contains the built-in configurations of the collector, for a platform on this machine. The components are in the
// folders beside it; cmd/collector is a collector with these components:
//
//	go run ./collector/cmd/collector
package collector

import _ "embed"

// Config is the text of config.yaml.
//
//go:embed config.yaml
var Config string

// Prewarm is the text of prewarm.yaml, which is for beside Config.
//
//go:embed prewarm.yaml
var Prewarm string

// Kafka is the text of kafka.yaml, which is for beside Config.
//
//go:embed kafka.yaml
var Kafka string
