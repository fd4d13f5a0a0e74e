package openwhisk

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/apps/action"
	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/sampler"
	"github.com/tppfaas/tppfaas/tpp"
)

// Options says what to sample where. App, Config and Settings are needed; the rest may be zero.
type Options struct {
	Settings
	// App and Config are what is sampled. Without App a Target can only look for leftovers.
	App    *apps.Application
	Config sampler.Config
	// Kind of the actions, go: with a version or blackbox; "" stands for the server's default of Go. Arch is the architecture of
	// its machines ("" for this machine's if OpenWhisk is on it, else amd64), MemoryMB the memory of a container (0 for 256).
	Kind, Arch string
	MemoryMB   int
	// Announce has functions announce their start at once.
	Announce bool
	// Settle is how long nothing new must come before what is missing counts as lost; 0 stands for 30 s.
	Settle time.Duration
	// Patience is how long a server that fails or is away is tried again; 0 stands for 5 min. Throttling does not count.
	Patience time.Duration
	// Timeout is how long the answer to one request may take; 0 stands for 30 s.
	Timeout time.Duration
	// Say is told in a line what the user should know while the sampling goes on; nil discards it. It may be called from several
	// goroutines.
	Say func(string)
	// OnSend is called after each sending with the number of requests that were sent, by earlier runs too, and how long the plan
	// goes on; it may be nil.
	OnSend func(sent int, left time.Duration)
	// Executable returns the action's executable for an architecture; nil stands for action.Executable.
	Executable func(ctx context.Context, arch string) ([]byte, error)
}

// Defaults of Options.
const (
	DefaultSettle   = 30 * time.Second
	DefaultPatience = 5 * time.Minute
	DefaultTimeout  = 30 * time.Second
	DefaultMemoryMB = 256
)

// Target is an OpenWhisk to sample on, for one sampling. It is a sampler.Recorder.
type Target struct {
	options Options
	http    *http.Client // for OpenWhisk
	client  *whisk.Client
	zipkin  *zipkin
	info    whisk.Info
	ready   bool // Preflight went well
	pack    string
	journal *Journal

	sending  breaker // OpenWhisk's
	fetching breaker // Zipkin's

	// life ends with Close; stop ends the sending, and may come before.
	life    context.Context
	end     context.CancelFunc
	stop    chan struct{}
	workers sync.WaitGroup
	wake    chan struct{} // something has changed that Wait waits for

	mu          sync.Mutex
	stopped     bool
	deployed    bool
	timers      map[*time.Timer]struct{}
	queue       []*flight  // to be sent
	senders     int        // goroutines that send
	unsent      int        // requests in the queue and under way
	flights     []*flight  // sent, and not done
	recalled    []recalled // complete since an earlier run, and not handed over
	sentAt      sentTimes
	news        time.Time             // when something last came, or was sent
	spans       int                   // that have come
	warned      bool                  // the user, that none have
	last        time.Duration         // when the plan's last request is due
	unjournaled bool                  // the user knows that there are
	kept        map[int]sampler.Trace // complete traces that are not in the journal
}

var _ sampler.Recorder = (*Target)(nil)

