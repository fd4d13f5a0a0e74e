package neural

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/tpp"
)

// markTable is a table of which marks followed each mark in the training part. It has a share in the probabilities of the marks, beside the network:
//
//	p(m) = (1 − w)·network(m) + w·table(m | last)
//	table(m | last) = (max(count(last, m) − δ, 0) + δ·different(last)·all(m)) / count(last)
//
// which is absolute discounting: what is taken off the counts is dealt out by the frequencies of the marks, whatever the last one. After a mark that
// nothing followed, the network is alone.
type markTable struct {
	weight, discount float64   // w and δ
	marks            []uint16  // that followed each mark, in order, one mark after the other
	counts           []float32 // of these
	first            []int     // where those of each mark begin, and their number
	total            []float64 // counts of each mark
	all              []float64 // frequencies of the marks
}

// markPair is a mark and the one before it.
type markPair struct{ last, mark uint16 }

// newMarkTable returns the table of counts, with no weight.
func newMarkTable(counts map[markPair]int, numMarks int) *markTable {
	pairs := make([]markPair, 0, len(counts))
	for p := range counts {
		pairs = append(pairs, p)
	}
	slices.SortFunc(pairs, func(a, b markPair) int {
		return cmp.Or(cmp.Compare(a.last, b.last), cmp.Compare(a.mark, b.mark))
	})
	t := &markTable{marks: make([]uint16, len(pairs)), counts: make([]float32, len(pairs)), first: make([]int, numMarks+1)}
	for i, p := range pairs {
		t.marks[i], t.counts[i] = p.mark, float32(counts[p])
		t.first[int(p.last)+1]++
	}
	for last := range numMarks {
		t.first[last+1] += t.first[last]
	}
	t.finish()
	return t
}

// smallestCount is what a mark counts in the frequencies for having a name, so that none is impossible.
const smallestCount = 0.5

// finish computes what follows from the counts.
func (t *markTable) finish() {
	n := len(t.first) - 1
	t.total, t.all = make([]float64, n), make([]float64, n)
	sum := 0.0
	for m := range n {
		t.all[m] = smallestCount
		sum += smallestCount
	}
	for last := range n {
		marks, counts := t.after(last)
		for i, c := range counts {
			t.total[last] += float64(c)
			t.all[marks[i]] += float64(c)
			sum += float64(c)
		}
	}
	for m := range t.all {
		t.all[m] /= sum
	}
}

// after returns the marks that followed a mark, and how often.
func (t *markTable) after(last int) (marks []uint16, counts []float32) {
	a, b := t.first[last], t.first[last+1]
	return t.marks[a:b], t.counts[a:b]
}

// probability returns table(mark | last). With own, the pair was counted once for itself, and that is left out. known reports whether anything followed
// last.
func (t *markTable) probability(last, mark int, discount float64, own bool) (p float64, known bool) {
	marks, counts := t.after(last)
	total, different, count := t.total[last], float64(len(marks)), 0.0
	if i, found := slices.BinarySearch(marks, uint16(mark)); found {
		count = float64(counts[i])
	}
	if own {
		total--
		count--
		if count == 0 {
			different--
		}
	}
	if total == 0 {
		return 0, false
	}
	return (max(count-discount, 0) + discount*different*t.all[mark]) / total, true
}

// mix gives the table its share in the logits of the marks after last, of which there may be one more for the end: its probability stays. last is
// negative before the first event, where there is nothing to mix.
func (t *markTable) mix(logits []float32, last int) {
	if last < 0 || t.total[last] == 0 {
		return
	}
	logits = logits[:len(t.all)]
	top, sum := float64(slices.Max(logits)), 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v) - top)
	}
	marks, counts := t.after(last)
	rest := t.weight * t.discount * float64(len(marks)) / t.total[last]
	own := t.weight / t.total[last]
	for m, v := range logits {
		p := (1-t.weight)*math.Exp(float64(v)-top)/sum + rest*t.all[m]
		if len(marks) > 0 && int(marks[0]) == m {
			p += own * max(float64(counts[0])-t.discount, 0)
			marks, counts = marks[1:], counts[1:]
		}
		logits[m] = float32(math.Log(max(p, leastWeight)*sum) + top)
	}
}

