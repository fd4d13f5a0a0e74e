package usagecsv

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"

	"github.com/tppfaas/tppfaas/internal/gunzip"
	"github.com/tppfaas/tppfaas/rightsize"
)

// Options says how files are read. The zero value will do.
type Options struct {
	// Function names the usage; "" stands for the name of the file.
	Function string
	// Unit is that of the times: "s", "ms", "us" or "ns"; "" finds out by the first.
	Unit string
	// MaxSamples bounds the samples of a file; 0 stands for 20 million.
	MaxSamples int
}

const (
	defaultMaxSamples = 20_000_000
	maxLine           = 1 << 16 // bytes
)

// ReadFiles reads files and puts their samples together in the order of time: of one resource each, of different times, or both. "-" is standard input.
// Where two files hold the same resource at the same time with different values, that is an error.
func ReadFiles(ctx context.Context, paths []string, o Options) (*rightsize.Usage, error) {
	if len(paths) == 0 {
		return nil, errors.New("no files of usage to read")
	}
	var all *table
	for _, path := range paths {
		t, err := readFile(ctx, path, o)
		if err != nil {
			return nil, err
		}
		if all, err = all.merge(t); err != nil {
			return nil, err
		}
	}
	function := o.Function
	if function == "" {
		function = paths[0]
	}
	return rightsize.NewUsage(function, all.times, all.values[rightsize.Memory], all.values[rightsize.CPU])
}

func readFile(ctx context.Context, path string, o Options) (*table, error) {
	if path == "-" {
		return read(ctx, os.Stdin, "standard input", o)
	}
	f, err := os.Open(path)
	if err != nil {
		var onPath *fs.PathError
		if errors.As(err, &onPath) {
			err = onPath.Err
		}
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	defer f.Close()
	return read(ctx, f, path, o)
}

// Read reads one file; name is that of the file, for errors.
func Read(ctx context.Context, r io.Reader, name string, o Options) (*rightsize.Usage, error) {
	t, err := read(ctx, r, name, o)
	if err != nil {
		return nil, err
	}
	function := o.Function
	if function == "" {
		function = name
	}
	return rightsize.NewUsage(function, t.times, t.values[rightsize.Memory], t.values[rightsize.CPU])
}

// table is what stands in a file.
type table struct {
	name   string
	times  []int64      // ms
	values [2][]float64 // by resource; NaN where it is not known
}

// read reads a table line by line.
func read(ctx context.Context, r io.Reader, name string, o Options) (*table, error) {
	in := bufio.NewReaderSize(r, maxLine)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unzipped, err := gunzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		in = bufio.NewReaderSize(unzipped, maxLine)
	}
	if start, _ := in.Peek(3); bytes.Equal(start, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(3)
	} else if bytes.HasPrefix(start, []byte{0xff, 0xfe}) || bytes.HasPrefix(start, []byte{0xfe, 0xff}) {
		return nil, fmt.Errorf("%s: the text is UTF-16: save it as UTF-8", name)
	}
	if o.MaxSamples == 0 {
		o.MaxSamples = defaultMaxSamples
	}
	p := &parser{options: o, table: &table{name: name}}
	for line := 1; ; line++ {
		text, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			if errors.Is(err, bufio.ErrBufferFull) {
				err = fmt.Errorf("the line is longer than %d bytes: is this CSV?", maxLine)
			}
			return nil, fmt.Errorf("%s:%d: %w", name, line, err)
		}
		last := err != nil
		if err := p.line(bytes.TrimRight(text, "\r\n")); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, line, err)
		}
		if last {
			break
		}
		if line%4096 == 0 && ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", name, ctx.Err())
		}
	}
	switch {
	case p.columns == nil:
		return nil, fmt.Errorf("%s: there is nothing in it: a first line like Time,mem_usage,cpu_usage is due", name)
	case len(p.table.times) == 0:
		return nil, fmt.Errorf("%s: there are no samples in it", name)
	}
	return p.table, nil
}

// merge returns the samples of both tables; t may be nil.
func (t *table) merge(u *table) (*table, error) {
	if t == nil {
		return u, nil
	}
	out := &table{name: u.name, times: slices.Grow([]int64(nil), max(len(t.times), len(u.times)))}
	for i, j := 0, 0; i < len(t.times) || j < len(u.times); {
		inT := j == len(u.times) || i < len(t.times) && t.times[i] <= u.times[j]
		inU := i == len(t.times) || j < len(u.times) && u.times[j] <= t.times[i]
		var at int64
		values := [2]float64{math.NaN(), math.NaN()}
		for r := range values {
			if inT {
				at, values[r] = t.times[i], t.values[r][i]
			}
			if !inU {
				continue
			}
			at = u.times[j]
			v := u.values[r][j]
			if math.IsNaN(values[r]) {
				values[r] = v
			} else if !math.IsNaN(v) && v != values[r] {
				return nil, fmt.Errorf("%s and a file before it hold different values of %s at %d ms: %g and %g", u.name, rightsize.Resource(r), at, v, values[r])
			}
		}
		out.times = append(out.times, at)
		for r, v := range values {
			out.values[r] = append(out.values[r], v)
		}
		if inT {
			i++
		}
		if inU {
			j++
		}
	}
	return out, nil
}
