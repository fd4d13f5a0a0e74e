package experiment

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/policy"
)

// Experiment is a function, a load, and the policies to compare.
type Experiment struct {
	// Name is what New finds it by, Title what it is about.
	Name, Title string
	Function    Function
	Load        Load
	// Queue is the worker in front of the function, for a load of messages.
	Queue localwhisk.QueueConfig
	// Policies are specs in the form of policy.New.
	Policies []string
	// Lead is the time between the beginning of a policy and that of the load.
	Lead time.Duration
	// Tail is the time after the load until the end.
	Tail time.Duration
}

// Function is how a function works and runs.
type Function struct {
	// Sleep is how long a request waits for something else, and CPU how much processor time it then needs.
	Sleep, CPU time.Duration
	// Cores is the number of processor cores of a replica, 0 for no limit.
	Cores float64
	// MaxInFlight is the number of requests that a replica takes at once, 0 for no limit.
	MaxInFlight int
	// Start is the time until a replica is initialised, and Probe the time between two looks at whether it is ready; 0 for at once.
	Start, Probe time.Duration
}

// LoadKind is what sends requests.
type LoadKind string

// The kinds.
const (
	// Users send a request, wait for its answer, and send the next one: a closed loop.
	Users LoadKind = "users"
	// Rate is requests a second that arrive at random (Poisson), whatever becomes of them: an open loop.
	Rate LoadKind = "requests/s"
	// Messages are put into the asynchronous queue all at once.
	Messages LoadKind = "messages"
)

// Load is a load that goes up in a straight line, stays, and goes down.
type Load struct {
	Kind LoadKind
	// Most is the number of users, requests a second or messages at the top.
	Most float64
	// Ramp, Hold and Down are the times of going up, staying and going down.
	Ramp, Hold, Down time.Duration
	// Think is the mean time, exponentially distributed, of a user between an answer and the next request; Retry the time until one that was
	// refused tries again.
	Think, Retry time.Duration
}

// length is how long the load lasts.
func (l *Load) length() time.Duration {
	if l.Kind == Messages {
		return 0
	}
	return l.Ramp + l.Hold + l.Down
}

// at returns the level at a time.
func (l *Load) at(t time.Duration) float64 {
	switch {
	case t < 0 || t > l.length():
		return 0
	case t < l.Ramp:
		return l.Most * float64(t) / float64(l.Ramp)
	case t <= l.Ramp+l.Hold:
		return l.Most
	}
	return l.Most * float64(l.length()-t) / float64(l.Down)
}

const pro, ce = "openfaas-pro", "openfaas-ce"

// experiments are those of New, with their letters. Numbers that the literature does not give are ours.
var experiments = []struct {
	letter string
	make   func() *Experiment
}{
	{"a", func() *Experiment {
		return &Experiment{
			Name: "sleep", Title: "A function that sleeps for 20 s, scaled by requests in flight",
			Function: Function{Sleep: 20 * time.Second},
			Load:     Load{Kind: Users, Most: 70, Ramp: 4 * time.Minute, Hold: 2 * time.Minute, Down: time.Minute},
			Policies: []string{pro + ":capacity:5:0.9:max=10", ce}, Tail: 2 * time.Minute,
		}
	}},
	{"b", func() *Experiment {
		return &Experiment{
			Name: "page-to-pdf", Title: "Pages to PDF in 3 s, one at a time in a replica, else 429",
			Function: Function{Sleep: 3 * time.Second, MaxInFlight: 1},
			Load:     Load{Kind: Users, Most: 5, Ramp: 4 * time.Minute, Hold: 2 * time.Minute, Down: time.Minute, Think: time.Second, Retry: time.Second},
			Policies: []string{pro + ":capacity:1:0.7:max=5", ce}, Tail: 2 * time.Minute,
		}
	}},
	{"c", func() *Experiment {
		return &Experiment{
			Name: "bcrypt", Title: "Hashes of 80 ms of processor time, scaled by processor time",
			Function: Function{CPU: 80 * time.Millisecond, Cores: 1},
			Load:     Load{Kind: Rate, Most: 120, Ramp: 4 * time.Minute, Hold: 2 * time.Minute, Down: time.Minute},
			Policies: []string{pro + ":cpu:500:max=10", ce}, Tail: 2 * time.Minute,
		}
	}},
	{"d", func() *Experiment {
		return &Experiment{
			Name: "hpa", Title: "200 ms of processor time, scaled by the horizontal pod autoscaler at 20 % and at 40 %",
			Function: Function{CPU: 200 * time.Millisecond, Cores: 1},
			Load:     Load{Kind: Users, Most: 10, Hold: 5 * time.Minute},
			Policies: []string{"hpa:20:request=100:min=2:max=6:path=legacy", "hpa:40:request=100:min=2:max=6:path=legacy", "hpa:20:request=100:min=2:max=6", "hpa:40:request=100:min=2:max=6"},
			Tail:     7 * time.Minute,
		}
	}},
	{"e", func() *Experiment {
		return &Experiment{
			Name: "queue", Title: "2000 messages of 1 s of processor time at once, scaled by the length of their queue",
			Function: Function{CPU: time.Second, Cores: 1},
			Load:     Load{Kind: Messages, Most: 2000},
			Policies: []string{pro + ":queue:10:min=0:max=20:zero=5m", pro + ":capacity:10:min=0:max=20:zero=5m", ce}, Tail: 12 * time.Minute,
		}
	}},
}

