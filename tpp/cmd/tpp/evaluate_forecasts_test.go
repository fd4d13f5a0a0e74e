package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/cli"
)

func TestEvaluateForecasts(t *testing.T) {
	model, data := trained(t)
	baseline := filepath.Join(t.TempDir(), "baseline.safetensors")
	if status, _, errs := call(t, "train", data, "-o", baseline, "-kind", "continuation"); status != cli.OK {
		t.Fatal(errs)
	}
	status, out, errs := call(t, "evaluate", model, baseline, data, "-horizon", "auto")
	if status != cli.OK || !strings.Contains(out, "accuracy  t_map") || !strings.Contains(out, "otd of the next 10, one too many or too few at ") ||
		strings.Count(out, "t_map of the events within") != 1 {
		t.Errorf("status %d, %s, the table is\n%s", status, errs, out)
	}
	if status, out, _ = call(t, "evaluate", model, data, "-otd", "3"); status != cli.OK || strings.Contains(out, "t_map") ||
		!strings.Contains(out, "otd of the next 3 events, one too many or too few at 1000 ms") {
		t.Errorf("status %d, with -otd alone the table is\n%s", status, out)
	}
	if status, out, _ = call(t, "evaluate", model, data); status != cli.OK || strings.Contains(out, "otd") {
		t.Errorf("status %d, without forecasts the table is\n%s", status, out)
	}
	type scores struct {
		TMAP      float64 `json:"t_map"`
		OTD       float64
		Forecasts forecastDescription
	}
	of := func(args ...string) (got scores) {
		t.Helper()
		status, out, errs := call(t, append([]string{"evaluate", baseline, data, "-json"}, args...)...)
		if status != cli.OK {
			t.Fatalf("%v: %s", args, errs)
		}
		decodeOne(t, out, &got)
		return got
	}
	auto := of("-horizon", "auto")
	// Three functions always follow one another in a chain: each is foreseen.
	if !(auto.TMAP > 0.9 && auto.TMAP <= 1) || !(auto.OTD >= 0) {
		t.Errorf("T-mAP %v, OTD %v", auto.TMAP, auto.OTD)
	}
	f := auto.Forecasts
	if f.NextEvents != 10 || f.Tolerance != f.Horizon/5 || f.EditCost != f.Tolerance/2 || f.Prefix != 1 || f.PrefixStep != 1 {
		t.Errorf("the options are %+v", f)
	}
	// The horizon is that of the whole dataset, whichever part is scored, and the same of a stream as of what is read whole.
	if part := of("-horizon", "auto", "-part", "validation"); part.Forecasts != f {
		t.Errorf("the options for a part are %+v, for the dataset %+v", part.Forecasts, f)
	}
	if got := of("-horizon", "500", "-tolerance", "50", "-prefix", "2", "-prefix-step", "3", "-otd", "4", "-otd-cost", "20").Forecasts; got != (forecastDescription{500, 50, 4, 20, 2, 3}) {
		t.Errorf("the options are %+v", got)
	}
	flat := filepath.Join(t.TempDir(), "flat.json")
	if err := os.WriteFile(flat, []byte(`{"sequences": [{"arrival_times": [5], "marks": [0]}], "mapping": {"x-dev-main": 0}}`), 0o666); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := call(t, "evaluate", baseline, flat, "-horizon", "auto"); status != cli.Failed || !strings.Contains(errs, "flat.json: -horizon auto: no gap above 0") {
		t.Errorf("status %d, without a gap: %s", status, errs)
	}
}
