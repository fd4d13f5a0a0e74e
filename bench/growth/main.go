// Command growth measures how the cost of training grows: one quantity varies at a time, the others are those of the paper's
// model (sequences of 21 events, 22 marks, GRU 64, 64 components, batches of 64). The cost is processor time, of one worker as a rule, which depends
// little on what else the machine does. It prints tables in Markdown and draws a picture.
//
//	go run ./bench/growth -points build/growth.json -o tpp/neural/growth.png -stream 1e8 -epochs 2
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/figure"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/neural"
)

const usage = `growth measures how the time and the memory of training grow with the data and the model.

Usage: growth [OPTIONS]

Examples:
  growth                           tables on standard output
  growth -o growth.png -most 1e6   a picture too; data sets of up to a million events
  growth -points build/growth.json -only marks         one quantity; a later call goes on from there
  growth -stream 1e8 -write build/events.jsonl.gz      for tpp train -stream
`

// shape is what a training costs by.
type shape struct{ length, batch, units, marks, events int }

var paper = shape{length: 21, batch: 64, units: 64, marks: 22, events: 100_000}

// series are the values of one quantity.
type series struct {
	name   string
	values []int
	set    func(*shape, int)
	stream bool // the data are read from a file in each epoch
	points []point
}

// point is a measurement.
type point struct {
	value       int
	least, most float64 // processor time over the epochs, ns an event
	median      float64
	heap        float64 // bytes an event that training holds beside the data set; of a stream all that the program holds
}

// MarshalJSON and UnmarshalJSON are for the file of -points.
func (p point) MarshalJSON() ([]byte, error) {
	return json.Marshal([]float64{float64(p.value), p.least, p.median, p.most, p.heap})
}

func (p *point) UnmarshalJSON(text []byte) error {
	var v [5]float64
	err := json.Unmarshal(text, &v)
	*p = point{int(v[0]), v[1], v[3], v[2], v[4]}
	return err
}

