package acquire

import (
	"context"
	"fmt"

	"github.com/tppfaas/tppfaas/rightsize/usagecsv"
)

// Files is a Source of CSV files, which are put together; "-" is standard input. Options.Function is that of the request.
type Files struct {
	Paths   []string
	Options usagecsv.Options
}

// Acquire reads the files.
func (f Files) Acquire(ctx context.Context, r Request) (*Result, error) {
	o := f.Options
	o.Function = r.Function
	u, err := usagecsv.ReadFiles(ctx, f.Paths, o)
	if err != nil {
		return nil, err
	}
	var samples []Sample
	for i, t := range u.Times {
		if (r.From.IsZero() || t >= r.From.UnixMilli()) && (r.To.IsZero() || t <= r.To.UnixMilli()) {
			samples = append(samples, Sample{Time: t, Memory: u.Memory[i], CPU: u.CPU[i]})
		}
	}
	if len(samples) == 0 {
		return nil, fmt.Errorf("%s: none of its %d samples, from %s until %s, is of the time that is wanted", f.Paths[0], u.Len(), show(u.Time(0)), show(u.Time(u.Len()-1)))
	}
	r.progress(len(samples), len(samples))
	result := &Result{}
	return result, result.complete(u.Function, samples, r.Step)
}
