package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/starts"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/live"
)

const predictUsage = `tpp predict says after each event of a sequence how likely it is that the sequence is over, and if it is not, when the next event
is due (median and 90 % interval, in ms after the event) and which functions are the likeliest to come. Every prediction is made from the events up to that one alone.

Usage: tpp predict MODEL DATASET [OPTIONS]

Examples:
  tpp predict model.safetensors traces.json.gz -sequence 3
  tpp predict model.safetensors traces.json.gz -json            all sequences, one JSON object an event
  tpp predict model.safetensors log.csv -unit s -sequence-column "Case ID"
`

type predictionReport struct {
	Sequence int          `json:"sequence"`
	Event    int          `json:"event"`
	Median   float64      `json:"median"`
	Lower    float64      `json:"lower"`
	Upper    float64      `json:"upper"`
	End      float64      `json:"end"`
	Marks    []markReport `json:"marks"`
}

type markReport struct {
	Mark        string  `json:"mark"`
	Probability float64 `json:"probability"`
}

func predict(fs *flag.FlagSet) cli.Run {
	index := fs.Int("sequence", -1, "`index` of the sequence, counted from 0 (default: all)")
	top := fs.Int("top", 3, "how many of the likeliest `functions`")
	asJSON := fs.Bool("json", false, "print one JSON object an event")
	in := inputOptions(fs, false)
	return func(ctx context.Context, rest []string, stdout, stderr io.Writer) error {
		if err := positional(rest, "model", "dataset"); err != nil {
			return err
		}
		if *top < 1 {
			return cli.Usagef("-top is %d, it must be at least 1", *top)
		}
		if cli.IsSet(fs, "sequence") && *index < 0 {
			return cli.Usagef("-sequence is %d, sequences count from 0", *index)
		}
		model, data, err := readBoth(ctx, in, rest[0], rest[1], stderr)
		if err != nil {
			return err
		}
		first, last := 0, len(data.Sequences)-1
		if *index >= 0 {
			if *index > last {
				return fmt.Errorf("%s has %d sequences, there is no number %d", rest[1], len(data.Sequences), *index)
			}
			first, last = *index, *index
		}
		for i := first; i <= last; i++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			s := &data.Sequences[i]
			predictions, err := live.Predict(model, s, *top)
			if err != nil {
				return fmt.Errorf("%s: sequence %d: %w", rest[1], i, err)
			}
			if *asJSON {
				err = writePredictions(stdout, i, predictions)
			} else {
				err = printPredictions(stdout, i, model, s, predictions)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// readModel reads a model; for a dataset in its place, before the file that follows on the line if any, the error names the remedy.
func readModel(path, following string) (tpp.Model, *tpp.TrainingData, error) {
	model, trained, err := tpp.ReadTrainedModelFile(path)
	if errors.Is(err, tpp.ErrDataset) {
		if info, serr := os.Stat(following); serr == nil && info.Mode().IsRegular() {
			if swapped, _ := tpp.IsModelFile(following); swapped {
				return nil, nil, fmt.Errorf("%w; %s is a model: it stands before the dataset", err, following)
			}
		}
		return nil, nil, fmt.Errorf("%w; tpp train makes a model of one", err)
	}
	return model, trained, err
}

// readBoth reads a model, and a dataset in the model's marks, as the model sees it.
func readBoth(ctx context.Context, in *input, modelPath, dataPath string, stderr io.Writer) (tpp.Model, *tpp.Dataset, error) {
	model, data, _, err := readAll(ctx, in, modelPath, dataPath, stderr)
	return model, data, err
}

// readAll is readBoth that also returns what the model was trained on if that is the dataset, else nil.
func readAll(ctx context.Context, in *input, modelPath, dataPath string, stderr io.Writer) (tpp.Model, *tpp.Dataset, *tpp.TrainingData, error) {
	model, trained, err := readModel(modelPath, dataPath)
	if err != nil {
		return nil, nil, nil, err
	}
	data, err := in.read(ctx, dataPath, tickOf(model), stderr)
	if err != nil {
		return nil, nil, nil, err
	}
	if trained != nil && trained.Fingerprint != data.Fingerprint() {
		trained = nil
	}
	if data, err = data.WithMarks(model.MarkNames()); err != nil {
		return nil, nil, nil, fmt.Errorf("%s with %s: %w", dataPath, modelPath, err)
	}
	if data, err = starts.SeenDataset(model, data); err != nil {
		return nil, nil, nil, fmt.Errorf("%s with %s: %w", dataPath, modelPath, err)
	}
	return model, data, trained, nil
}

func writePredictions(w io.Writer, sequence int, predictions []live.Prediction) error {
	for _, p := range predictions {
		r := predictionReport{Sequence: sequence, Event: p.Event, Median: p.Median, Lower: p.Lower, Upper: p.Upper, End: p.End}
		for _, m := range p.Marks {
			r.Marks = append(r.Marks, markReport{markName(m.Name, m.Mark), m.Probability})
		}
		if err := printJSON(w, r); err != nil {
			return err
		}
	}
	return nil
}

func markName(name string, mark int) string {
	if name == "" {
		return strconv.Itoa(mark)
	}
	return name
}

func printPredictions(w io.Writer, sequence int, model tpp.Model, s *tpp.Sequence, predictions []live.Prediction) error {
	names, prefix := eval.ShortNames(model.MarkNames())
	short := func(mark int) string {
		if len(names) == 0 {
			return strconv.Itoa(mark)
		}
		return names[mark]
	}
	fmt.Fprintf(w, "Sequence %d, %d events", sequence, s.Len())
	if prefix != "" {
		fmt.Fprintf(w, ", functions without %q before their names", prefix)
	}
	unit, digits := clockOf(model)
	fmt.Fprintf(w, ". Times in %s. Unless the sequence is over, the next event is due within the interval with 90 %% probability.\n", unit)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "at\tevent\tover\tmedian\tinterval\tlikeliest next\tcame")
	for i, p := range predictions {
		var likeliest []string
		for _, m := range p.Marks {
			likeliest = append(likeliest, fmt.Sprintf("%s %.0f %%", short(m.Mark), 100*m.Probability))
		}
		came := "nothing more"
		if i+1 < s.Len() {
			came = fmt.Sprintf("%s after %.*f", short(s.Mark(i+1)), digits, s.ArrivalTimes[i+1]-s.ArrivalTimes[i])
		}
		fmt.Fprintf(tw, "%.*f\t%s\t%.0f %%\t%.*f\t%.*f … %.*f\t%s\t%s\n", digits, s.ArrivalTimes[i]-s.ArrivalTimes[0], short(s.Mark(i)),
			100*p.End, digits, p.Median, digits, p.Lower, digits, p.Upper, strings.Join(likeliest, ", "), came)
	}
	return tw.Flush()
}

// tickOf returns the tick of a model's clock, 0 if it does not say.
func tickOf(m tpp.Model) float64 {
	if c, ok := m.(tpp.Clocked); ok {
		return c.Resolution()
	}
	return 0
}

// clockOf returns the unit of a model's times, and how many decimals its clock tells.
func clockOf(m tpp.Model) (unit string, digits int) {
	if c, ok := m.(interface{ Resolution() float64 }); ok && c.Resolution() < 1 {
		digits = int(math.Ceil(-math.Log10(c.Resolution())))
	}
	return tpp.UnitOf(m), digits
}
