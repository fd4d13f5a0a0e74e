package main

import (
	"flag"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/neural"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// trainOrder is what the command line of train asks for.
type trainOrder struct {
	kind string // of the model
	cfg  neural.Config
	opts neural.TrainOptions
	// race and raceOpts are the same of a race, whose graph is in the file graph, or empty. Seed and Progress are those of opts.
	race     race.Config
	raceOpts race.TrainOptions
	graph    string
	dataset  string
	// validation and test are the files that take the place of these parts of the split, or empty.
	validation, test string
	output           string
	history          string // file for the history of the training, or none
	json             bool
	fit              classical.FitOptions // of a classical model
	split            string               // how the dataset is split
	markTimeAuto     bool                 // validation chooses whether time and mark depend on each other
	markTable        bool                 // a table of the marks has a share
	stream           bool                 // read the dataset anew in each epoch
	repeat           int                  // number of splits to score the training on, or 0 for one model
	folds            int                  // of a cross-validation, or 0
	in               *input
}

// trainValues lists the values of the options that take one of a few.
var trainValues = map[string][]string{
	"kind":      kinds(),
	"split":     splits,
	"unit":      dataset.TimeUnits(),
	"spans":     spanRules,
	"encoder":   {"RNN", "GRU", "LSTM", "SSM"},
	"mark-time": {markTimeOff, markTimeOn, markTimeAuto},
	"head":      {string(neural.LogHead), string(neural.SoftplusHead)},
	"loss":      {string(neural.LossResolution), string(neural.LossDensity)},
	"regime":    regimes,
	"schedule":  {string(neural.ScheduleOneCycle), string(neural.SchedulePlateau), string(neural.ScheduleConstant)},
}

// trainFlags declares the options. What it returns makes an order of them once they are parsed, and of the other arguments. What is not
// given keeps the default of the library, or with -paper the published value.
func trainFlags(fs *flag.FlagSet) func(args []string) (*trainOrder, error) {
	o := &trainOrder{}
	fs.StringVar(&o.output, "o", "", "write the model to `FILE`")
	kind := fs.String("kind", string(neural.LogNormMix), "lognormmix (a distribution of the time), truncnorm (one value), race (what events make due), or a classical model: "+oneOf(classicalKinds()))
	paper := fs.Bool("paper", false, "the published model, trained the published way; other options change it")
	seed := fs.Uint64("seed", 1, "`seed` of the split, the first parameters and the order of the sequences")
	encoder := fs.String("encoder", "GRU", "RNN, GRU, LSTM or SSM (states that decay between events)")
	context := fs.Int("context", 64, "`units` of the encoder")
	embedding := fs.Int("embedding", 32, "`columns` of the mark embedding")
	components := fs.Int("components", 64, "`components` of a lognormmix; of a delay in a race (default: by the data); at most of a gap in a renewal (default 16) or markov (default 4)")
	markTime := fs.String("mark-time", markTimeOff, "of a lognormmix: whether the time of the next event `depends` on its mark: off, on, or auto, which trains both ways and keeps what is better on the validation part")
	fs.BoolVar(&o.markTable, "mark-table", false, "of a network: give a table of which marks followed which the share in the next mark that is best on the validation part; for hundreds of marks and more")
	calibrate := fs.Bool("calibrate", true, "of a network: after training, scale the widths of a lognormmix's components and the logits of the marks so that the validation part is likeliest (with -paper: false)")
	kernels := fs.Int("kernels", 1, "exponential `kernels` of each pair of marks of a hawkes, each with a decay that all pairs share")
	perPair := fs.Bool("decay-per-pair", false, "a hawkes has a decay for each pair of marks")
	standardErrors := fs.Bool("standard-errors", false, "compute the standard errors of the parameters of a hawkes, which inspect prints")
	head := fs.String("head", string(neural.LogHead), "time head of a truncnorm: log or softplus")
	end := fs.Bool("end", true, "learn when a sequence is over (with -paper: false)")
	resolution := fs.Float64("resolution", 1, "tick of the clock that took the times, in `ms`")
	coldStart := fs.Bool("coldstart", false, "take in whether each invocation started cold")
	var covariates stringList
	fs.Var(&covariates, "covariate", "take in a covariate of the dataset: `NAME` of a real one, NAME:LEVELS of a categorical one; may be repeated")
	loss := fs.String("loss", string(neural.LossResolution), "what a lognormmix is trained on: resolution or density (with -paper: density)")
	batch := fs.Int("batch", 64, "`sequences` in a batch; a race has a default of its own")
	rate := fs.Float64("rate", 1e-2, "learning `rate` (with -paper: 0.001); a race has a default of its own")
	schedule := fs.String("schedule", string(neural.ScheduleOneCycle), "of the rate: onecycle, plateau or constant (with -paper: constant)")
	l2 := fs.Float64("l2", 1e-4, "`factor` of the L2 regularisation (with -paper: 0.00001)")
	clip := fs.Float64("clip", 5, "cut gradients to this `norm`, 0 not (with -paper: 0)")
	epochs := fs.Int("epochs", 200, "`epochs` at most (with -paper, plateau and constant: 4000); a race makes all, by default 5 to 200, the fewer the larger the data")
	patience := fs.Int("patience", 0, "stop after this many `epochs` without a better validation loss (0: the schedule's default, of onecycle half of -epochs; with -paper: 100 or 200)")
	fs.DurationVar(&o.opts.MaxDuration, "budget", 0, "stop after this much `time`, such as 50s (0: no limit)")
	fs.IntVar(&o.opts.Workers, "workers", 0, "`goroutines` that compute (0: one a processor); the model does not depend on it")
	fs.StringVar(&o.opts.Checkpoint, "checkpoint", "", "keep the state of the training in `FILE`, and go on from there")
	fs.StringVar(&o.history, "history", "", "write the losses of each epoch to `FILE`, one JSON object a line")
	fs.StringVar(&o.validation, "validation", "", "`DATASET` to validate on; the validation part of the split is then trained on too")
	fs.StringVar(&o.test, "test", "", "`DATASET` to score on; the test part of the split is then trained on too")
	fs.BoolVar(&o.json, "json", false, "print the scores as JSON")
	fs.IntVar(&o.repeat, "repeat", 0, "train on this many `splits`, of -seed and the seeds after it, and print the scores' means; writes no model")
	fs.IntVar(&o.folds, "folds", 0, "cross-validate on this many `folds` of -seed, each of which is the test part once, and print the scores' means; writes no model")
	fs.StringVar(&o.split, "split", splitAtRandom, "`how` the dataset is split: random, by -seed; time, so that the model is tested on sequences that begin after those that it is trained on; or hash, of -seed and the number of each sequence, as with -stream")
	fs.BoolVar(&o.stream, "stream", false, "read JSON lines anew in each epoch instead of holding them in memory, and split them by hash")
	fs.IntVar(&o.opts.ShuffleWindow, "shuffle-window", 0, "draw the order of an epoch among this many `sequences` in turn (0: all; with -stream 16384, of which memory holds two windows)")
	fs.StringVar(&o.graph, "graph", "", "of a race: read which functions invoke which from a graph.yaml `FILE`, its folder, or an embedded application; without, from the parents in the dataset, or estimated")
	fs.String("regime", string(race.Arrivals), "of a race: `what` it is told: arrivals; starts (also when each event started, and how long it waited, from then on); or only-starts (of each event only its start: arrival plus wait, or the time as it is where there are no waits)")
	o.in = inputOptions(fs, false)
	return func(args []string) (*trainOrder, error) {
		if err := positional(args, "dataset"); err != nil {
			return nil, err
		}
		o.dataset = args[0]
		if err := o.checkSplits(fs); err != nil {
			return nil, err
		}
		if err := o.checkStream(fs); err != nil {
			return nil, err
		}
		if !slices.Contains(kinds(), *kind) {
			return nil, cli.Usagef("-kind is %q, it must be %s", *kind, oneOf(kinds()))
		}
		o.kind = *kind
		if isClassical(*kind) {
			o.opts.Seed = *seed
			o.fit = classical.FitOptions{Resolution: *resolution, DecayPerPair: *perPair, Kernels: *kernels, StandardErrors: *standardErrors}
			if cli.IsSet(fs, "components") {
				o.fit.Components = *components
			}
			return o, checkClassical(fs, *kind, o.fit, o.in.optionNames())
		}
		for _, name := range hawkesOnly {
			if cli.IsSet(fs, name) {
				return nil, cli.Usagef("-%s is for -kind hawkes", name)
			}
		}
		if o.opts.MaxDuration < 0 || o.opts.Workers < 0 {
			return nil, cli.Usagef("-budget and -workers must not be negative")
		}
		if *kind == race.Kind {
			o.opts.Seed = *seed
			return o, o.setRace(fs)
		}
		for _, name := range raceOnly {
			if cli.IsSet(fs, name) {
				return nil, cli.Usagef("-%s is for -kind race", name)
			}
		}
		o.cfg.Kind = neural.Kind(*kind)
		if *paper {
			o.cfg = neural.PaperConfig(o.cfg.Kind)
			given := o.opts
			o.opts = neural.PaperTraining(o.cfg.Kind)
			o.opts.MaxDuration, o.opts.Workers, o.opts.Checkpoint, o.opts.ShuffleWindow = given.MaxDuration, given.Workers, given.Checkpoint, given.ShuffleWindow
		}
		o.opts.Seed = *seed
		// What stands on the line wins over the defaults.
		given := func(name string, set func()) {
			if cli.IsSet(fs, name) {
				set()
			}
		}
		given("encoder", func() { o.cfg.Encoder = neural.Encoder(*encoder) })
		given("context", func() { o.cfg.ContextSize = *context })
		given("embedding", func() { o.cfg.MarkEmbeddingSize = *embedding })
		given("components", func() { o.cfg.NumComponents = *components })
		given("head", func() { o.cfg.TimeHead = neural.TimeHead(*head) })
		given("end", func() { o.cfg.WithoutEnd = !*end })
		given("resolution", func() { o.cfg.Resolution = *resolution })
		given("loss", func() { o.opts.Loss = neural.Loss(*loss) })
		given("batch", func() { o.opts.BatchSize = *batch })
		given("rate", func() { o.opts.LearningRate = *rate })
		given("schedule", func() { o.opts.Schedule = neural.Schedule(*schedule) })
		given("l2", func() { o.opts.WeightDecay, o.opts.WithoutWeightDecay = *l2, *l2 == 0 })
		given("calibrate", func() { o.opts.WithoutCalibration = !*calibrate })
		given("clip", func() { o.opts.ClipNorm, o.opts.WithoutClipping = *clip, *clip == 0 })
		given("epochs", func() { o.opts.MaxEpochs = *epochs })
		given("patience", func() { o.opts.Patience = *patience })
		if err := checkTrain(fs, *kind, *encoder, *head, *loss, *schedule); err != nil {
			return nil, err
		}
		o.cfg.MarkTable = o.markTable
		if err := o.setMarkTime(*markTime); err != nil {
			return nil, err
		}
		if *coldStart {
			o.cfg.Covariates = append(o.cfg.Covariates, neural.ColdStart())
		}
		for _, c := range covariates {
			name, levels, categorical := strings.Cut(c, ":")
			covariate := neural.Covariate{Name: name}
			if categorical {
				var err error
				if covariate.Levels, err = strconv.Atoi(levels); err != nil || covariate.Levels < 1 {
					return nil, cli.Usagef("-covariate %s: %q is not a number of levels", c, levels)
				}
			}
			o.cfg.Covariates = append(o.cfg.Covariates, covariate)
		}
		return o, nil
	}
}

// The values of -mark-time.
const (
	markTimeOff  = "off"
	markTimeOn   = "on"
	markTimeAuto = "auto"
)

// setMarkTime sets whether time and mark depend on each other.
func (o *trainOrder) setMarkTime(value string) error {
	switch value {
	case markTimeOff:
		return nil
	case markTimeOn, markTimeAuto:
	default:
		return cli.Usagef("-mark-time is %q, it must be %s", value, oneOf(trainValues["mark-time"]))
	}
	if o.cfg.Kind != neural.LogNormMix {
		return cli.Usagef("-mark-time is for -kind lognormmix")
	}
	if value == markTimeOn {
		o.cfg.MarkTimeSize = neural.DefaultMarkTimeSize
		return nil
	}
	if o.stream || o.opts.Checkpoint != "" {
		return cli.Usagef("-mark-time auto makes two trainings: -stream and -checkpoint are for one")
	}
	o.markTimeAuto = true
	return nil
}

// configs returns the configurations of a network, of which validation chooses one.
func (o *trainOrder) configs() []neural.Config {
	all := []neural.Config{o.cfg}
	if o.markTimeAuto {
		with := o.cfg
		with.MarkTimeSize = neural.DefaultMarkTimeSize
		all = append(all, with)
	}
	return all
}

// checkSplits checks which splits there are, and that what is written is one model.
func (o *trainOrder) checkSplits(fs *flag.FlagSet) error {
	if !slices.Contains(splits, o.split) {
		return cli.Usagef("-split is %q, it must be %s", o.split, oneOf(splits))
	}
	many := ""
	for name, least := range map[string]int{"repeat": 2, "folds": 3} {
		if !cli.IsSet(fs, name) {
			continue
		}
		if n := value[int](fs, name); n < least {
			return cli.Usagef("-%s is %d, it must be at least %d", name, n, least)
		}
		many = name
	}
	switch {
	case many == "" && o.output == "":
		return cli.Usagef("-o MODEL is missing")
	case many == "":
		return nil
	case o.repeat > 0 && o.folds > 0:
		return cli.Usagef("-repeat and -folds are two ways to split: choose one")
	case o.split != splitAtRandom:
		return cli.Usagef("-%s is for -split random", many)
	case o.output != "" || o.history != "" || o.opts.Checkpoint != "":
		return cli.Usagef("-%s makes many models: -o, -history and -checkpoint are for one", many)
	case o.validation != "" || o.test != "":
		return cli.Usagef("-%s trains on many splits: -validation and -test are in place of one", many)
	}
	return nil
}

// many reports whether the training is scored on many splits.
func (o *trainOrder) many() bool { return o.repeat > 0 || o.folds > 0 }

// checkTrain checks the values on the line.
func checkTrain(fs *flag.FlagSet, kind, encoder, head, loss, schedule string) error {
	for _, o := range []struct {
		name, value string
	}{{"encoder", encoder}, {"head", head}, {"loss", loss}, {"schedule", schedule}} {
		if allowed := trainValues[o.name]; !slices.Contains(allowed, o.value) {
			return cli.Usagef("-%s is %q, it must be %s", o.name, o.value, oneOf(allowed))
		}
	}
	if kind == string(neural.LogNormMix) && cli.IsSet(fs, "head") {
		return cli.Usagef("-head is for -kind truncnorm")
	}
	if kind == string(neural.TruncNorm) && (cli.IsSet(fs, "components") || cli.IsSet(fs, "loss")) {
		return cli.Usagef("-components and -loss are for -kind lognormmix")
	}
	return checkNumbers(fs)
}

// checkNumbers refuses numbers that no option takes.
func checkNumbers(fs *flag.FlagSet) error {
	var wrong error
	fs.Visit(func(f *flag.Flag) {
		if wrong != nil {
			return
		}
		switch v := f.Value.(flag.Getter).Get().(type) {
		case int:
			if v < 1 && f.Name != "workers" && !(v == 0 && (f.Name == "patience" || f.Name == "shuffle-window")) {
				wrong = cli.Usagef("-%s is %d, it must be at least 1", f.Name, v)
			}
		case float64:
			atLeastZero := f.Name == "l2" || f.Name == "clip"
			if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 || v == 0 && !atLeastZero {
				wrong = cli.Usagef("-%s is %v, it must be above 0", f.Name, v)
			}
		}
	})
	return wrong
}

// stringList is an option that may be repeated.
type stringList []string

func (l *stringList) String() string { return strings.Join(*l, ",") }

func (l *stringList) Set(v string) error {
	*l = append(*l, v)
	return nil
}

// Get makes it a flag.Getter.
func (l *stringList) Get() any { return []string(*l) }
