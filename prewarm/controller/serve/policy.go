package serve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/controller"
	"github.com/tppfaas/tppfaas/prewarm/learn"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
	"github.com/tppfaas/tppfaas/prewarm/policy"
	"github.com/tppfaas/tppfaas/tpp"
)

// policyName is the name of the policy that models are for.
const policyName = "newsvendor"

// setsReplicas reports whether a policy sets numbers of replicas, instead of starting containers.
func setsReplicas(spec string) bool {
	name, _, _ := strings.Cut(spec, ":")
	return slices.Contains([]string{"hpa", "kpa", "openfaas-ce", "openfaas-pro"}, name)
}

// modelFile is a model that was read.
type modelFile struct {
	path  string
	model tpp.Model
}

// readModels reads the files of models, and returns the names of the functions that they are for. An error names the file; where two have the same
// function, both.
func readModels(paths []string) (models []modelFile, functions []string, err error) {
	owner := map[string]string{}
	for _, path := range paths {
		m, err := tpp.ReadModelFile(path)
		if err != nil {
			return nil, nil, err
		}
		for _, name := range m.MarkNames() {
			if other, ok := owner[name]; ok {
				if other == path {
					return nil, nil, fmt.Errorf("the model %s is given twice", path)
				}
				return nil, nil, fmt.Errorf("the models %s and %s both predict %s: a function may be in one of them", other, path, name)
			}
			owner[name] = path
			functions = append(functions, name)
		}
		models = append(models, modelFile{path, m})
	}
	return models, functions, nil
}

// newPolicy sets in core what is about the policy.
func (o *Options) newPolicy(ctx context.Context, core *controller.Options, models []modelFile, learned string) (*learn.Policy, error) {
	name, rest, _ := strings.Cut(o.Policy, ":")
	if name == "learning" { // another name of the same
		name, o.Learn = policyName, true
	}
	if name != policyName || o.NewPolicy != nil {
		switch {
		case o.Act && setsReplicas(name) && !o.Scales:
			return nil, fmt.Errorf("the policy %s sets numbers of replicas, which %s has not", name, o.Actuator.Name())
		case len(models) > 0:
			return nil, fmt.Errorf("the policy %s uses no model: models are for %s", name, policyName)
		case o.Learn:
			return nil, fmt.Errorf("the policy %s does not learn: that is for %s", name, policyName)
		}
		core.ServesAll = true
		core.NewPolicy = func(functions []prewarm.Function) (prewarm.Policy, error) {
			if o.NewPolicy != nil {
				return o.NewPolicy(core.Platform, functions)
			}
			return policy.New(o.Policy, policy.Options{Platform: core.Platform, Functions: functions, Seed: 1})
		}
		_, err := core.NewPolicy(core.Functions)
		return nil, err
	}
	if len(models) == 0 && !o.Learn {
		return nil, errors.New("the policy newsvendor needs a model (-model FILE), or has to learn one (-learn)")
	}
	n, err := newsvendorArguments(rest)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", o.Policy, err)
	}
	options := learn.Options{
		Price: n.price, Model: n.kind, EveryWait: n.everyWait, StartCost: n.start, Patience: newsvendor.DefaultPatience, Platform: core.Platform,
		Functions: slices.Clone(core.Functions), Fixed: !o.Learn, Background: true, Seed: 1,
	}
	for _, m := range models {
		bound, err := learn.Bind(m.path, m.model, core.Functions)
		if err != nil {
			return nil, err
		}
		options.Models = append(options.Models, bound)
	}
	p, err := learn.New(ctx, options)
	if err != nil {
		return nil, err
	}
	if learned != "" {
		if err := p.Load(learned); err != nil {
			core.Log.Warn("what was learned cannot be read; it is learned anew", "error", err)
		}
	}
	core.NewPolicy = func([]prewarm.Function) (prewarm.Policy, error) { return p, nil }
	core.Models = func() []controller.Model { return modelsOf(p, core) }
	core.Learns = o.Learn
	return p, nil
}

// newsvendorOptions are what follows newsvendor in a spec.
type newsvendorOptions struct {
	price, start float64
	kind         string
	everyWait    bool
}

// newsvendorArguments reads what follows newsvendor in a spec.
func newsvendorArguments(rest string) (o newsvendorOptions, err error) {
	const form = "newsvendor[:λ[:MODEL]][:waits=every][:start=MB·s]"
	none := newsvendorOptions{}
	o.price = 2560
	number := func(name, text string) (v float64, err error) {
		if v, err = strconv.ParseFloat(text, 64); err != nil || !(v >= 0 && v < 1e9) {
			return 0, fmt.Errorf("%s is %q, must be a number from 0 to below 1e9 (its form is %s)", name, text, form)
		}
		return v, nil
	}
	plain := 0 // arguments without a name
	given := map[string]bool{}
	for _, argument := range strings.Split(rest, ":") {
		waits, isWaits := strings.CutPrefix(argument, "waits=")
		start, isStart := strings.CutPrefix(argument, "start=")
		if name, _, named := strings.Cut(argument, "="); named {
			if given[name] {
				return none, fmt.Errorf("%s is given twice (its form is %s)", name, form)
			}
			given[name] = true
		}
		switch {
		case isWaits && (waits == "every" || waits == "request"):
			o.everyWait = waits == "every"
		case isWaits:
			return none, fmt.Errorf("waits is %q, must be request or every (its form is %s)", waits, form)
		case isStart:
			if o.start, err = number("start", start); err != nil {
				return none, err
			}
		case plain == 0:
			plain++
			if argument == "" {
				continue
			}
			if o.price, err = number("λ", argument); err != nil {
				return none, err
			}
		case plain == 1:
			plain++
			o.kind = argument
		default:
			return none, fmt.Errorf("there is no argument for %q (its form is %s)", argument, form)
		}
	}
	return o, nil
}

// modelsOf returns the models that the policy uses.
func modelsOf(p *learn.Policy, core *controller.Options) []controller.Model {
	for _, warning := range p.Warnings() {
		core.Log.Warn("learning", "problem", warning)
	}
	var models []controller.Model
	for _, m := range p.Models() {
		model := controller.Model{Name: m.Name, Kind: m.Kind, Since: core.Epoch.Add(m.Since), Traces: m.Traces}
		if !m.Agrees {
			model.Disagrees = m.Reason
		}
		model.Indices = m.Functions
		models = append(models, model)
	}
	return models
}
