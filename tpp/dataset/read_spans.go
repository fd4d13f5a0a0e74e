package dataset

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// SpanRule says which spans of a trace are events.
type SpanRule string

// The rules. The zero value takes the first that finds any event in the file.
const (
	// SpansInvocations takes the invocations of functions: spans with activationId or faas.invocation_id, and spans of kind SERVER or
	// CONSUMER with faas.name, faas.trigger or faas.coldstart (faas.name may be the resource's), but no span that is a part of another
	// one's invocation.
	SpansInvocations SpanRule = "invocations"
	// SpansServer takes the spans of kind SERVER or CONSUMER: the requests to services.
	SpansServer SpanRule = "server"
	// SpansAll takes all spans, but announcements of invocations that are there and their phases.
	SpansAll SpanRule = "all"
)

// SpanRules returns the rules that [ReadOptions] accepts.
func SpanRules() []SpanRule { return []SpanRule{SpansInvocations, SpansServer, SpansAll} }

// What the mark of an event may be, beside the key of an attribute.
const (
	markName           = "name"
	markService        = "service"
	markServiceAndName = "service/name"
)

// spanSource reads spans and yields each trace as a sequence, as soon as its last span has been read. For that the file is read twice: first
// to know where each trace ends, and whether any span is an invocation. A pipe cannot be read twice; its spans are held in memory.
type spanSource struct {
	reader  *SequenceReader
	format  Format
	markKey string // the attribute that marks are taken from, "" if they are taken from names
	scanner spanScanner
	begun   bool

	index traceIndex
	open  map[traceID][]span // the traces that are not complete
	batch []span             // has been read, but not put into its traces
	read  int                // spans
	build traceBuilder
}

// traceIndex knows where each trace ends.
type traceIndex struct {
	last  map[traceID]int     // how many spans have been read when the trace is complete
	wide  map[traceID]traceID // traces of 64 bits → of 128 bits with these in their lower half
	short bool                // some id has 64 bits

	spans, invocations, serving int
}

func newSpanSource(r *SequenceReader, format Format, lex *jsonLexer) (*spanSource, error) {
	rule := r.opts.Spans
	if rule != "" && !slices.Contains(SpanRules(), rule) {
		return nil, fmt.Errorf("the spans that are events are %q, they may be %s, %s or %s", rule, SpansInvocations, SpansServer, SpansAll)
	}
	s := &spanSource{reader: r, format: format}
	switch mark := r.opts.MarkColumn; mark {
	case "", markName, markService, markServiceAndName, attrService:
	default:
		s.markKey = mark
	}
	if format == FormatOTLP {
		s.scanner = newOTLPScanner(lex, s.markKey)
	} else {
		s.scanner = newZipkinScanner(lex, s.markKey)
	}
	return s, nil
}

// next returns the next trace that is complete and has an event.
func (s *spanSource) next() (*tpp.Sequence, error) {
	if !s.begun {
		s.begun = true
		if err := s.begin(); err != nil {
			return nil, err
		}
	}
	for {
		trace, err := s.nextTrace()
		if err != nil {
			return nil, err
		}
		seq, err := s.build.sequence(trace)
		if err == nil && seq != nil {
			err = s.reader.finish(seq)
		}
		if err != nil {
			return nil, fmt.Errorf("trace %s: %w", trace[0].trace, err)
		}
		if seq != nil {
			return seq, nil
		}
	}
}

// nextTrace returns the spans of the next trace that is complete.
func (s *spanSource) nextTrace() ([]span, error) {
	for {
		for len(s.batch) > 0 {
			one := s.batch[0]
			s.batch = s.batch[1:]
			s.read++
			id := s.index.resolve(one.trace)
			trace := append(s.open[id], one)
			last, known := s.index.last[id]
			if !known || s.read > last {
				return nil, errChanged
			}
			if s.read == last {
				delete(s.open, id)
				delete(s.index.last, id)
				return trace, nil
			}
			s.open[id] = trace
		}
		var err error
		s.batch, err = s.scanner.next()
		if err == io.EOF && (len(s.open) > 0 || s.read != s.index.spans) {
			return nil, errChanged
		}
		if err != nil {
			return nil, err
		}
	}
}

var errChanged = errors.New("it changed while it was read")

// begin reads the file for the first time.
func (s *spanSource) begin() error {
	s.index.last, s.open = map[traceID]int{}, map[traceID][]span{}
	var held heldSpans
	for {
		spans, err := s.scanner.next()
		if err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		for i := range spans {
			s.index.add(&spans[i])
		}
		if s.reader.seeker == nil {
			held.batches = append(held.batches, slices.Clone(spans))
		}
	}
	s.index.finish()
	skipped := 0
	if o, ok := s.scanner.(*otlpScanner); ok {
		skipped = o.skipped
	}
	s.build = newTraceBuilder(s, s.index.rule(s.reader.opts.Spans), skipped)
	if s.reader.seeker == nil {
		s.scanner = &held
		return nil
	}
	if err := s.reader.rewind(); err != nil {
		return err
	}
	if err := s.reader.begin(); err != nil {
		return err
	}
	again, ok := s.reader.src.(*spanSource)
	if !ok || again.format != s.format {
		return errChanged
	}
	s.scanner = again.scanner
	s.reader.src = s
	return nil
}

// heldSpans yields spans that have been read before.
type heldSpans struct{ batches [][]span }

func (h *heldSpans) next() ([]span, error) {
	if len(h.batches) == 0 {
		return nil, io.EOF
	}
	batch := h.batches[0]
	h.batches[0] = nil
	h.batches = h.batches[1:]
	return batch, nil
}

func (x *traceIndex) add(s *span) {
	x.spans++
	x.last[s.trace] = x.spans
	x.short = x.short || s.trace.high == 0
	if s.isInvocation() {
		x.invocations++
	}
	if s.kind.serves() {
		x.serving++
	}
}

// finish joins the traces with an id of 64 bits to those of which it is the lower half: the programs of one trace may differ in what they
// know of its id.
func (x *traceIndex) finish() {
	if !x.short {
		return
	}
	x.wide = map[traceID]traceID{}
	for id := range x.last {
		narrow := traceID{low: id.low}
		if _, ok := x.last[narrow]; !ok || id.high == 0 {
			continue
		}
		if _, ambiguous := x.wide[narrow]; ambiguous {
			x.wide[narrow] = narrow // it may be of either: it stays by itself
			continue
		}
		x.wide[narrow] = id
	}
	for narrow, id := range x.wide {
		if id == narrow {
			continue
		}
		x.last[id] = max(x.last[id], x.last[narrow])
		delete(x.last, narrow)
	}
}

// resolve returns the id under which the spans of a trace are gathered.
func (x *traceIndex) resolve(id traceID) traceID {
	if id.high == 0 {
		if wide, ok := x.wide[id]; ok {
			return wide
		}
	}
	return id
}

// rule returns the rule that was asked for, or the first that finds an event.
func (x *traceIndex) rule(asked SpanRule) SpanRule {
	switch {
	case asked != "":
		return asked
	case x.invocations > 0:
		return SpansInvocations
	case x.serving > 0:
		return SpansServer
	}
	return SpansAll
}
