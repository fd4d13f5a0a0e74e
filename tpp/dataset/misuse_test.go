package dataset

import (
	"bytes"
	"context"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
)

// TestZeroValues calls every method of the zero values of the types, with nothing where something is expected: none panics.
func TestZeroValues(t *testing.T) {
	for _, fresh := range []func() any{
		func() any { return &Columns{} }, func() any { return &SequenceReader{} }, func() any { return &SequenceWriter{} }, func() any { return &Summary{} },
		func() any { return &CovariateSummary{} }, func() any { return new(Format) }, func() any { return &Warning{} }, func() any { return new(WarningKind) },
	} {
		typ := reflect.TypeOf(fresh())
		for i := range typ.NumMethod() {
			method := typ.Method(i)
			t.Run(typ.String()+"."+method.Name, func(t *testing.T) {
				args := []reflect.Value{reflect.ValueOf(fresh())}
				for j := 1; j < method.Type.NumIn(); j++ {
					arg := reflect.Zero(method.Type.In(j))
					switch method.Type.In(j) {
					case reflect.TypeFor[context.Context]():
						arg = reflect.ValueOf(t.Context())
					case reflect.TypeFor[float64]():
						arg = reflect.ValueOf(math.NaN())
					}
					args = append(args, arg)
				}
				method.Func.Call(args)
			})
		}
	}
	for _, err := range new(SequenceReader).All(t.Context()) {
		if err != errNoReader {
			t.Errorf("the zero SequenceReader: error %v", err)
		}
	}
}

// TestMisuse checks that calls with a missing or an impossible argument return errors that name it.
func TestMisuse(t *testing.T) {
	s := &tpp.Sequence{ArrivalTimes: []float64{0, 1}}
	for _, c := range []struct {
		name, reason string
		err          func() error
	}{
		{"the zero SequenceReader", "NewSequenceReader", func() error { _, err := new(SequenceReader).ReadAll(t.Context()); return err }},
		{"the zero SequenceWriter", "NewSequenceWriter", func() error { return new(SequenceWriter).Write(s, nil) }},
		{"closing the zero SequenceWriter", "NewSequenceWriter", func() error { return new(SequenceWriter).Close() }},
		{"Read from nothing", "no reader", func() error { _, err := Read(nil); return err }},
		{"Read from an empty reader", "empty", func() error { _, err := Read(strings.NewReader("")); return err }},
		{"NewSequenceReader of an unknown unit", "fortnight", func() error {
			_, err := NewSequenceReader(strings.NewReader("{}"), ReadOptions{Unit: "fortnight"})
			return err
		}},
		{"NewSequenceWriter without a writer", "no writer", func() error { _, err := NewSequenceWriter(nil, FormatJSON); return err }},
		{"NewSequenceWriter of no format", "unknown format", func() error { _, err := NewSequenceWriter(io.Discard, ""); return err }},
		{"Encode without a dataset", "no dataset", func() error { return Encode(io.Discard, nil, FormatJSON) }},
		{"Encode without a writer", "no writer", func() error { return Encode(nil, &tpp.Dataset{Sequences: []tpp.Sequence{*s}}, FormatJSON) }},
		{"WriteFile without a name", "is not the name of a file", func() error { return WriteFile("", &tpp.Dataset{}) }},
		{"ReadFile without a name", "open", func() error { _, err := ReadFile(""); return err }},
		{"OpenSequences without a name", "open", func() error { _, err := OpenSequences("", ReadOptions{}); return err }},
		{"ParseTimeUnit of nothing", "", func() error { _, err := ParseTimeUnit(""); return err }},
		{"a time that is none", "NaN", func() error {
			return Encode(io.Discard, &tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{math.NaN()}}}}, FormatCSV)
		}},
		{"Write of nil", "no sequence", func() error {
			w, err := NewSequenceWriter(new(bytes.Buffer), FormatCSV)
			if err != nil {
				t.Fatal(err)
			}
			return w.Write(nil, nil)
		}},
	} {
		if err := c.err(); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: got error %v, want one that says %q", c.name, err, c.reason)
		}
	}
	if got := FormatOf(""); got != FormatJSON {
		t.Errorf("the format of no name is %s", got)
	}
	for _, o := range []ReadOptions{{Resolution: math.NaN()}, {Tick: math.NaN()}, {MarkNames: []string{}}, {Resolution: -1}} {
		r, err := NewSequenceReader(strings.NewReader(`{"arrival_times": [0, 1]}`), o)
		if err == nil {
			_, _ = r.ReadAll(t.Context())
			r.Warnings()
		}
	}
}
