package forecast

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/rightsize"
)

// recording returns the recording that the published model was made for; the test is skipped where it is not.
func recording(t testing.TB) *rightsize.Usage {
	t.Helper()
	column := func(name string) (times []int64, values []float64) {
		content, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "data", "resources", name))
		if os.IsNotExist(err) {
			t.Skip("the recording is not there")
		}
		require.NoError(t, err)
		for _, line := range strings.Split(string(content), "\n")[1:] {
			at, value, ok := strings.Cut(strings.TrimSpace(line), ",")
			if !ok {
				continue
			}
			ms, err := strconv.ParseInt(at, 10, 64)
			require.NoError(t, err)
			v, err := strconv.ParseFloat(value, 64)
			require.NoError(t, err)
			times, values = append(times, ms), append(values, v)
		}
		return times, values
	}
	times, memory := column("memory_usage.csv")
	_, cpu := column("cpu_usage.csv")
	u, err := rightsize.NewUsage("qrcode", times, memory, cpu)
	require.NoError(t, err)
	return u
}

// made returns usage that stands for some samples and then leaps.
func made(n int) *rightsize.Usage {
	r := rand.New(rand.NewPCG(1, 1))
	u := &rightsize.Usage{Function: "made"}
	memory, cpu := 40e6, 0.01
	for i := range n {
		if r.IntN(5) == 0 {
			memory, cpu = 40e6+5e6*r.Float64(), 0.01*(1+r.Float64())
		}
		u.Times, u.Memory, u.CPU = append(u.Times, int64(i)*15000), append(u.Memory, memory), append(u.CPU, cpu)
	}
	return u
}

// TestPaperOnItsRecording checks what is known of the recording: the windows, and what repeating the last value reaches.
func TestPaperOnItsRecording(t *testing.T) {
	p, err := RunPaper(t.Context(), recording(t), PaperOptions{Epochs: 10})
	require.NoError(t, err)
	require.Equal(t, 742, p.Training)
	require.Equal(t, 366, p.Test)
	require.InDelta(t, 17525.5, p.Last[rightsize.Memory].MAE, 0.05)
	require.InDelta(t, 113046, p.Last[rightsize.Memory].RMSE, 0.5)
	require.InDelta(t, 0.00049596, p.Last[rightsize.CPU].MAE, 5e-9)
	require.InDelta(t, 0.00099228, p.Last[rightsize.CPU].RMSE, 5e-9)
	require.InDelta(t, 0.81, p.Repeated[rightsize.Memory], 0.005)
	require.InDelta(t, 0.61, p.Repeated[rightsize.CPU], 0.005)
	for _, r := range rightsize.Resources {
		require.Greater(t, p.Model[r].MAE, p.Last[r].MAE, "%s: the model is no better than the last value", r)
		require.Less(t, p.Model[r].MAE, 2*PublishedPaper[r].MAE, r.String())
	}
}

func TestPaperIsTheSameForASeed(t *testing.T) {
	u := made(120)
	text := func(seed uint64) string {
		p, err := RunPaper(t.Context(), u, PaperOptions{Epochs: 3, Seed: seed})
		require.NoError(t, err)
		b, err := json.Marshal(p.Model)
		require.NoError(t, err)
		return string(b)
	}
	require.Equal(t, text(1), text(1))
	require.NotEqual(t, text(1), text(2))
}

func TestPaperLearns(t *testing.T) {
	u := made(400)
	short, err := RunPaper(t.Context(), u, PaperOptions{Epochs: 1})
	require.NoError(t, err)
	losses := []float64{}
	long, err := RunPaper(t.Context(), u, PaperOptions{Epochs: 60, Progress: func(_ int, loss float64) { losses = append(losses, loss) }})
	require.NoError(t, err)
	require.Len(t, losses, 60)
	require.Less(t, losses[59], 0.7*losses[0])
	require.Less(t, long.TrainingMAE[rightsize.Memory], 0.8*short.TrainingMAE[rightsize.Memory])
}

func TestPaperRefuses(t *testing.T) {
	u := made(50)
	u.CPU[7] = math.NaN()
	_, err := RunPaper(t.Context(), u, PaperOptions{})
	require.ErrorContains(t, err, "cpu is not known at 1970-01-01 00:01:45")
	_, err = RunPaper(t.Context(), made(5), PaperOptions{})
	require.ErrorContains(t, err, "5 samples are too few")
	_, err = RunPaper(t.Context(), made(50), PaperOptions{Epochs: -1})
	require.ErrorContains(t, err, "-1 epochs")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = RunPaper(ctx, made(50), PaperOptions{})
	require.ErrorIs(t, err, context.Canceled)
}
