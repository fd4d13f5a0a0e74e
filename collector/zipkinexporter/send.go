package zipkinexporter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/translator/zipkin/zipkinv2"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/tppfaas/tppfaas/collector/zipkinexporter/internal/metadata"
	"github.com/tppfaas/tppfaas/internal/errorfs"
	"github.com/tppfaas/tppfaas/internal/whisk"
)

// The reasons why a span is set aside: values of the metrics' attribute reason.
const (
	reasonNotEncodable = "not_encodable"
	reasonTooLarge     = "too_large"
	reasonRefused      = "refused"
)

// zipkinExporter is the exporter. It is safe for concurrent use.
type zipkinExporter struct {
	config    *Config
	format    *format
	settings  component.TelemetrySettings
	telemetry *metadata.TelemetryBuilder
	fs        errorfs.FS

	// Set by start.
	client *http.Client
	aside  *folder // nil without a folder
}

func newExporter(set exporter.Settings, config *Config, fs errorfs.FS) (*zipkinExporter, error) {
	telemetry, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	settings := set.TelemetrySettings
	settings.Logger = set.Logger.WithOptions(zap.AddStacktrace(zapcore.DPanicLevel)) // one line for each entry
	return &zipkinExporter{config: config, format: formats[config.Format], settings: settings, telemetry: telemetry, fs: fs}, nil
}

func (e *zipkinExporter) start(ctx context.Context, host component.Host) error {
	if err := zipkinv2.ValidateFeatureGates(); err != nil {
		return err
	}
	if dir := e.config.SetAside.Directory; dir != "" {
		var err error
		if e.aside, err = openFolder(e.fs, e.config.SetAside); err != nil {
			// Spans that Zipkin takes are not to wait for a folder that is hardly ever needed.
			e.settings.Logger.Error("The folder for spans that Zipkin refuses cannot be used; they will be dropped until it can", zap.Error(err))
		}
	}
	client, err := e.config.ClientConfig.ToClient(ctx, host.GetExtensions(), e.settings)
	if err != nil {
		return err
	}
	client.CheckRedirect = whisk.KeepMethod
	e.client = client
	return nil
}

func (e *zipkinExporter) shutdown(context.Context) error {
	if e.client != nil {
		e.client.CloseIdleConnections()
	}
	e.telemetry.Shutdown()
	return nil
}

// push exports the spans of a message. Those that cannot be exported now are in the error, a consumererror.Traces; those that never can
// are set aside.
func (e *zipkinExporter) push(ctx context.Context, traces ptrace.Traces) error {
	parts, rejected := e.format.split(traces)
	d := delivery{zipkinExporter: e, rejected: rejected}
	for len(parts) > 0 {
		n := e.fitting(parts)
		if d.err == nil {
			d.send(ctx, parts[:n])
		} else {
			d.left = append(d.left, parts[:n]...) // Zipkin is not there: do not ask for each request
		}
		parts = parts[n:]
	}
	e.setAside(ctx, d.rejected)
	if d.err != nil {
		return consumererror.NewTraces(d.err, message(d.left))
	}
	return nil
}

// fitting returns how many of the parts fit into a request, at least 1.
func (e *zipkinExporter) fitting(parts []part) int {
	size := len(e.format.before) + len(e.format.after)
	for i, p := range parts {
		size += len(p.encoded) + len(e.format.between)
		if i > 0 && size > e.config.MaxRequestBytes {
			return i
		}
	}
	return len(parts)
}

// delivery is the attempt to export a message.
type delivery struct {
	*zipkinExporter
	rejected []rejection // for good
	left     []part      // to be sent again
	err      error       // why; nil if left is empty
	checked  bool        // check was called
	well     bool        // its result
}

// send sends the parts in one request. Of a request that Zipkin refuses, the halves are sent, and so on, until each span is sent or
// found to be the reason.
func (d *delivery) send(ctx context.Context, parts []part) {
	err := d.post(ctx, d.format.list(parts))
	var refusal *refusalError
	switch {
	case err == nil:
		return
	case !errors.As(err, &refusal) || !d.check(ctx):
		d.left, d.err = append(d.left, parts...), err
	case len(parts) > 1:
		d.telemetry.ExporterZipkinRequestsDivided.Add(ctx, 1)
		half := len(parts) / 2
		d.send(ctx, parts[:half])
		if d.err != nil { // Zipkin went away meanwhile
			d.left = append(d.left, parts[half:]...)
			return
		}
		d.send(ctx, parts[half:])
	case refusal.status == http.StatusRequestEntityTooLarge:
		d.rejected = append(d.rejected, rejection{parts[0], reasonTooLarge, err})
	default:
		d.rejected = append(d.rejected, rejection{parts[0], reasonRefused, err})
	}
}

