package serve

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/prewarm/actuator/guard"
	"github.com/tppfaas/tppfaas/prewarm/controller"
	"github.com/tppfaas/tppfaas/prewarm/learn"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
	"github.com/tppfaas/tppfaas/prewarm/share"
	"github.com/tppfaas/tppfaas/prewarm/source/kafka"
)

// Share says how a server shares its work with others: those of the same group, which have the same models and options.
type Share struct {
	// Kafka says where the spans are, and which group reads them.
	Kafka kafka.Options
	// Demands and Supplies are the topics by which the servers tell each other what they expect, and what containers there are.
	Demands, Supplies string
	// Rebuild is how old what was written may be from which it is rebuilt what is known of the functions that come to a server: longer than an idle container
	// lives.
	Rebuild time.Duration
	// Learned is the folder of the state of a server that learns, beside the models or instead of them: all applications that it has learned are predicted as it had
	// learned them when this server began.
	Learned string
}

// checkShare returns what does not go with sharing.
func (o *Options) checkShare() error {
	name, _, _ := strings.Cut(o.Policy, ":")
	switch {
	case name != policyName || o.NewPolicy != nil:
		return fmt.Errorf("the work of the policy %s cannot be shared: that is for %s", name, policyName)
	case o.Learn:
		return errors.New("a server that shares its work learns no models, since it sees a part of the traces: give it one (-model FILE), or the state of another that learns (-learned FOLDER)")
	case len(o.Models) == 0 && o.Share.Learned == "":
		return errors.New("a server that shares its work needs a model (-model FILE), or what another has learned (-learned FOLDER)")
	case o.State != "":
		return errors.New("a server that shares its work has its state in Kafka, and none of its own")
	case len(o.Sources) > 0 || o.Loads:
		return errors.New("a server that shares its work observes by Kafka alone")
	case o.Share.Demands == "" || o.Share.Supplies == "" || o.Share.Demands == o.Share.Supplies:
		return errors.New("the topics of demands and of supplies must have names, which differ")
	case slices.Contains([]string{o.Share.Demands, o.Share.Supplies}, cmp.Or(o.Share.Kafka.Topic, "otlp_spans")):
		return errors.New("the topic of the spans is not one of demands or of supplies too")
	case o.Share.Rebuild < time.Minute:
		return fmt.Errorf("what was written in the last %v is too little to rebuild what is known from: at least a minute", o.Share.Rebuild)
	}
	return nil
}

// newInstance makes the part of the server that shares its work.
func (s *Server) newInstance(ctx context.Context, core controller.Options, models []modelFile, learned *learn.Learned) (*share.Instance, error) {
	o := &s.o
	_, rest, _ := strings.Cut(o.Policy, ":")
	n, err := newsvendorArguments(rest)
	if err == nil && n.kind != "" {
		err = fmt.Errorf("the model %s would have to be trained", n.kind)
	}
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", o.Policy, err)
	}
	applications, shown, err := o.applications(ctx, &core, models, learned)
	if err != nil {
		return nil, err
	}
	core.Platform.MemoryMB = 0 // nobody sees all containers
	core.Models = func() []controller.Model { return shown }
	host, err := os.Hostname()
	if err != nil {
		host = "prewarm"
	}
	return share.NewInstance(share.InstanceOptions{
		Options: share.Options{
			Epoch: core.Epoch, Price: n.price, EveryWait: n.everyWait, StartCost: n.start, Patience: newsvendor.DefaultPatience, Platform: core.Platform,
			Functions: core.Functions, Describe: s.describe, Applications: applications, Learns: true, DefaultMemoryMB: o.MemoryMB, Limits: o.sharedLimits(),
		},
		Kafka: o.Share.Kafka, Demands: o.Share.Demands, Supplies: o.Share.Supplies, Deciders: o.Share.Kafka.Group + "-deciders", Rebuild: o.Share.Rebuild,
		Name: host + "-" + rand.Text()[:8],
	}, core)
}

// applications returns those whose requests are predicted: of the models, and of what another server has learned if there is that; and what is shown of their models.
func (o *Options) applications(ctx context.Context, core *controller.Options, models []modelFile, learned *learn.Learned) (all []*newsvendor.Application, shown []controller.Model, err error) {
	for _, m := range models {
		bound, err := learn.Bind(m.path, m.model, core.Functions)
		if err != nil {
			return nil, nil, err
		}
		a, err := bound.Application(ctx, len(core.Functions), 1)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, a)
		shown = append(shown, controller.Model{Name: m.path, Kind: a.Kind(), Functions: m.model.MarkNames(), Since: time.Now(), Traces: a.Traces()})
	}
	if learned == nil {
		return all, shown, nil
	}
	more, err := learned.Applications(ctx, core.Platform, core.Functions, 1)
	if err != nil {
		return nil, nil, err
	}
	for _, a := range more {
		var names []string
		for _, f := range a.Functions() {
			name := core.Functions[f].Name
			if i := slices.IndexFunc(shown, func(m controller.Model) bool { return slices.Contains(m.Functions, name) }); i >= 0 {
				return nil, nil, fmt.Errorf("function %s is of the model %s, and of what was learned in %s", name, shown[i].Name, o.Share.Learned)
			}
			names = append(names, name)
		}
		all = append(all, a)
		shown = append(shown, controller.Model{Name: o.Share.Learned, Kind: a.Kind(), Functions: names, Since: time.Now(), Traces: a.Traces()})
	}
	return all, shown, nil
}

// sharedLimits takes the limits over from the guard, which knows of what its own server has asked for: where several share the work they are for all of them. What
// comes to the guard is within them.
func (o *Options) sharedLimits() share.Limits {
	l := share.Limits{
		Containers: most(o.Limits.Containers, guard.DefaultContainers), PerFunction: most(o.Limits.PerFunction, guard.DefaultPerFunction),
		MemoryMB: most(o.Limits.MemoryMB, guard.DefaultMemoryMB), InFlight: most(o.Limits.InFlight, guard.DefaultInFlight),
	}
	o.Limits.Containers, o.Limits.PerFunction, o.Limits.MemoryMB = -1, -1, -1
	return l
}

// most returns a limit of the guard as one of share.Limits.
func most(v, otherwise int) int {
	if v == 0 {
		v = otherwise
	}
	return max(v, 0)
}
