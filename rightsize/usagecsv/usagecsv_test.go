package usagecsv

import (
	"bytes"
	"compress/gzip"
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/rightsize"
)

const recorded = "../../../shared/data/resources"

// equal reports whether values are the same; NaN is equal to NaN.
func equal(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && !(math.IsNaN(a[i]) && math.IsNaN(b[i])) {
			return false
		}
	}
	return true
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return zipped.String()
}

func TestRead(t *testing.T) {
	nan := math.NaN()
	for name, test := range map[string]struct {
		text        string
		unit        string
		times       []int64
		memory, cpu []float64
	}{
		"both":           {"Time,mem_usage,cpu_usage\n1672557210000,5144576,0.5\n1672557225000,5144577,1e-3\n", "", []int64{1672557210000, 1672557225000}, []float64{5144576, 5144577}, []float64{0.5, 0.001}},
		"as Grafana":     {"\xef\xbb\xbf\"Time\",\"cpu_usage\"\r\n1672557210000,0.5\r\n1672557225000,\r\n", "", []int64{1672557210000, 1672557225000}, []float64{nan, nan}, []float64{0.5, nan}},
		"another order":  {"cpu, pod ,memory,timestamp\n0.5,\"a \"\"b\"\", c\",7,1672557210000", "", []int64{1672557210000}, []float64{7}, []float64{0.5}},
		"seconds":        {"time,mem\n1672557210.5,7\n1672557211.5,8\n", "", []int64{1672557210500, 1672557211500}, []float64{7, 8}, []float64{nan, nan}},
		"RFC 3339":       {"Time,mem\n2023-01-01T08:13:30.25+01:00,7\n", "", []int64{1672557210250}, []float64{7}, []float64{nan}},
		"quantities":     {"Time,mem,cpu\n1672557210000,5023Ki,1598830n\n", "", []int64{1672557210000}, []float64{5023 << 10}, []float64{1598830 * 1e-9}},
		"nothing known":  {"Time,mem,cpu\n1672557210000,NaN,null\n\n1672557210001,undefined,\"\"\n", "", []int64{1672557210000, 1672557210001}, []float64{nan, nan}, []float64{nan, nan}},
		"a unit":         {"Time,mem\n0,1\n15,2\n", "s", []int64{0, 15000}, []float64{1, 2}, []float64{nan, nan}},
		"another unit":   {"Time,mem\n1672557210000000,1\n", "us", []int64{1672557210000}, []float64{1}, []float64{nan}},
		"ns with a unit": {"Time,mem\n1672557210000000000,1\n", "ns", []int64{1672557210000}, []float64{1}, []float64{nan}},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := Read(t.Context(), strings.NewReader(test.text), "u.csv", Options{Unit: test.unit})
			require.NoError(t, err)
			require.Equal(t, test.times, u.Times)
			require.True(t, equal(test.memory, u.Memory) && equal(test.cpu, u.CPU), "%v", u)
			again, err := Read(t.Context(), strings.NewReader(gzipped(t, test.text)), "u.csv", Options{Unit: test.unit, Function: "f"})
			require.NoError(t, err)
			require.Equal(t, "f", again.Function)
			require.Equal(t, u.Times, again.Times)
		})
	}
}

