// Command prewarm runs policies for prewarming containers on live platforms, and says what they are worth. It is thin over package prewarm and those below it.
package main

import (
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/prewarm/lab/experiment"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

var program = cli.Program{
	Command: cli.Command{
		Name: "prewarm", Summary: "run and compare policies that decide which containers are warm, and when",
		Help: `prewarm warms containers of serverless functions ahead of their invocations, and compares policies that decide which, and when.

Usage: prewarm COMMAND ARGUMENTS [OPTIONS]

Examples:
  prewarm lab -app sequence -load poisson:1200 -policy keepalive:600 -policy chain:0
  prewarm lab -app tree_small -load poisson:30 -policy keepalive:60,300,600 -policy newsvendor:640,2560,10240 -picture front.png
  prewarm experiment sleep -picture sleep.png
  prewarm report traces.json.gz -o report.html
  prewarm serve -learn

Exit status: 0 done, 1 failed, 2 called wrongly.
`,
	},
	Commands: []cli.Command{
		{
			Name: "lab", Arguments: "-app APPLICATION -load LOAD -policy POLICY", Summary: "run policies side by side in virtual time",
			Help: labUsage(), Define: runLab,
		},
		{
			Name: "experiment", Arguments: "NAME", Summary: "run an experiment of the literature on autoscaling in virtual time",
			Help: experimentUsage, Define: runExperiment, Values: map[string][]string{"": experiment.Names()},
		},
		{
			Name: "report", Arguments: "DATASET", Summary: "analyse the cold starts in recorded traces, as a page of HTML",
			Help: reportUsage, Define: runReport, Values: map[string][]string{"unit": dataset.TimeUnits(), "spans": {"invocations", "server", "all"}},
		},
		{
			Name: "serve", Arguments: "[-model FILE] [-learn] [-act]", Summary: "run a policy on a live platform",
			Help: serveUsage(), Define: runServe, Values: map[string][]string{"log": {"text", "json"}, "actuator": actuators()},
		},
		{Name: "pause", Arguments: "[-url ADDRESS]", Summary: "have a running controller do nothing", Help: pauseUsage, Define: runPause("pause")},
		{Name: "resume", Arguments: "[-url ADDRESS]", Summary: "end a pause", Help: resumeUsage, Define: runPause("resume")},
	},
}

func main() { program.Main() }