// New returns a Target; it makes no request yet. Options that cannot be are an error.
func New(o Options) (*Target, error) {
	settings, err := o.Settings.complete()
	if err != nil {
		return nil, err
	}
	o.Settings = settings
	if o.MemoryMB == 0 {
		o.MemoryMB = DefaultMemoryMB
	}
	if o.Settle == 0 {
		o.Settle = DefaultSettle
	}
	if o.Patience == 0 {
		o.Patience = DefaultPatience
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.App != nil {
		if err := o.App.Validate(); err != nil {
			return nil, err
		}
		if err := o.Config.Validate(o.App); err != nil {
			return nil, err
		}
	}
	api, err := whisk.ParseAddress(o.APIHost.Value)
	if err != nil {
		return nil, o.APIHost.wrong(err)
	}
	if o.App != nil && o.Collector.From == here && !onThisMachine(api) {
		return nil, errors.New("the collector is missing: give the address under which the functions reach it with -collector, TPPFAAS_COLLECTOR, " +
			"or collector in the configuration")
	}
	if o.Arch == "" {
		o.Arch = "amd64"
		if onThisMachine(api) {
			o.Arch = runtime.GOARCH
		}
	}
	traces, err := whisk.ParseAddress(o.Zipkin.Value)
	if err != nil {
		return nil, o.Zipkin.wrong(err)
	}
	httpClient := whisk.NewHTTPClient(o.insecure(), maxSenders)
	client, err := whisk.New(whisk.Options{Base: api, Key: o.Auth.Value, HTTP: httpClient, Timeout: o.Timeout, UserAgent: "tppfaas-sampler"})
	if err != nil {
		return nil, o.Auth.wrong(err)
	}
	t := &Target{
		options: o, http: httpClient, client: client, zipkin: newZipkin(traces, o.insecure(), o.Timeout),
		stop: make(chan struct{}), wake: make(chan struct{}, 1), timers: map[*time.Timer]struct{}{}, sentAt: sentTimes{epoch: time.Now()}, kept: map[int]sampler.Trace{},
	}
	t.life, t.end = context.WithCancel(context.Background())
	t.sending.init(t.say)
	t.fetching.init(t.say)
	return t, nil
}

// Close ends everything that is still under way. It removes nothing.
func (t *Target) Close() {
	t.stopSending()
	t.end()
	t.workers.Wait()
	t.http.CloseIdleConnections()
	t.zipkin.close()
}

func (t *Target) say(text string) {
	if t.options.Say != nil {
		t.options.Say(text)
	}
}

// explain adds to an error of OpenWhisk's where the setting that is to blame comes from.
func (t *Target) explain(err error) error {
	var e *whisk.Error
	if !errors.As(err, &e) || e.Server != t.client.Name() {
		return err
	}
	switch e.Kind {
	case whisk.Unauthorized, whisk.Forbidden:
		return fmt.Errorf("%w; the key is from %s", err, t.options.Auth.From)
	case whisk.Unreachable, whisk.Untrusted, whisk.NoTLS, whisk.NotFound:
		return blameAddress(err, t.options.APIHost)
	}
	return err
}

// blameAddress adds to an error where the address comes from.
func blameAddress(err error, address Setting) error {
	return fmt.Errorf("%w; the address is from %s", withHint(err), address.From)
}

// withHint adds to an error about a certificate how to do without.
func withHint(err error) error {
	if whisk.KindOf(err) == whisk.Untrusted {
		return fmt.Errorf("%w; -insecure does without", err)
	}
	return err
}

// Preflight asks OpenWhisk for what it can do and whether it accepts the key, and Zipkin whether it answers, before anything is
// deployed.
func (t *Target) Preflight(ctx context.Context) error {
	var err error
	if t.info, err = t.client.Info(ctx); err != nil {
		var e *whisk.Error
		// Gateways in front of OpenWhisk need not pass on its root.
		if !errors.As(err, &e) || e.Status == 0 {
			return t.explain(err)
		}
	}
	check := func() error { return t.client.Check(ctx, whisk.Packages) }
	err = check()
	var e *whisk.Error
	if errors.As(err, &e) && e.AsksToWait() {
		err = t.retry().Do(ctx, check)
	}
	switch whisk.KindOf(err) {
	case whisk.NotFound, whisk.Nonsense:
		return fmt.Errorf("%w: is it OpenWhisk?", t.explain(err))
	}
	if err != nil {
		return t.explain(err)
	}
	if t.options.App != nil {
		if t.options.Kind == "" {
			if t.options.Kind, err = goKind(t.info); err != nil {
				return err
			}
		} else if !hasKind(t.info, t.options.Kind) {
			return fmt.Errorf("OpenWhisk does not run actions of kind %s", t.options.Kind)
		}
		if err := t.zipkin.check(ctx); err != nil {
			return blameAddress(err, t.options.Zipkin)
		}
		if err := checkCollector(ctx, t.options.Collector.Value, t.options.insecure()); err != nil {
			var e *whisk.Error
			if errors.As(err, &e) && e.Status != 0 {
				return blameAddress(err, t.options.Collector)
			}
			t.say(fmt.Sprintf("%v; that is well if the functions can reach it", withHint(err)))
		}
	}
	t.ready = true
	return nil
}

// Begin makes everything ready for Sample: it checks OpenWhisk and Zipkin, and creates the journal, or with resume goes on with
// that of an earlier run. Without a name there is none. A journal that is there without resume is ErrJournalExists.
func (t *Target) Begin(ctx context.Context, journal string, resume bool) error {
	if t.options.App == nil {
		return errors.New("there is no application to sample")
	}
	if err := checkJournal(journal, resume); err != nil {
		return err
	}
	if !t.ready {
		if err := t.Preflight(ctx); err != nil {
			return err
		}
	}
	var id [6]byte
	_, _ = rand.Read(id[:]) // it never fails
	t.pack = packagePrefix + t.options.App.Name + "-" + hex.EncodeToString(id[:])
	if journal == "" {
		return nil
	}
	h, err := newHeader(t.options.App, t.options.Config, t.options.APIHost.Value, t.pack)
	if err != nil {
		return err
	}
	if !resume {
		t.journal, err = createJournal(journal, h)
		return err
	}
	if t.journal, err = openJournal(journal, h); err != nil {
		return err
	}
	t.pack = t.journal.header.Package
	return t.recall(ctx)
}

// recall takes over what the journal has. What was about to be sent when the process died may have arrived: then there are spans
// of it.
func (t *Target) recall(ctx context.Context) error {
	found := t.journal.found
	for _, i := range slices.Sorted(maps.Keys(found)) {
		e := found[i]
		if e.activation == "" && e.complete == 0 {
			spans, err := t.zipkin.byID(ctx, e.trace)
			if err != nil {
				return err
			}
			if len(spans) == 0 {
				if err := t.journal.refused(i); err != nil {
					return err
				}
				delete(found, i)
				continue
			}
		}
		t.sentAt.set(i, e.at)
	}
	return nil
}

// Journal returns the journal, nil if there is none.
func (t *Target) Journal() *Journal { return t.journal }

// Package is the name of the package that the application is deployed in.
func (t *Target) Package() string { return t.pack }

// Sample deploys the application and samples it, as sampler.Sample does, but the result has no dataset: the traces are in the
// journal, see [Target.Dataset] and [Target.WriteDataset]. After each trace progress is called, unless it is nil, with the
// number of those that are complete. When the context is done it stops sending and returns what is complete, after a time in
// which what was sent may still come. What is deployed stays: Remove removes it.
func (t *Target) Sample(ctx context.Context, progress func(complete int)) (*sampler.Result, error) {
	complete := 0
	result, err := sampler.Collect(ctx, t, t.options.App, t.options.Config, func(int, tpp.Sequence) error {
		if complete++; progress != nil {
			progress(complete)
		}
		return nil
	})
	return result, t.explain(err)
}

// Whole tells whether every request of the plan was sent.
func (t *Target) Whole() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sentAt.count == t.options.Config.Requests
}

