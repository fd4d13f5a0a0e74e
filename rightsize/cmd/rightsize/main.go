// Command rightsize says what serverless functions use, will use, and may use at most. It is thin over package rightsize and those below it.
package main

import "github.com/tppfaas/tppfaas/internal/cli"

var program = cli.Program{
	Command: cli.Command{
		Name: "rightsize", Summary: "forecast what functions use, and write what they may use",
		Help: `rightsize forecasts how much CPU and memory serverless functions use, and writes limits where they belong.

Usage: rightsize COMMAND ARGUMENTS [OPTIONS]

Exit status: 0 done, 1 failed, 2 called wrongly.
`,
	},
	Commands: []cli.Command{
		reportCommand,
		writeCommand,
	},
}

func main() { program.Main() }
