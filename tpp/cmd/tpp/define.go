package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

const defineUsage = `tpp define makes a model of a process whose parameters are known, from a YAML or JSON file: a Poisson process by the rates of its
marks; a renewal process whose gaps are a mixture of log-normals; or a Hawkes process by its base intensities, its branching matrix, and its
decays (row: the mark that excites, column: the mark that is excited; kernel: branching·decay·exp(−decay·t)). A Hawkes process
that never ends must be stable. "tpp sample" draws sequences from the model, "tpp intensity" and "tpp evaluate" take it as any other.

  kind: hawkes                              kind: renewal                              kind: poisson
  marks: [quake, aftershock]                gaps:                                      rates: [0.002]
  base: [0.001, 0]                            weight: [0.7, 0.3]
  branching: [[0.1, 0.8], [0, 0.5]]           mu: [2, 7]      of the logarithm
  decay: [[0.01]]                             sigma: [1, 0.5]

All may have: marks, their names; end, the probability that a sequence is over after an event (default 0); time_unit (default ms), and resolution,
the tick of the clock in it (default: as good as none). A renewal process has the weights of its marks in shares. Decay has a row for each
mark, or one rate for all. A Hawkes process of several kernels has one rate for all, and more kernels, each with a branching matrix of its own, in
further: [{branching: [[0, 0.1], [0, 0.2]], decay: 0.0001}].

Usage: tpp define PARAMETERS -o MODEL [OPTIONS]

Examples:
  tpp define hawkes.yaml -o hawkes.safetensors
  tpp sample hawkes.safetensors -n 100 -window 60000 -o drawn.json.gz -seed 1
`

// parametersFile is a file of the parameters of a process.
type parametersFile struct {
	Kind       string   `yaml:"kind"`
	Marks      []string `yaml:"marks"`
	End        float64  `yaml:"end"`
	TimeUnit   string   `yaml:"time_unit"`
	Resolution float64  `yaml:"resolution"`

	Rates  []float64 `yaml:"rates"`
	Shares []float64 `yaml:"shares"`
	Gaps   *gapsFile `yaml:"gaps"`

	Base      []float64     `yaml:"base"`
	Branching [][]float64   `yaml:"branching"`
	Decay     [][]float64   `yaml:"decay"`
	Further   []furtherFile `yaml:"further"`
}

// furtherFile is a further kernel of a Hawkes process in a file.
type furtherFile struct {
	Branching [][]float64 `yaml:"branching"`
	Decay     float64     `yaml:"decay"`
}

// gapsFile is a mixture of log-normals in a file.
type gapsFile struct {
	Weight []float64 `yaml:"weight"`
	Mu     []float64 `yaml:"mu"`
	Sigma  []float64 `yaml:"sigma"`
}

// maxParametersFile is the largest file of parameters that is read, in bytes.
const maxParametersFile = 64 << 20

func define(fs *flag.FlagSet) cli.Run {
	output := fs.String("o", "", "write the model to `FILE`")
	asJSON := fs.Bool("json", false, "print what was written as a JSON object")
	return func(_ context.Context, args []string, stdout, stderr io.Writer) error {
		if err := positional(args, "file of parameters"); err != nil {
			return err
		}
		if *output == "" {
			return cli.Usagef("-o MODEL is missing")
		}
		if err := notRead("o", *output, args[0]); err != nil {
			return err
		}
		if err := atomicfile.Check(*output); err != nil {
			return err
		}
		model, err := readParameters(args[0])
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		if err := tpp.WriteModelFile(*output, model); err != nil {
			return err
		}
		stdout = messagesBeside(*output, stdout, stderr)
		if *asJSON {
			return printJSON(stdout, definedReport(*output, model))
		}
		return definedReport(*output, model).print(stdout)
	}
}

// readParameters returns the process whose parameters stand in a file.
func readParameters(path string) (tpp.FileModel, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err) // which names the file
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxParametersFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxParametersFile {
		return nil, fmt.Errorf("larger than %d MiB, which no file of parameters is", maxParametersFile>>20)
	}
	return parseParameters(text)
}

// parseParameters returns the process whose parameters a text has.
func parseParameters(text []byte) (tpp.FileModel, error) {
	var p parametersFile
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&p); err != nil {
		if err == io.EOF {
			return nil, errors.New("it is empty")
		}
		return nil, parametersError(err)
	}
	var document, more yaml.Node
	if err := dec.Decode(&more); err == nil {
		return nil, fmt.Errorf("line %d: a second document: a file has the parameters of one process", more.Line)
	} else if err != io.EOF {
		return nil, parametersError(err)
	}
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, parametersError(err)
	}
	if err := checkLists("the file", &document); err != nil {
		return nil, err
	}
	return p.model()
}

