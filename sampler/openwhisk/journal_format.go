package openwhisk

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/apps/action"
	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/sampler"
)

// header is the first line of a journal: what was sampled where.
type header struct {
	Journal     int             `json:"journal"` // version
	Application string          `json:"application"`
	Graph       json.RawMessage `json:"graph"`
	Config      sampler.Config  `json:"config"`
	APIHost     string          `json:"apihost"`
	Package     string          `json:"package"`
}

// entry is what a journal says about a request.
type entry struct {
	trace      string // its trace id
	at         time.Time
	activation string // of main, "" if no answer was recorded
	complete   int64  // where the line of its complete trace begins; 0 if there is none
}

// line is any line of a journal but the first. Exactly one of the first four fields is set, to the index of a request.
type line struct {
	Send     *int `json:"send,omitempty"`     // the request is about to be sent
	Sent     *int `json:"sent,omitempty"`     // OpenWhisk has taken it, as Activation
	Refused  *int `json:"refused,omitempty"`  // OpenWhisk has not taken it
	Complete *int `json:"complete,omitempty"` // its trace is complete: Activations

	Trace       string             `json:"trace,omitempty"`
	At          int64              `json:"at,omitempty"` // µs since 1970
	Activation  string             `json:"activation,omitempty"`
	Activations []activationOfLine `json:"activations,omitempty"`
}

// activationOfLine is an activation of a complete trace, with times in µs.
type activationOfLine struct {
	ID      string `json:"id"`
	Cause   string `json:"cause,omitempty"`
	Name    string `json:"name"`
	Arrival int64  `json:"arrival"`
	End     int64  `json:"end"`
	Wait    int64  `json:"wait"`
	Init    int64  `json:"init"`
}

func newHeader(app *apps.Application, config sampler.Config, apiHost, pack string) (header, error) {
	graph, err := json.Marshal(action.Graph(app))
	return header{1, app.Name, graph, config, apiHost, pack}, err
}

// differs says how this header differs from that of the sampling that is wanted, "" if they are of the same sampling.
func (h header) differs(want header) string {
	seconds := func(d time.Duration) string { return fmt.Sprintf("%v s", d.Seconds()) }
	a, b := h.Config, want.Config
	for _, v := range []struct {
		name      string
		here, now string
	}{
		{"application", h.Application, want.Application},
		{"API host", h.APIHost, want.APIHost},
		{"-n", fmt.Sprint(a.Requests), fmt.Sprint(b.Requests)},
		{"-l", seconds(a.MinInterval), seconds(b.MinInterval)},
		{"-u", seconds(a.MaxInterval), seconds(b.MaxInterval)},
		{"-b", fmt.Sprint(a.BatchSize), fmt.Sprint(b.BatchSize)},
		{"-w", seconds(a.BatchPause), seconds(b.BatchPause)},
		{"-e", fmt.Sprint(a.Anomalies), fmt.Sprint(b.Anomalies)},
		{"-m", fmt.Sprint(a.Missing), fmt.Sprint(b.Missing)},
		{"-r", fmt.Sprint(a.RandomDurations), fmt.Sprint(b.RandomDurations)},
		{"-seed", fmt.Sprint(a.Seed), fmt.Sprint(b.Seed)},
	} {
		if v.here != v.now {
			return fmt.Sprintf("%s was %s, and is %s now", v.name, v.here, v.now)
		}
	}
	if !bytes.Equal(h.Graph, want.Graph) {
		return "the graph of " + h.Application + " has changed"
	}
	return ""
}

// parseJournal reads a journal, and returns the length of its whole lines in bytes. The last line may be cut off. A line before it that
// cannot be read is an error, which begins with the number of the line.
func parseJournal(r io.Reader) (h header, found map[int]entry, whole int64, err error) {
	found = map[int]entry{}
	lines := bufio.NewReaderSize(r, 1<<16)
	for n := 1; ; n++ {
		one, err := lines.ReadBytes('\n')
		switch {
		case err == io.EOF && n == 1:
			return h, nil, 0, errors.New("1: it has no beginning; nothing was sent")
		case err == io.EOF:
			return h, found, whole, nil
		case err != nil:
			return h, nil, 0, fmt.Errorf("%d: %w", n, err)
		}
		if n == 1 {
			if err = json.Unmarshal(one, &h); err == nil && h.Journal != 1 {
				err = errors.New("this is no journal of a sampling, or of another version")
			}
		} else if err = apply(one, whole, found); err != nil {
			if _, none := lines.Peek(1); none == io.EOF {
				return h, found, whole, nil
			}
		}
		if err != nil {
			return h, nil, 0, fmt.Errorf("%d: %s", n, whisk.OneLine(err.Error()))
		}
		whole += int64(len(one))
	}
}

// apply reads a line, which begins at an offset in the file, into what is found.
func apply(text []byte, offset int64, found map[int]entry) error {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return err
	}
	switch {
	case l.Send != nil && len(l.Trace) == 32:
		found[*l.Send] = entry{trace: l.Trace, at: time.UnixMicro(l.At)}
	case l.Sent != nil && l.Activation != "":
		e := found[*l.Sent]
		e.activation = l.Activation
		found[*l.Sent] = e
	case l.Refused != nil:
		delete(found, *l.Refused)
	case l.Complete != nil && len(l.Activations) > 0:
		e := found[*l.Complete]
		// Nothing else is needed of it any more, and there may be many.
		found[*l.Complete] = entry{at: e.at, complete: offset}
	default:
		return errors.New("it says nothing that a journal says")
	}
	return nil
}
