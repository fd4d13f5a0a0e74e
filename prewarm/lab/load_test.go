package lab

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func arrivals(t *testing.T, spec string, n int) []time.Duration {
	t.Helper()
	l, err := parseLoad(spec)
	require.NoError(t, err)
	return l.arrivals(n, rand.New(rand.NewPCG(1, 2)))
}

// seconds returns times in whole milliseconds as seconds.
func seconds(times []time.Duration) []float64 {
	out := make([]float64, len(times))
	for i, d := range times {
		out[i] = d.Round(time.Millisecond).Seconds()
	}
	return out
}

// TestMeanGaps checks that requests come as often as a load says, and in order.
func TestMeanGaps(t *testing.T) {
	for spec, mean := range map[string]float64{
		"poisson:1200": 1200, "poisson:0.1": 0.1, "uniform:2:6": 4, "gamma:30:0.5": 30, "gamma:30:4": 30, "periodic:60": 60, "periodic:60:30": 60,
		"diurnal:60:10:6000": 60, "bursts:20:0.11:120": 6, "bursts:20:0.11:120:1": 6,
	} {
		l, err := parseLoad(spec)
		require.NoError(t, err)
		require.InDelta(t, mean, l.mean, 1e-9, spec)
		const n = 20_000
		times := l.arrivals(n, rand.New(rand.NewPCG(1, 2)))
		require.Len(t, times, n)
		require.True(t, slices.IsSorted(times), spec)
		require.InEpsilon(t, mean, times[n-1].Seconds()/n, 0.04, spec)
		require.Len(t, l.gaps(7, rand.New(rand.NewPCG(1, 2))), 7)
	}
}

// TestRegularLoads checks loads without randomness.
func TestRegularLoads(t *testing.T) {
	require.Equal(t, []float64{60, 120, 180}, seconds(arrivals(t, "periodic:60", 3)))
	require.Equal(t, []float64{500, 1000}, seconds(arrivals(t, "uniform:500:500", 2)))
	require.Equal(t, []float64{120, 120.5, 121, 240, 240.5}, seconds(arrivals(t, "bursts:3:0.5:120", 5)))
}

// TestDiurnalPeaks checks that the rate at the peak, in the middle of the period, is RATIO times as high as at its ends.
func TestDiurnalPeaks(t *testing.T) {
	counts := make([]float64, 10)
	for _, at := range arrivals(t, "diurnal:1:9:1000", 200_000) {
		counts[int(at.Seconds())%1000/100]++
	}
	// Over the tenth at an end the rate is 1 − 0.8·mean(cos) = 0.2129 of the mean, over one at the peak 1.787.
	require.InDelta(t, 1.787/0.251, counts[4]/counts[0], 0.5)
}

// TestRandomBursts checks that bursts do not overlap.
func TestRandomBursts(t *testing.T) {
	times := seconds(arrivals(t, "bursts:4:1:10:1", 400))
	for i := 0; i < len(times); i += 4 {
		require.InDelta(t, times[i]+3, times[i+3], 0.01)
	}
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "load.csv")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

const head2019 = "HashOwner,HashApp,HashFunction,Trigger,1,2,3\n"

// TestMinuteGaps checks the vectors of invitro's rules: 3, 0 and 2 invocations in three minutes, at equal distances; and raw gaps of 1, 2 and 3.
func TestMinuteGaps(t *testing.T) {
	path := writeFile(t, head2019+"o,a,f,http,0,0,0\no,a,g,http,3,0,2\n")
	require.Equal(t, []float64{0, 20, 40, 120, 150}, seconds(arrivals(t, "azure:"+path+":2:equidistant", 10)))

	raw := []float64{1, 2, 3}
	next := cumulative(minuteGaps([]int{3}, func() float64 {
		v := raw[0]
		raw = raw[1:]
		return v
	}, false, nil))
	require.Equal(t, []float64{0, 10, 30}, []float64{next(), next(), next()})
}

// TestShiftedMinutes checks that a shift cuts a minute and exchanges its parts: all invocations of a minute stay in it.
func TestShiftedMinutes(t *testing.T) {
	require.Equal(t, []float64{5, 20, 30, 5}, rotate([]float64{10, 20, 30}, 5))
	require.Equal(t, []float64{10, 10, 20, 20}, rotate([]float64{10, 20, 30}, 50))
	require.Equal(t, []float64{20, 40}, rotate([]float64{60}, 40))
	path := writeFile(t, head2019+"o,a,f,http,3,0,200\n")
	for _, distribution := range []string{"exponential", "uniform", "exponential_shift", "uniform_shift"} {
		counts := make([]int, 3)
		times := arrivals(t, "azure:"+path+":1:"+distribution, 1000)
		require.True(t, slices.IsSorted(times))
		for _, at := range times {
			counts[int(at.Minutes())]++
		}
		require.Equal(t, []int{3, 0, 200}, counts, distribution)
		onMinute := times[0] == 0
		require.Equal(t, distribution == "exponential" || distribution == "uniform", onMinute, distribution)
	}
}

