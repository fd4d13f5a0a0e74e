// Command peers times one training of the paper's model against the same training in PyTorch and JAX: same data, first
// weights, order of batches, validation after each epoch and number of threads. The implementations run in turn, several
// rounds; the first epoch of each, in which compilers compile and memory is allocated, does not count.
//
//	make bench-peers            installs the pinned JAX (and with TORCH=1 PyTorch, 3.6 GB) into build/peers and runs this
//
// With -quality it trains datasets instead, in PyTorch with the paper's settings to their end, and here with the default options and with others, and tells when each had
// the validation loss that the paper's settings end with.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
)

const usage = `peers times the training of the paper's model against PyTorch and JAX.

Usage: peers [OPTIONS]        from the root of the project

Examples:
  peers -python build/peers/bin/python
  peers -python build/peers/bin/python -threads 1 -rounds 7
  peers -python build/peers/bin/python -quality data/low_parallel_large_rand.json.gz,data/high_parallel_large_det.json.gz
`

// run is what an implementation prints.
type run struct {
	Name         string    `json:"name"`
	Losses       []float64 `json:"losses"`
	Milliseconds []float64 `json:"milliseconds"`
}

// peer is an implementation and how it is called.
type peer struct {
	name    string
	command []string
	medians []float64 // of the epochs of each round
	last    run
}

func main() { cli.Main(command) }

func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return cli.Exit(stderr, "peers", compare(ctx, args, stdout, stderr))
}

func compare(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := cli.NewFlagSet("peers", stdout, usage)
	python := fs.String("python", "python3", "`interpreter` that has jax, and torch if that is to be compared")
	threads := fs.Int("threads", 2, "`threads` of each implementation")
	rounds := fs.Int("rounds", 5, "`rounds` in which each runs once")
	epochs := fs.Int("epochs", 10, "`epochs` in a run")
	quality := fs.String("quality", "", "compare the time to the quality of the paper's settings on these `datasets`, separated by commas")
	limit := fs.Duration("limit", 5*time.Minute, "with -quality, the most `time` that PyTorch may take for a dataset (0: no limit)")
	cycles := fs.String("cycles", "200,10:8:0.02", "with -quality, the trainings here, separated by commas: `EPOCHS`, or EPOCHS:BATCH:RATE with sequences in a batch and learning rate; 200:64:0.01 is the default of a training")
	if rest, err := cli.Parse(fs, args); err != nil {
		return err
	} else if len(rest) > 0 {
		return cli.Usagef("%q is left over on the line", rest[0])
	}
	if *threads < 1 || *rounds < 1 || *epochs < 2 {
		return cli.Usagef("at least one thread and round and two epochs are needed")
	}
	settings, err := parseSettings(*cycles)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "peers")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	ours := filepath.Join(folder, "tpp.test")
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", ours, "./tpp/neural").CombinedOutput(); err != nil {
		return fmt.Errorf("building the test of package neural: %w: %s", err, out)
	}
	if *quality != "" {
		return compareQuality(ctx, stdout, stderr, qualityOrder{strings.Split(*quality, ","), settings, *python, ours, *threads, *limit})
	}
	peers := []*peer{{name: "tpp", command: []string{ours, "-test.run", "^TestPeers$", "-peers", folder,
		"-peers-workers", strconv.Itoa(*threads), "-peers-epochs", strconv.Itoa(*epochs)}}}
	for _, p := range []struct{ script, module string }{
		{"jax_lean", "jax"}, {"torch_lean", "torch"}, {"torch_idiomatic", "torch"},
	} {
		if err := exec.CommandContext(ctx, *python, "-c", "import safetensors, "+p.module).Run(); err != nil {
			fmt.Fprintf(stderr, "%s: left out, %s cannot import %s\n", p.script, *python, p.module)
			continue
		}
		peers = append(peers, &peer{name: p.script, command: []string{*python, filepath.Join("bench", "peers", p.script+".py"), folder, strconv.Itoa(*threads)}})
	}
	for round := range *rounds {
		for _, p := range peers {
			fmt.Fprintf(stderr, "round %d of %d: %s\n", round+1, *rounds, p.name)
			if err := p.run(ctx, *threads); err != nil {
				return err
			}
		}
	}
	return report(stdout, peers, *threads, *rounds)
}

// run calls the implementation once.
func (p *peer) run(ctx context.Context, threads int) error {
	out, err := output(ctx, threads, p.command...)
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	line, _, _ := bytes.Cut(out, []byte("\n"))
	if err := json.Unmarshal(line, &p.last); err != nil || len(p.last.Milliseconds) < 2 {
		return errors.Join(fmt.Errorf("%s printed %.200q", p.name, out), err)
	}
	counted := slices.Clone(p.last.Milliseconds[1:])
	p.medians = append(p.medians, median(counted))
	return nil
}

// output runs a command on as many processors as it has threads, and returns what it prints.
func output(ctx context.Context, threads int, command ...string) ([]byte, error) {
	if taskset, err := exec.LookPath("taskset"); err == nil {
		command = append([]string{taskset, "-c", fmt.Sprintf("0-%d", threads-1)}, command...)
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	n := strconv.Itoa(threads)
	cmd.Env = append(os.Environ(), "GOMAXPROCS="+n, "OMP_NUM_THREADS="+n, "MKL_NUM_THREADS="+n, "JAX_PLATFORMS=cpu",
		"XLA_FLAGS=--xla_cpu_multi_thread_eigen="+strconv.FormatBool(threads > 1)+" intra_op_parallelism_threads="+n)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// report prints the times, and the ratios of each peer's median to ours round by round.
func report(w io.Writer, peers []*peer, threads, rounds int) error {
	fmt.Fprintf(w, "One epoch, validation included, %d threads, medians of %d rounds (least to most):\n\n", threads, rounds)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "implementation\tms\tratio to ours\tvalidation loss after the last epoch")
	ours := peers[0]
	for _, p := range peers {
		ratios := make([]float64, len(p.medians))
		for i := range ratios {
			ratios[i] = p.medians[i] / ours.medians[i]
		}
		fmt.Fprintf(tw, "%s\t%.2f (%.2f to %.2f)\t%.1f (%.1f to %.1f)\t%.5f\n", p.last.Name, median(p.medians), slices.Min(p.medians),
			slices.Max(p.medians), median(ratios), slices.Min(ratios), slices.Max(ratios), p.last.Losses[len(p.last.Losses)-1])
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, p := range peers[1:] {
		for i, loss := range p.last.Losses {
			if diff := math.Abs(loss - ours.last.Losses[i]); !(diff < 1e-3*math.Abs(loss)) {
				return fmt.Errorf("%s has another validation loss than ours in epoch %d: %v instead of %v", p.name, i+1, loss, ours.last.Losses[i])
			}
		}
	}
	return nil
}
