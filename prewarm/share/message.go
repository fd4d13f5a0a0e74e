package share

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// Version is that of the form of messages. A reader passes over those of another one.
const Version = 1

// Message is what is written to the topics of demands and of supplies, as JSON, keyed by the name of its function. Moments are Unix times in ns, and what is
// expected counts in µs from At, which is short and the same wherever it is read.
type Message struct {
	Version int    `json:"v"`
	At      int64  `json:"at"`
	Key     string `json:"f,omitempty"`
	// One of these at least. Observation and Told may come together: what was observed of an invocation, and what its predictor then expects of its trace.
	Observation *Observation `json:"o,omitempty"`
	Told        *Told        `json:"t,omitempty"`
	// By is up to which message of the spans an Observation or a Told is known. Of two who follow the same traces, as one goes on with what another has, the one counts
	// who knows more.
	By       *Place    `json:"by,omitempty"`
	Claim    *Claim    `json:"c,omitempty"`
	Asked    *Asked    `json:"a,omitempty"`
	Renewal  *Asked    `json:"r,omitempty"`
	Done     *Done     `json:"d,omitempty"`
	Supply   *Supply   `json:"s,omitempty"`
	Standing *Standing `json:"n,omitempty"`
}

// Observation is a source.Observation. Of durations −1 stands for one that is not known, and of moments 0.
type Observation struct {
	Kind        source.Kind        `json:"k"`
	Version     string             `json:"version,omitempty"`
	Trace       string             `json:"trace,omitempty"`
	Call        string             `json:"call,omitempty"`
	ParentCall  string             `json:"parent_call,omitempty"`
	Span        string             `json:"span,omitempty"`
	ParentSpan  string             `json:"parent_span,omitempty"`
	Activation  string             `json:"activation,omitempty"`
	Instance    string             `json:"instance,omitempty"`
	Clock       string             `json:"clock,omitempty"`
	Time        int64              `json:"time,omitempty"`
	Begin       int64              `json:"begin,omitempty"`
	Wait        time.Duration      `json:"wait"`
	Init        time.Duration      `json:"init"`
	Temperature source.Temperature `json:"temperature,omitempty"`
	Failed      bool               `json:"failed,omitempty"`
}

// Told is what is expected of a trace for the message's function, in place of all that was told of it before.
type Told struct {
	Trace string `json:"trace"`
	// Until is when it is void unless it is told anew, and Demands are what is expected, nothing if there are none.
	Until   int64    `json:"until"`
	Demands []Demand `json:"demands,omitempty"`
	// Root says that the trace has just begun, with an invocation of that function which arrived Began.
	Root  string `json:"root,omitempty"`
	Began int64  `json:"began,omitempty"`
}

// Place is that of a message in the topic of spans.
type Place struct {
	Partition int32 `json:"p"`
	Offset    int64 `json:"o"`
}

// Demand is a newsvendor.Demand of a request in flight.
type Demand struct {
	Key         uint32       `json:"k"`
	Probability float64      `json:"p"`
	Times       Quantiles    `json:"q"`
	Busy        float64      `json:"busy,omitempty"`
	Spread      float64      `json:"spread,omitempty"`
	Slack       float64      `json:"slack,omitempty"`
	Conditions  [][3]float64 `json:"if,omitempty"`
}

// Claim says that who writes it decides on the functions of the partition from here on, and who has claimed it before does not.
type Claim struct {
	Owner string `json:"owner"`
}

// Asked says that N containers of the function are to be started or, as a Renewal, that the idle time of its idle ones is to be renewed, of which there are N. It holds if Owner is
// the one that has claimed the partition last: that one then does it. An owner numbers both in one row.
type Asked struct {
	Owner string `json:"owner"`
	ID    uint64 `json:"id"`
	N     int    `json:"n"`
}

// Done says what has become of the containers of an Asked, or of a Renewal.
type Done struct {
	Owner   string   `json:"owner"`
	ID      uint64   `json:"id"`
	Results []Result `json:"results"`
}

