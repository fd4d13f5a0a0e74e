package race

import (
	"cmp"
	"fmt"
	"math"
	"runtime"
	"time"
)

// TrainOptions holds the options of Train. The zero value is a good choice: every zero field takes the default that its comment gives.
type TrainOptions struct {
	// Seed determines the initial parameters, the order of the sequences and what dropout drops. With equal options and data the result
	// is the same for any number of workers, on machines with the same instruction set.
	Seed uint64
	// Workers is the number of goroutines that compute (default GOMAXPROCS).
	Workers int
	// BatchSize is the number of sequences of an update (default 32).
	BatchSize int
	// LearningRate is the highest rate of a cycle that begins at a fifth of it, rises over the first 30 % of the epochs and falls to a
	// thousandth along a cosine (after Smith and Topin 2019; default 2e-3, or 4e-3 where the default of Config.Components is the larger one).
	LearningRate float64
	// WeightDecay is the decoupled decay of the network's weights (Loshchilov and Hutter 2019; default 0.01). The mixtures of the
	// classes have none.
	WeightDecay float64
	// Dropout is the share of hidden units that an update leaves out (default 0.2 where the default of Config.Components is the larger one,
	// otherwise none; below 0 for none).
	Dropout float64
	// ClipNorm is the largest norm of a gradient (default 1).
	ClipNorm float64
	// Epochs is the number of passes over the training part (default: as many as a thousand traces are trained in within seconds, from 5 for
	// large parts to 100 for small ones, and 200 for the smallest where the default of Config.Components is the larger one). The model has the
	// best of the averages of the parameters, over about the last seventh of the updates, at their ends (polynomial-decay averaging, Shamir and
	// Zhang 2013).
	Epochs int
	// MostEpochs bounds the default of Epochs (default 200): for trainings that must take little of a processor.
	MostEpochs int
	// MaxDuration ends training after the epoch in which it is exceeded (default no limit).
	MaxDuration time.Duration
	// Progress, if not nil, is called after every epoch.
	Progress func(Epoch)
}

// Epoch is the progress of training after an epoch. Losses are negative log likelihoods per scored event; that of validation is of the
// average of the parameters.
type Epoch struct {
	Epoch          int     `json:"epoch"` // counted from 1
	MaxEpochs      int     `json:"max_epochs"`
	TrainingLoss   float64 `json:"training_loss"`
	ValidationLoss float64 `json:"validation_loss"`
	BestEpoch      int     `json:"best_epoch"`
	BestLoss       float64 `json:"best_loss"`
	LearningRate   float64 `json:"learning_rate"`
	Seconds        float64 `json:"seconds"` // since training began
}

func (o TrainOptions) withDefaults() TrainOptions {
	o.Workers = cmp.Or(o.Workers, runtime.GOMAXPROCS(0))
	o.BatchSize = cmp.Or(o.BatchSize, 32)
	o.WeightDecay = cmp.Or(o.WeightDecay, 0.01)
	o.ClipNorm = cmp.Or(o.ClipNorm, 1)
	o.MostEpochs = cmp.Or(o.MostEpochs, 200)
	return o
}

// fit fills in the defaults that depend on the data: on whether delays have long tails, and on how many rows a pass has.
func (o *TrainOptions) fit(longTails bool, rows int) {
	rows = max(rows, 1)
	rate, dropout, work, most := 2e-3, 0.0, 3.2e6, 100 // rows in all
	if longTails {
		rate, dropout, work = 4e-3, 0.2, 5e6
		most = min(max(fewRows/rows, 100), 200)
	}
	o.LearningRate = cmp.Or(o.LearningRate, rate)
	o.Dropout = max(cmp.Or(o.Dropout, dropout), 0)
	o.Epochs = cmp.Or(o.Epochs, min(max(int(work/float64(rows)), 5), most, o.MostEpochs))
}

// fewRows is how many rows updates are made of up to which a small part with long tails is passed over more than 100 times: with half as many, which
// of several long delays comes is underfitted. Without long tails the best parameters come long before.
const fewRows = 1_200_000

func (o *TrainOptions) validate() error {
	switch {
	case o.Workers < 1:
		return fmt.Errorf("%d workers", o.Workers)
	case o.BatchSize < 1:
		return fmt.Errorf("a batch size of %d", o.BatchSize)
	case !(o.LearningRate >= 0) || math.IsInf(o.LearningRate, 0):
		return fmt.Errorf("a learning rate of %v", o.LearningRate)
	case !(o.WeightDecay >= 0) || math.IsInf(o.WeightDecay, 0):
		return fmt.Errorf("a weight decay of %v", o.WeightDecay)
	case !(o.Dropout < 1):
		return fmt.Errorf("a dropout of %v", o.Dropout)
	case !(o.ClipNorm > 0):
		return fmt.Errorf("a clip norm of %v", o.ClipNorm)
	case o.Epochs < 0:
		return fmt.Errorf("%d epochs", o.Epochs)
	case o.MostEpochs < 0:
		return fmt.Errorf("at most %d epochs", o.MostEpochs)
	case o.MaxDuration < 0:
		return fmt.Errorf("a limit of %v", o.MaxDuration)
	}
	return nil
}

// oneCycle returns the factor of the learning rate at a fraction of the cycle, from 0 to 1.
func oneCycle(at float64) float64 {
	const rise, first, last = 0.3, 0.2, 0.001
	if at < rise {
		return first + (1-first)*(1-math.Cos(math.Pi*at/rise))/2
	}
	return last + (1-last)*(1+math.Cos(math.Pi*(at-rise)/(1-rise)))/2
}
