package neural

// Kind is a kind of recurrent model. It determines what is predicted for the time to the next event.
type Kind string

// Encoder is a layer that turns the history into a context.
type Encoder string

// The encoders: a plain recurrent layer with tanh, gated recurrent units (Cho et al. 2014), long short-term memory (Hochreiter
// and Schmidhuber 1997). Weights are laid out as PyTorch's.
const (
	RNN  Encoder = "RNN"
	GRU  Encoder = "GRU"
	LSTM Encoder = "LSTM"
	// SSM is a diagonal state-space model: each unit decays exponentially between events, at a rate that is learnt, as the excitations of a Hawkes process
	// do, and a layer with tanh makes the context of the units.
	SSM Encoder = "SSM"
)

// Covariate is an input of every event beside its mark and the gap before it.
type Covariate struct {
	Name string
	// Levels is the number of categories of a categorical covariate, which takes the values 0…Levels−1. It is 0 for a
	// real covariate.
	Levels int
	// Size is the number of columns of a categorical covariate's embedding (default 8).
	Size int
	// Mean and Std standardise a real covariate. If Std is 0, Train computes both from the training part.
	Mean float64
	Std  float64
}

// Config is the configuration of a recurrent model. The zero value is a LogNormMix with good defaults: every zero field
// takes the default that its comment gives. PaperConfig returns the published configuration.
type Config struct {
	// Kind is LogNormMix (the default) or TruncNorm.
	Kind Kind
	// Encoder is RNN, GRU, LSTM or SSM (default GRU).
	Encoder Encoder
	// ContextSize is the number of units D of the encoder (default 64).
	ContextSize int
	// MarkEmbeddingSize is the number of columns of the mark embedding (default 32).
	MarkEmbeddingSize int
	// NumComponents is the number of components K of the mixture (default 64).
	NumComponents int
	// MarkTimeSize is the number of hidden units of the layer by which a LogNormMix makes the time of the next event depend on its mark (default 0:
	// given the history, they are independent of each other).
	MarkTimeSize int
	// MarkTable gives a table of which marks followed each mark in the training part a share in the probabilities of the next mark, beside the network:
	// the share that is best on the validation part, and none if that gains less than 0.001 nats an event. It is worth its place where there are
	// hundreds of marks or more, with few events each, which a network learns by heart (default false).
	MarkTable bool
	// TimeHead is LogHead (the default) or SoftplusHead for a TruncNorm, and empty for other kinds.
	TimeHead TimeHead
	// WithoutEnd leaves out the end class of the mark head. With the class, the model learns after which event a complete
	// sequence is over, and live predictions stop there.
	WithoutEnd bool
	// Covariates are further inputs of every event (default none). ColdStart returns the paper's cold-start feature.
	Covariates []Covariate
	// GapFloor is the smallest gap, in the time unit: shorter ones count as this long (default: half the resolution).
	GapFloor float64
	// LogShift is added to a gap before the logarithm that the encoder sees (default 0).
	LogShift float64
	// TimeUnit names the unit of all times (default ms).
	TimeUnit string
	// Resolution is the resolution of the clock that took the times, in the time unit (default 1).
	Resolution float64
}

// TimeHead determines how a TruncNorm converts its output to a time.
type TimeHead string

// The time heads of a TruncNorm.
const (
	// LogHead predicts exp(mean + std·(w·h + b)), a standardised log time: it trains at any scale.
	LogHead TimeHead = "log"
	// SoftplusHead predicts softplus(w·h + b) in the time unit, as published.
	SoftplusHead TimeHead = "softplus"
)

// DefaultMarkTimeSize is a size for Config.MarkTimeSize that has been seen to suffice on sets of 2 to 10 marks.
const DefaultMarkTimeSize = 32

// maxSize is the largest size a configuration may have. A file with a larger one is corrupt.
const maxSize = 1 << 16
