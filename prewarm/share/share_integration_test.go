//go:build integration

package share

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tppfaas/tppfaas/internal/kafkatest"
	"github.com/tppfaas/tppfaas/internal/loopback"
	"github.com/tppfaas/tppfaas/internal/testbin"
	"github.com/tppfaas/tppfaas/prewarm/controller"
	"github.com/tppfaas/tppfaas/prewarm/lab"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// asking does not keep connections.
var asking = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// process is an instance as a process.
type process struct {
	url  string
	pid  int
	kill func()
	end  func() // in order
}

// begin runs prewarm serve -share until the test ends, or kill is called.
func begin(t testing.TB, address, broker string, args ...string) *process {
	t.Helper()
	return serve(t, address, broker, append([]string{"-share"}, args...)...)
}

// serve runs prewarm serve until the test ends, or kill is called.
func serve(t testing.TB, address, broker string, args ...string) *process {
	t.Helper()
	program, err := testbin.Path("prewarm/cmd/prewarm")
	require.NoError(t, err)
	command := exec.Command(program, append([]string{"serve", "-listen", address, "-grpc", "off", "-kafka", broker}, args...)...)
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	command.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	require.NoError(t, command.Start())
	p := &process{url: "http://" + address, pid: command.Process.Pid}
	var once sync.Once
	ends := func(by os.Signal) func() {
		return func() {
			once.Do(func() {
				_ = command.Process.Signal(by)
				_ = command.Wait()
			})
		}
	}
	p.kill, p.end = ends(os.Kill), ends(syscall.SIGTERM)
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			text := log.Bytes()
			t.Logf("%s: %s", address, text[max(0, len(text)-3000):])
		}
	})
	require.Eventually(t, func() bool {
		answer, err := asking.Get(p.url + "/readyz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	}, time.Minute, 20*time.Millisecond, "it is ready")
	return p
}

// state returns what the instance shows.
func (p *process) state(t testing.TB) *controller.State {
	t.Helper()
	answer, err := asking.Get(p.url + "/v1/state")
	require.NoError(t, err)
	defer answer.Body.Close()
	var s controller.State
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&s))
	return &s
}

// balanced waits until processes have all partitions between them, and know what was before.
func balanced(t testing.TB, partitions int, all ...*process) {
	t.Helper()
	require.Eventually(t, func() bool {
		sum := 0
		for _, p := range all {
			for _, s := range p.state(t).Shares {
				if sum += len(s.Partitions); len(s.Partitions) < partitions/len(all) || len(s.Rebuilding) > 0 {
					return false
				}
			}
		}
		return sum == 2*partitions
	}, time.Minute, 20*time.Millisecond, "the partitions are shared")
}

// topics makes the topics.
func topics(t testing.TB, client *kgo.Client, partitions int32) {
	t.Helper()
	created, err := kadm.NewClient(client).CreateTopics(t.Context(), partitions, 1, nil, spansTopic, demandsTopic, suppliesTopic)
	require.NoError(t, err)
	require.NoError(t, created.Error())
}

// real is a platform in real time: containers start in a second, and are removed when they have been idle for a while.
type real struct {
	t      testing.TB
	client *kgo.Client
	begun  time.Time

	mu       sync.Mutex
	idle     map[string][]*box // the last one is used first
	starting map[string][]*box // for nobody
	boxes    int
	sent     map[string]bool        // observations
	warmed   map[string][]time.Time // by function, each container
	unused   map[*box]bool          // those of them that wait for their use
	asking   int                    // containers that are being warmed
	most     struct{ unused, asking int }
	cold     int
	series   int // of requests
	runs     int
	parts    sync.WaitGroup
}

type box struct {
	id    string
	ready chan struct{}
	gone  *time.Timer
}

const (
	startTime = time.Second
	idleTime  = 6 * time.Second
)

// add adds a container that is starting.
func (r *real) add(function string) *box {
	r.boxes++
	b := &box{id: fmt.Sprint("c", r.boxes), ready: make(chan struct{})}
	r.parts.Go(func() {
		time.Sleep(startTime)
		r.mu.Lock()
		defer r.mu.Unlock()
		if i := slices.Index(r.starting[function], b); i >= 0 {
			r.starting[function] = slices.Delete(r.starting[function], i, i+1)
			r.free(function, b)
		}
		close(b.ready)
	})
	return b
}

