package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/sampler"
	"github.com/tppfaas/tppfaas/tpp"
)

// The loads, as those of the published traces.
const (
	traces      = 1000
	burstTraces = 500
	coldShare   = 0.3
	seed        = sampler.DefaultSeed
	burstPause  = 120 * time.Second
)

// recipe is how the datasets of one application with fixed or random durations are made.
type recipe struct {
	application string
	random      bool
}

// recipes returns all of them: those for every composition but the template.
func recipes() []recipe {
	var all []recipe
	for _, name := range apps.Embedded() {
		if name != "template" {
			all = append(all, recipe{name, false}, recipe{name, true})
		}
	}
	return all
}

// name returns the name of the dataset under the load.
func (r recipe) name(load string) string {
	kind := "det"
	if r.random {
		kind = "rand"
	}
	return load + "_" + r.application + "_" + kind
}

func (r recipe) low() sampler.Config {
	c := sampler.Config{Requests: traces, RandomDurations: r.random, Seed: seed}
	c.MinInterval, c.MaxInterval = 400*time.Millisecond, 700*time.Millisecond
	if r.large() {
		c.MinInterval, c.MaxInterval = 1000*time.Millisecond, 1500*time.Millisecond
	}
	return c
}

// bursts returns the load of the paper's authors, in bursts: of 50 requests, but 20 to large applications and to all that fan out.
func (r recipe) bursts() sampler.Config {
	c := sampler.Config{
		Requests: burstTraces, RandomDurations: r.random, Seed: seed + 1,
		MinInterval: 100 * time.Millisecond, MaxInterval: 120 * time.Millisecond, BatchSize: 50, BatchPause: burstPause,
	}
	if r.large() || strings.HasPrefix(r.application, "fanout") {
		c.BatchSize = 20
	}
	return c
}

func (r recipe) large() bool { return strings.HasSuffix(r.application, "_large") }

// command returns the call of the sampler that makes a dataset by the config.
func (r recipe) command(c sampler.Config, output string) string {
	seconds := func(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
	line := fmt.Sprintf("sampler -d %s -n %d -l %s -u %s", r.application, c.Requests, seconds(c.MinInterval), seconds(c.MaxInterval))
	if c.BatchSize > 0 {
		line += fmt.Sprintf(" -b %d -w %s", c.BatchSize, seconds(c.BatchPause))
	}
	if c.RandomDurations {
		line += " -r"
	}
	return line + fmt.Sprintf(" -seed %d -o %s", c.Seed, output)
}

// made is a dataset and its card.
type made struct {
	name, card string
	data       *tpp.Dataset
}

// make samples both datasets of the recipe.
func (r recipe) make(ctx context.Context) (low, high made, err error) {
	app, err := apps.Load(r.application)
	if err != nil {
		return low, high, err
	}
	sample := func(c sampler.Config) (*sampler.Result, error) {
		target, err := sampler.NewLocal(c.Seed)
		if err != nil {
			return nil, err
		}
		return sampler.Sample(ctx, target, app, c, nil)
	}
	quiet, err := sample(r.low())
	if err != nil {
		return low, high, fmt.Errorf("%s: %w", r.name("low"), err)
	}
	// A small application needs larger bursts than the published ones until there are cold starts enough.
	burst := r.bursts()
	var mixed *tpp.Dataset
	var mixture sampler.Mixture
	for doublings := 0; ; doublings++ {
		bursts, err := sample(burst)
		if err != nil {
			return low, high, fmt.Errorf("the bursts for %s: %w", r.name("high"), err)
		}
		if mixed, mixture, err = sampler.Mix(quiet.Dataset, bursts.Dataset, coldShare, seed); err == nil {
			break
		}
		if doublings == 4 {
			return low, high, fmt.Errorf("%s: bursts of %d: %w", r.name("high"), burst.BatchSize, err)
		}
		burst.BatchSize *= 2
	}
	file := func(load string) string { return r.name(load) + ".json.gz" }
	low = made{name: file("low"), data: quiet.Dataset}
	low.card = r.card("low", fmt.Sprintf("A low load: requests %v to %v s apart.", r.low().MinInterval.Seconds(), r.low().MaxInterval.Seconds()),
		facts(quiet.Dataset), r.command(r.low(), file("low")))
	high = made{name: file("high"), data: mixed}
	high.card = r.card("high",
		fmt.Sprintf("The traces of %s, of which %d are replaced by traces of bursts, so that %.1f %% of the invocations are cold starts. The bursts: %d requests 0.1 to 0.12 s apart, then %v s of pause.",
			r.name("low"), mixture.Replaced, 100*mixture.ColdShare(), burst.BatchSize, burst.BatchPause.Seconds()),
		facts(mixed), r.command(r.low(), "low.json.gz"), r.command(burst, "bursts.json.gz"),
		fmt.Sprintf("sampler mix low.json.gz bursts.json.gz -cold %v -seed %d -o %s", coldShare, seed, file("high")))
	return low, high, nil
}

// card says in Markdown what a dataset is and how it was made.
func (r recipe) card(load, how, facts string, commands ...string) string {
	durations := "Every function sleeps for its fixed duration."
	if r.random {
		durations = "Every function's sleep is drawn from its gamma distribution."
	}
	return fmt.Sprintf(`# %s

Traces of the composition [%s](../apps/%s), sampled in virtual time on the built-in platform with the overheads of the cluster
([Sampling](../docs/sampling.md#the-built-in-platform) shows how near that is to recordings). %s

%s

%s

Made by:

    %s
`, r.name(load), r.application, r.application, durations, how, facts, strings.Join(commands, "\n    "))
}

// facts returns the figures of a dataset.
func facts(d *tpp.Dataset) string {
	events, cold := 0, 0
	for i := range d.Sequences {
		s := &d.Sequences[i]
		events += s.Len()
		for k := range s.Len() {
			if s.ColdStart(k) {
				cold++
			}
		}
	}
	return fmt.Sprintf("%d traces, %d invocations of %d functions, %d cold starts (%.2f %%). Times in milliseconds; waits, inits and parents are there.",
		len(d.Sequences), events, len(d.MarkNames), cold, 100*float64(cold)/float64(events))
}