func TestMistakes(t *testing.T) {
	whole := gzipped(t, "Time,mem\n1672557210000,1\n")
	for text, want := range map[string]string{
		"":                                  "u.csv: there is nothing in it: a first line like Time,mem_usage,cpu_usage is due",
		"Time,mem\n":                        "u.csv: there are no samples in it",
		"1672557210000,7\n":                 `u.csv:1: no column is called Time: a first line like Time,mem_usage,cpu_usage is due, not "1672557210000,7"`,
		"Time,disk\n1,2\n":                  `u.csv:1: no column is called mem_usage or cpu_usage: a first line like Time,mem_usage,cpu_usage is due, not "Time,disk"`,
		"Time,mem,memory\n":                 "u.csv:1: there are two columns of mem_usage",
		"Time,mem\n1672557210000\n":         "u.csv:2: 1 fields where the first line has 2",
		"Time,mem\n1672557210000,x\n":       `u.csv:2: memory: quantity "x": want a number with a unit like 40Mi, 1.5Gi, 100m, 0.5`,
		"Time,mem\n1672557210000,-1\n":      "u.csv:2: memory: -1 is no amount: it must be from 0 to 2^63",
		"Time,cpu\n1672557210000,1e999\n":   "u.csv:2: cpu: 1e999 is no amount: it must be from 0 to 2^63",
		"Time,cpu\n1672557210000,Inf\n":     "u.csv:2: cpu: Inf is no amount: it must be from 0 to 2^63",
		"Time,mem\n1672557210000,1e300\n":   "u.csv:2: memory: 1e300 is no amount: it must be from 0 to 2^63",
		"Time,mem\n15,1\n":                  "u.csv:2: the time 15 is neither in ms nor in s since 1970, as far as one can tell: name its unit",
		"Time,mem\n1672557210000000,1\n":    "u.csv:2: the time 1672557210000000 is neither in ms nor in s since 1970, as far as one can tell: name its unit",
		"Time,mem\nNaN,1\n":                 "u.csv:2: the time NaN is neither in ms nor in s since 1970, as far as one can tell: name its unit",
		"Time,mem\n2023-01-01 07:13:30,1\n": `u.csv:2: the time "2023-01-01 07:13:30": want ms since 1970, or RFC 3339 with its zone like 2026-11-29T12:00:00Z`,
		"Time,mem\n1672557210000,1\n1672557225000,1\n1672557225000,1\n": "u.csv:4: the time 2023-01-01T07:13:45Z is not after that of the sample before, 2023-01-01T07:13:45Z",
		"Time,mem\n1672557210,1\n1672557210000,1\n":                     "u.csv:3: the time 1672557210000 is beyond all bounds",
		"Time,mem\n\"1672557210000,1\n":                                 "u.csv:2: field 1: its quote has no end on this line",
		"Time,mem\n\"1672557210000\"x,1\n":                              "u.csv:2: field 1: there is text after its quotes",
		"Time,mem\n1672557210000,1\"\n":                                 "u.csv:2: field 2: a quote stands within it",
		"\xff\xfeT\x00":                                                 "u.csv: the text is UTF-16: save it as UTF-8",
		"\x1f\x8bnot":                                                   "u.csv: the gzipped file is cut off",
		whole[:len(whole)-9]:                                            "u.csv:3: the gzipped file is cut off",
		"Time,mem\n" + strings.Repeat("1", maxLine+1):                   "u.csv:2: the line is longer than 65536 bytes: is this CSV?",
	} {
		_, err := Read(t.Context(), strings.NewReader(text), "u.csv", Options{})
		require.EqualError(t, err, want, "%.100q", text)
	}
	_, err := Read(t.Context(), strings.NewReader("Time,mem\n1,1\n2,2\n3,3\n"), "u.csv", Options{Unit: "s", MaxSamples: 2})
	require.EqualError(t, err, "u.csv:4: there are more than 2 samples")
	_, err = Read(t.Context(), strings.NewReader("Time,mem\n1,1\n"), "u.csv", Options{Unit: "h"})
	require.EqualError(t, err, `u.csv:2: the unit "h" of times: it is s, ms, us or ns`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Read(ctx, strings.NewReader("Time,mem\n"+strings.Repeat("\n", 5000)), "u.csv", Options{})
	require.ErrorIs(t, err, context.Canceled)
	_, err = ReadFiles(t.Context(), []string{"/nowhere"}, Options{})
	require.EqualError(t, err, "read /nowhere: no such file or directory")
	_, err = ReadFiles(t.Context(), nil, Options{})
	require.Error(t, err)
}

// TestReadFiles puts together files of one resource each, and of times one after the other.
func TestReadFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	memory := write("memory.csv", "Time,mem_usage\n1672557210000,1\n1672557225000,2\n1672557240000,3\n")
	cpu := write("cpu.csv", "Time,cpu_usage\n1672557209000,0.5\n1672557225000,0.25\n")
	later := write("later.csv", "Time,mem,cpu\n1672557240000,3,0.125\n1672557255000,4,0.75\n")
	u, err := ReadFiles(t.Context(), []string{memory, cpu, later}, Options{})
	require.NoError(t, err)
	nan := math.NaN()
	require.Equal(t, []int64{1672557209000, 1672557210000, 1672557225000, 1672557240000, 1672557255000}, u.Times)
	require.True(t, equal(u.Memory, []float64{nan, 1, 2, 3, 4}), "%v", u.Memory)
	require.True(t, equal(u.CPU, []float64{0.5, nan, 0.25, 0.125, 0.75}), "%v", u.CPU)
	require.Equal(t, memory, u.Function)

	other := write("other.csv", "Time,mem\n1672557240000,4\n")
	_, err = ReadFiles(t.Context(), []string{memory, other}, Options{})
	require.EqualError(t, err, other+" and a file before it hold different values of memory at 1672557240000 ms: 4 and 3")

	for _, name := range []string{"out.csv", "out.csv.gz"} {
		out := filepath.Join(dir, name)
		require.NoError(t, WriteFile(out, u))
		back, err := ReadFiles(t.Context(), []string{out}, Options{})
		require.NoError(t, err)
		require.Equal(t, u.Times, back.Times)
		require.True(t, equal(u.Memory, back.Memory) && equal(u.CPU, back.CPU))
	}
}