// defaultLead lets the load begin in the middle of the intervals of 15 s at which most policies decide.
const defaultLead = 67 * time.Second

// Names returns the names of the experiments.
func Names() []string {
	var names []string
	for _, e := range experiments {
		names = append(names, e.make().Name)
	}
	return names
}

// New returns an experiment by its name, or by its letter: a to e in the order of Names.
func New(name string) (*Experiment, error) {
	for _, e := range experiments {
		if one := e.make(); one.Name == name || e.letter == name {
			one.Lead = defaultLead
			one.Function.Start = 2300 * time.Millisecond
			return one, nil
		}
	}
	return nil, fmt.Errorf("there is no experiment %q; there are %s", name, strings.Join(Names(), ", "))
}

// memoryMB is the memory of a replica; no policy here looks at it.
const memoryMB = 256

// functions returns the function as policies see it.
func (e *Experiment) functions() []prewarm.Function {
	return []prewarm.Function{{Name: e.Name, MemoryMB: memoryMB, Concurrency: e.Function.MaxInFlight}}
}

// platform is what policies are told of the platform: it has replicas.
var platform = prewarm.Platform{Warm: true, GiveBack: true, Hold: true, Arrivals: true, Late: prewarm.TakesStarting, IdleTimeout: prewarm.Never}

// Validate returns an error that names what is out of range, nil if nothing is.
func (e *Experiment) Validate() error {
	var errs []error
	for _, t := range []struct {
		name  string
		value time.Duration
	}{
		{"sleep", e.Function.Sleep}, {"cpu", e.Function.CPU}, {"start", e.Function.Start}, {"probe", e.Function.Probe}, {"ramp", e.Load.Ramp},
		{"hold", e.Load.Hold}, {"down", e.Load.Down}, {"think", e.Load.Think}, {"retry", e.Load.Retry}, {"lead", e.Lead}, {"tail", e.Tail},
	} {
		if t.value < 0 || t.value > longest {
			errs = append(errs, fmt.Errorf("%s is %v, must be from 0 to %v", t.name, t.value, longest))
		}
	}
	if !(e.Load.Most > 0 && e.Load.Most <= mostLoad) {
		errs = append(errs, fmt.Errorf("the load is %v %s, must be more than 0 and at most %v", e.Load.Most, e.Load.Kind, mostLoad))
	}
	if e.Load.Kind == Users && e.Load.Retry == 0 && e.Function.MaxInFlight > 0 {
		errs = append(errs, errors.New("users who are refused need a time until they try again"))
	}
	if e.Load.Kind == Users && e.Load.Think == 0 && e.Function.Sleep == 0 && e.Function.CPU == 0 {
		errs = append(errs, errors.New("users without a time to think need requests that take some time"))
	}
	if len(e.Policies) == 0 {
		errs = append(errs, errors.New("there is no policy"))
	}
	for _, spec := range e.Policies {
		if _, err := policy.New(spec, policy.Options{Platform: platform, Functions: e.functions()}); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// What bounds an experiment, so that it ends.
const (
	longest  = 24 * time.Hour
	mostLoad = 1e6
)
