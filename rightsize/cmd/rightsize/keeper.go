package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/errorfs"
	"github.com/tppfaas/tppfaas/internal/journal"
	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/rightsize/acquire"
	"github.com/tppfaas/tppfaas/rightsize/usagecsv"
)

// keeper keeps samples in a journal beside the output until that is written. One without a journal keeps nothing.
type keeper struct {
	output  string
	journal *journal.Journal
	path    string
	line    []byte
}

// openKeeper opens the journal of an output, and takes what it has, after what the output has with -append, as the earlier samples of the request. What is
// written to directly, as a pipe, has no journal.
func (o *acquireOptions) openKeeper(ctx context.Context, source string, show *progress.Progress) (*keeper, error) {
	k := &keeper{output: o.output, path: o.output + ".journal"}
	if o.appends {
		earlier, err := acquire.Files{Paths: []string{o.output}}.Acquire(ctx, acquire.Request{Function: o.request.Function})
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, fmt.Errorf("-append: %w", err)
		default:
			u := earlier.Usage
			for i, t := range u.Times {
				o.request.Earlier = append(o.request.Earlier, acquire.Sample{Time: t, Memory: u.Memory[i], CPU: u.CPU[i]})
			}
		}
	}
	if info, err := os.Stat(o.output); atomicfile.IsStdout(o.output) || err == nil && !info.Mode().IsRegular() {
		return k, nil
	}
	head, err := json.Marshal(map[string]string{"function": o.request.Function, "source": source, "columns": "Time,mem_usage,cpu_usage"})
	if err != nil {
		return nil, err
	}
	found := 0
	k.journal, err = journal.Open(errorfs.OS{}, k.path, string(head), func(line []byte) error {
		// A line is one of the output.
		u, err := usagecsv.Read(ctx, strings.NewReader("Time,mem_usage,cpu_usage\n"+string(line)), "the line", usagecsv.Options{Unit: "ms"})
		if err != nil {
			return err
		}
		s := acquire.Sample{Time: u.Times[0], Memory: u.Memory[0], CPU: u.CPU[0]}
		if n := len(o.request.Earlier); n == 0 || s.Time > o.request.Earlier[n-1].Time {
			o.request.Earlier = append(o.request.Earlier, s)
			found++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if found > 0 {
		show.Print(fmt.Sprintf("going on with %d samples that %s has of a run that was ended", found, k.path))
	}
	return k, nil
}

// add appends a sample to the journal.
func (k *keeper) add(s acquire.Sample) error {
	if k.journal == nil {
		return nil
	}
	k.line = usagecsv.AppendSample(k.line[:0], s.Time, s.Memory, s.CPU)
	return k.journal.Append(k.line)
}

// close closes the journal, which stays.
func (k *keeper) close() {
	if k.journal != nil {
		_ = k.journal.Close() // what could not be written was an error of add
		k.journal = nil
	}
}

// remove removes the journal, since the output has all that stands there.
func (k *keeper) remove() error {
	if k.journal == nil {
		return nil
	}
	k.close()
	if err := os.Remove(k.path); err != nil {
		return fmt.Errorf("%s is written, and its journal stays: %w", k.output, err)
	}
	return nil
}
