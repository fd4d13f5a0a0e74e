// Command rightsize says what serverless functions use, will use, and may use at most. It is thin over package rightsize and those below it.
package main

import "github.com/tppfaas/tppfaas/internal/cli"

var program = cli.Program{
	Command: cli.Command{
		Name: "rightsize", Summary: "forecast what functions use, and write what they may use",
		Help: `rightsize forecasts how much CPU and memory serverless functions use, and writes limits where they belong.

Usage: rightsize COMMAND ARGUMENTS [OPTIONS]

Examples:
  rightsize drive -url http://127.0.0.1:8081 -calls 60:600 -for 5m
  rightsize acquire -prometheus http://127.0.0.1:9090 -function qrcode -from 7d -o usage.csv

Exit status: 0 done, 1 failed, 2 called wrongly.
`,
	},
	Commands: []cli.Command{
		{
			Name: "forecast", Arguments: "USAGE.csv", Summary: "forecast quantiles of what a function will use",
			Help: forecastUsage, Define: runForecast,
		},
		functionCommand,
		driveCommand,
		acquireCommand,
		reportCommand,
		writeCommand,
	},
}

func main() { program.Main() }
