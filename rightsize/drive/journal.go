package drive

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/tppfaas/tppfaas/internal/journal"
)

// header is the first line of a journal: what has to be the same for a run to go on.
type header struct {
	Function string `json:"function"`
	Method   string `json:"method"`
	Body     string `json:"body,omitempty"`
	Calls    string `json:"calls"`
	Sizes    string `json:"sizes"`
	Seed     uint64 `json:"seed"`
}

// takeUp opens the journal, if there is to be one, takes its calls into the summary, and returns the call that is the next.
func (r *run) takeUp() (next call, err error) {
	if r.o.Journal == "" {
		return next, nil
	}
	head, err := json.Marshal(header{r.url, r.o.Method, r.o.Body, r.o.Calls.String(), r.o.Sizes.String(), r.o.Seed})
	if err != nil {
		return next, err
	}
	seen := map[[2]int]bool{}
	last := [2]int{-1, -1}
	r.journal, err = journal.Open(r.o.disk, r.o.Journal, string(head), func(line []byte) error {
		c, err := unmarshal(line)
		if err != nil {
			return err
		}
		at := [2]int{c.Minute, c.Index}
		if seen[at] {
			return fmt.Errorf("call %d of minute %d stands there twice", c.Index, c.Minute)
		}
		seen[at] = true
		if c.Minute > last[0] || c.Minute == last[0] && c.Index > last[1] {
			last = at
		}
		r.summary.add(c)
		return nil
	})
	if err != nil || len(seen) == 0 {
		return next, err
	}
	r.summary.Earlier = len(seen)
	// Calls before the last one that do not stand there were under way when the run before ended.
	calls := plan(r.o.Seed, r.o.Calls, r.o.Sizes, last[0])
	if last[1] >= len(calls) {
		r.journal.Close()
		return next, fmt.Errorf("journal %s: minute %d has call %d, and the plan has %d", r.o.Journal, last[0], last[1], len(calls))
	}
	next = call{minute: last[0], index: last[1] + 1, at: calls[last[1]].at}
	return next, nil
}

// maxMinutes is longer than any run, and short enough for a time.Duration.
const maxMinutes = 100_000_000

// unmarshal reads a line of a journal.
func unmarshal(line []byte) (c Call, err error) {
	in := json.NewDecoder(bytes.NewReader(line))
	in.DisallowUnknownFields()
	if err := in.Decode(&c); err != nil {
		return c, fmt.Errorf("this is no call: %w", err)
	}
	if c.Minute < 0 || c.Minute > maxMinutes || c.Index < 0 || c.Size < 0 || c.Latency < 0 {
		return c, fmt.Errorf("this is no call: a number that cannot be in %.200s", line)
	}
	return c, nil
}
