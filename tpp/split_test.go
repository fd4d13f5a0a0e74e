package tpp

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// numbered returns a dataset of n sequences that begin at the given times, each known by the time of its second event.
func numbered(starts []float64) *Dataset {
	d := &Dataset{}
	for i, at := range starts {
		d.Sequences = append(d.Sequences, Sequence{ArrivalTimes: []float64{at, at + 1000 + float64(i)}})
	}
	return d
}

// indices returns the numbers of the sequences of a part of numbered.
func indices(d *Dataset) (out []int) {
	for i := range d.Sequences {
		times := d.Sequences[i].ArrivalTimes
		out = append(out, int(times[1]-times[0])-1000)
	}
	return out
}

// TestFolds checks that folds are a partition: each sequence is tested once, validated once, and trained on in all other folds, and the sizes differ by
// one at most; and that the seed alone decides.
func TestFolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(3, 40).Draw(t, "sequences")
		k := rapid.IntRange(3, n).Draw(t, "folds")
		seed := rapid.Uint64().Draw(t, "seed")
		d := numbered(make([]float64, n))
		folds, err := d.Folds(k, seed)
		if err != nil || len(folds) != k {
			t.Fatalf("%d folds, error %v", len(folds), err)
		}
		again, err := d.Folds(k, seed)
		if err != nil {
			t.Fatal(err)
		}
		tested, validated := make([]int, n), make([]int, n)
		for i, f := range folds {
			parts := [][]int{indices(f.Training), indices(f.Validation), indices(f.Test)}
			var all []int
			for p, part := range parts {
				if !slices.IsSorted(part) || len(part) == 0 {
					t.Errorf("fold %d: part %d has the sequences %v", i, p, part)
				}
				all = append(all, part...)
			}
			slices.Sort(all)
			if len(all) != n || len(slices.Compact(all)) != n {
				t.Errorf("fold %d: its parts have the sequences %v", i, all)
			}
			for _, s := range parts[2] {
				tested[s]++
			}
			for _, s := range parts[1] {
				validated[s]++
			}
			if size := len(parts[2]); size != n/k && size != (n+k-1)/k {
				t.Errorf("fold %d of %d has %d of %d sequences", i, k, size, n)
			}
			if !slices.Equal(parts[1], indices(folds[(i+1)%k].Test)) {
				t.Errorf("fold %d is validated on %v, the next one tested on %v", i, parts[1], indices(folds[(i+1)%k].Test))
			}
			if !slices.Equal(parts[2], indices(again[i].Test)) {
				t.Errorf("fold %d is another with the same seed", i)
			}
		}
		for s := range n {
			if tested[s] != 1 || validated[s] != 1 {
				t.Errorf("sequence %d is tested %d times and validated %d times", s, tested[s], validated[s])
			}
		}
	})
	d := numbered(make([]float64, 40))
	a, _ := d.Folds(4, 1)
	b, _ := d.Folds(4, 2)
	if slices.Equal(indices(a[0].Test), indices(b[0].Test)) {
		t.Error("two seeds give the same folds")
	}
	for _, k := range []int{-1, 0, 2, 41} {
		if _, err := d.Folds(k, 1); err == nil || !strings.Contains(err.Error(), "of 40 sequences") {
			t.Errorf("%d folds: error %v", k, err)
		}
	}
}

// TestSplitByHash checks that the part of a sequence depends on the seed and its number alone, and that the parts have about their shares.
func TestSplitByHash(t *testing.T) {
	const n = 20000
	d := numbered(make([]float64, n))
	p := d.SplitByHash(1)
	for part, of := range map[Part]*Dataset{TrainingPart: p.Training, ValidationPart: p.Validation, TestPart: p.Test} {
		share := 0.2
		if part == TrainingPart {
			share = 0.6
		}
		if got := float64(len(of.Sequences)) / n; math.Abs(got-share) > 4*math.Sqrt(share*(1-share)/n) {
			t.Errorf("part %d has %v of the sequences, want %v", part, got, share)
		}
		for _, i := range indices(of) {
			if PartByHash(1, i) != part {
				t.Errorf("sequence %d is in part %d", i, part)
			}
		}
	}
	if got := numbered(make([]float64, 100)).SplitByHash(1); !slices.Equal(indices(got.Training), indices(p.Training)[:len(got.Training.Sequences)]) {
		t.Error("the part of a sequence depends on how many there are")
	}
	if slices.Equal(indices(d.SplitByHash(2).Test), indices(p.Test)) {
		t.Error("two seeds give the same parts")
	}
}

// TestSplitByTime checks that no sequence of a part begins before one of an earlier part, and that the sizes are those of Split.
func TestSplitByTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		starts := rapid.SliceOfN(rapid.Float64Range(0, 20), 0, 40).Draw(t, "starts")
		for i := range starts {
			starts[i] = float64(int(starts[i])) // so that some are equal
		}
		d := numbered(starts)
		p := d.SplitByTime()
		training, validation, test := d.Split(3)
		last, seen := -1.0, 0
		for i, part := range []*Dataset{p.Training, p.Validation, p.Test} {
			if want := []*Dataset{training, validation, test}[i]; len(part.Sequences) != len(want.Sequences) {
				t.Errorf("part %d has %d sequences, of Split %d", i, len(part.Sequences), len(want.Sequences))
			}
			if !slices.IsSorted(indices(part)) {
				t.Errorf("part %d is not in the order of the dataset: %v", i, indices(part))
			}
			for j := range part.Sequences {
				if at := part.Sequences[j].Start(); at < last {
					t.Errorf("part %d has a sequence at %v, an earlier part one at %v", i, at, last)
				}
			}
			for j := range part.Sequences {
				last = max(last, part.Sequences[j].Start())
			}
			seen += len(part.Sequences)
		}
		if seen != len(starts) {
			t.Errorf("the parts have %d of %d sequences", seen, len(starts))
		}
	})
	// Of equal times the first goes first.
	if got := indices(numbered([]float64{1, 1, 0, 1, 1}).SplitByTime().Training); !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("the training part is %v", got)
	}
}
