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
		{
			Name: "write", Arguments: "FILE -function NAME -memory 64Mi -cpu 100m", Summary: "set limits and requests in stack.yml or a manifest of Kubernetes",
			Help: writeUsage, Define: runWrite,
		},
		recommendCommand,
		backtestCommand,
	},
}

func main() { program.Main() }
