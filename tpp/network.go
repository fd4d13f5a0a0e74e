package tpp

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/tppfaas/tppfaas/tpp/internal/nn"
)

// network is the arithmetic of a recurrent model over float32 or float64: features → encoder → time head, mark head.
// Its shape is fixed; the parameters are a flat vector that is passed in, after prepare has seen it.
type network[F nn.Float] struct {
	cfg       Config
	numMarks  int
	mean, std float64 // of the log gaps

	layout      nn.Layout
	contextInit nn.Span
	input       *nn.Input[F]
	rnn         *nn.Recurrent[F]
	time, mark  *nn.Linear[F]
	head        timeHead[F]
}

// timeHead is what differs between the kinds of models: how the outputs of the time layer are scored.
type timeHead[F nn.Float] interface {
	// outputs is the number of outputs of the layer, whose tensors are called name.weight and name.bias.
	outputs(*Config) (name string, n int)
	// score is the sum of the log densities of the events' gaps, or minus the loss that stands for it, up to the
	// constant in example.logJacobian. It replaces out, a row a target, by the gradient of scale times its negative.
	score(out []F, t *targets[F], memory []F, scale F) float64
	// survival is the same for the log probability that a gap is longer than the only target's.
	survival(out []F, t *targets[F], memory []F, scale F) float64
}

type mixtureHead[F nn.Float] struct{}

func (mixtureHead[F]) outputs(c *Config) (string, int) { return "linear", 3 * c.NumComponents }

func (mixtureHead[F]) score(out []F, t *targets[F], memory []F, scale F) float64 {
	return nn.MixtureNLL(out, t.x, memory, scale)
}

func (mixtureHead[F]) survival(out []F, t *targets[F], memory []F, scale F) float64 {
	return nn.MixtureSurvival(out, t.x[0], memory, scale)
}

func newNetwork[F nn.Float](cfg Config, numMarks int, mean, std float64) (*network[F], error) {
	cell, err := cfg.cell()
	if err != nil {
		return nil, err
	}
	n := &network[F]{cfg: cfg, numMarks: numMarks, mean: mean, std: std, head: mixtureHead[F]{}}
	d := cfg.ContextSize
	n.contextInit = n.layout.Add("context_init", d)
	features := []nn.Feature{{Name: "time"}, {Name: "mark", Levels: numMarks, Size: cfg.MarkEmbeddingSize}}
	for _, c := range cfg.Covariates {
		features = append(features, nn.Feature{Name: c.Name, Levels: c.Levels, Size: c.Size})
	}
	n.input = nn.NewInput[F](&n.layout, cell, d, features)
	n.rnn = nn.NewRecurrent[F](&n.layout, cell, d)
	name, outputs := n.head.outputs(&cfg)
	n.time = nn.NewLinear[F](&n.layout, name, d, outputs)
	n.mark = nn.NewLinear[F](&n.layout, "mark_linear", d, numMarks)
	return n, nil
}

// initialise draws parameters as PyTorch does: embeddings from N(0, 1), the initial context zero, all else uniform
// within ±1/√D.
func (n *network[F]) initialise(rng *rand.Rand) []F {
	params := make([]F, n.layout.Size())
	bound := 1 / math.Sqrt(float64(n.cfg.ContextSize))
	for _, t := range n.layout.Tensors() {
		p := nn.Of(t.Span, params)
		switch {
		case t.Name == "context_init":
		case len(t.Name) > 17 && t.Name[len(t.Name)-17:] == "_embedding.weight":
			for i := range p {
				p[i] = F(rng.NormFloat64())
			}
		default:
			for i := range p {
				p[i] = F(bound * (2*rng.Float64() - 1))
			}
		}
	}
	return params
}

// prepare takes in new parameters.
func (n *network[F]) prepare(params []F) {
	n.input.Prepare(params)
	n.rnn.Prepare(params)
	n.time.Prepare(params)
	n.mark.Prepare(params)
}

// numFeatures is the number of values that describe an event: time feature, mark, covariates.
func (n *network[F]) numFeatures() int { return 2 + len(n.cfg.Covariates) }

// timeFeature is (log(gap + shift) − mean)/std, of the floor for the first event.
func (n *network[F]) timeFeature(gap float64) F {
	return F((math.Log(max(gap, n.cfg.GapFloor)+n.cfg.LogShift) - n.mean) / n.std)
}

// appendFeatures appends the numFeatures values of an event. They are checked: a table is indexed with them.
func (n *network[F]) appendFeatures(values []F, gap float64, mark int, covariate func(j int) float64) ([]F, error) {
	if mark < 0 || mark >= n.numMarks {
		return values, fmt.Errorf("mark %d: the model knows %d marks", mark, n.numMarks)
	}
	values = append(values, n.timeFeature(gap), F(mark))
	for j, c := range n.cfg.Covariates {
		v := covariate(j)
		if c.Levels > 0 && !(v >= 0 && v < float64(c.Levels) && v == math.Trunc(v)) {
			return values, fmt.Errorf("covariate %q is %v, it must be one of 0 to %d", c.Name, v, c.Levels-1)
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return values, fmt.Errorf("covariate %q is %v", c.Name, v)
		}
		values = append(values, F(v))
	}
	return values, nil
}
