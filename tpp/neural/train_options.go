package neural

import (
	"cmp"
	"fmt"
	"math"
	"runtime"
	"time"
)

// TrainOptions holds the options of Train. The zero value is a good choice: every zero field takes the default that its
// comment gives. PaperTraining returns the published options.
type TrainOptions struct {
	// Seed seeds the initial parameters and the order of the sequences (default 0). The same seed gives the same model, whatever the
	// number of workers, on processors for which the same kernels are chosen: AVX-512, AVX2, or portable Go on one architecture.
	// Between those, sums differ in their last bits, and after training the models differ as much as with another seed.
	Seed uint64
	// Workers is the number of goroutines that compute (default: GOMAXPROCS).
	Workers int
	// Loss is what a LogNormMix is trained on: LossResolution (the default) or LossDensity, the paper's.
	Loss Loss
	// BatchSize is the number of sequences in a batch (default 64).
	BatchSize int
	// ShuffleWindow is the number of successive sequences among which the order of an epoch is drawn, 0 for all of them (default: 0 for
	// Train, 16384 for TrainStream, which holds two windows in memory).
	ShuffleWindow int
	// LearningRate is that of Adam, the highest of the schedule (default 1e-2).
	LearningRate float64
	// Schedule is ScheduleOneCycle (the default), SchedulePlateau or ScheduleConstant, the paper's.
	Schedule Schedule
	// WeightDecay is the factor of the L2 regularisation (default 1e-4), which WithoutWeightDecay turns off.
	WeightDecay        float64
	WithoutWeightDecay bool
	// ClipNorm is the norm to which longer gradients are scaled down (default 5). WithoutClipping turns that off, as in the
	// paper.
	ClipNorm        float64
	WithoutClipping bool
	// MaxEpochs is the number of passes over the training part after which training stops: the length of the cycle for
	// ScheduleOneCycle (default 200; for the other schedules 4000).
	MaxEpochs int
	// Patience is the number of epochs without a better validation loss after which training stops or, with
	// SchedulePlateau, goes on from the best epoch at a lower rate (default 100; with SchedulePlateau 25, with
	// ScheduleOneCycle half of MaxEpochs, at least 20). In the middle of a cycle the loss may stand still for long and fall at the
	// end: of 120 trainings, on all datasets in data with 3 seeds and cycles of 60 to 400 epochs, half a cycle cost none its best
	// epoch, and a quarter of one did in 18.
	Patience int
	// WithoutCalibration leaves out what follows a training with a validation part: the widths of the components of a LogNormMix are multiplied by one
	// factor, and the logits of the marks by another, those with which the validation part is likeliest (temperature scaling, Guo et al. 2017, section
	// 4.2), if it gains more by each than chance explains, and a thousandth of a nat an event. A network that has passed often over few sequences
	// is too sure otherwise, and its intervals are too narrow. The paper does not calibrate.
	WithoutCalibration bool
	// MaxDuration stops training after the epoch in which it is reached (default: no limit). The model then depends on
	// how fast the machine is.
	MaxDuration time.Duration
	// Checkpoint is the name of a file that keeps the state of the training (default: none). It is written every
	// CheckpointEvery, when ctx is done and at the end. If it exists, Train resumes from it, and the model is the same as
	// without the interruption. A checkpoint of other data, another model or other options is an error. One that cannot be written
	// ends the training; the file is then the previous one, whole.
	Checkpoint string
	// CheckpointEvery is the time between two writes of the checkpoint (default 1 minute).
	CheckpointEvery time.Duration
	// Progress, if not nil, is called after each epoch.
	Progress func(Epoch)
}

// Loss is what a LogNormMix is trained on.
type Loss string

// The losses of a LogNormMix.
const (
	// LossResolution is the negative log probability of a gap's tick of the clock.
	LossResolution Loss = "resolution"
	// LossDensity is the negative log density of a gap. On gaps in whole ticks it has no lower bound.
	LossDensity Loss = "density"
)

// Schedule is the way the learning rate changes during training.
type Schedule string

// The schedules of the learning rate.
const (
	// SchedulePlateau goes back to the best epoch when the validation loss has not fallen for Patience epochs, and on
	// from there at a third of the rate; after the third time training stops.
	SchedulePlateau Schedule = "plateau"
	// ScheduleOneCycle rises from a tenth of the rate to all of it over the first 30 % of MaxEpochs and falls to a
	// hundredth along a cosine (after Smith and Topin 2019).
	ScheduleOneCycle Schedule = "onecycle"
	// ScheduleConstant keeps the learning rate constant.
	ScheduleConstant Schedule = "constant"
)

const (
	plateauFactor = 1.0 / 3
	plateauDrops  = 3
)

