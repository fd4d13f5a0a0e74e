//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"io"
)

// table prints a line for each request as it comes, and the comparison in the end; with json, objects.
type table struct {
	out  io.Writer
	json bool
}

func (t *table) head() error {
	if t.json {
		return nil
	}
	_, err := fmt.Fprintf(t.out, "%-10s  %7s  %11s  %4s  %9s\n", "controller", "request", "invocations", "cold", "added [s]")
	return err
}

func (t *table) add(o *outcome) error {
	if t.json {
		return json.NewEncoder(t.out).Encode(o)
	}
	note := ""
	if o.RootCold {
		note = "  and the root"
	}
	if !o.Counts {
		note += "  (does not count)"
	}
	_, err := fmt.Fprintf(t.out, "%-10s  %7d  %11d  %4d  %9.2f%s\n", o.Run, o.Request+1, o.Invocations, o.Cold, o.Added, note)
	return err
}

// end prints the comparison.
func (t *table) end(runs []summary) error {
	if t.json {
		encoder := json.NewEncoder(t.out)
		for i := range runs {
			if err := encoder.Encode(&runs[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if _, err := fmt.Fprintf(t.out, "\n%-10s  %8s  %8s  %13s  %13s  %8s  %6s  %8s  %14s  %21s  %11s  %20s\n", "controller", "requests", "cold [%]", "added p50 [s]", "added p95 [s]",
		"warm-ups", "wasted", "renewals", "cold+waste [%]", "memory/request [MB·s]", "kept [MB·s]", "saved, estimated [s]"); err != nil {
		return err
	}
	for i := range runs {
		s := &runs[i]
		n := float64(max(s.Requests, 1))
		if _, err := fmt.Fprintf(t.out, "%-10s  %8d  %8.1f  %13.2f  %13.2f  %8d  %6d  %8d  %14.1f  %21.0f  %11.0f  %20.1f\n", s.Run, s.Requests, 100*s.ColdShare, s.P50, s.P95,
			s.Warmups, s.Wasted, s.Renewals, 100*s.Missed, s.SpentMBs/n, s.KeptMBs/n, s.Saved); err != nil {
			return err
		}
	}
	if len(runs) > 0 && runs[0].Least > 0 {
		if _, err := fmt.Fprintf(t.out, "who knows the probability of every branch, and keeps no container for the next request, misses %.1f %% (cold + wasted) at least, %.1f %% if repetitions find the container busy, %.1f %% if a start takes %.2f s too; who keeps all misses nothing, for %.0f MB·s a request\n",
			100*runs[0].Least, 100*runs[0].LeastApart, 100*runs[0].LeastInTime, runs[0].Start, runs[0].KeepAllMBs); err != nil {
			return err
		}
	}
	return nil
}
