package neural

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/internal/safetensors"
	"github.com/tppfaas/tppfaas/internal/simd"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

var (
	peersDir     = flag.String("peers", "", "folder for the case that bench/peers compares implementations on")
	peersWorkers = flag.Int("peers-workers", 2, "workers of the training that bench/peers times")
	peersEpochs  = flag.Int("peers-epochs", 10, "epochs of that training; for TestPeersQuality 0 is the default of a training")
	peersBatch   = flag.Int("peers-batch", 0, "sequences in a batch of TestPeersQuality (0: the default of a training)")
	peersRate    = flag.Float64("peers-rate", 0, "learning rate of TestPeersQuality (0: the default of a training)")
	peersDataset = flag.String("peers-data", "", "dataset that bench/peers -quality trains on")
)

// peersCase is a training that any implementation can repeat: data, first weights and the order of the sequences.
type peersCase struct {
	Training   []peersSequence `json:"training"`
	Validation []peersSequence `json:"validation"`
	Orders     [][]int         `json:"orders"` // of each epoch
	Mean       float64         `json:"mean_log_inter_time"`
	Std        float64         `json:"std_log_inter_time"`
	BatchSize  int             `json:"batch_size"`
	Patience   int             `json:"patience"`
	MaxEpochs  int             `json:"max_epochs"`
	Seed       uint64          `json:"seed"`
	Rate       float64         `json:"learning_rate"`
	Decay      float64         `json:"weight_decay"`
	NumMarks   int             `json:"num_marks"`
	Context    int             `json:"context_size"`
	Components int             `json:"num_mix_components"`
	Embedding  int             `json:"mark_embedding_size"`
}

type peersSequence struct {
	Gaps  []float64 `json:"gaps"` // before each event, the first 1e-10
	Marks []int     `json:"marks"`
}

// TestPeers runs the Go part of bench/peers: it writes the case, trains the paper's model on it, and prints losses and times.
func TestPeers(t *testing.T) {
	if *peersDir == "" {
		t.Skip("no folder given by -peers: bench/peers calls this test")
	}
	rng := rand.New(rand.NewPCG(1, 1))
	training, validation := peersData(rng, 600), peersData(rng, 200)
	cfg, opts := PaperConfig(LogNormMix), PaperTraining(LogNormMix)
	opts.Workers, opts.Seed, opts.MaxEpochs = *peersWorkers, 1, *peersEpochs
	norm := normalise(training, &cfg)
	m, err := newRecurrent(cfg, training.MarkNames, training.NumMarks(), norm, opts.Loss)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := newTrainer(m, training, validation, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	tr.summary.ValidationLoss = math.Inf(1)
	writePeersCase(t, tr, m, training, validation, *peersEpochs)
	var losses, milliseconds []float64
	for epoch := 1; epoch <= *peersEpochs; epoch++ {
		start := time.Now()
		if _, err := tr.epoch(t.Context(), epoch); err != nil {
			t.Fatal(err)
		}
		loss, err := tr.validate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, loss.perEvent())
		milliseconds = append(milliseconds, float64(time.Since(start).Microseconds())/1000)
	}
	line, err := json.Marshal(map[string]any{"name": "tpp " + simd.Active(), "losses": losses, "milliseconds": milliseconds})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(string(line))
}

// peersData makes sequences of 21 events with 22 marks.
func peersData(rng *rand.Rand, n int) *tpp.Dataset {
	d := &tpp.Dataset{}
	for m := range 22 {
		d.MarkNames = append(d.MarkNames, fmt.Sprintf("f%d", m))
	}
	for range n {
		var s tpp.Sequence
		at, mark := 0.0, rng.IntN(22)
		for range 21 {
			s.ArrivalTimes = append(s.ArrivalTimes, at)
			s.Marks = append(s.Marks, mark)
			at += 1 + math.Round(math.Exp(3+float64(mark)/8+0.5*rng.NormFloat64()))
			if mark = (mark + 1) % 22; rng.IntN(5) == 0 {
				mark = rng.IntN(22)
			}
		}
		d.Sequences = append(d.Sequences, s)
	}
	return d
}