// TestRecorded reads what Prometheus recorded on a cluster.
func TestRecorded(t *testing.T) {
	if _, err := os.Stat(recorded); err != nil {
		t.Skipf("the recordings are not here: %v", err)
	}
	u, err := ReadFiles(t.Context(), []string{recorded + "/memory_usage.csv", recorded + "/cpu_usage.csv"}, Options{Function: "qrcode"})
	require.NoError(t, err)
	require.Equal(t, 1111, u.Len())
	for i := range u.Times[1:] {
		require.EqualValues(t, 15_000, u.Times[i+1]-u.Times[i])
		require.False(t, math.IsNaN(u.Memory[i]) || math.IsNaN(u.CPU[i]))
	}
	require.EqualValues(t, 5144576, u.Memory[0])
	require.Equal(t, 0.004889819633418094, u.CPU[1110])
}

// TestRoundTrip checks that what is written is read back as it was.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var times []int64
		var memory, cpu []float64
		at := rapid.Int64Range(1e11, 5e12).Draw(t, "begin")
		amount := rapid.OneOf(rapid.Float64Range(0, 9e18), rapid.Just(math.NaN()), rapid.Float64Range(0, 1))
		for range rapid.IntRange(1, 20).Draw(t, "samples") {
			at += rapid.Int64Range(1, 1e6).Draw(t, "gap")
			times = append(times, at)
			memory = append(memory, amount.Draw(t, "memory"))
			cpu = append(cpu, amount.Draw(t, "cpu"))
		}
		u, err := rightsize.NewUsage("f", times, memory, cpu)
		require.NoError(t, err)
		var text bytes.Buffer
		require.NoError(t, Write(&text, u))
		back, err := Read(context.Background(), &text, "u.csv", Options{Function: "f"})
		require.NoError(t, err)
		require.Equal(t, u.Times, back.Times)
		require.True(t, equal(u.Memory, back.Memory) && equal(u.CPU, back.CPU))
	})
}

// FuzzRead checks that whatever is read is usage, or an error that names the file.
func FuzzRead(f *testing.F) {
	f.Add([]byte("\xef\xbb\xbf\"Time\",\"mem_usage\"\r\n1672557210000,5144576\r\n"))
	f.Add([]byte("Time,mem,cpu\n2023-01-01T08:13:30Z,5023Ki,\n"))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, text []byte) {
		u, err := Read(t.Context(), bytes.NewReader(text), "u.csv", Options{MaxSamples: 1000})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "u.csv:") || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q", err)
			}
			return
		}
		var out bytes.Buffer
		if err := Write(&out, u); err != nil {
			t.Fatal(err)
		}
		back, err := Read(t.Context(), &out, "u.csv", Options{Unit: "ms"})
		if err != nil || !equal(u.Memory, back.Memory) || !equal(u.CPU, back.CPU) {
			t.Fatalf("%v, %v; was %v", back, err, u)
		}
	})
}
