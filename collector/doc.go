// Package collector holds the configuration of the collector for a platform on this machine. The components are in the
// folders beside it, and cmd/collector is a collector that has them:
//
//	go run ./collector/cmd/collector
package collector

import _ "embed"

// Config is config.yaml.
//
//go:embed config.yaml
var Config string