// writePeersCase writes the case with the orders of some epochs.
func writePeersCase(t *testing.T, tr *trainer, m *Recurrent, training, validation *tpp.Dataset, epochs int) {
	t.Helper()
	c := peersCase{
		Training: peersSequences(training), Validation: peersSequences(validation), Mean: m.norm.Mean, Std: m.norm.Std,
		BatchSize: tr.opts.BatchSize, Patience: tr.opts.Patience, MaxEpochs: tr.opts.MaxEpochs, Seed: tr.opts.Seed, Rate: tr.opts.LearningRate, Decay: tr.opts.WeightDecay, NumMarks: m.numMarks,
		Context: m.cfg.ContextSize, Components: m.cfg.NumComponents, Embedding: m.cfg.MarkEmbeddingSize,
	}
	index := map[*example[float32]]int{}
	all := tr.training.(inMemory).all
	for i := range all {
		index[&all[i]] = i
	}
	for epoch := 1; epoch <= epochs; epoch++ {
		tr.shuffle(tr.opts.random(epoch), all)
		var order []int
		for _, e := range tr.order {
			order = append(order, index[e])
		}
		c.Orders = append(c.Orders, order)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*peersDir, "case.json"), text, 0o666); err != nil {
		t.Fatal(err)
	}
	file := &safetensors.File{Tensors: map[string]safetensors.Tensor{}}
	for _, tensor := range tr.net.layout.Tensors() {
		file.Tensors[tensor.Name] = safetensors.FromFloat32(tensor.Shape, nn.Of(tensor.Span, tr.params))
	}
	f, err := os.Create(filepath.Join(*peersDir, "weights.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if err := safetensors.Write(f, file); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func peersSequences(d *tpp.Dataset) []peersSequence {
	var out []peersSequence
	for i := range d.Sequences {
		s := &d.Sequences[i]
		out = append(out, peersSequence{append([]float64{1e-10}, s.InterTimes()...), s.Marks})
	}
	return out
}

// qualityRun is the course of one training here: the validation loss after each epoch, and the seconds since training began.
type qualityRun struct {
	Name    string    `json:"name"`
	Loss    Loss      `json:"loss"`
	Losses  []float64 `json:"losses"`
	Seconds []float64 `json:"seconds"`
}

// TestPeersQuality runs the Go part of bench/peers -quality: it writes the case of a dataset, trains the paper's model on it with the default options
// of a training but for those that flags give, once for each loss, and prints the course of each.
func TestPeersQuality(t *testing.T) {
	if *peersDir == "" || *peersDataset == "" {
		t.Skip("no folder given by -peers and no dataset by -peers-data: bench/peers calls this test")
	}
	d, err := dataset.ReadFile(*peersDataset)
	if err != nil {
		t.Fatal(err)
	}
	for i := range d.Sequences {
		if n := d.Sequences[i].Len(); n != d.Sequences[0].Len() {
			t.Fatalf("sequence %d has %d events, the first one %d: the scripts of bench/peers take sequences of one length", i, n, d.Sequences[0].Len())
		}
	}
	training, validation, _ := d.Split(1)
	cfg, opts := PaperConfig(LogNormMix), PaperTraining(LogNormMix)
	opts.Seed = 1
	m, err := newRecurrent(cfg, training.MarkNames, training.NumMarks(), normalise(training, &cfg), opts.Loss)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := newTrainer(m, training, validation, opts.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	writePeersCase(t, tr, m, training, validation, 0)
	tr.close()
	for _, loss := range []Loss{LossDensity, LossResolution} {
		r := qualityRun{Loss: loss}
		cfg := Config{WithoutEnd: true} // the published model has no end class
		if loss == LossDensity {
			cfg = PaperConfig(LogNormMix) // its constants are part of the loss
		}
		opts := TrainOptions{Seed: 1, Workers: *peersWorkers, Loss: loss, MaxEpochs: *peersEpochs, BatchSize: *peersBatch, LearningRate: *peersRate}
		used := opts.withDefaults()
		opts.Progress = func(e Epoch) {
			r.Losses, r.Seconds = append(r.Losses, e.ValidationLoss), append(r.Seconds, e.Seconds)
			r.Name = fmt.Sprintf("tpp %s, a cycle of %d epochs, batches of %d, rate %g", simd.Active(), e.MaxEpochs, used.BatchSize, used.LearningRate)
		}
		if _, err := Train(t.Context(), cfg, training, validation, opts); err != nil {
			t.Fatal(err)
		}
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(string(line))
	}
}
