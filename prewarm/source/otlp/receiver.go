package otlp

import (
	"context"
	"errors"
	"runtime"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // exporters pack their messages with it
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/tppfaas/tppfaas/prewarm/internal/guarded"
	"github.com/tppfaas/tppfaas/prewarm/source"
	"github.com/tppfaas/tppfaas/prewarm/source/internal/body"
)

// MaxMessage is the size of the largest message, unpacked, that a controller takes unless told otherwise, in bytes.
const MaxMessage = 8 << 20

// Options bounds what a Receiver takes. The zero value is right for a controller.
type Options struct {
	// Name is that of its counts; "" stands for otlp.
	Name string
	// MaxBytes is the size of the largest message over HTTP, unpacked; 0 stands for MaxMessage. Over gRPC the server bounds it.
	MaxBytes int64
	// MaxBytesAtOnce bounds all messages over HTTP that are being received; 0 stands for 64 MiB.
	MaxBytesAtOnce int64
}

// Receiver takes spans over gRPC and HTTP, and tells a sink what they say. It is safe for concurrent use.
type Receiver struct {
	ptraceotlp.UnimplementedGRPCServer
	counter  *source.Counter
	maxBytes int64
	room     *body.Room
	decoding chan struct{} // has an element for each message over HTTP that is being decoded, which takes several times its size
}

// New returns a Receiver that tells the sink. It has no goroutine, and nothing to close.
func New(sink source.Sink, o Options) *Receiver {
	if o.Name == "" {
		o.Name = "otlp"
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = MaxMessage
	}
	if o.MaxBytesAtOnce == 0 {
		o.MaxBytesAtOnce = 64 << 20
	}
	return &Receiver{
		counter: source.NewCounter(o.Name, sink), maxBytes: o.MaxBytes, room: body.NewRoom(o.MaxBytesAtOnce), decoding: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
}

// Counts returns what has come so far.
func (r *Receiver) Counts() source.Counts { return r.counter.Counts() }

// Register adds the service of OTLP, and that of health, to a gRPC server.
func (r *Receiver) Register(server *grpc.Server) {
	ptraceotlp.RegisterGRPCServer(server, r)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
}

// Export takes a message over gRPC.
func (r *Receiver) Export(ctx context.Context, request ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	report, err := r.take(ctx, request.Traces())
	switch {
	case errors.Is(err, source.ErrBusy):
		return ptraceotlp.ExportResponse{}, guarded.Exhausted(err.Error(), source.RetryAfter)
	case err != nil:
		return ptraceotlp.ExportResponse{}, status.Error(codes.Unavailable, err.Error())
	}
	return response(report), nil
}

// take tells the sink what the spans say.
func (r *Receiver) take(ctx context.Context, traces ptrace.Traces) (Report, error) {
	observations, report := Observations(traces)
	if err := r.counter.ObserveAll(ctx, observations); err != nil {
		return report, err
	}
	if report.Invalid > 0 { // counted once, when the message is not sent again
		r.counter.Reject(report.Invalid, report.First)
	}
	return report, nil
}

// response says which spans were not taken and should not be sent again.
func response(r Report) ptraceotlp.ExportResponse {
	answer := ptraceotlp.NewExportResponse()
	if r.Invalid > 0 {
		answer.PartialSuccess().SetRejectedSpans(int64(r.Invalid))
		answer.PartialSuccess().SetErrorMessage(r.First.Error())
	}
	return answer
}
