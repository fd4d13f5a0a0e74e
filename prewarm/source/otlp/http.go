package otlp

import (
	"errors"
	"mime"
	"net/http"

	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/prewarm/source"
	"github.com/tppfaas/tppfaas/prewarm/source/internal/body"
)

// The forms of OTLP over HTTP.
const (
	asProtobuf = "application/x-protobuf"
	asJSON     = "application/json"
)

// ServeHTTP takes a message over HTTP, and answers as the OTLP specification says: 429 with Retry-After if there is no room, 400 for what is no message, 413
// for one that is too large, 415 for another form.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if request.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "spans are sent by POST", http.StatusMethodNotAllowed)
		return
	}
	form, _, _ := mime.ParseMediaType(request.Header.Get("Content-Type"))
	if form != asProtobuf && form != asJSON {
		http.Error(w, "spans are sent as "+asProtobuf+" or "+asJSON, http.StatusUnsupportedMediaType)
		return
	}
	report, err := r.receive(w, request, form)
	var refused *body.Error
	switch {
	case err == nil:
		answer(w, form, http.StatusOK, response(report))
		return
	case errors.As(err, &refused):
	case errors.Is(err, source.ErrBusy):
		refused = &body.Error{Status: http.StatusTooManyRequests, Text: err.Error(), RetryAfter: source.RetryAfter}
	default:
		refused = &body.Error{Status: http.StatusServiceUnavailable, Text: err.Error(), RetryAfter: source.RetryAfter}
	}
	refused.Headers(w.Header())
	answer(w, form, refused.Status, failure{refused})
}

// receive reads and takes a message.
func (r *Receiver) receive(w http.ResponseWriter, request *http.Request, form string) (Report, error) {
	text, release, err := body.Read(w, request, r.room, r.maxBytes)
	defer release()
	if err != nil {
		var refused *body.Error
		if errors.As(err, &refused) && refused.RetryAfter > 0 {
			r.counter.Refuse(1)
		} else {
			r.counter.Reject(1, err)
		}
		return Report{}, err
	}
	select {
	case r.decoding <- struct{}{}:
		defer func() { <-r.decoding }()
	case <-request.Context().Done():
		return Report{}, request.Context().Err()
	}
	message := ptraceotlp.NewExportRequest()
	if form == asJSON {
		err = message.UnmarshalJSON(text)
	} else {
		err = message.UnmarshalProto(text)
	}
	if err != nil {
		err = &body.Error{Status: http.StatusBadRequest, Text: "this is no message with spans: " + whisk.OneLine(err.Error())}
		r.counter.Reject(1, err)
		return Report{}, err
	}
	return r.take(request.Context(), message.Traces())
}

// marshaler is an answer in both forms.
type marshaler interface {
	MarshalProto() ([]byte, error)
	MarshalJSON() ([]byte, error)
}

// answer writes an answer in the form of the request.
func answer(w http.ResponseWriter, form string, code int, m marshaler) {
	text, err := m.MarshalProto()
	if form == asJSON {
		text, err = m.MarshalJSON()
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", form)
	w.WriteHeader(code)
	_, _ = w.Write(text)
}

// failure is the answer to a message that is not taken, a google.rpc.Status.
type failure struct{ *body.Error }

func (f failure) status() proto.Message {
	code := codes.InvalidArgument
	switch f.Status {
	case http.StatusTooManyRequests:
		code = codes.ResourceExhausted
	case http.StatusServiceUnavailable:
		code = codes.Unavailable
	}
	return status.New(code, f.Text).Proto()
}

func (f failure) MarshalProto() ([]byte, error) { return proto.Marshal(f.status()) }
func (f failure) MarshalJSON() ([]byte, error)  { return protojson.Marshal(f.status()) }