// TestAzure2021 checks that starts are ends less durations, of the function that is asked for, from the earliest start in the file on.
func TestAzure2021(t *testing.T) {
	path := writeFile(t, "app,func,end_timestamp,duration\na,f,110,10\na,g,120,5\nb,f,107,1\na,f,105,2.5\na,f,400,50\na,g,106,3\n")
	require.Equal(t, []float64{0, 2.5, 250}, seconds(arrivals(t, "azure2021:"+path, 9)))
	require.Equal(t, []float64{3, 15}, seconds(arrivals(t, "azure2021:"+path+":2", 9)))
	_, err := parseLoad("azure2021:" + path + ":3")
	require.ErrorContains(t, err, "function 3 has 1 invocations")
}

// TestFilesOfSpreadsheets checks that files with a mark of their byte order and with two bytes at the end of a line are read.
func TestFilesOfSpreadsheets(t *testing.T) {
	path := writeFile(t, "\ufeff"+strings.ReplaceAll(head2019+"o,a,g,http,3,0,2\n", "\n", "\r\n"))
	require.Equal(t, []float64{0, 20, 40, 120, 150}, seconds(arrivals(t, "azure:"+path+":1:equidistant", 10)))
	_, err := parseLoad("azure:" + writeFile(t, ""))
	require.ErrorContains(t, err, "load.csv: it is empty")
}

// TestExampleFiles checks that the files of testdata can be used as loads.
func TestExampleFiles(t *testing.T) {
	for _, spec := range []string{"azure:testdata/azure2019.csv:1", "azure:testdata/azure2019.csv:2", "azure2021:testdata/azure2021.csv"} {
		l, err := parseLoad(spec)
		require.NoError(t, err)
		require.Greater(t, len(l.arrivals(1000, rand.New(rand.NewPCG(1, 2)))), Unscored, spec)
	}
}

// TestWrongLoads checks the messages for what is no load.
func TestWrongLoads(t *testing.T) {
	path := writeFile(t, head2019+"o,a,f,http,1,x,0\no,a,g,http,0,0,0\n")
	other := writeFile(t, "app,func\n")
	bad := writeFile(t, "app,func,end_timestamp,duration\na,f,now,1\n")
	for spec, message := range map[string]string{
		"":                                       `load "": there is no such kind; there are poisson:S`,
		"pareto:3":                               "there is no such kind",
		"poisson":                                "load poisson: it is written poisson:S",
		"poisson:1:2":                            "it is written poisson:S",
		"poisson:x":                              `S must be a number from 0 to`,
		"poisson:-1":                             `not "-1"`,
		"poisson:NaN":                            `not "NaN"`,
		"poisson:0":                              "the mean gap is 0 s, must be at least 0.001 s",
		"uniform:3:2":                            "the longest gap, B, must not be below the shortest, A",
		"gamma:60:0":                             "SHAPE must be from 0.01",
		"periodic:60:31":                         "JITTER must be at most half of S",
		"diurnal:60:0.5":                         "RATIO must be at least 1",
		"diurnal:60:2:0":                         "PERIOD must be positive",
		"bursts:2.5:1:60":                        "must be whole",
		"bursts:20:6:114":                        "EVERY must be longer than a burst",
		"bursts:20:0.1:60:2":                     "RANDOM must be 0 or 1",
		"azure":                                  "the name of the file is missing",
		"azure:" + path:                          `load.csv:2: minute 2: "x" is no count`,
		"azure:" + path + ":2":                   "row 2 has no invocation",
		"azure:" + path + ":3":                   "there is no row 3",
		"azure:" + path + ":x":                   `ROW must be a whole number from 1, not "x"`,
		"azure:" + path + ":1:pi":                `there is no distribution "pi"`,
		"azure:" + path + ":1:equidistant_shift": "there is no distribution",
		"azure:" + path + ":1:uniform:4":         `"4" is left over`,
		"azure:" + other:                         "its columns are not HashOwner, HashApp",
		"azure2021:" + bad:                       `load.csv:2: "now" is no time`,
		"azure2021:" + bad + ":1:x":              `"x" is left over`,
		"azure:/does/not/exist":                  "no such file",
	} {
		_, err := parseLoad(spec)
		require.ErrorContains(t, err, message, spec)
	}
}

// FuzzParseLoad checks that whatever is a load gives times in order.
func FuzzParseLoad(f *testing.F) {
	for _, spec := range []string{"poisson:1200", "uniform:1:2", "gamma:3:0.1", "periodic:5:1", "diurnal:1:2:3", "bursts:3:1:60:1", "azure:testdata/azure2019.csv:2:uniform_shift"} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		if _, rest, found := strings.Cut(spec, "azure"); found && !strings.HasPrefix(rest, ":testdata/azure2019.csv") {
			t.Skip("it names some file of this machine")
		}
		l, err := parseLoad(spec)
		if err != nil {
			return
		}
		times := l.arrivals(50, rand.New(rand.NewPCG(1, 2)))
		require.True(t, slices.IsSorted(times))
		require.GreaterOrEqual(t, times[0], time.Duration(0))
	})
}

// FuzzAzure checks that no file makes the readers of the two formats fail otherwise than by an error.
func FuzzAzure(f *testing.F) {
	f.Add([]byte(head2019 + "o,a,f,http,1,0,3\n"))
	f.Add([]byte("app,func,end_timestamp,duration\na,f,10,1\na,f,20,1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "f")
		require.NoError(t, os.WriteFile(path, text, 0o600))
		for _, kind := range []string{"azure:", "azure2021:"} {
			if l, err := parseLoad(kind + path); err == nil {
				require.True(t, slices.IsSorted(l.arrivals(50, rand.New(rand.NewPCG(1, 2)))))
			}
		}
	})
}
