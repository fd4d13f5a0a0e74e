package sampler

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tppfaas/tppfaas/internal/seed"
	"github.com/tppfaas/tppfaas/tpp"
)

// Mixture says what [Mix] has mixed.
type Mixture struct {
	// Traces is the number of traces, Replaced how many of them come from the bursts.
	Traces, Replaced int
	// Events is the number of invocations, ColdStarts how many of them were cold.
	Events, ColdStarts int
}

// ColdShare returns the share of cold starts among the invocations.
func (m Mixture) ColdShare() float64 { return float64(m.ColdStarts) / float64(m.Events) }

// mixTolerance is the largest difference between the share that is asked for and the one that is reached.
const mixTolerance = 0.01

// Mix returns the dataset of a high load, made as in the paper: in the dataset of a low load it replaces as many traces by traces of bursts
// as bring the share of cold starts among all invocations nearest to cold, from 0 to 1. Which traces are replaced, and by which, is drawn
// without replacement; each keeps the place of the one that it replaces. Marks are matched by name and keep the numbers that they have in
// low.
//
// It is an error if the two datasets are of different functions, if one has no init times, and if no number of traces comes within 0.01
// of the share; the error then says which shares can be reached. The datasets are not changed, and share their sequences with the result.
func Mix(low, bursts *tpp.Dataset, cold float64, number uint64) (*tpp.Dataset, Mixture, error) {
	if !(cold >= 0 && cold <= 1) {
		return nil, Mixture{}, fmt.Errorf("a share of cold starts of %v: it must be from 0 to 1", cold)
	}
	if !slices.Equal(slices.Sorted(slices.Values(low.MarkNames)), slices.Sorted(slices.Values(bursts.MarkNames))) {
		return nil, Mixture{}, fmt.Errorf("the two are of different functions: %s; %s", strings.Join(low.MarkNames, ", "), strings.Join(bursts.MarkNames, ", "))
	}
	bursts, err := bursts.WithMarks(low.MarkNames)
	if err != nil {
		return nil, Mixture{}, fmt.Errorf("the bursts: %w", err)
	}
	for name, d := range map[string]*tpp.Dataset{"low load": low, "bursts": bursts} {
		if len(d.Sequences) == 0 {
			return nil, Mixture{}, fmt.Errorf("the %s has no traces", name)
		}
		for i := range d.Sequences {
			if s := &d.Sequences[i]; s.Len() > 0 && s.InitTimes == nil {
				return nil, Mixture{}, fmt.Errorf("the %s, sequence %d: it has no init_times, which tell cold starts", name, i)
			}
		}
	}
	replaced := rand.New(seed.Stream(number, "traces that go")).Perm(len(low.Sequences))
	replacing := rand.New(seed.Stream(number, "traces that come")).Perm(len(bursts.Sequences))
	most := min(len(replaced), len(replacing))

	m := Mixture{Traces: len(low.Sequences)}
	for i := range low.Sequences {
		m.count(&low.Sequences[i], 1)
	}
	if m.Events == 0 {
		return nil, Mixture{}, errors.New("the low load has no invocations")
	}
	best, nearest := m, math.Abs(m.ColdShare()-cold)
	least, greatest := m.ColdShare(), m.ColdShare()
	for k := range most {
		m.count(&low.Sequences[replaced[k]], -1)
		m.count(&bursts.Sequences[replacing[k]], 1)
		m.Replaced = k + 1
		least, greatest = min(least, m.ColdShare()), max(greatest, m.ColdShare())
		if far := math.Abs(m.ColdShare() - cold); far < nearest {
			best, nearest = m, far
		}
	}
	if nearest > mixTolerance {
		return nil, Mixture{}, fmt.Errorf("no number of traces makes %.1f %% cold starts: these datasets give %.1f to %.1f %%", 100*cold, 100*least, 100*greatest)
	}
	mixed := &tpp.Dataset{MarkNames: low.MarkNames, Sequences: slices.Clone(low.Sequences)}
	for k := range best.Replaced {
		mixed.Sequences[replaced[k]] = bursts.Sequences[replacing[k]]
	}
	return mixed, best, nil
}

// count adds the events of a trace to the sums (by = 1), or subtracts them (by = −1).
func (m *Mixture) count(s *tpp.Sequence, by int) {
	m.Events += by * s.Len()
	for i := range s.Len() {
		if s.ColdStart(i) {
			m.ColdStarts += by
		}
	}
}