// free has a container idle.
func (r *real) free(function string, b *box) {
	r.idle[function] = append(r.idle[function], b)
	b.gone = time.AfterFunc(idleTime, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.idle[function] = slices.DeleteFunc(r.idle[function], func(o *box) bool { return o == b })
		delete(r.unused, b)
	})
}

// take returns a container for an invocation, and whether it was created for it.
func (r *real) take(function string) (b *box, cold bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs++
	if list := r.idle[function]; len(list) > 0 {
		b = list[len(list)-1]
		b.gone.Stop()
		delete(r.unused, b)
		r.idle[function] = list[:len(list)-1]
		return b, false
	}
	if list := r.starting[function]; len(list) > 0 {
		r.starting[function] = list[1:]
		delete(r.unused, list[0])
		return list[0], false
	}
	r.cold++
	return r.add(function), true
}

// send sends the span of an observation.
func (r *real) send(o source.Observation) {
	o.Time, o.Wait, o.Init = time.Now(), -1, -1
	r.mu.Lock()
	r.sent[fmt.Sprint(o.Trace, " ", o.Call, " ", o.Kind)] = true
	r.mu.Unlock()
	r.parts.Add(1)
	r.client.Produce(context.Background(), &kgo.Record{Topic: spansTopic, Key: []byte(o.Trace), Value: spanOf(r.t, &o)}, func(_ *kgo.Record, err error) {
		defer r.parts.Done()
		if err != nil {
			r.t.Error(err)
		}
	})
}

// running is a request on the platform.
type running struct {
	*real
	workload *lab.Workload
	request  *lab.Request
	trace    string
	calls    sync.WaitGroup
}

// invoke runs a call, and those that it makes.
func (q *running) invoke(index, parent int) {
	id := func(i int) string {
		if i < 0 {
			return ""
		}
		return fmt.Sprint(q.trace, "-", i)
	}
	c := &q.request.Calls[index]
	o := source.Observation{Kind: source.Invoked, Function: q.workload.Functions[c.Function].Name, Trace: q.trace, Call: id(index), ParentCall: id(parent)}
	q.send(o)
	b, cold := q.take(o.Function)
	<-b.ready
	time.Sleep(3 * time.Millisecond)
	o.Kind, o.Instance, o.Temperature = source.Started, b.id, source.Warm
	if cold {
		o.Temperature = source.Cold
	}
	q.send(o)
	time.Sleep(c.Sleep)
	for _, k := range c.Invokes {
		q.calls.Go(func() { q.invoke(k, index) })
		time.Sleep(15 * time.Millisecond)
	}
	o.Kind = source.Ended
	q.send(o)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free(o.Function, b)
}

// warm takes a command, as an endpoint of the webhook.
func (r *real) warm(w http.ResponseWriter, request *http.Request) {
	var c struct {
		Function string
		N        int
	}
	text, err := io.ReadAll(request.Body)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	type result struct {
		Outcome  string `json:"outcome"`
		Instance string `json:"instance"`
	}
	var results []result
	var boxes []*box
	r.mu.Lock()
	for range c.N {
		b := r.add(c.Function)
		r.starting[c.Function] = append(r.starting[c.Function], b)
		r.warmed[c.Function] = append(r.warmed[c.Function], time.Now())
		boxes, results = append(boxes, b), append(results, result{"created", b.id})
		r.unused[b] = true
	}
	r.asking += c.N
	r.most.unused, r.most.asking = max(r.most.unused, len(r.unused)), max(r.most.asking, r.asking)
	r.mu.Unlock()
	for _, b := range boxes {
		<-b.ready
	}
	r.mu.Lock()
	r.asking -= c.N
	r.mu.Unlock()
	_ = json.NewEncoder(w).Encode(map[string]any{"results": results})
}

// window is when a request was under way, and what was warm for it, and how many calls of each function it had.
type window struct {
	begin, end time.Time
	calls      map[string]int
}

