package action

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/apps"
)

// Request is an invocation as OpenWhisk passes it to a container.
type Request struct {
	// Value has the parameters.
	Value json.RawMessage `json:"value"`
	// ActivationID is that of this invocation. The environment of a warm container still has that of its first one.
	ActivationID string `json:"activation_id"`
	// ActionName is the full name, /NAMESPACE/PACKAGE/NAME.
	ActionName string `json:"action_name"`
	// APIKey is set if the action has the annotation provide-api-key.
	APIKey string `json:"api_key"`
	// Deadline is when OpenWhisk kills the function, in milliseconds since 1970.
	Deadline milliseconds `json:"deadline"`
}

// milliseconds is a number that may be quoted in JSON.
type milliseconds int64

// UnmarshalJSON reads 123 and "123".
func (m *milliseconds) UnmarshalJSON(text []byte) error {
	var n json.Number
	if err := json.Unmarshal(text, &n); err != nil {
		return fmt.Errorf("deadline: %s is no number", text)
	}
	if n == "" {
		return nil
	}
	v, err := n.Int64()
	if err != nil {
		return fmt.Errorf("deadline: %s is no number of milliseconds", text)
	}
	*m = milliseconds(v)
	return nil
}

// parameters are the parameters of a function and of its invocation.
type parameters struct {
	Application string        `json:"application"`
	Graph       graph         `json:"graph"`
	Function    string        `json:"function"`
	APIHost     string        `json:"apihost"`
	Package     string        `json:"package"`
	Auth        string        `json:"auth"`
	Collector   string        `json:"collector"`
	Announce    flag          `json:"announce"`
	Insecure    flag          `json:"insecure"`
	Calls       []plannedCall `json:"calls"`
	Call        int           `json:"call"`
	Random      flag          `json:"random"`
	Anomalies   int           `json:"anomalies"`
	Missing     int           `json:"missing"`
	Seed        *uint64       `json:"seed"` // nil: each request is another
	TraceParent string        `json:"traceparent"`
	TraceState  string        `json:"tracestate"`
	CallID      string        `json:"call.id"`
}

// flag is a bool that may be a string in JSON, as it is when it comes from the environment of a deployment; "" is false.
type flag bool

// UnmarshalJSON reads true, "true" and the like.
func (f *flag) UnmarshalJSON(text []byte) error {
	switch string(text) {
	case "true", `"true"`, "1", `"1"`:
		*f = true
	case "false", `"false"`, "0", `"0"`, `""`, "null":
		*f = false
	default:
		return fmt.Errorf("%s is neither true nor false", text)
	}
	return nil
}

// graph is an application as a parameter: its functions as a list in their order, or as in graph.yaml by name, which puts them in the
// order of their names.
type graph struct {
	Functions []graphFunction `json:"functions"`
}

type graphFunction struct {
	Name     string        `json:"name"`
	Duration float64       `json:"duration"` // ms
	Gamma    gamma         `json:"gamma"`
	Invokes  []apps.Invoke `json:"invokes,omitempty"`
}

// UnmarshalJSON reads either form.
func (g *graph) UnmarshalJSON(text []byte) error {
	var either struct {
		Functions json.RawMessage `json:"functions"`
	}
	if err := json.Unmarshal(text, &either); err != nil {
		return err
	}
	if !strings.HasPrefix(string(either.Functions), "{") {
		return json.Unmarshal(either.Functions, &g.Functions)
	}
	var byName map[string]graphFunction
	if err := json.Unmarshal(either.Functions, &byName); err != nil {
		return err
	}
	g.Functions = nil
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		f := byName[name]
		f.Name = name
		g.Functions = append(g.Functions, f)
	}
	return nil
}

type gamma struct {
	Shape float64 `json:"shape"`
	Rate  float64 `json:"rate"`
}

// plannedCall is a call of the plan as a parameter.
type plannedCall struct {
	Function int     `json:"f"`
	Sleep    float64 `json:"sleep_ms"`
	Invokes  []int   `json:"invokes,omitempty"`
}