func main() { cli.Main(run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return cli.Exit(stderr, "growth", measure(ctx, args, stdout, stderr))
}

func measure(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := cli.NewFlagSet("growth", stdout, usage)
	out := fs.String("o", "", "draw a picture into `FILE`, a .png, .svg or .pdf")
	most := fs.Float64("most", 1e7, "largest data set in memory, in `events`")
	largest := fs.Float64("stream", 0, "largest data set from a file, in `events` (0: as in memory)")
	only := fs.String("only", "", "measure only the `quantity` of this name")
	write := fs.String("write", "", "write the data set of -stream events into `FILE`, gzipped JSON lines, and measure nothing")
	kept := fs.String("points", "", "keep the measurements in `FILE`, and measure what is not in it")
	epochs := fs.Int("epochs", 4, "`epochs` of each training, of which the first does not count")
	workers := fs.Int("workers", 1, "`goroutines` that compute; more of them also spend processor time on waiting for each other")
	if rest, err := cli.Parse(fs, args); err != nil {
		return err
	} else if len(rest) > 0 {
		return cli.Usagef("%q is left over on the line", rest[0])
	}
	if *epochs < 2 || *workers < 1 || !(*most >= 1e4) {
		return cli.Usagef("at least two epochs, one worker and 10000 events are needed")
	}
	if *largest == 0 {
		*largest = *most
	}
	if *write != "" {
		at := paper
		at.events = int(*largest)
		_, _, err := writeData(ctx, *write, at)
		return err
	}
	all := quantities(*most, *largest)
	if *only != "" {
		i := slices.IndexFunc(all, func(s *series) bool { return s.name == *only })
		if i < 0 {
			return cli.Usagef("-only is %q, which is no quantity", *only)
		}
		all = all[i : i+1]
	}
	known := map[string][]point{}
	if *kept != "" {
		switch text, err := os.ReadFile(*kept); {
		case err == nil:
			if err := json.Unmarshal(text, &known); err != nil {
				return fmt.Errorf("%s: %w", *kept, err)
			}
		case !errors.Is(err, os.ErrNotExist):
			return err
		}
	}
	fmt.Fprintf(stdout, "Processor time of one training epoch per event, %d workers, and memory per event beside the data set; of data from a file all memory.\n", *workers)
	for _, s := range all {
		memory := "bytes an event"
		if s.stream {
			memory = "MB"
		}
		fmt.Fprintf(stdout, "\n| %s | ns an event: median | least to most | %s |\n|---|---|---|---|\n", s.name, memory)
		for _, v := range s.values {
			p, err := measureOne(ctx, s, v, known[s.name], *epochs, *workers, stderr)
			if err != nil {
				return err
			}
			s.points = append(s.points, p)
			if known[s.name] = merge(known[s.name], p); *kept != "" {
				text, err := json.MarshalIndent(known, "", " ")
				if err != nil {
					return err
				}
				if err := atomicfile.Write(*kept, func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
					return err
				}
			}
			fmt.Fprintf(stdout, "| %s | %.0f | %.0f to %.0f | %.0f |\n", thousands(v), p.median, p.least, p.most, p.heap)
		}
	}
	if *out == "" {
		return nil
	}
	picture, err := sheet(all, *workers)
	if err != nil {
		return err
	}
	return figure.Write(*out, picture)
}

// measureOne returns the measurement of one value of a series, from those that are known if it is among them.
func measureOne(ctx context.Context, s *series, value int, known []point, epochs, workers int, stderr io.Writer) (point, error) {
	for _, p := range known {
		if p.value == value {
			return p, nil
		}
	}
	fmt.Fprintf(stderr, "%s %d\n", s.name, value)
	at := paper
	s.set(&at, value)
	measure := train
	if s.stream {
		measure = trainStream
	}
	p, err := measure(ctx, at, epochs, workers)
	p.value = value
	return p, err
}

// merge returns points with p in the place of the one of its value.
func merge(points []point, p point) []point {
	points = slices.DeleteFunc(points, func(q point) bool { return q.value == p.value })
	return append(points, p)
}

// quantities returns what is varied, and the values that it takes; most is the largest number of events in memory, and largest that from a file.
func quantities(most, largest float64) []*series {
	return []*series{
		{name: "sequence length", values: []int{6, 11, 21, 51, 101, 501, 2001}, set: func(s *shape, v int) { s.length = v }},
		{name: "batch size", values: []int{8, 16, 32, 64, 128, 256}, set: func(s *shape, v int) { s.batch = v }},
		{name: "units of the encoder", values: []int{16, 32, 64, 128, 256}, set: func(s *shape, v int) { s.units = v }},
		{name: "marks", values: []int{1, 5, 22, 100, 1000}, set: func(s *shape, v int) { s.marks = v }},
		{name: "events", values: sizes(most), set: func(s *shape, v int) { s.events = v }},
		{name: "events, from a file", values: sizes(largest), set: func(s *shape, v int) { s.events = v }, stream: true},
	}
}

func sizes(most float64) []int {
	var out []int
	for n := 1e4; n <= most; n *= 10 {
		out = append(out, int(n))
	}
	return out
}

// data makes sequences whose marks go round and whose gaps depend on them.
func data(s shape) *tpp.Dataset {
	d := &tpp.Dataset{}
	for m := range s.marks {
		d.MarkNames = append(d.MarkNames, "f"+strconv.Itoa(m))
	}
	for q := range sequences(s) {
		d.Sequences = append(d.Sequences, q)
	}
	return d
}

// sequences yields the sequences of data one by one.
func sequences(s shape) iter.Seq[tpp.Sequence] {
	return func(yield func(tpp.Sequence) bool) {
		rng := rand.New(rand.NewPCG(1, uint64(s.events)))
		for range max(s.events/s.length, 1) {
			var q tpp.Sequence
			at, mark := 0.0, rng.IntN(s.marks)
			for range s.length {
				q.ArrivalTimes = append(q.ArrivalTimes, at)
				q.Marks = append(q.Marks, mark)
				at += math.Round(math.Exp(4 + rng.NormFloat64()))
				mark = (mark + 1) % s.marks
			}
			if !yield(q) {
				return
			}
		}
	}
}

func train(ctx context.Context, s shape, epochs, workers int) (point, error) {
	d := data(s)
	cfg, opts := neural.PaperConfig(neural.LogNormMix), neural.PaperTraining(neural.LogNormMix)
	cfg.ContextSize = s.units
	opts.BatchSize, opts.MaxEpochs, opts.Workers = s.batch, epochs, workers
	// A validation part of one sequence: it is the training that is measured.
	validation := d.Subset([]int{0})
	before := heap()
	var ends []float64
	var during float64
	opts.Progress = func(e neural.Epoch) {
		ends = append(ends, processorTime())
		if e.Epoch == epochs {
			during = heap()
		}
	}
	if _, err := neural.Train(ctx, cfg, d, validation, opts); err != nil {
		return point{}, err
	}
	events := float64(d.NumEvents())
	p := pointOf(ends, events)
	runtime.KeepAlive(d)
	p.heap = (during - before) / events
	return p, nil
}

// processorTime returns the processor time of this process so far, in seconds.
func processorTime() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return math.NaN()
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// pointOf returns the times of an event, by the processor time when the epochs ended.
func pointOf(ends []float64, events float64) point {
	var perEvent []float64
	for i := 1; i < len(ends); i++ {
		perEvent = append(perEvent, (ends[i]-ends[i-1])*1e9/events)
	}
	slices.Sort(perEvent)
	return point{least: perEvent[0], most: perEvent[len(perEvent)-1], median: perEvent[len(perEvent)/2]}
}

// trainStream is train on gzipped JSON lines, which are read anew in each epoch.
func trainStream(ctx context.Context, s shape, epochs, workers int) (point, error) {
	folder, err := os.MkdirTemp("", "growth-")
	if err != nil {
		return point{}, err
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "data.jsonl.gz")
	names, events, err := writeData(ctx, path, s)
	if err != nil {
		return point{}, err
	}
	var during float64 // the most memory, as it is when a pass is half done
	half, passes := int(events)/s.length/2, 0
	stream := neural.Stream{MarkNames: names, Sequences: func(ctx context.Context) iter.Seq2[*tpp.Sequence, error] {
		return func(yield func(*tpp.Sequence, error) bool) {
			passes++
			i := 0
			r, err := dataset.OpenSequences(path, dataset.ReadOptions{MarkNames: names})
			if err != nil {
				yield(nil, err)
				return
			}
			defer r.Close()
			r.All(ctx)(func(q *tpp.Sequence, err error) bool {
				if i++; i == half && passes <= 3 { // of the first epoch, whose time does not count
					during = max(during, heap())
				}
				return yield(q, err)
			})
		}
	}}
	first := data(shape{length: s.length, marks: s.marks, events: s.length})
	cfg, opts := neural.PaperConfig(neural.LogNormMix), neural.PaperTraining(neural.LogNormMix)
	cfg.ContextSize = s.units
	opts.BatchSize, opts.MaxEpochs, opts.Workers = s.batch, epochs, workers
	var ends []float64
	opts.Progress = func(neural.Epoch) { ends = append(ends, processorTime()) }
	if _, err := neural.TrainStream(ctx, cfg, stream, neural.StreamOf(first), opts); err != nil {
		return point{}, err
	}
	p := pointOf(ends, events)
	p.heap = during / 1e6
	return p, nil
}

// writeData writes a data set into a file, as gzipped JSON lines, and returns the names of its marks and its number of events.
func writeData(ctx context.Context, path string, s shape) (names []string, events float64, err error) {
	names = data(shape{length: 1, marks: s.marks}).MarkNames
	err = atomicfile.Write(path, func(w io.Writer) error {
		out, err := dataset.NewSequenceWriter(w, dataset.FormatJSONLines)
		if err != nil {
			return err
		}
		for q := range sequences(s) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := out.Write(&q, names); err != nil {
				return err
			}
			events += float64(q.Len())
		}
		return out.Close()
	})
	return names, events, err
}

// heap returns the memory in use after a collection, in bytes.
func heap() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + " " + text[i:]
	}
	return text
}
