package neural

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// loaded returns sequences whose gaps depend on covariates: the log median of a gap is linear in the real covariate load,
// and the category of class halves or doubles it.
func loaded(seed uint64, n int) *tpp.Dataset {
	rng := rand.New(rand.NewPCG(seed, 21))
	d := &tpp.Dataset{}
	for range n {
		var s tpp.Sequence
		var load, class []float64
		at := 0.0
		for range 6 {
			l, c := rng.Float64(), float64(rng.IntN(3))
			load, class = append(load, 1e9*(l+4)), append(class, c)
			s.ArrivalTimes = append(s.ArrivalTimes, at)
			at += math.Round(math.Exp(4 + 2*l + math.Ln2*(c-1) + 0.05*rng.NormFloat64()))
		}
		s.Covariates = map[string][]float64{"load": load, "class": class}
		d.Sequences = append(d.Sequences, s)
	}
	return d
}

func TestCovariatesAreLearnt(t *testing.T) {
	d := loaded(1, 400)
	training, validation, test := d.Split(1)
	mae := func(covariates ...Covariate) float64 {
		cfg := smallModel
		cfg.Covariates = covariates
		m, err := Train(t.Context(), cfg, training, validation, TrainOptions{MaxEpochs: 80})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "m.safetensors")
		if err := tpp.WriteModelFile(path, m); err != nil {
			t.Fatal(err)
		}
		read, err := tpp.ReadModelFile(path)
		if err != nil {
			t.Fatal(err)
		}
		scores, err := eval.Evaluate(t.Context(), read, test, eval.EvaluateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return scores.MAE
	}
	load, class := Covariate{Name: "load"}, Covariate{Name: "class", Levels: 3}
	none, one, both := mae(), mae(load), mae(load, class)
	if !(both < one/2 && one < 0.8*none) {
		t.Errorf("MAE is %.1f without covariates, %.1f with one, %.1f with both that decide the gap", none, one, both)
	}
}

func TestCovariatesAreChecked(t *testing.T) {
	d := loaded(2, 5)
	for _, c := range []struct {
		name   string
		cfg    Covariate
		change func(s *tpp.Sequence)
		says   string
	}{
		{"missing", Covariate{Name: "wind"}, func(*tpp.Sequence) {}, `sequence 0: it has no covariate "wind" (it has class, load)`},
		{"a category too many", Covariate{Name: "class", Levels: 2}, func(s *tpp.Sequence) { s.Covariates["class"][1] = 2 }, `covariate "class" is 2, it must be one of 0 to 1`},
		{"between categories", Covariate{Name: "class", Levels: 3}, func(s *tpp.Sequence) { s.Covariates["class"][1] = 0.5 }, `covariate "class" is 0.5`},
		{"not a number", Covariate{Name: "load"}, func(s *tpp.Sequence) { s.Covariates["load"][1] = math.NaN() }, `covariate "load" is NaN at event 1`},
		{"too few", Covariate{Name: "load"}, func(s *tpp.Sequence) { s.Covariates["load"] = s.Covariates["load"][:2] }, `2 values of covariate "load"`},
		{"a name that is taken", Covariate{Name: "time"}, func(*tpp.Sequence) {}, `covariate "time": the name is taken`},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := loaded(2, 5)
			c.change(&data.Sequences[3])
			_, err := Train(t.Context(), Config{Covariates: []Covariate{c.cfg}}, data, nil, TrainOptions{MaxEpochs: 1})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got error %v, want one that says %s", err, c.says)
			}
		})
	}
	// Init times make the cold-start feature, and a sequence without them does not have it.
	if _, err := Train(t.Context(), Config{Covariates: []Covariate{ColdStart()}}, d, nil, TrainOptions{MaxEpochs: 1}); err == nil ||
		!strings.Contains(err.Error(), `no covariate "coldstart", and no init times`) {
		t.Errorf("got error %v, want one about init times", err)
	}
}

// TestResolutionLossIsTheScore checks that the loss LossResolution is the score NLLResolution of package eval.
func TestResolutionLossIsTheScore(t *testing.T) {
	for _, resolution := range []float64{1, 10} {
		d := tpptest.RandomDataset(rand.New(rand.NewPCG(3, 3)), 60, 3)
		for i := range d.Sequences {
			d.Sequences[i].TEnd = nil // survival is in the loss but not in the score
		}
		cfg := smallModel
		cfg.WithoutEnd, cfg.Resolution = true, resolution
		m, err := Train(t.Context(), cfg, d, nil, TrainOptions{MaxEpochs: 30})
		if err != nil {
			t.Fatal(err)
		}
		scores, err := eval.Evaluate(t.Context(), m, d, eval.EvaluateOptions{Resolution: resolution})
		if err != nil {
			t.Fatal(err)
		}
		if !tpptest.Near(scores.NLLResolution, m.Training().ValidationLoss, 1e-4) {
			t.Errorf("resolution %v: the score is %v, the loss %v", resolution, scores.NLLResolution, m.Training().ValidationLoss)
		}
	}
}
