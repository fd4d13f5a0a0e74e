package controller

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/tppfaas/tppfaas/rightsize/recommend"
)

// header is the first line of a journal.
const header = `{"journal":"rightsize run","version":1}`

// record is a line of the journal: a sample, limits that were found set, or a change.
type record struct {
	Function string   `json:"f"`
	Time     int64    `json:"t"` // ms since 1970
	Memory   *float64 `json:"m,omitempty"`
	CPU      *float64 `json:"c,omitempty"`
	Killed   bool     `json:"k,omitempty"`
	// Set are limits that were found set, other than those before.
	Set *recommend.Limits `json:"set,omitempty"`
	// Change are limits that are about to be set; what becomes of it is known when they are read again.
	Change *recommend.Limits `json:"change,omitempty"`
}

func sampleRecord(s recommend.Sample) record {
	known := func(v float64) *float64 {
		if math.IsNaN(v) {
			return nil
		}
		return &v
	}
	return record{Time: s.Time, Memory: known(s.Memory), CPU: known(s.CPU), Killed: s.Killed}
}

func (r record) sample() recommend.Sample {
	known := func(v *float64) float64 {
		if v == nil {
			return math.NaN()
		}
		return *v
	}
	return recommend.Sample{Time: r.Time, Memory: known(r.Memory), CPU: known(r.CPU), Killed: r.Killed}
}

func (r record) line() ([]byte, error) { return json.Marshal(r) }

func parseRecord(line []byte) (record, error) {
	var r record
	if err := json.Unmarshal(line, &r); err != nil {
		return r, err
	}
	if r.Function == "" || r.Time <= 0 {
		return r, errors.New("a line without a function or a time")
	}
	for _, l := range []*recommend.Limits{r.Set, r.Change} {
		if l == nil {
			continue
		}
		for _, v := range values {
			if *v.of(l) < 0 {
				return r, fmt.Errorf("%s %g", v.name, *v.of(l))
			}
		}
	}
	return r, nil
}
