package neural

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/internal/num"
)

// network computes a recurrent model in float32 or float64: features → encoder → context → time head, mark head.
// It does not hold the parameters: they are a flat vector that is passed to prepare and then to each call.
type network[F nn.Float] struct {
	cfg      Config
	numMarks int
	norm     normalisation

	layout      nn.Layout
	contextInit nn.Span
	input       *nn.Input[F]
	rnn         encoder[F]
	time, mark  *nn.Linear[F]
	head        timeHead[F]
	survival    survivalHead[F] // the same head, nil if it predicts no distribution
	markTime    *markTime[F]    // nil if time and mark are independent of each other
}

// encoder turns the input parts of gates into contexts.
type encoder[F nn.Float] interface {
	Prepare(params []F)
	// Gates and StateSize return the numbers of gate values of an event and of values of a state, of which the first are the context.
	Gates() int
	StateSize() int
	// Encode and EncodeBackward run over a batch, Step and StepRows update states with one event each.
	Encode(params []F, in *nn.Input[F], values []F, p nn.Packed, t *nn.Trace[F])
	EncodeBackward(grad, params []F, in *nn.Input[F], values []F, p nn.Packed, t *nn.Trace[F], ws *nn.InputGradient[F], set nn.Writes)
	Step(params, state, gx []F, s *nn.Stepper[F])
	StepRows(params, h, c, gx []F, rows int, s *nn.Stepper[F])
}

func newNetwork[F nn.Float](cfg Config, numMarks int, norm normalisation, loss Loss) (*network[F], error) {
	cell, err := cfg.cell()
	if err != nil {
		return nil, err
	}
	n := &network[F]{cfg: cfg, numMarks: numMarks, norm: norm}
	if n.head, err = newHead[F](&cfg, norm, loss); err != nil {
		return nil, err
	}
	n.survival, _ = n.head.(survivalHead[F])
	d := cfg.ContextSize
	n.contextInit = n.layout.Add("context_init", d)
	features := []nn.Feature{{Name: "time"}, {Name: "mark", Levels: numMarks, Size: cfg.MarkEmbeddingSize}}
	for _, c := range cfg.Covariates {
		features = append(features, nn.Feature{Name: c.Name, Levels: c.Levels, Size: c.Size})
	}
	n.input = nn.NewInput[F](&n.layout, cell, d, features)
	if cell == nn.SSM {
		n.rnn = nn.NewStateSpace[F](&n.layout, d)
	} else {
		n.rnn = nn.NewRecurrent[F](&n.layout, cell, d)
	}
	name, outputs := n.head.outputs(&cfg)
	n.time = nn.NewLinear[F](&n.layout, name, d, outputs)
	n.mark = nn.NewLinear[F](&n.layout, "mark_linear", d, n.numClasses())
	n.markTime = newMarkTime[F](&n.layout, &cfg, numMarks)
	return n, nil
}

// numClasses returns the number of outputs of the mark head: the marks, followed by the end class if there is one.
func (n *network[F]) numClasses() int {
	if n.cfg.WithoutEnd {
		return n.numMarks
	}
	return n.numMarks + 1
}

// initialise returns new parameters, drawn as in PyTorch: embeddings from N(0, 1), the initial context zero, all others
// uniform within ±1/√D.
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
	if s, ok := n.rnn.(*nn.StateSpace[F]); ok {
		named := map[string][]F{}
		for _, t := range n.layout.Tensors() {
			named[t.Name] = nn.Of(t.Span, params)
		}
		s.StartInput(named["rnn.weight_ih_l0"], named["rnn.bias_ih_l0"], n.norm.Std)
	}
	return params
}

// prepare precomputes what the layers need from new parameters, such as transposed weights. It must be called after every
// change of the parameters.
func (n *network[F]) prepare(params []F) {
	n.time.Prepare(params)
	n.rnn.Prepare(params)
	n.input.Prepare(params)
	n.mark.Prepare(params)
	if n.markTime != nil {
		n.markTime.shift.Prepare(params)
	}
}

// numFeatures returns the number of values that describe an event: time feature, mark, covariates.
func (n *network[F]) numFeatures() int { return 2 + len(n.cfg.Covariates) }

// timeFeature returns (log(max(gap, floor) + shift) − mean)/std. The first event, which has no gap, has gap 0.
func (n *network[F]) timeFeature(gap float64) F {
	return F((math.Log(max(gap, n.cfg.GapFloor)+n.cfg.LogShift) - n.norm.Mean) / n.norm.Std)
}

// appendFeatures appends the numFeatures values of an event. It returns an error for a mark or covariate out of range,
// since Input indexes its tables with them.
func (n *network[F]) appendFeatures(values []F, gap float64, mark int, covariates []float64) ([]F, error) {
	if mark < 0 || mark >= n.numMarks {
		return values, fmt.Errorf("mark %d: the model knows %d marks", mark, n.numMarks)
	}
	values = append(values, n.timeFeature(gap), F(mark))
	for j, c := range n.cfg.Covariates {
		v := covariates[j]
		if c.Levels > 0 && !(v >= 0 && v < float64(c.Levels) && v == math.Trunc(v)) {
			return values, fmt.Errorf("covariate %q is %v, it must be one of 0 to %d", c.Name, v, c.Levels-1)
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return values, fmt.Errorf("covariate %q is %v", c.Name, v)
		}
		if c.Levels == 0 {
			v = num.Standardised(v, c.Mean, c.Std)
		}
		values = append(values, F(v))
	}
	return values, nil
}
