package neural

// Kind is a kind of recurrent model: what it predicts for the time to the next event.
type Kind string

// Encoder is a recurrent layer that turns the history into a context.
type Encoder string

// The encoders: a plain recurrent layer with tanh, gated recurrent units (Cho et al. 2014), long short-term memory (Hochreiter
// and Schmidhuber 1997). Weights are laid out as PyTorch's.
const (
	RNN  Encoder = "RNN"
	GRU  Encoder = "GRU"
	LSTM Encoder = "LSTM"
)

// Covariate is an input of every event beside its mark and the gap before it.
type Covariate struct {
	Name string
	// Levels is the number of categories of a categorical covariate, which takes the values 0…Levels−1; 0 says that the
	// covariate is a real number.
	Levels int
	// Size is the number of columns of a categorical covariate's embedding (default 8).
	Size int
	// Mean and Std standardise a real covariate. Where Std is 0 training takes both from the training part.
	Mean float64
	Std  float64
}

// Config is the shape of a recurrent model. The zero value is a good LogNormMix: every field left zero takes the default
// that its comment gives. PaperConfig is the published one.
type Config struct {
	// Kind is LogNormMix (the default) or TruncNorm.
	Kind Kind
	// Encoder is RNN, GRU or LSTM (default GRU).
	Encoder Encoder
	// ContextSize is the number of units D of the encoder (default 64).
	ContextSize int
	// MarkEmbeddingSize is the number of columns of the mark embedding (default 32).
	MarkEmbeddingSize int
	// NumComponents is the number of components K of the mixture (default 64).
	NumComponents int
	// TimeHead of a TruncNorm is LogHead (the default) or SoftplusHead.
	TimeHead TimeHead
	// WithoutEnd leaves out the end class of the mark head. With it the model learns after which event a complete
	// sequence is over, and whatever predicts live stops there.
	WithoutEnd bool
	// Covariates are further inputs. The paper's cold-start feature is ColdStart().
	Covariates []Covariate
	// GapFloor is the smallest gap: shorter ones count as this long (default: half the resolution).
	GapFloor float64
	// LogShift is added to a gap before the logarithm that the encoder sees (default 0).
	LogShift float64
	// TimeUnit names the unit of all times (default ms).
	TimeUnit string
	// Resolution is the tick of the clock that took the times (default 1).
	Resolution float64
}

// TimeHead is how a TruncNorm turns its output into a time.
type TimeHead string

// The time heads of a TruncNorm.
const (
	// LogHead predicts exp(mean + std·(w·h + b)), a standardised log time: it trains at any scale.
	LogHead TimeHead = "log"
	// SoftplusHead predicts softplus(w·h + b) in the time unit, as published.
	SoftplusHead TimeHead = "softplus"
)

// The largest sizes a configuration may have: a file that asks for more is broken rather than ambitious.
const maxSize = 1 << 16
