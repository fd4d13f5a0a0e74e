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
  rightsize forecast usage.csv -picture forecast.png
  rightsize recommend usage.csv
  rightsize backtest usage.csv
  rightsize report usage.csv -o report.html
  rightsize write stack.yml -function qrcode -memory 64Mi -cpu 100m
  rightsize run -function qrcode -prometheus http://127.0.0.1:9090 -gateway http://127.0.0.1:8080 -gateway-password-file password

Exit status: 0 done, 1 failed, 2 called wrongly.
`,
	},
	Commands: []cli.Command{
		acquireCommand,
		forecastCommand,
		recommendCommand,
		writeCommand,
		runCommand,
		reportCommand,
		backtestCommand,
		driveCommand,
		functionCommand,
	},
}

func main() { program.Main() }