// Graph returns an application as the parameter graph.
func Graph(app *apps.Application) any {
	g := graph{Functions: make([]graphFunction, len(app.Functions))}
	for i, f := range app.Functions {
		g.Functions[i] = graphFunction{f.Name, inMilliseconds(f.Duration), gamma{f.Gamma.Shape, f.Gamma.Rate}, f.Invokes}
	}
	return g
}

// Calls returns the calls of a request as the parameter calls.
func Calls(calls []apps.Call) any { return plan(calls) }

// plan converts the calls of a request to parameters.
func plan(calls []apps.Call) []plannedCall {
	planned := make([]plannedCall, len(calls))
	for i, c := range calls {
		planned[i] = plannedCall{c.Function, inMilliseconds(c.Sleep), c.Invokes}
	}
	return planned
}

func inMilliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// task says what one invocation has to do.
type task struct {
	parameters
	app   *apps.Application
	calls []plannedCall
	own   plannedCall // of calls, the one of this invocation
}

// newTask reads and checks the parameters. If they have no calls main draws them.
func newTask(value json.RawMessage) (*task, error) {
	t := &task{}
	if len(value) == 0 {
		return nil, errors.New("the invocation has no parameters")
	}
	if err := json.Unmarshal(value, &t.parameters); err != nil {
		return nil, fmt.Errorf("parameters: %w", err)
	}
	t.app = &apps.Application{Name: t.Application}
	for _, f := range t.Graph.Functions {
		if !(f.Duration >= 0 && f.Duration <= inMilliseconds(apps.MaxDuration)) {
			return nil, fmt.Errorf("parameter graph: the duration of %s is %v ms", f.Name, f.Duration)
		}
		t.app.Functions = append(t.app.Functions, apps.Function{
			Name: f.Name, Duration: toDuration(f.Duration), Gamma: apps.Gamma{Shape: f.Gamma.Shape, Rate: f.Gamma.Rate}, Invokes: f.Invokes,
		})
	}
	if err := t.app.Validate(); err != nil {
		return nil, fmt.Errorf("parameter graph: %w", err)
	}
	t.calls = t.Calls
	if t.calls == nil {
		if t.Function != apps.Main || t.Call != 0 {
			return nil, fmt.Errorf("parameter calls: %s has none, only main can draw them", t.Function)
		}
		seed := rand.Uint64()
		if t.Seed != nil {
			seed = *t.Seed
		}
		d, err := apps.NewDrawer(t.app, apps.Variation{Anomalies: t.Anomalies, Missing: t.Missing, RandomDurations: bool(t.Random)}, seed)
		if err != nil {
			return nil, err
		}
		calls, _, _ := d.Next()
		t.calls = plan(calls)
	}
	if t.Call < 0 || t.Call >= len(t.calls) {
		return nil, fmt.Errorf("parameter call: there is no call %d among %d", t.Call, len(t.calls))
	}
	for i, c := range t.calls {
		if c.Function < 0 || c.Function >= len(t.app.Functions) {
			return nil, fmt.Errorf("parameter calls: call %d is of function %d, and there are %d", i, c.Function, len(t.app.Functions))
		}
		if !(c.Sleep >= 0 && c.Sleep <= inMilliseconds(apps.MaxDuration)) {
			return nil, fmt.Errorf("parameter calls: call %d sleeps %v ms", i, c.Sleep)
		}
		for _, s := range c.Invokes {
			if s <= i || s >= len(t.calls) {
				return nil, fmt.Errorf("parameter calls: call %d makes call %d", i, s)
			}
		}
	}
	t.own = t.calls[t.Call]
	if name := t.app.Functions[t.own.Function].Name; name != t.Function {
		return nil, fmt.Errorf("parameter call: call %d is of %s, and this is %s", t.Call, name, t.Function)
	}
	return t, nil
}

func toDuration(ms float64) time.Duration {
	return time.Duration(math.Round(ms * float64(time.Millisecond)))
}

// name returns the name under which the function is deployed.
func (t *task) name() string { return t.app.DeployedName(t.Function) }