// Result is an actuator.Result.
type Result struct {
	Outcome  actuator.Outcome `json:"outcome"`
	Instance string           `json:"instance,omitempty"`
	Asked    int64            `json:"asked,omitempty"`
	Ready    int64            `json:"ready,omitempty"`
}

// Supply is a newsvendor.Supply. Asked is missing if no container is being started.
type Supply struct {
	Free  bool      `json:"free,omitempty"`
	Asked *int64    `json:"asked,omitempty"`
	Fresh bool      `json:"fresh,omitempty"`
	Start Quantiles `json:"start"`
	// Claim is the offset of the claim by which who tells it has the function's partition of demands, as in Standing.
	Claim int64 `json:"claim,omitempty"`
}

// Standing says what stands of a partition of demands, in place of what was said before: what was asked for and waits for its use, and what is wanted beside.
type Standing struct {
	Partition int32  `json:"p"`
	Owner     string `json:"owner"`
	// Claim is the offset of the claim by which the owner has the partition: what one says with an earlier claim does not count any more.
	Claim int64 `json:"claim"`
	// Want is the number, among those of the owner, of what is wanted with this message for the first time; 0 if nothing is.
	Want       uint64 `json:"want,omitempty"`
	Containers int    `json:"containers"`
	MemoryMB   int    `json:"mb"`
	Starting   int    `json:"starting"`
}

// Quantiles are a newsvendor.Times, in µs. They are most of what is written and read, and so written and read by hand.
type Quantiles [newsvendor.Quantiles]int64

// MarshalJSON writes them as an array.
func (q Quantiles) MarshalJSON() ([]byte, error) {
	text := make([]byte, 0, 12*len(q))
	for i, v := range q {
		if i == 0 {
			text = append(text, '[')
		} else {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, v, 10)
	}
	return append(text, ']'), nil
}

var errQuantiles = fmt.Errorf("times that are no array of %d whole numbers", newsvendor.Quantiles)

// UnmarshalJSON reads them.
func (q *Quantiles) UnmarshalJSON(text []byte) error {
	text, ok := bytes.CutPrefix(text, []byte("["))
	for i := range q {
		end := bytes.IndexAny(text, ",]")
		if !ok || end < 0 || (text[end] == ']') != (i == len(q)-1) {
			return errQuantiles
		}
		var err error
		if q[i], err = strconv.ParseInt(string(bytes.TrimSpace(text[:end])), 10, 64); err != nil {
			return errQuantiles
		}
		text = text[end+1:]
	}
	if len(text) > 0 {
		return errQuantiles
	}
	return nil
}

// Bounds of messages.
const (
	mostBytes     = 1 << 20
	mostDemands   = 1024
	mostResults   = 64
	mostPartition = 1 << 16
	mostName      = 256     // bytes of a name or an id
	furthest      = 1 << 53 // µs
)

// Parse reads a message. An error says what is wrong with it.
func Parse(text []byte) (*Message, error) {
	if len(text) > mostBytes {
		return nil, fmt.Errorf("a message of %d bytes, more than %d", len(text), mostBytes)
	}
	var m Message
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("no message: %w", err)
	}
	if m.Version != Version {
		return nil, fmt.Errorf("a message of version %d: this program reads version %d", m.Version, Version)
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	return &m, nil
}

