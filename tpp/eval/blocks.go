package eval

import (
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tppfaas/tppfaas/internal/starts"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// Sequences are scored in blocks. Which sequence falls into which block depends on the data alone, and the sums of the
// blocks are added in their order: so no score depends on the number of workers or on the way the data came in.
const (
	blockSequences = 16
	blockEvents    = 1 << 12 // a block is closed at this many events, however few its sequences
)

// block is some successive sequences with the sums of their scores.
type block struct {
	first     int // place of the first sequence in the stream
	sequences []*tpp.Sequence
	events    int
	sums      blockSums
	err       error
	done      chan struct{}
}

// readBlocks deals out a stream until it ends, fails, or ctx is done.
func readBlocks(ctx context.Context, sequences iter.Seq2[*tpp.Sequence, error], send func(*block)) error {
	b := &block{done: make(chan struct{})}
	n := 0
	for s, err := range sequences {
		if err != nil {
			if len(b.sequences) > 0 {
				send(b)
			}
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		b.sequences = append(b.sequences, s)
		b.events += s.Len()
		n++
		if len(b.sequences) == blockSequences || b.events >= blockEvents {
			send(b)
			b = &block{first: n, done: make(chan struct{})}
		}
	}
	if len(b.sequences) > 0 {
		send(b)
	}
	return nil
}

// markMatch says which of the model's marks each mark of the data is, −1 for none; nil indices say that they are the same.
type markMatch struct {
	names    []string
	indices  []int
	numMarks int // of the data
}

func matchMarks(data, model []string) (markMatch, error) {
	m := markMatch{names: data, numMarks: max(len(data), 1)}
	if slices.Equal(data, model) {
		return m, nil
	}
	if len(data) == 0 || len(model) == 0 {
		if len(data) <= 1 && len(model) <= 1 {
			return m, nil
		}
		return m, fmt.Errorf("the dataset has %d named marks, the model %d", len(data), len(model))
	}
	index := make(map[string]int, len(model))
	for i, name := range model {
		index[name] = i
	}
	m.indices = make([]int, len(data))
	for i, name := range data {
		mark, ok := index[name]
		if !ok {
			mark = -1
		}
		m.indices[i] = mark
	}
	return m, nil
}

// sequence returns the sequence with the model's marks.
func (m *markMatch) sequence(s *tpp.Sequence) (*tpp.Sequence, error) {
	if err := s.Validate(m.numMarks); err != nil {
		return nil, err
	}
	if m.indices == nil {
		return s, nil
	}
	renamed := *s
	renamed.Marks = make([]int, s.Len())
	for i := range renamed.Marks {
		mark := m.indices[s.Mark(i)]
		if mark < 0 {
			return nil, fmt.Errorf("event %d has mark %q, which the model does not know", i, m.names[s.Mark(i)])
		}
		renamed.Marks[i] = mark
	}
	return &renamed, nil
}

// score computes the sums of the block.
func (b *block) score(ctx context.Context, m tpp.Model, marks markMatch, opts EvaluateOptions) {
	e := evaluator{m: m, opts: opts, covariates: m.CovariateNames(), forecasts: forecaster{m: m, opts: opts.Forecasts}, sums: &b.sums}
	for i, s := range b.sequences {
		if ctx.Err() != nil {
			return
		}
		matched, err := marks.sequence(s)
		if err == nil {
			err = e.sequence(ctx, matched, uint64(b.first+i))
		}
		if err != nil {
			b.err = fmt.Errorf("sequence %d: %w", b.first+i, err)
			return
		}
		b.sums.sequences++
	}
	b.sequences = nil
}

// blockSums are sums over the events of a block, and what has no sum.
type blockSums struct {
	sequences, events             int
	logTime, logMark, logSurvival float64
	logResolution                 float64
	logEnd                        float64
	decisions                     int
	hasEnd, noDensity             bool
	absolute, squared, crps       float64
	pit                           pitSums
	calibration                   [CalibrationBins]CalibrationBin // with sums in place of means
	rescaled                      []uint16                        // cell of each rescaled time
	outcomes                      []outcome
	forecasts                     forecastSums
}

// outcome is a mark that came and the one that was the likeliest.
type outcome struct{ mark, likeliest int32 }

// evaluator walks over sequences and adds up scores.
type evaluator struct {
	m          tpp.Model
	opts       EvaluateOptions
	covariates []string
	values     []float64
	rng        *rand.Rand
	crps       crpsIntegrator
	forecasts  forecaster
	sums       *blockSums
}

// randomisedPIT is the stream of the draws within the clock's ticks: fixed, so that scores are reproducible.
const randomisedPIT = 0x9173

// sequence adds the scores of the sequence at a place of the stream.
func (e *evaluator) sequence(ctx context.Context, s *tpp.Sequence, place uint64) error {
	e.rng = rand.New(rand.NewPCG(place, randomisedPIT))
	s, err := starts.Seen(e.m, s)
	if err != nil {
		return err
	}
	last := s.Start() // the time of the last event or start
	state := e.m.NewState(last)
	teller, err := starts.NewTeller(e.m, state, s)
	if err != nil {
		return err
	}
	var quiet silence
	started := func(time float64) {
		quiet.add(state.Next(last), time-last)
		last = time
	}
	for i := range s.Len() {
		if i%1024 == 1023 && ctx.Err() != nil {
			return ctx.Err() // a single sequence may be a whole day
		}
		quiet = silence{}
		if err := teller.Tell(s.ArrivalTimes[i], started); err != nil {
			return err
		}
		if _, ok := s.GapBefore(i); ok {
			e.event(state.Next(last), quiet, s.ArrivalTimes[i]-last, s.Mark(i))
		}
		last = s.ArrivalTimes[i]
		event := s.Event(i, e.covariates, e.values)
		e.values = event.Covariates
		if err := state.Observe(event); err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
		teller.Arrived(i)
		if e.opts.Forecasts.wanted() && e.opts.Forecasts.after(i+1) {
			if err := e.forecasts.score(state, s, i, &e.sums.forecasts); err != nil {
				return fmt.Errorf("event %d: %w", i, err)
			}
		}
	}
	quiet = silence{}
	if err := teller.Tell(math.Inf(1), started); err != nil {
		return err
	}
	next := state.Next(last)
	e.sums.noDensity = e.sums.noDensity || !dist.HasDensity(next.Time)
	if s.TEnd != nil {
		e.sums.logSurvival += quiet.any + next.LogSurvival(*s.TEnd-last)
		return nil
	}
	e.sums.logEnd += quiet.any
	e.sums.decision(next.End, true)
	return nil
}

// event scores the prediction of an event by n, given what was quiet before, if starts were told since the last event; the gap is what is
// left of it since the last of them.
func (e *evaluator) event(n *tpp.Next, quiet silence, gap float64, mark int) {
	t := e.sums
	t.events++
	t.logMark += n.LogMark(gap, mark)
	t.decision(n.End, false)
	t.logEnd += quiet.ending()
	median := n.Median()
	diff := median - gap
	t.absolute += math.Abs(diff)
	t.squared += diff * diff
	t.crps += e.crps.score(n.Time, gap, median, e.opts.Horizon)
	if !dist.HasDensity(n.Time) {
		t.noDensity = true
	} else {
		t.logTime += quiet.coming + n.LogProb(gap)
		t.logResolution += quiet.coming + n.LogResolution(gap, e.opts.Resolution, mark)
		cell := pitCell(n.Time, gap, e.opts.Resolution).after(quiet.coming)
		t.pit.add(cell)
		t.rescaled = append(t.rescaled, ksCell(cell.at(e.rng.Float64())))
	}
	likeliest := n.LikeliestMark()
	t.outcomes = append(t.outcomes, outcome{int32(mark), int32(likeliest)})
	if len(n.Marks) > 0 { // otherwise no event ever comes
		addCalibration(&t.calibration, n.Marks[likeliest], likeliest == mark)
	}
}

// decision scores whether a sequence is over.
func (t *blockSums) decision(end float64, over bool) {
	t.hasEnd = t.hasEnd || end > 0
	t.decisions++
	if over {
		t.logEnd += math.Log(end)
	} else {
		t.logEnd += math.Log1p(-end)
	}
}

// totals are the sums over all blocks.
type totals struct {
	blockSums
	rescaled        ksCounts
	confusion       *Confusion
	scoredForecasts ForecastOptions
}

func newTotals(m tpp.Model, opts ForecastOptions) *totals {
	return &totals{confusion: newConfusion(m.MarkNames()), scoredForecasts: opts}
}

// add adds a block. Blocks come in their order, whoever scored them.
func (t *totals) add(b *block) {
	s := &b.sums
	t.sequences += s.sequences
	t.events += s.events
	t.logTime += s.logTime
	t.logMark += s.logMark
	t.logSurvival += s.logSurvival
	t.logResolution += s.logResolution
	t.logEnd += s.logEnd
	t.decisions += s.decisions
	t.hasEnd = t.hasEnd || s.hasEnd
	t.noDensity = t.noDensity || s.noDensity
	t.absolute += s.absolute
	t.squared += s.squared
	t.crps += s.crps
	t.pit.merge(&s.pit)
	for i, c := range s.calibration {
		t.calibration[i].merge(c)
	}
	t.rescaled.add(s.rescaled)
	for _, o := range s.outcomes {
		t.confusion.add(int(o.mark), int(o.likeliest))
	}
	t.forecasts.merge(&s.forecasts)
}

func (t *totals) scores() Scores {
	n := float64(t.events) // 0/0 is NaN: no event, no score
	sum := t.logTime + t.logMark + t.logSurvival
	s := Scores{
		Sequences: t.sequences, Events: t.events,
		// 0 − x rather than −x: no loss is 0, not −0.
		NLLTime: 0 - t.logTime/n, NLLMark: 0 - t.logMark/n, NLL: 0 - sum/n, NLLResolution: 0 - t.logResolution/n,
		NLLSequence: 0 - sum/float64(t.sequences), NLLEnd: math.NaN(),
		MAE: t.absolute / n, RMSE: math.Sqrt(t.squared / n), CRPS: t.crps / n,
		Accuracy: t.confusion.Accuracy(), MacroF1: t.confusion.MacroF1(), ECE: expectedCalibrationError(t.bins()),
		Coverage50: t.pit.inner50 / n, Coverage90: t.pit.inner90 / n,
		TMAP: t.forecasts.detections.meanAveragePrecision(), OTD: t.forecasts.distance / float64(t.forecasts.distances),
	}
	s.KS = t.rescaled.statistic()
	s.KSPValue = ksPValue(s.KS, t.rescaled.n)
	if t.hasEnd {
		s.NLLEnd = 0 - t.logEnd/float64(t.decisions)
	}
	if t.noDensity {
		for _, score := range []*float64{&s.NLLTime, &s.NLL, &s.NLLResolution, &s.NLLSequence, &s.Coverage50, &s.Coverage90, &s.KS, &s.KSPValue} {
			*score = math.NaN()
		}
	}
	return s
}

// bins returns the bins of calibration with means in place of sums.
func (t *totals) bins() []CalibrationBin {
	bins := make([]CalibrationBin, len(t.calibration))
	for i, b := range t.calibration {
		bins[i] = CalibrationBin{Events: b.Events, Confidence: b.Confidence / float64(b.Events), Accuracy: b.Accuracy / float64(b.Events)}
	}
	return bins
}

func (t *totals) diagnostics() *Diagnostics {
	d := &Diagnostics{Scores: t.scores(), Calibration: t.bins(), Confusion: t.confusion, Forecasts: t.scoredForecasts}
	if !t.noDensity && t.events > 0 {
		d.PIT = make([]float64, PITBins)
		for i, mass := range t.pit.histogram {
			d.PIT[i] = mass / float64(t.events)
		}
	}
	return d
}
