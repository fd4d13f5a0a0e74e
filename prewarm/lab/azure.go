package lab

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
)

// traceLoads are the loads that are read from files, by name. They are given what stands behind the name.
var traceLoads = map[string]func(rest string) (load, error){"azure": azure2019, "azure2021": azure2021}

// secondsPerMinute is the length of what a count of the 2019 format counts.
const secondsPerMinute = 60

// A distribution draws the raw gaps of a minute with n invocations; nil stands for equal ones.
var distributions = map[string]func(r *rand.Rand) float64{
	"equidistant": nil,
	"exponential": (*rand.Rand).ExpFloat64,
	"uniform":     (*rand.Rand).Float64,
}

// shifted is the end of the names of distributions whose gaps of a minute are rotated, so that functions do not all begin at the full minute.
const shifted = "_shift"

// azure2019 reads FILE[:ROW[:DISTRIBUTION]]: counts per minute of one function, in the format of the data set Azure Functions 2019 (columns
// HashOwner, HashApp, HashFunction, Trigger, then the counts of the minutes 1 to 1440). Arrivals within a minute follow the loader of
// vHive's invitro (pkg/generator/specification.go), whose default distribution is the exponential one.
func azure2019(rest string) (load, error) {
	path, row, distribution, err := traceFile(rest)
	if err != nil {
		return load{}, err
	}
	if distribution == "" {
		distribution = "exponential"
	}
	name, shift := strings.CutSuffix(distribution, shifted)
	draw, ok := distributions[name]
	if !ok || shift && draw == nil {
		return load{}, fmt.Errorf("there is no distribution %q: it is equidistant, exponential, uniform, exponential_shift or uniform_shift", distribution)
	}
	counts, err := readCounts(path, row)
	if err != nil {
		return load{}, err
	}
	sum := 0
	for _, n := range counts {
		sum += n
	}
	if sum == 0 {
		return load{}, fmt.Errorf("%s: row %d has no invocation", path, row)
	}
	return load{
		mean: secondsPerMinute * float64(len(counts)) / float64(sum),
		times: func(r *rand.Rand) func() float64 {
			return cumulative(minuteGaps(counts, func() float64 {
				if draw == nil {
					return 1
				}
				return draw(r)
			}, shift, r))
		},
	}, nil
}

// traceFile splits FILE[:ROW[:WORD]].
func traceFile(rest string) (path string, row int, word string, err error) {
	parts := strings.Split(rest, ":")
	path, row = parts[0], 1
	if path == "" {
		return "", 0, "", errors.New("the name of the file is missing")
	}
	if len(parts) > 1 {
		if row, err = strconv.Atoi(parts[1]); err != nil || row < 1 {
			return "", 0, "", fmt.Errorf("ROW must be a whole number from 1, not %q", parts[1])
		}
	}
	if len(parts) > 2 {
		word = parts[2]
	}
	if len(parts) > 3 {
		return "", 0, "", fmt.Errorf("%q is left over", strings.Join(parts[3:], ":"))
	}
	return path, row, word, nil
}

// minuteGaps returns a function that returns the gaps between successive arrivals in seconds, the first that of the first arrival from the
// beginning, and false after the last. Of each minute with n invocations it draws n raw gaps, which are scaled to sum to 60 s. The first
// arrival is at the beginning of the minute, the first n − 1 gaps stand between the arrivals, and the last one leads to the next minute.
func minuteGaps(counts []int, draw func() float64, shift bool, r *rand.Rand) func() (float64, bool) {
	minute, rest := 0, 0.0 // the rest is the time from the last arrival to the beginning of the minute
	var gaps []float64     // of the minute, without those that were returned
	return func() (float64, bool) {
		for len(gaps) == 0 {
			if minute == len(counts) {
				return 0, false
			}
			n := counts[minute]
			minute++
			if n == 0 {
				rest += secondsPerMinute
				continue
			}
			gaps = append(scaled(n, draw), 0)
			copy(gaps[1:], gaps)
			gaps[0] = 0
			if shift {
				gaps = rotate(gaps[1:], secondsPerMinute*r.Float64())
			}
			gaps[0] += rest
			rest = gaps[n]
			gaps = gaps[:n]
		}
		gap := gaps[0]
		gaps = gaps[1:]
		return gap, true
	}
}

// scaled draws n gaps that sum to a minute.
func scaled(n int, draw func() float64) []float64 {
	gaps := make([]float64, n)
	sum := 0.0
	for i := range gaps {
		gaps[i] = draw()
		sum += gaps[i]
	}
	for i := range gaps {
		if sum > 0 {
			gaps[i] *= secondsPerMinute / sum
		} else {
			gaps[i] = secondsPerMinute / float64(n)
		}
	}
	return gaps
}