// check returns what is wrong with a message.
func (m *Message) check() error {
	switch {
	case m.At <= 0:
		return errors.New("a message without a time")
	case m.Observation == nil && m.Told == nil && m.Claim == nil && m.Asked == nil && m.Renewal == nil && m.Done == nil && m.Supply == nil && m.Standing == nil:
		return errors.New("a message that says nothing")
	case m.Claim == nil && m.Standing == nil && m.Key == "" || len(m.Key) > mostName:
		return errors.New("a message without the name of a function, or with one that is too long")
	case m.Observation != nil && m.Observation.Kind > source.Ended:
		return fmt.Errorf("an observation of kind %d", m.Observation.Kind)
	case m.Claim != nil && !isName(m.Claim.Owner), m.Asked != nil && !isName(m.Asked.Owner), m.Renewal != nil && !isName(m.Renewal.Owner), m.Done != nil && !isName(m.Done.Owner),
		m.Standing != nil && !isName(m.Standing.Owner):
		return errors.New("an owner without a name, or with one that is too long")
	case m.Asked != nil && !m.Asked.valid():
		return fmt.Errorf("%d containers are asked for, must be from 1 to %d", m.Asked.N, mostResults)
	case m.Renewal != nil && !m.Renewal.valid():
		return fmt.Errorf("%d containers are to be renewed, must be from 1 to %d", m.Renewal.N, mostResults)
	case m.Done != nil && len(m.Done.Results) > mostResults:
		return fmt.Errorf("%d results, more than %d", len(m.Done.Results), mostResults)
	case m.Standing != nil && !m.Standing.valid():
		return errors.New("what stands of a partition is less than nothing, or too much")
	case m.Supply != nil && !ascend(&m.Supply.Start):
		return errors.New("start times that do not ascend")
	}
	if m.Done != nil {
		for _, r := range m.Done.Results {
			if r.Outcome > actuator.Unknown || len(r.Instance) > mostName {
				return errors.New("a result that there is not")
			}
		}
	}
	if m.By != nil && (m.By.Partition < 0 || m.By.Partition > mostPartition) {
		return fmt.Errorf("spans of a partition %d", m.By.Partition)
	}
	if m.Told == nil {
		return nil
	}
	if t := m.Told; !isName(t.Trace) || len(t.Root) > mostName || len(t.Demands) > mostDemands {
		return errors.New("demands of no trace, or too many")
	}
	for i := range m.Told.Demands {
		if d := &m.Told.Demands[i]; !d.valid() {
			return fmt.Errorf("demand %d has a number that is none", i)
		}
	}
	return nil
}

func (a *Asked) valid() bool { return a.N >= 1 && a.N <= mostResults }

func isName(s string) bool { return s != "" && len(s) <= mostName }

// ascend reports whether times are in order, and not too far away to count.
func ascend(times *Quantiles) bool {
	last := int64(-furthest)
	for _, t := range times {
		if t < last || t > furthest {
			return false
		}
		last = t
	}
	return true
}

func (s *Standing) valid() bool {
	return s.Partition >= 0 && s.Partition <= mostPartition && s.Claim >= 0 && 0 <= s.Containers && s.Containers <= 1e9 && 0 <= s.MemoryMB && s.MemoryMB <= 1e12 && 0 <= s.Starting && s.Starting <= 1e9
}

func (d *Demand) valid() bool {
	if !(d.Probability >= 0 && d.Probability <= 1) || !ascend(&d.Times) || len(d.Conditions) > 3 {
		return false
	}
	for _, v := range []float64{d.Busy, d.Spread, d.Slack} {
		if !(v >= 0 && v < 1e9) {
			return false
		}
	}
	for _, c := range d.Conditions {
		if !(c[0] >= 0 && c[0] <= 1) || math.Abs(c[1]) > 1e9 || !(c[2] >= 0 && c[2] < 1e9) {
			return false
		}
	}
	return true
}

// encode returns a message as it is written.
func encode(m *Message) []byte {
	m.Version = Version
	text, err := json.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("share: a message that cannot be written: %v", err)) // it has numbers and strings only
	}
	return text
}

// mostAhead is by how much the clock of who writes a message may be ahead.
const mostAhead = 10 * time.Second

// notAhead returns what is wrong with a message of a time that is yet to come: what is told with it would hold until then, whatever is told later.
func (o *Options) notAhead(now prewarm.Time, m *Message) error {
	if ahead := o.since(moment(m.At)) - now; ahead > mostAhead {
		return fmt.Errorf("it is of a time %v ahead: the clocks of the instances differ by more than %v, or it is none of theirs", ahead.Round(time.Second), mostAhead)
	}
	return nil
}

// micros returns a time in µs after another; both in seconds.
func micros(at, from float64) int64 {
	return int64(math.Round(min(max((at-from)*1e6, -furthest), furthest)))
}