// The weights and discounts among which validation chooses.
var (
	tableWeights   = []float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1}
	tableDiscounts = []float64{0.03, 0.1, 0.3, 0.5, 0.7, 0.9}
)

// leastTableGain is the gain in the log likelihood of an event that makes a table worth its place, in nats.
const leastTableGain = 1e-3

// markScores are sums of the log likelihoods of marks.
type markScores struct {
	alone float64   // of the network
	mixed []float64 // discounts × weights
}

// add adds those of a mark, given the logits of the network.
func (s *markScores) add(t *markTable, logits []float32, last, mark int, own bool) {
	top, sum := float64(slices.Max(logits)), 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v) - top)
	}
	network := math.Exp(float64(logits[mark])-top) / sum
	log := math.Log(max(network, leastWeight))
	s.alone += log
	for i, discount := range tableDiscounts {
		p, known := t.probability(last, mark, discount, own)
		for j, w := range tableWeights {
			v := log
			if known {
				v = math.Log(max((1-w)*network+w*p, leastWeight))
			}
			s.mixed[i*len(tableWeights)+j] += v
		}
	}
}

// fitMarkTable counts the pairs of the training part, and returns the table with the weight and the discount that are best on the validation part, and
// what it gains there in all; nil if it does not gain enough. Where the training part takes the place of the validation part, each pair is scored by the
// other ones.
func (t *trainer) fitMarkTable(ctx context.Context, params []float32) (*markTable, float64, error) {
	counts, f := map[markPair]int{}, t.net.numFeatures()
	for window, err := range t.training.windows(ctx, validationWindow) {
		if err != nil {
			return nil, 0, fmt.Errorf("training part: %w", err)
		}
		for i := range window {
			e := &window[i]
			for j, kind := range e.targets.kind {
				if kind == targetEvent {
					counts[markPair{uint16(e.values[j*f+1]), uint16(e.targets.mark[j])}]++
				}
			}
		}
	}
	table := newMarkTable(counts, t.net.numMarks)
	own := t.summary.ValidationSequences == 0
	sum := markScores{mixed: make([]float64, len(tableDiscounts)*len(tableWeights))}
	var parts []markScores
	for window, err := range t.validation.windows(ctx, validationWindow) {
		if err != nil {
			return nil, 0, fmt.Errorf("validation part: %w", err)
		}
		shards := (len(window) + shardSize - 1) / shardSize
		for len(parts) < shards {
			parts = append(parts, markScores{mixed: make([]float64, len(sum.mixed))})
		}
		t.pool.Run(shards, func(worker, shard int) {
			p, ws := &parts[shard], &t.work[worker]
			p.alone = 0
			clear(p.mixed)
			ws.order = ws.order[:0]
			for i := range window[shard*shardSize : min((shard+1)*shardSize, len(window))] {
				ws.order = append(ws.order, &window[shard*shardSize+i])
			}
			t.net.eachMark(params, ws, func(last, mark int, logits []float32) { p.add(table, logits, last, mark, own) })
		})
		for _, p := range parts[:shards] { // in order, whatever the number of workers
			sum.alone += p.alone
			for i, v := range p.mixed {
				sum.mixed[i] += v
			}
		}
	}
	best := 0
	for i, v := range sum.mixed {
		if v > sum.mixed[best] {
			best = i
		}
	}
	gain := sum.mixed[best] - sum.alone
	if events := t.validation.counts().events; !(gain >= leastTableGain*float64(events)) || events == 0 {
		return nil, 0, nil
	}
	table.discount, table.weight = tableDiscounts[best/len(tableWeights)], tableWeights[best%len(tableWeights)]
	return table, gain, nil
}

// eachMark calls do with the mark of each event of the examples in ws.order that follows another, the mark before it, and the logits of the network.
func (n *network[F]) eachMark(params []F, ws *workspace[F], do func(last, mark int, logits []F)) {
	slices.SortStableFunc(ws.order, longerFirst[F])
	ws.lengths = ws.lengths[:0]
	for _, e := range ws.order {
		ws.lengths = append(ws.lengths, e.steps())
	}
	p := nn.Pack(ws.lengths, ws.offsets)
	ws.offsets = p.Offsets
	rows, d, m, f := p.Rows(), n.cfg.ContextSize, n.mark.Out, n.numFeatures()
	if rows == 0 {
		return
	}
	n.gather(p, ws)
	n.rnn.Encode(params, n.input, ws.values, p, &ws.trace)
	ws.markOut = nn.Resize(ws.markOut, headChunk*m)
	for a := 0; a < rows; a += headChunk {
		b := min(a+headChunk, rows)
		n.mark.Forward(ws.markOut, params, ws.trace.H[a*d:b*d], b-a)
		for row := a; row < b; row++ {
			if ws.targets.kind[row] == targetEvent {
				do(int(ws.values[row*f+1]), ws.targets.mark[row], ws.markOut[(row-a)*m:(row-a)*m+n.numMarks])
			}
		}
	}
}

