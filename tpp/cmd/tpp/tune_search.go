package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/internal/resultfile"
	"github.com/tppfaas/tppfaas/tpp/tune"
)

// tuneKey tells runs of a search apart.
type tuneKey struct {
	search string
	trial  int
	epochs int
}

// tuneLine is a run in the journal.
type tuneLine struct {
	Search  string            `json:"search"` // the fingerprint of everything that a run depends on, but for the trial and the epochs
	Trial   int               `json:"trial"`
	Epochs  int               `json:"epochs"`
	Options map[string]string `json:"options"`
	Loss    *float64          `json:"loss"` // null if the training failed
}

// tuneLines is the format of a journal.
var tuneLines = resultfile.Format[tuneKey, tuneLine]{
	Begin: `{"search":"`,
	Key:   func(l *tuneLine) tuneKey { return tuneKey{l.Search, l.Trial, l.Epochs} },
	Check: func(l *tuneLine) error {
		switch {
		case l.Search == "":
			return errors.New("no run of a search")
		case l.Trial < 0 || l.Epochs < 1:
			return fmt.Errorf("trial %d of %d epochs", l.Trial, l.Epochs)
		}
		return nil
	},
}

// fingerprint returns a hash of what the losses of a search depend on, but for trials and epochs: data, fixed options, space and seed.
func (t *tuning) fingerprint(p *trainParts) string {
	h := sha256.New()
	// Not those of journals before: of epochs, which know nothing of tables of marks, of races without ancestors, and of networks that are not calibrated.
	fmt.Fprintln(h, "losses of models", "races told of ancestors", "networks calibrated")
	fmt.Fprintln(h, p.training.Fingerprint(), p.validation.Fingerprint(), t.opts.Seed)
	for _, option := range t.fixed {
		fmt.Fprintf(h, "%q\n", option)
	}
	for _, p := range t.space {
		fmt.Fprintf(h, "%q %t\n", p.String(), p.Integer)
	}
	if len(t.opts.First) > 0 {
		fmt.Fprintf(h, "%q\n", t.opts.First)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// tuneSearch is a search under way.
type tuneSearch struct {
	*tuning
	parts   *trainParts
	search  string // fingerprint
	journal *resultfile.File[tuneKey, tuneLine]

	mu    sync.Mutex
	known map[tuneKey]float64 // losses of this call
	best  float64
	// why is the error of the first of the trials that failed, and whose its number.
	why   error
	whose int
}

func (s *tuneSearch) key(r tune.Run) tuneKey { return tuneKey{s.search, r.Trial, r.Budget} }

func (s *tuneSearch) run(ctx context.Context, stdout, stderr io.Writer) (*tune.Found, error) {
	trials, budgets := s.opts.Rungs()
	total := 0
	for _, n := range trials {
		total += n
	}
	show := progress.New(stderr, total, "trainings")
	defer show.Done()
	s.best = math.Inf(1)
	note := func() string {
		if math.IsInf(s.best, 1) {
			return ""
		}
		return fmt.Sprintf("best loss %.4f", s.best)
	}
	opts := s.opts
	opts.Recall = func(r tune.Run) (float64, bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		loss, ok := s.known[s.key(r)]
		if !ok {
			line := s.journal.Find(s.key(r))
			if line == nil {
				return 0, false
			}
			if loss = math.Inf(1); line.Loss != nil {
				loss = *line.Loss
			}
		}
		s.best = min(s.best, loss)
		show.Add(1, note())
		return loss, true
	}
	opts.Done = func(r tune.Result) error {
		line := tuneLine{Search: s.search, Trial: r.Trial, Epochs: r.Budget, Options: r.Values}
		if !math.IsInf(r.Loss, 0) {
			line.Loss = &r.Loss
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.known[s.key(r.Run)] = r.Loss
		s.best = min(s.best, r.Loss)
		show.Add(1, note())
		return s.journal.Add(&line)
	}
	var failed error
	opts.Rung = func(rung int, results []tune.Result) {
		if err := s.printRung(rung, budgets[rung], results, stdout); err != nil && failed == nil {
			failed = err
		}
	}
	found, err := tune.Search(ctx, s.space, opts, s.train)
	if errors.Is(err, tune.ErrFailed) && s.why != nil {
		return nil, fmt.Errorf("every training failed, that of setting %d so: %w", s.whose, s.why)
	}
	if err != nil {
		return nil, err
	}
	return found, failed
}

// train trains a model with the values of a trial, and returns its validation loss.
func (s *tuneSearch) train(ctx context.Context, r tune.Run) (float64, error) {
	o, err := s.order(r.Values, r.Budget)
	if err != nil {
		return 0, err
	}
	o.opts.Workers, o.raceOpts.Workers = r.Workers, r.Workers
	o.race.Graph = s.base.race.Graph
	m, err := o.trainNetwork(ctx, s.parts.training, s.parts.validation, o.opts.Seed, nil)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	switch {
	case m != nil:
		return trainingOf(m).loss, nil // also what a table of marks or a calibration gains after the last epoch
	case len(given(r.Values)) == 0:
		return 0, err // the defaults fail only where all would
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == nil || r.Trial < s.whose {
		s.why, s.whose = err, r.Trial
	}
	return math.NaN(), nil
}

// tuneReport is a training for machines.
type tuneReport struct {
	Rung    int               `json:"rung"`
	Trial   int               `json:"trial"`
	Epochs  int               `json:"epochs"`
	Options map[string]string `json:"options"`
	Loss    *float64          `json:"loss"` // of validation, per event; null if the training failed
}

// given returns the values that are not the default.
func given(values map[string]string) map[string]string {
	out := map[string]string{}
	for name, v := range values {
		if v != "" {
			out[name] = v
		}
	}
	return out
}

// printed is the number of trainings of a rung that are printed for people.
const printed = 5

// printRung prints the results of a rung.
func (s *tuneSearch) printRung(rung, epochs int, results []tune.Result, stdout io.Writer) error {
	if s.json {
		for _, r := range results {
			report := tuneReport{rung, r.Trial, r.Budget, given(r.Values), nil}
			if !math.IsInf(r.Loss, 0) {
				report.Loss = &r.Loss
			}
			if err := printJSON(stdout, report); err != nil {
				return err
			}
		}
		return nil
	}
	tw := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	best := ""
	if len(results) > printed {
		best = fmt.Sprintf(", the best %d", printed)
	}
	fmt.Fprintf(tw, "%d settings, %d epochs each%s\nsetting\tloss\toptions\n", len(results), epochs, best)
	for i, r := range results {
		if i == printed {
			break
		}
		loss := "failed"
		if !math.IsInf(r.Loss, 0) {
			loss = fmt.Sprintf("%.4f", r.Loss)
		}
		options := strings.Join(s.options(r.Values), " ")
		if options == "" {
			options = "the defaults"
		}
		fmt.Fprintf(tw, "%d\t%s\t%s\n", r.Trial, loss, options)
	}
	fmt.Fprintln(tw)
	return tw.Flush()
}

// report prints the best setting.
func (t *tuning) report(found *tune.Found, stdout io.Writer) error {
	command := t.command(found.Best.Values, found.Best.Budget)
	if t.json {
		return json.NewEncoder(stdout).Encode(struct {
			Best    tuneReport `json:"best"`
			Command string     `json:"command"`
		}{tuneReport{found.Best.Rung, found.Best.Trial, found.Best.Budget, given(found.Best.Values), &found.Best.Loss}, command})
	}
	_, err := fmt.Fprintf(stdout, "The lowest validation loss is %.4f, of setting %d:\n\n  %s\n", found.Best.Loss, found.Best.Trial, command)
	return err
}