// untilCold is a pause after the i-th request of an application in which all its containers are removed.
func untilCold(i int) time.Duration {
	return idleTime + time.Second + time.Duration(i*7%5)*2*time.Second
}

// request has the requests of applications come until stop is closed, each application's one after the other with a pause between them. What is returned waits until they
// have ended.
func (r *real) request(names []string, pause func(i int) time.Duration, stop chan struct{}) func() []window {
	r.t.Helper()
	var mu sync.Mutex
	var windows []window
	requests := &sync.WaitGroup{}
	r.series++
	series := r.series
	for k, name := range names {
		w, err := lab.NewWorkload(name, "poisson:1200", lab.Options{Requests: 60})
		require.NoError(r.t, err)
		plan, err := w.Plan(r.t.Context(), uint64(k))
		require.NoError(r.t, err)
		requests.Go(func() {
			for i := range plan.Requests {
				request := &plan.Requests[i]
				v := window{begin: time.Now(), calls: map[string]int{}}
				for _, c := range request.Calls {
					v.calls[w.Functions[c.Function].Name]++
				}
				q := &running{real: r, workload: w, request: request, trace: fmt.Sprintf("%028x%02x%02x", i+1, series, k)}
				q.invoke(0, -1)
				q.calls.Wait()
				select {
				case <-stop:
				case <-time.After(pause(i)):
				}
				v.end = time.Now()
				mu.Lock()
				windows = append(windows, v)
				mu.Unlock()
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	return func() []window {
		requests.Wait()
		return windows
	}
}

// twice returns how many containers were warmed, and how many of them for a request that had as many of the function as it has calls of it. Of these it logs what was
// written of the function.
func (r *real) twice(windows []window) (all, twice int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range windows {
		for function, calls := range v.calls {
			before := twice
			var at []time.Duration
			for _, w := range r.warmed[function] {
				if !w.Before(v.begin) && w.Before(v.end) {
					at = append(at, w.Sub(v.begin).Round(time.Millisecond))
				}
			}
			all += len(at)
			// What has been idle for too long is gone, and may be wanted again.
			for i := calls; i < len(at); i++ {
				if at[i]-at[i-calls] < idleTime {
					twice++
					r.t.Logf("%s: of a request of %v, which has %d calls, it was warmed after %v", function, v.begin.Sub(r.begun).Round(time.Millisecond), calls, at)
				}
			}
			if twice > before {
				for _, line := range r.written(function, v) {
					r.t.Log(line)
				}
			}
		}
	}
	return all, twice
}

// written returns what was written to the topic of demands of a function while a request was under way, and the claims of its partition since a minute before.
func (r *real) written(function string, v window) (lines []string) {
	partition, claims := int32(-1), map[int32][]string{}
	eachDemand(r.t, r.client, false, func(record *kgo.Record, m *Message) bool {
		since := moment(m.At).Sub(v.begin)
		line := fmt.Sprintf("%d at %v, written %v: %s", record.Offset, since.Round(time.Millisecond), record.Timestamp.Sub(v.begin).Round(time.Millisecond), record.Value)
		switch {
		case since < -time.Minute || moment(m.At).After(v.end):
		case m.Claim != nil:
			claims[record.Partition] = append(claims[record.Partition], line)
		case m.Key == function && since >= 0:
			partition, lines = record.Partition, append(lines, line)
		}
		return true
	})
	return append(claims[partition], lines...)
}

// newReal returns a platform, and the arguments of instances that act on it, with models of applications.
func newReal(t testing.TB, client *kgo.Client, names []string) (r *real, args []string) {
	t.Helper()
	r = &real{
		t: t, client: client, idle: map[string][]*box{}, starting: map[string][]*box{}, sent: map[string]bool{}, warmed: map[string][]time.Time{}, unused: map[*box]bool{},
		begun: time.Now(),
	}
	server := httptest.NewServer(http.HandlerFunc(r.warm))
	t.Cleanup(server.Close)
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("0123456789abcdef0123456789abcdef"), 0o600))
	// A price at which it does not pay to warm for requests that are only foreseen, as they come at times that cannot be told to the second.
	args = []string{
		"-policy", "newsvendor:300", "-act", "-actuator", "webhook", "-webhook", server.URL, "-webhook-secret-file", secret, "-idle-timeout", idleTime.String(),
	}
	for _, name := range names {
		args = append(args, "-model", "../../models/high_"+name+"_rand.race.safetensors")
	}
	return r, args
}

// TestIntegrationShare runs four applications on a platform of which three instances decide what is warm, kills one of them, lets another join, and kills the broker, which
// comes again. Every span is decided on, and no function is warmed more often for a request than the request needs it.
func TestIntegrationShare(t *testing.T) {
	const parts = 8
	broker := kafkatest.Start(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Address), kgo.UnknownTopicRetries(-1), kgo.ProducerLinger(0))
	require.NoError(t, err)
	defer client.Close()
	topics(t, client, parts)
	names := []string{"tree_small", "sequence", "parallel_small", "fanout_small"}
	r, args := newReal(t, client, names)
	args = append(args, "-most-per-function", "50", "-most-warm", "500", "-most-memory", "200000", "-in-flight", "100")
	addresses, err := loopback.FreeAddresses(4)
	require.NoError(t, err)
	var instances []*process
	for _, address := range addresses[:3] {
		instances = append(instances, begin(t, address, broker.Address, args...))
	}
	balanced(t, parts, instances...)

	stop := make(chan struct{})
	windows := r.request(names, untilCold, stop)
	wait := func(d time.Duration, what string) {
		time.Sleep(d)
		t.Logf("%v: %s", time.Since(r.begun).Round(time.Second), what)
	}
	wait(25*time.Second, "an instance is killed")
	instances[0].kill()
	wait(25*time.Second, "another joins")
	instances = append(instances[1:], begin(t, addresses[3], broker.Address, args...))
	wait(15*time.Second, "the broker is killed")
	broker.Kill()
	wait(3*time.Second, "it comes again")
	broker.Again(t)
	wait(35*time.Second, "the end")
	close(stop)
	all, twice := r.twice(windows())
	r.parts.Wait()
	balanced(t, parts, instances...)

	r.mu.Lock()
	defer r.mu.Unlock()
	decided := observationsOf(t, client, len(r.sent))
	for o := range r.sent {
		require.Contains(t, decided, o)
	}
	t.Logf("%d spans sent, %d decided on; %d invocations, %d cold; %d containers warmed, %d more than the requests have calls", len(r.sent), len(decided), r.runs, r.cold, all, twice)
	require.Zero(t, twice)
	require.Greater(t, all, r.runs/3)
	for _, p := range instances {
		for _, s := range p.state(t).Sources {
			require.Empty(t, s.Error, "%s of %s", s.Name, p.url)
		}
	}
}

// observationsOf reads the topic of demands until so many observations have come, and returns them.
func observationsOf(t testing.TB, client *kgo.Client, n int) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	eachDemand(t, client, true, func(_ *kgo.Record, m *Message) bool {
		if o := m.Observation; o != nil {
			found[fmt.Sprint(o.Trace, " ", o.Call, " ", o.Kind)] = true
		}
		return len(found) < n
	})
	return found
}

// eachDemand reads the topic of demands for as long as f returns true, and half a minute at most; unless it waits for more, to where it ends now.
func eachDemand(t testing.TB, client *kgo.Client, waits bool, f func(record *kgo.Record, m *Message) bool) {
	t.Helper()
	ends, err := kadm.NewClient(client).ListEndOffsets(t.Context(), demandsTopic)
	require.NoError(t, err)
	reader, err := kgo.NewClient(kgo.SeedBrokers(client.OptValue(kgo.SeedBrokers).([]string)...), kgo.ConsumeTopics(demandsTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	require.NoError(t, err)
	defer reader.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	left := 0
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left++
		}
	})
	for goes := true; goes && (left > 0 || waits) && ctx.Err() == nil; {
		reader.PollFetches(ctx).EachRecord(func(record *kgo.Record) {
			m, err := Parse(record.Value)
			require.NoError(t, err)
			goes = f(record, m) && goes
			if end, _ := ends.Lookup(demandsTopic, record.Partition); record.Offset == end.Offset-1 {
				left--
			}
		})
	}
}