// PaperTraining returns the published training options (TppFaaS, section V): patience 100 epochs for LogNormMix and 200 for
// TruncNorm.
func PaperTraining(kind Kind) TrainOptions {
	o := TrainOptions{
		Loss: LossDensity, BatchSize: 64, LearningRate: 1e-3, Schedule: ScheduleConstant, WeightDecay: 1e-5, WithoutClipping: true,
		WithoutCalibration: true, MaxEpochs: 4000, Patience: 100,
	}
	if kind == TruncNorm {
		o.Patience = 200
	}
	return o
}

// Epoch is the progress of training after an epoch. Losses are negative log likelihoods per scored event.
type Epoch struct {
	Epoch          int     `json:"epoch"`      // counted from 1
	MaxEpochs      int     `json:"max_epochs"` // that training may take
	TrainingLoss   float64 `json:"training_loss"`
	ValidationLoss float64 `json:"validation_loss"`
	BestEpoch      int     `json:"best_epoch"` // with the lowest validation loss so far
	BestLoss       float64 `json:"best_loss"`
	LearningRate   float64 `json:"learning_rate"`
	Seconds        float64 `json:"seconds"` // since training began
}

func (o TrainOptions) withDefaults() TrainOptions {
	o.Workers = cmp.Or(o.Workers, runtime.GOMAXPROCS(0))
	o.Loss = cmp.Or(o.Loss, LossResolution)
	o.CheckpointEvery = cmp.Or(o.CheckpointEvery, time.Minute)
	o.BatchSize = cmp.Or(o.BatchSize, 64)
	o.LearningRate = cmp.Or(o.LearningRate, 1e-2)
	o.Schedule = cmp.Or(o.Schedule, ScheduleOneCycle)
	o.WeightDecay = cmp.Or(o.WeightDecay, 1e-4)
	o.ClipNorm = cmp.Or(o.ClipNorm, 5)
	switch o.Schedule {
	case ScheduleOneCycle:
		o.MaxEpochs = cmp.Or(o.MaxEpochs, 200)
		o.Patience = cmp.Or(o.Patience, max(o.MaxEpochs/2, 20))
	case SchedulePlateau:
		o.Patience = cmp.Or(o.Patience, 25)
	}
	o.MaxEpochs = cmp.Or(o.MaxEpochs, 4000)
	o.Patience = cmp.Or(o.Patience, 100)
	if o.WithoutWeightDecay {
		o.WeightDecay = 0
	}
	if o.WithoutClipping {
		o.ClipNorm = 0
	}
	return o
}

func (o *TrainOptions) validate() error {
	switch {
	case o.Workers < 1:
		return fmt.Errorf("%d workers", o.Workers)
	case o.Loss != LossResolution && o.Loss != LossDensity:
		return fmt.Errorf("unknown loss %q, it is %s or %s", o.Loss, LossResolution, LossDensity)
	case o.Schedule != SchedulePlateau && o.Schedule != ScheduleOneCycle && o.Schedule != ScheduleConstant:
		return fmt.Errorf("unknown schedule %q, it is %s, %s or %s", o.Schedule, SchedulePlateau, ScheduleOneCycle, ScheduleConstant)
	case o.ShuffleWindow < 0:
		return fmt.Errorf("a shuffle window of %d sequences", o.ShuffleWindow)
	case o.BatchSize < 1:
		return fmt.Errorf("a batch size of %d", o.BatchSize)
	case !(o.LearningRate > 0) || math.IsInf(o.LearningRate, 0):
		return fmt.Errorf("a learning rate of %v", o.LearningRate)
	case !(o.WeightDecay >= 0) || math.IsInf(o.WeightDecay, 0):
		return fmt.Errorf("a weight decay of %v (WithoutWeightDecay leaves it out)", o.WeightDecay)
	case !o.WithoutClipping && !(o.ClipNorm > 0):
		return fmt.Errorf("a clip norm of %v (WithoutClipping leaves it out)", o.ClipNorm)
	case o.MaxEpochs < 1:
		return fmt.Errorf("a limit of %d epochs", o.MaxEpochs)
	case o.Patience < 1:
		return fmt.Errorf("a patience of %d epochs", o.Patience)
	case o.MaxDuration < 0:
		return fmt.Errorf("a limit of %v", o.MaxDuration)
	}
	return nil
}

// oneCycle returns the factor of the learning rate at a fraction of the cycle, from 0 to 1.
func oneCycle(at float64) float64 {
	const rise, first, last = 0.3, 0.1, 0.01
	if at < rise {
		return first + (1-first)*at/rise
	}
	return last + (1-last)*(1+math.Cos(math.Pi*(at-rise)/(1-rise)))/2
}