// check reports whether Zipkin takes a list without spans, as its own reporters do to check a server. If it does not, a refusal is no
// matter of the spans: the address may be wrong, or Zipkin may be failing.
func (d *delivery) check(ctx context.Context) bool {
	if !d.checked {
		d.checked, d.well = true, d.postAs(ctx, []byte("[]"), formats["json"].contentType) == nil
	}
	return d.well
}

// refusalError is an answer that may be due to the spans of a request.
type refusalError struct {
	status int
	text   string // what the server says
}

func (e *refusalError) Error() string {
	if e.text == "" {
		return fmt.Sprintf("Zipkin refuses the request with status %d", e.status)
	}
	return fmt.Sprintf("Zipkin refuses the request with status %d: %s", e.status, e.text)
}

func (e *zipkinExporter) post(ctx context.Context, body []byte) error {
	return e.postAs(ctx, body, e.format.contentType)
}

func (e *zipkinExporter) postAs(ctx context.Context, body []byte, contentType string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.config.ClientConfig.Endpoint, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("failed to push trace data via Zipkin exporter: %w", err)
	}
	request.Header.Set("Content-Type", contentType)
	response, err := e.client.Do(request)
	if err != nil {
		return fmt.Errorf("failed to push trace data via Zipkin exporter: %w", err)
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	status := response.StatusCode
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge, status == http.StatusUnprocessableEntity,
		status == http.StatusInternalServerError: // of a request above its limit, and of some malformed ones
		return &refusalError{status, oneLine(answer)}
	}
	err = fmt.Errorf("failed the request with status code %d", status)
	if elsewhere := whisk.RedirectedTo(response); elsewhere != "" {
		err = fmt.Errorf("%w: it sends to %s", err, elsewhere)
	}
	if seconds, e := strconv.Atoi(response.Header.Get("Retry-After")); e == nil && seconds > 0 {
		return exporterhelper.NewThrottleRetry(err, time.Duration(min(seconds, 3600))*time.Second)
	}
	return err
}

// oneLine returns the beginning of a text in one line.
func oneLine(text []byte) string {
	line := strings.Join(strings.Fields(strings.ToValidUTF8(string(text), "\uFFFD")), " ")
	if len(line) > 200 {
		line = strings.ToValidUTF8(line[:200], "") + "…"
	}
	return line
}

// setAside writes the rejected spans to a file for each reason, and says so.
func (e *zipkinExporter) setAside(ctx context.Context, rejected []rejection) {
	for _, reason := range [...]string{reasonNotEncodable, reasonTooLarge, reasonRefused} {
		var parts []part
		var first error
		for _, r := range rejected {
			if r.reason == reason {
				parts = append(parts, r.part)
				first = firstError(first, r.err)
			}
		}
		if len(parts) == 0 {
			continue
		}
		logger := e.settings.Logger.With(zap.Int("spans", len(parts)), zap.String("reason", reason), zap.NamedError("first_error", first))
		if e.aside == nil {
			e.telemetry.ExporterZipkinSpansDiscarded.Add(ctx, int64(len(parts)))
			logger.Error("Spans that cannot be exported are dropped, because there is no folder to set them aside (set_aside::directory)")
			continue
		}
		file, removed, err := e.aside.keep(reason, first.Error(), message(parts))
		if err != nil {
			e.telemetry.ExporterZipkinSpansDiscarded.Add(ctx, int64(len(parts)))
			logger.Error("Spans that cannot be exported are dropped, because they cannot be set aside", zap.Error(err))
			continue
		}
		e.telemetry.ExporterZipkinSpansSetAside.Add(ctx, int64(len(parts)), metric.WithAttributeSet(attribute.NewSet(attribute.String("reason", reason))))
		if removed > 0 {
			e.telemetry.ExporterZipkinSpansDiscarded.Add(ctx, int64(removed))
			logger = logger.With(zap.Int("older_spans_removed", removed))
		}
		logger.Warn("Spans that cannot be exported are set aside", zap.String("file", file))
	}
}

// firstError returns the first error that is not nil.
func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