// Deploy deploys the functions, unless all requests were sent before.
func (t *Target) Deploy(ctx context.Context, app *apps.Application) error {
	if !t.ready || t.pack == "" {
		return errors.New("a Target begins with Begin")
	}
	if t.Whole() {
		return nil
	}
	zip, err := packed(ctx, t.options, t.options.Kind)
	if err != nil {
		return err
	}
	timeout, err := t.timeout()
	if err != nil {
		return err
	}
	t.deployed = true // a part is enough to be removed
	t.say(fmt.Sprintf("deploying %d functions of %s, %.1f MB each, into package %s", len(app.Functions), app.Name, float64(len(zip))/1e6, t.pack))
	return t.deploy(ctx, deployment{
		pack: t.pack, app: app, kind: t.options.Kind, zip: zip, memoryMB: t.options.MemoryMB, timeout: timeout,
		parameters: map[string]any{
			"application": app.Name, "graph": action.Graph(app), "apihost": t.options.ActionAPIHost.Value, "package": t.pack,
			"collector": t.options.Collector.Value, "insecure": t.options.insecure(), "announce": t.options.Announce,
		},
	})
}

// timeout is the time limit of the actions: OpenWhisk's default, or longer if the plan has a sleep that needs it. It looks through
// the whole plan, and warns if OpenWhisk will not allow it.
func (t *Target) timeout() (time.Duration, error) {
	const usual, reserve = time.Minute, 30 * time.Second
	planner, err := sampler.NewPlanner(t.options.App, t.options.Config)
	if err != nil {
		return 0, err
	}
	longest, invocations := time.Duration(0), int64(0)
	t.last = 0
	for r, ok := planner.Next(); ok; r, ok = planner.Next() {
		t.last = r.Time
		invocations += int64(len(r.Calls))
		for _, c := range r.Calls {
			longest = max(longest, c.Sleep+time.Duration(len(c.Invokes))*apps.CallGap)
		}
	}
	perMinute := int64(float64(invocations) / max(t.last.Minutes(), 1))
	if allowed := t.info.Limits.ActionsPerMinute; allowed > 0 && perMinute > allowed {
		t.say(fmt.Sprintf("OpenWhisk allows %d invocations a minute, and the plan makes %d: they will be throttled, and traces be longer for it", allowed, perMinute))
	}
	timeout := max(usual, (longest + reserve).Round(time.Second))
	if most := time.Duration(t.info.Limits.MaxActionDuration) * time.Millisecond; most > 0 && timeout > most {
		if longest >= most {
			return 0, fmt.Errorf("a function works for %v, and OpenWhisk allows %v", longest, most)
		}
		timeout = most
	}
	return timeout, nil
}

