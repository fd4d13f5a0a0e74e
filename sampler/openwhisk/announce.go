package openwhisk

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/tppfaas/tppfaas/internal/announce"
	"github.com/tppfaas/tppfaas/internal/otlphttp"
	"github.com/tppfaas/tppfaas/internal/whisk"
)

// announcerService is the name of the service that announces requests.
const announcerService = "tppfaas-sampler"

// closeGrace bounds how long the end of a sampling waits for announcements.
const closeGrace = time.Second

// announcer announces the requests of a sampling to the collector.
type announcer struct {
	announcer *announce.Announcer
	http      *http.Client
}

// newAnnouncer returns an announcer that sends to the collector, and calls warn once if that fails.
func newAnnouncer(collector Setting, insecure bool, warn func(string)) (*announcer, error) {
	address, err := url.Parse(collector.Value)
	if err != nil {
		return nil, collector.wrong(err)
	}
	a := &announcer{http: whisk.NewHTTPClient(insecure, 4)}
	var once sync.Once
	a.announcer = announce.New(otlphttp.New(address, a.http, nil), announcerService, func(_ int, err error) {
		once.Do(func() {
			warn(fmt.Sprintf("a request was not announced to the collector at %s (from %s), and others may not be: %s; "+
				"-sampler-collector gives the address under which it is reached from here", collector.address(), collector.From, whisk.OneLine(err.Error())))
		})
	})
	return a, nil
}

// announce announces a request to main, in the trace and with the parent that are in its traceparent, and returns the id of the call.
func (a *announcer) announce(traceID [16]byte, parent [8]byte, main string) (callID string) {
	caller := trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: parent, TraceFlags: trace.FlagsSampled, Remote: true})
	return a.announcer.Invoke(trace.ContextWithSpanContext(context.Background(), caller), main)
}

// close waits a moment for the announcements that are being sent.
func (a *announcer) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	_ = a.announcer.Close(ctx) // what is lost was reported
	a.http.CloseIdleConnections()
}