// rotate cuts a minute at a time and exchanges the two parts. It returns the time from the cut to the next arrival, the gaps between the
// arrivals from that one on, and the time from the last arrival to the end of the minute: one number more than there are gaps.
func rotate(gaps []float64, cut float64) []float64 {
	i, sum := 0, gaps[0]
	for sum <= cut && i+1 < len(gaps) {
		i++
		sum += gaps[i]
	}
	first := max(sum-cut, 0)
	return slices.Concat([]float64{first}, gaps[i+1:], gaps[:i], []float64{max(gaps[i]-first, 0)})
}

// cumulative turns gaps into times, +Inf after the last.
func cumulative(gaps func() (float64, bool)) func() float64 {
	at := 0.0
	return func() float64 {
		gap, ok := gaps()
		if !ok {
			return math.Inf(1)
		}
		at += gap
		return at
	}
}

// readCounts reads the counts of a row, from 1, of a file in the 2019 format.
func readCounts(path string, row int) ([]int, error) {
	var counts []int
	err := readRows(path, []string{"HashOwner", "HashApp", "HashFunction", "Trigger"}, func(number int, fields []string) (bool, error) {
		if number < row {
			return true, nil
		}
		for i, text := range fields[4:] {
			n, err := strconv.Atoi(text)
			if err != nil || n < 0 || n > mostPerMinute {
				return false, fmt.Errorf("minute %d: %q is no count", i+1, text)
			}
			counts = append(counts, n)
		}
		return false, nil
	})
	if err == nil && counts == nil {
		err = fmt.Errorf("%s: there is no row %d with counts", path, row)
	}
	return counts, err
}

// mostPerMinute bounds a count, so that a minute fits into memory.
const mostPerMinute = 10_000_000

// azure2021 reads FILE[:ROW]: the invocations of one function, the ROWth of those in the order in which they first occur, in the format of
// the data set Azure Functions 2021 (columns app, func, end_timestamp, duration in seconds). Time begins with the earliest start in the file.
func azure2021(rest string) (load, error) {
	path, row, word, err := traceFile(rest)
	if err != nil {
		return load{}, err
	}
	if word != "" {
		return load{}, fmt.Errorf("%q is left over", word)
	}
	type id struct{ app, function string }
	known := map[id]int{}
	var times []float64
	earliest := math.Inf(1)
	err = readRows(path, []string{"app", "func", "end_timestamp", "duration"}, func(_ int, fields []string) (bool, error) {
		var v [2]float64
		for i, text := range fields[2:4] {
			var err error
			if v[i], err = strconv.ParseFloat(text, 64); err != nil || !(v[i] >= 0 && v[i] < mostVirtual) {
				return false, fmt.Errorf("%q is no time in seconds", text)
			}
		}
		at := v[0] - v[1]
		earliest = min(earliest, at)
		function := id{fields[0], fields[1]}
		if known[function] == 0 {
			known[function] = len(known) + 1
		}
		if known[function] == row {
			times = append(times, at)
		}
		return true, nil
	})
	if err != nil {
		return load{}, err
	}
	if len(times) < 2 {
		return load{}, fmt.Errorf("%s: function %d has %d invocations, too few for a load", path, row, len(times))
	}
	slices.Sort(times)
	for i := range times {
		times[i] -= earliest
	}
	return load{
		mean: (times[len(times)-1] - times[0]) / float64(len(times)-1),
		times: func(*rand.Rand) func() float64 {
			i := -1
			return func() float64 {
				if i++; i >= len(times) {
					return math.Inf(1)
				}
				return times[i]
			}
		},
	}, nil
}

// byteOrderMark may stand at the beginning of a text.
const byteOrderMark = "\ufeff"

// readRows calls each with the rows of a CSV file below its head, which begins with the columns, until it returns false.
func readRows(path string, columns []string, each func(number int, fields []string) (more bool, err error)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	text := bufio.NewReader(f)
	if mark, _ := text.Peek(len(byteOrderMark)); string(mark) == byteOrderMark {
		_, _ = text.Discard(len(byteOrderMark)) // as spreadsheets write it
	}
	r := csv.NewReader(text)
	r.ReuseRecord = true
	head, err := r.Read()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: it is empty", path)
	}
	if err != nil {
		return fmt.Errorf("%s: its head: %w", path, err)
	}
	if len(head) < len(columns) || !slices.Equal(head[:len(columns)], columns) {
		return fmt.Errorf("%s: its columns are not %s, …", path, strings.Join(columns, ", "))
	}
	for number := 1; ; number++ {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		more, err := each(number, fields)
		if err != nil {
			line, _ := r.FieldPos(0)
			return fmt.Errorf("%s:%d: %w", path, line, err)
		}
		if !more {
			return nil
		}
	}
}