// newDemand returns a demand as it is written at a time.
func newDemand(v *newsvendor.Demand, now float64) Demand {
	d := Demand{Key: v.Key, Probability: v.Probability, Busy: bounded(v.Busy), Spread: bounded(v.Spread), Slack: bounded(v.Slack)}
	for i, t := range v.Times {
		d.Times[i] = micros(t, now)
	}
	for _, c := range v.Conditions {
		if c.Probability == 0 {
			break
		}
		d.Conditions = append(d.Conditions, [3]float64{c.Probability, c.Lead, bounded(c.Spread)})
	}
	return d
}

// bounded returns a number that can be written.
func bounded(x float64) float64 {
	if !(x > 0) {
		return 0
	}
	return min(x, 1e8)
}

// demand is the reverse of newDemand.
func (d *Demand) demand(function int, now float64) newsvendor.Demand {
	v := newsvendor.Demand{
		Function: function, Key: d.Key, Probability: d.Probability, Busy: d.Busy, Spread: d.Spread, Slack: d.Slack, Notice: math.Inf(1),
	}
	for i, t := range d.Times {
		v.Times[i] = now + float64(t)/1e6
	}
	for i, c := range d.Conditions {
		v.Conditions[i] = newsvendor.Condition{Probability: c[0], Lead: c[1], Spread: c[2]}
	}
	return v
}

func newObservation(o *source.Observation) *Observation {
	return &Observation{
		Kind: o.Kind, Version: o.Version, Trace: o.Trace, Call: o.Call, ParentCall: o.ParentCall, Span: o.Span, ParentSpan: o.ParentSpan, Activation: o.Activation,
		Instance: o.Instance, Clock: o.Clock, Time: unix(o.Time), Begin: unix(o.Begin), Wait: o.Wait, Init: o.Init, Temperature: o.Temperature, Failed: o.Failed,
	}
}

func (o *Observation) observation(function string) source.Observation {
	return source.Observation{
		Kind: o.Kind, Function: function, Version: o.Version, Trace: o.Trace, Call: o.Call, ParentCall: o.ParentCall, Span: o.Span, ParentSpan: o.ParentSpan,
		Activation: o.Activation, Instance: o.Instance, Clock: o.Clock, Time: moment(o.Time), Begin: moment(o.Begin), Wait: o.Wait, Init: o.Init,
		Temperature: o.Temperature, Failed: o.Failed,
	}
}

func newSupply(s *newsvendor.Supply, now float64) *Supply {
	out := &Supply{Free: s.Free, Fresh: s.Fresh}
	if !math.IsNaN(s.Asked) {
		at := micros(s.Asked, now)
		out.Asked = &at
	}
	for i, t := range s.Start {
		out.Start[i] = micros(t, 0)
	}
	return out
}

func (s *Supply) supply(function int, now float64) newsvendor.Supply {
	out := newsvendor.Supply{Function: function, Free: s.Free, Fresh: s.Fresh, Asked: math.NaN()}
	if s.Asked != nil {
		out.Asked = now + float64(*s.Asked)/1e6
	}
	for i, t := range s.Start {
		out.Start[i] = float64(t) / 1e6
	}
	return out
}

func newResults(results []actuator.Result) []Result {
	list := make([]Result, 0, len(results))
	for _, r := range results[:min(len(results), mostResults)] {
		if len(r.Instance) > mostName {
			r.Instance = ""
		}
		list = append(list, Result{Outcome: r.Outcome, Instance: r.Instance, Asked: unix(r.Asked), Ready: unix(r.Ready)})
	}
	return list
}

func (d *Done) results() []actuator.Result {
	list := make([]actuator.Result, 0, len(d.Results))
	for _, r := range d.Results {
		list = append(list, actuator.Result{Outcome: r.Outcome, Instance: r.Instance, Asked: moment(r.Asked), Ready: moment(r.Ready)})
	}
	return list
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// seconds returns a moment of the epoch in seconds, as the newsvendor counts.
func seconds(t prewarm.Time) float64 { return float64(t) / float64(time.Second) }