// markTableFile is the form of a markTable in the description of a model file. The counts are tensors.
type markTableFile struct {
	Weight   float64 `json:"weight"`
	Discount float64 `json:"discount"`
	Pairs    int     `json:"pairs"`
}

// The tensors of a table: how many marks followed each mark, which, and how often.
const (
	tableFollowed = "mark_table.followed"
	tableMarks    = "mark_table.marks"
	tableCounts   = "mark_table.counts"
)

func (t *markTable) description() *markTableFile {
	if t == nil {
		return nil
	}
	return &markTableFile{t.weight, t.discount, len(t.marks)}
}

// addTo adds the tensors of the table to those of a model file.
func (t *markTable) addTo(tensors map[string]tpp.Tensor) {
	followed, marks, counts := make([]float64, len(t.all)), make([]float64, len(t.marks)), make([]float64, len(t.marks))
	for last := range followed {
		followed[last] = float64(t.first[last+1] - t.first[last])
	}
	for i, m := range t.marks {
		marks[i], counts[i] = float64(m), float64(t.counts[i])
	}
	tensors[tableFollowed] = tpp.Tensor{Shape: []int{len(followed)}, Data: followed}
	tensors[tableMarks] = tpp.Tensor{Shape: []int{len(marks)}, Data: marks}
	tensors[tableCounts] = tpp.Tensor{Shape: []int{len(counts)}, Data: counts}
}

// table reads the table from the tensors of a model file.
func (d *markTableFile) table(f *tpp.ModelFile, numMarks int) (*markTable, error) {
	switch {
	case !(d.Weight > 0 && d.Weight <= 1):
		return nil, fmt.Errorf("a weight of %v, it must be above 0 and at most 1", d.Weight)
	case !(d.Discount > 0 && d.Discount < 1):
		return nil, fmt.Errorf("a discount of %v, it must be between 0 and 1", d.Discount)
	case d.Pairs < 1:
		return nil, fmt.Errorf("%d pairs of marks", d.Pairs)
	}
	followed, marks, counts := f.Tensor(tableFollowed, numMarks), f.Tensor(tableMarks, d.Pairs), f.Tensor(tableCounts, d.Pairs)
	if counts == nil {
		return nil, f.Finish()
	}
	t := &markTable{
		weight: d.Weight, discount: d.Discount,
		marks: make([]uint16, d.Pairs), counts: make([]float32, d.Pairs), first: make([]int, numMarks+1),
	}
	for last, n := range followed {
		if !(n >= 0) || n > float64(d.Pairs-t.first[last]) || n != math.Trunc(n) {
			return nil, fmt.Errorf("%v marks follow mark %d, of %d pairs", n, last, d.Pairs)
		}
		t.first[last+1] = t.first[last] + int(n)
		for i := t.first[last]; i < t.first[last+1]; i++ {
			if !(marks[i] >= 0 && marks[i] < float64(numMarks) && marks[i] == math.Trunc(marks[i])) || i > t.first[last] && marks[i] <= marks[i-1] {
				return nil, fmt.Errorf("mark %v follows mark %d: they must be in order, from 0 to %d", marks[i], last, numMarks-1)
			}
			if !(counts[i] >= 1) {
				return nil, fmt.Errorf("mark %v follows mark %d %v times", marks[i], last, counts[i])
			}
			t.marks[i], t.counts[i] = uint16(marks[i]), float32(counts[i])
		}
	}
	if t.first[numMarks] != d.Pairs {
		return nil, fmt.Errorf("%d pairs of marks, of which %d are dealt out", d.Pairs, t.first[numMarks])
	}
	t.finish()
	return t, nil
}
