package usagecsv

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/rightsize"
)

// The columns: index 0 and 1 are those of the resources, the last is that of the time.
const (
	timeColumn = 2
	numColumns = 3
)

// names are those of the columns, in lower case. The first is what is written.
var names = [numColumns][]string{
	rightsize.Memory: {"mem_usage", "memory_usage", "memory", "mem", "memory_bytes"},
	rightsize.CPU:    {"cpu_usage", "cpu", "cpu_cores"},
	timeColumn:       {"time", "timestamp", "ts"},
}

// parser takes the lines of a file.
type parser struct {
	options Options
	table   *table
	columns []int   // what each column holds, −1 for nothing that is of use; nil before the header
	unit    float64 // ms of the unit of the times; 0 before the first
	fields  []string
}

func (p *parser) line(text []byte) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	var err error
	if p.fields, err = split(p.fields[:0], string(text)); err != nil {
		return err
	}
	if p.columns == nil {
		return p.header()
	}
	if len(p.fields) != len(p.columns) {
		return fmt.Errorf("%d fields where the first line has %d", len(p.fields), len(p.columns))
	}
	if len(p.table.times) >= p.options.MaxSamples {
		return fmt.Errorf("there are more than %d samples", p.options.MaxSamples)
	}
	values := [2]float64{math.NaN(), math.NaN()}
	var at int64
	for i, field := range p.fields {
		switch c := p.columns[i]; c {
		case -1:
		case timeColumn:
			if at, err = p.time(field); err != nil {
				return err
			}
		default:
			if values[c], err = value(field); err != nil {
				return fmt.Errorf("%s: %w", rightsize.Resource(c), err)
			}
		}
	}
	if n := len(p.table.times); n > 0 && at <= p.table.times[n-1] {
		return fmt.Errorf("the time %s is not after that of the sample before, %s", show(at), show(p.table.times[n-1]))
	}
	p.table.times = append(p.table.times, at)
	for r, v := range values {
		p.table.values[r] = append(p.table.values[r], v)
	}
	return nil
}

func (p *parser) header() error {
	found := [numColumns]bool{}
	columns := make([]int, len(p.fields))
	for i, field := range p.fields {
		columns[i] = slices.IndexFunc(names[:], func(names []string) bool { return slices.Contains(names, strings.ToLower(strings.TrimSpace(field))) })
		if c := columns[i]; c >= 0 {
			if found[c] {
				return fmt.Errorf("there are two columns of %s", names[c][0])
			}
			found[c] = true
		}
	}
	const due = "a first line like Time,mem_usage,cpu_usage is due"
	switch {
	case !found[timeColumn]:
		return fmt.Errorf("no column is called Time: %s, not %.100q", due, strings.Join(p.fields, ","))
	case !found[rightsize.Memory] && !found[rightsize.CPU]:
		return fmt.Errorf("no column is called mem_usage or cpu_usage: %s, not %.100q", due, strings.Join(p.fields, ","))
	}
	p.columns = columns
	return nil
}

// split appends the fields of a line, without the quotes that they may have.
func split(fields []string, line string) ([]string, error) {
	for {
		line = strings.TrimLeft(line, " \t")
		if !strings.HasPrefix(line, `"`) {
			field, rest, more := strings.Cut(line, ",")
			if strings.Contains(field, `"`) {
				return nil, fmt.Errorf("field %d: a quote stands within it", len(fields)+1)
			}
			fields = append(fields, strings.TrimRight(field, " \t"))
			if !more {
				return fields, nil
			}
			line = rest
			continue
		}
		var field strings.Builder
		rest := line[1:]
		for {
			before, after, ok := strings.Cut(rest, `"`)
			if !ok {
				return nil, fmt.Errorf("field %d: its quote has no end on this line", len(fields)+1)
			}
			field.WriteString(before)
			rest = after
			if !strings.HasPrefix(rest, `"`) {
				break
			}
			field.WriteByte('"')
			rest = rest[1:]
		}
		fields = append(fields, field.String())
		rest = strings.TrimLeft(rest, " \t")
		switch {
		case rest == "":
			return fields, nil
		case rest[0] != ',':
			return nil, fmt.Errorf("field %d: there is text after its quotes", len(fields))
		}
		line = rest[1:]
	}
}

// value reads a value; NaN is one that is not known.
func value(field string) (float64, error) {
	field = strings.TrimSpace(field)
	switch strings.ToLower(field) {
	case "", "nan", "null", "undefined":
		return math.NaN(), nil
	}
	v, err := strconv.ParseFloat(field, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		if v, err = rightsize.ParseQuantity(field); err != nil {
			return 0, err
		}
	}
	if !(v >= 0 && v < 1<<63) { // more than Kubernetes can write
		return 0, fmt.Errorf("%s is no amount: it must be from 0 to 2^63", field)
	}
	return v, nil
}

var unitMs = map[string]float64{"s": 1000, "ms": 1, "us": 1e-3, "ns": 1e-6}

// maxTime is the latest time in ms, in the year 5138.
const maxTime = 1e14

// time reads a time, in ms.
func (p *parser) time(field string) (int64, error) {
	field = strings.TrimSpace(field)
	v, err := strconv.ParseFloat(field, 64)
	if err != nil {
		t, err := time.Parse(time.RFC3339Nano, field)
		if err != nil {
			return 0, fmt.Errorf("the time %q: want ms since 1970, or RFC 3339 with its zone like 2026-11-29T12:00:00Z", field)
		}
		if v = float64(t.UnixMilli()); math.Abs(v) > maxTime {
			return 0, fmt.Errorf("the time %s is beyond all bounds", field)
		}
		return t.UnixMilli(), nil
	}
	if p.unit == 0 {
		switch unit, known := unitMs[p.options.Unit]; {
		case known:
			p.unit = unit
		case p.options.Unit != "":
			return 0, fmt.Errorf("the unit %q of times: it is s, ms, us or ns", p.options.Unit)
		case v >= 1e8 && v < 1e11: // as seconds 1973 to 5138; as milliseconds 1970 to 1973
			p.unit = unitMs["s"]
		case v >= 1e11 && v < 1e14:
			p.unit = unitMs["ms"]
		default:
			return 0, fmt.Errorf("the time %s is neither in ms nor in s since 1970, as far as one can tell: name its unit", field)
		}
	}
	if v *= p.unit; !(math.Abs(v) < maxTime) {
		return 0, fmt.Errorf("the time %s is beyond all bounds", field)
	}
	return int64(math.Round(v)), nil
}

// show returns a time for messages.
func show(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.999Z") }