// Remove removes what was deployed, by this run or the one before it.
func (t *Target) Remove(ctx context.Context) error {
	if !t.deployed && (t.journal == nil || t.journal.found == nil) {
		return nil
	}
	return t.explain(t.remove(ctx, t.pack))
}

// SentAt returns when a request was sent, by this run or the one before it.
func (t *Target) SentAt(index int) (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sentAt.get(index)
}

// Now returns the time.
func (t *Target) Now() time.Time { return time.Now() }

// AfterFunc calls f when d has passed, unless the sending is stopped before.
func (t *Target) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return func() bool { return false }
	}
	var timer *time.Timer
	done := func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		_, there := t.timers[timer]
		delete(t.timers, timer)
		return there
	}
	t.workers.Add(1) // until f has returned, or never will be called
	var once sync.Once
	leave := func() { once.Do(t.workers.Done) }
	timer = time.AfterFunc(d, func() {
		defer leave()
		t.mu.Lock()
		_, there := t.timers[timer]
		t.mu.Unlock()
		if there {
			f() // which plans the next: only then is this one done
			done()
		}
		t.signal()
	})
	t.timers[timer] = struct{}{}
	return func() bool {
		if timer.Stop() {
			leave()
		}
		return done()
	}
}

// stopSending takes back what is planned and not sent.
func (t *Target) stopSending() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return
	}
	t.stopped = true
	close(t.stop)
	for timer := range t.timers {
		if timer.Stop() {
			t.workers.Done()
		}
		delete(t.timers, timer)
	}
	t.unsent -= len(t.queue)
	t.queue = nil
	t.signal()
}

// signal wakes Wait.
func (t *Target) signal() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}
