package lab

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// traceLine is a request as a sequence of a dataset in JSON lines, with the run that it is from. Times are in milliseconds.
type traceLine struct {
	App          string    `json:"app"`
	Load         string    `json:"load"`
	Policy       string    `json:"policy"`
	Seed         uint64    `json:"seed"`
	ArrivalTimes []float64 `json:"arrival_times"`
	Marks        []string  `json:"marks"`
	WaitTimes    []float64 `json:"wait_times"`
	InitTimes    []float64 `json:"init_times"`
	Parents      []int     `json:"parents"`
	// Covariates are duration, from arrival to end, and late, 1 for invocations that waited for a container which was being started already.
	Covariates struct {
		Duration []float64 `json:"duration"`
		Late     []int     `json:"late"`
	} `json:"covariates"`
}

// traces returns the requests of a run as a dataset, a line each, in the order of their arrival; also those that are not scored. Times are
// kept to the microsecond.
func (r *Run) traces(c *Cell) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	for _, p := range r.requests {
		n := len(p.records)
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(i, j int) int {
			return int(min(max(p.records[i].arrival-p.records[j].arrival, -1), 1))
		})
		place := make([]int, n)
		for k, i := range order {
			place[i] = k
		}
		line := traceLine{
			App: c.App, Load: c.Load, Policy: c.Policy, Seed: c.Seed,
			ArrivalTimes: make([]float64, n), Marks: make([]string, n), WaitTimes: make([]float64, n), InitTimes: make([]float64, n), Parents: make([]int, n),
		}
		line.Covariates.Duration, line.Covariates.Late = make([]float64, n), make([]int, n)
		for k, i := range order {
			record := &p.records[i]
			line.Covariates.Duration[k] = inMilliseconds(record.end - record.arrival)
			if record.kind == prewarm.Late {
				line.Covariates.Late[k] = 1
			}
			line.ArrivalTimes[k] = inMilliseconds(time.Duration(epoch.UnixNano()) + record.arrival)
			line.Marks[k] = c.Workload.Functions[p.request.Calls[i].Function].Name
			line.InitTimes[k] = inMilliseconds(record.init)
			line.WaitTimes[k] = inMilliseconds(max(record.start-record.arrival-record.init, 0))
			line.Parents[k] = -1
			if record.parent >= 0 {
				line.Parents[k] = place[record.parent]
			}
		}
		if err := encoder.Encode(&line); err != nil {
			return nil, err
		}
	}
	return text.Bytes(), nil
}

func inMilliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond).Microseconds()) / 1000
}
