package openwhisk

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/errorfs"
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
	// Announce makes the functions, and the Target itself, announce each invocation as they make it, and the functions the start of each.
	Announce bool
	// Settle is how long nothing new must come before what is missing counts as lost; 0 stands for 30 s.
	Settle time.Duration
	// Patience is how long requests to a server that fails or is away are repeated; 0 stands for 5 min. Time in which OpenWhisk
	// throttles does not count.
	Patience time.Duration
	// Timeout bounds each request including its answer; 0 stands for 30 s.
	Timeout time.Duration
	// OnMessage is called with lines that the user should read while the sampling goes on, from several goroutines; it may be nil.
	OnMessage func(string)
	// OnSend is called after each send with the number of requests that were sent, by earlier runs too, and how long the plan
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

// Target is an OpenWhisk to sample on, for one sampling. It implements [sampler.Recorder].
//
// A request passes through these stages: Send puts it into queue; one of the senders takes it out and has main invoked; then it is
// pending until Wait has found its whole trace at Zipkin, or has given it up. Requests that an earlier run has sent skip the queue, and
// those whose traces it has collected too are only handed over.
type Target struct {
	options   Options
	http      *http.Client // for client
	client    *whisk.Client
	zipkin    *zipkin
	announcer *announcer // nil if requests are not announced
	info      whisk.Info
	preflight bool // Preflight went well
	pack      string
	disk      errorfs.FS // of the journal
	journal   *Journal   // nil if there is none

	sendBreaker  breaker // for OpenWhisk
	fetchBreaker breaker // for Zipkin

	// ctx ends with Close, sending before, when the answers to what was sent are not waited for any longer. stop is closed when nothing
	// more is to be sent, at the latest by Close.
	ctx, sending         context.Context
	cancel, breakOffSend context.CancelFunc
	stop                 chan struct{}
	workers              sync.WaitGroup
	wake                 chan struct{} // signals that something has changed that Wait waits for

	mu         sync.Mutex
	stopped    bool // stop is closed
	deployed   bool // something is, perhaps not all
	timers     map[*time.Timer]struct{}
	queue      []*request // to be sent
	senders    int        // goroutines that send
	unfinished int        // requests in the queue, being sent, or to be handed over
	pending    []*request // sent, but without a whole trace
	restored   []restored // whole since an earlier run, and to be handed over
	sentAt     sentTimes
	planEnd    time.Duration // when the last request of the plan is due

	lastProgress  time.Time             // when something was last sent, or arrived
	arrived       int                   // spans
	warned        bool                  // the user knows that no spans arrive
	journalFailed bool                  // the user knows that traces are kept in memory
	unjournaled   map[int]sampler.Trace // complete traces that could not be written to the journal
}

var _ sampler.Recorder = (*Target)(nil)

// New returns a Target. It makes no request yet. Impossible options are an error.
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
	if o.App != nil && o.Collector.From == here && !whisk.IsLoopback(api) {
		return nil, errors.New("the collector is missing: give the address under which the functions reach it with -collector, TPPFAAS_COLLECTOR, " +
			"or collector in the configuration")
	}
	if o.Arch == "" {
		o.Arch = "amd64"
		if whisk.IsLoopback(api) {
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
		stop: make(chan struct{}), wake: make(chan struct{}, 1), timers: map[*time.Timer]struct{}{}, sentAt: sentTimes{epoch: time.Now()},
		disk: errorfs.OS{}, unjournaled: map[int]sampler.Trace{},
	}
	if o.App != nil && o.Announce {
		if t.announcer, err = newAnnouncer(o.SamplerCollector, o.insecure(), t.message); err != nil {
			return nil, err
		}
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.sending, t.breakOffSend = context.WithCancel(t.ctx)
	t.sendBreaker.init(t.message)
	t.fetchBreaker.init(t.message)
	return t, nil
}

func (t *Target) message(text string) {
	if t.options.OnMessage != nil {
		t.options.OnMessage(text)
	}
}

// Begin makes everything ready for Sample: it calls Preflight, unless that was done before, and creates the journal, or with resume
// continues that of an earlier run. Without a name there is no journal. A journal that exists without resume is ErrJournalExists.
func (t *Target) Begin(ctx context.Context, journal string, resume bool) error {
	if t.options.App == nil {
		return errors.New("there is no application to sample")
	}
	if err := checkJournal(t.disk, journal, resume); err != nil {
		return err
	}
	if !t.preflight {
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
		t.journal, err = createJournal(t.disk, journal, h)
		return err
	}
	if t.journal, err = openJournal(t.disk, journal, h); err != nil {
		return err
	}
	t.pack = t.journal.header.Package
	return t.restore(ctx)
}

// restore takes over the requests that the journal says were sent. One that was about to be sent when the process died may have
// arrived: then there are spans of it.
func (t *Target) restore(ctx context.Context) error {
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

// Sample deploys the application and samples it as [sampler.Collect] does: the result has no dataset, because the traces are in the
// journal, see [Target.Dataset] and [Target.WriteDataset]. After each trace progress is called, unless it is nil, with the number of
// complete traces. When the context is done Sample stops sending and returns what is complete, after a time in which traces of the
// requests that were sent may still arrive. What is deployed stays until Remove.
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

// Close ends everything that is still under way. It removes nothing.
func (t *Target) Close() {
	t.stopSending()
	t.cancel()
	t.workers.Wait()
	if t.announcer != nil {
		t.announcer.close()
	}
	t.http.CloseIdleConnections()
	t.zipkin.Close()
}

// Journal returns the journal, nil if there is none.
func (t *Target) Journal() *Journal { return t.journal }

// Package returns the name of the package that the application is deployed in.
func (t *Target) Package() string { return t.pack }

// AllSent reports whether every request of the plan was sent, by this run or the one before it.
func (t *Target) AllSent() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sentAt.count == t.options.Config.Requests
}

// SentAt returns when a request was sent, by this run or the one before it.
func (t *Target) SentAt(index int) (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sentAt.get(index)
}