// checkLists refuses entries of lists that are null, which decoding leaves out: a process would have a mark or a kernel less. The name is that of the node.
func checkLists(name string, n *yaml.Node) error {
	for i, child := range n.Content {
		switch n.Kind {
		case yaml.SequenceNode:
			if child.Tag == "!!null" || child.Alias != nil && child.Alias.Tag == "!!null" {
				return fmt.Errorf("line %d: entry %d of %s is null", child.Line, i, name)
			}
		case yaml.MappingNode:
			if i%2 == 0 {
				name = child.Value
				continue
			}
		}
		if err := checkLists(name, child); err != nil {
			return err
		}
	}
	return nil
}

// model returns the process.
func (p *parametersFile) model() (tpp.FileModel, error) {
	of := map[string][]bool{ // what each kind has
		string(classical.KindPoisson): {true, false, false, false, false, false, false},
		string(classical.KindRenewal): {false, true, true, false, false, false, false},
		string(classical.KindHawkes):  {false, false, false, true, true, true, true},
	}
	has, ok := of[p.Kind]
	if !ok {
		return nil, fmt.Errorf("kind is %q, it must be %s, %s or %s", p.Kind, classical.KindPoisson, classical.KindRenewal, classical.KindHawkes)
	}
	for i, field := range []struct {
		name string
		set  bool
	}{
		{"rates", p.Rates != nil}, {"shares", p.Shares != nil}, {"gaps", p.Gaps != nil},
		{"base", p.Base != nil}, {"branching", p.Branching != nil}, {"decay", p.Decay != nil}, {"further", p.Further != nil},
	} {
		if field.set && !has[i] {
			return nil, fmt.Errorf("%s is not for a %s process", field.name, p.Kind)
		}
		if !field.set && has[i] && field.name != "shares" && field.name != "further" {
			return nil, fmt.Errorf("%s is missing", field.name)
		}
	}
	opts := classical.ProcessOptions{MarkNames: p.Marks, End: p.End, TimeUnit: p.TimeUnit, Resolution: p.Resolution}
	switch classical.Kind(p.Kind) {
	case classical.KindPoisson:
		return fileModel(classical.NewPoisson(p.Rates, opts))
	case classical.KindRenewal:
		mix := &dist.LogNormMix{Mu: p.Gaps.Mu, Sigma: p.Gaps.Sigma}
		for _, w := range p.Gaps.Weight {
			if !(w >= 0) {
				return nil, fmt.Errorf("a weight of the gaps is %v, it must not be negative", w)
			}
			mix.LogWeights = append(mix.LogWeights, math.Log(w))
		}
		return fileModel(classical.NewRenewal(mix, p.Shares, opts))
	default:
		parameters := classical.HawkesParameters{Base: p.Base, Branching: p.Branching, Decay: p.Decay}
		for _, k := range p.Further {
			parameters.Further = append(parameters.Further, classical.HawkesKernel{Branching: k.Branching, Decay: k.Decay})
		}
		return fileModel(classical.NewHawkes(parameters, opts))
	}
}

// fileModel returns a model as a FileModel, nil if there is an error.
func fileModel[M tpp.FileModel](m M, err error) (tpp.FileModel, error) {
	if err != nil {
		return nil, err
	}
	return m, nil
}

// definition says what a process that was defined is.
type definition struct {
	Output         string    `json:"output"`
	Kind           string    `json:"kind"`
	Marks          []string  `json:"marks"`
	SpectralRadius *float64  `json:"spectral_radius,omitempty"`
	Rates          []float64 `json:"stationary_rates,omitempty"`
}

func definedReport(output string, m tpp.Model) *definition {
	d := &definition{Output: output, Kind: m.Kind(), Marks: append([]string{}, m.MarkNames()...)}
	if h, ok := m.(*classical.Hawkes); ok {
		if radius := h.SpectralRadius(); !math.IsInf(radius, 0) && !math.IsNaN(radius) {
			d.SpectralRadius = &radius
		}
		d.Rates, _ = h.StationaryRates() // none where it is not stable
	}
	return d
}

func (d *definition) print(w io.Writer) error {
	text := fmt.Sprintf("%s: %s, %d marks", d.Output, d.Kind, max(len(d.Marks), 1))
	if d.SpectralRadius != nil {
		text += fmt.Sprintf(", branching with the spectral radius %.4g", *d.SpectralRadius)
	}
	if d.Rates != nil {
		var rates []string
		for _, r := range d.Rates {
			rates = append(rates, fmt.Sprintf("%.4g", r))
		}
		text += ", stationary rates " + strings.Join(rates, ", ")
	}
	_, err := fmt.Fprintln(w, text)
	return err
}
