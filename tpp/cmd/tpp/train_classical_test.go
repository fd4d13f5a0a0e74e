package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/neural"
)

// TestTrainClassical checks that every classical kind is trained, scored, and read by the other commands.
func TestTrainClassical(t *testing.T) {
	data := chain(t, "chain.json.gz", inOrder, 30)
	for _, kind := range classicalKinds() {
		model := filepath.Join(t.TempDir(), "model.safetensors")
		status, out, errs := call(t, "train", data, "-o", model, "-seed", "4", "-kind", kind, "-json")
		if status != cli.OK {
			t.Fatalf("%s: status %d, %s", kind, status, errs)
		}
		var trained, evaluated map[string]any
		decodeOne(t, out, &trained)
		if trained["kind"] != kind || trained["sequences"] != 6.0 || trained["events"] != 12.0 {
			t.Errorf("%s: train says %s", kind, out)
		}
		status, out, errs = call(t, "evaluate", data, model, "-part", "test", "-seed", "4", "-json")
		if status != cli.OK {
			t.Fatalf("%s: evaluate: status %d, %s", kind, status, errs)
		}
		decodeOne(t, out, &evaluated)
		if trained["epochs"] != 0.0 || trained["seconds"] == nil {
			t.Errorf("%s: train -json says nothing of epochs and seconds: %v", kind, trained)
		}
		for key, value := range evaluated {
			if trained[key] != value {
				t.Errorf("%s: %s is %v, train said %v", kind, key, value, trained[key])
			}
		}
		if status, out, errs = call(t, "predict", model, data, "-sequence", "1"); status != cli.OK || !strings.Contains(out, "likeliest next") {
			t.Errorf("%s: predict: status %d, %s%s", kind, status, errs, out)
		}
		if status, out, errs = call(t, "inspect", model); status != cli.OK || !strings.Contains(out, kind) {
			t.Errorf("%s: inspect: status %d, %s%s", kind, status, errs, out)
		}
	}
	model := filepath.Join(t.TempDir(), "m.safetensors")
	if status, out, _ := call(t, "train", data, "-o", model, "-kind", "hawkes", "-decay-per-pair"); status != cli.OK || !strings.Contains(out, "fitted in") {
		t.Errorf("status %d, %s", status, out)
	}
}

// TestTrainHawkesKernels checks that inspect prints each of several kernels.
func TestTrainHawkesKernels(t *testing.T) {
	data, model := chain(t, "chain.json.gz", inOrder, 30), filepath.Join(t.TempDir(), "m.safetensors")
	if status, _, errs := call(t, "train", data, "-o", model, "-kind", "hawkes", "-kernels", "2", "-standard-errors"); status != cli.OK {
		t.Fatalf("status %d, %s", status, errs)
	}
	status, out, errs := call(t, "inspect", model, "-json")
	if status != cli.OK {
		t.Fatalf("inspect: status %d, %s", status, errs)
	}
	var report struct {
		Hawkes hawkesReport `json:"hawkes"`
	}
	decodeOne(t, out, &report)
	decays := map[float64]bool{}
	for _, k := range report.Hawkes.Kernels {
		decays[k.Beta] = true
	}
	if len(decays) != 2 {
		t.Errorf("%d decays, want 2: %s", len(decays), out)
	}
}

// trainNetwork trains a network with the options, and returns what is in its file.
func trainNetwork(t *testing.T, data string, options ...string) *neural.Recurrent {
	t.Helper()
	model := filepath.Join(t.TempDir(), "m.safetensors")
	if status, _, errs := call(t, append([]string{"train", data, "-o", model}, options...)...); status != cli.OK {
		t.Fatalf("%v: status %d, %s", options, status, errs)
	}
	read, err := tpp.ReadModelFile(model)
	if err != nil {
		t.Fatal(err)
	}
	return read.(*neural.Recurrent)
}

// TestTrainMarkTime checks that auto keeps what on makes, where the time depends on the mark.
func TestTrainMarkTime(t *testing.T) {
	data := chain(t, "chain.json.gz", inOrder, 30)
	losses := map[string]float64{}
	for _, value := range []string{"off", "on", "auto"} {
		m := trainNetwork(t, data, "-epochs", "3", "-context", "8", "-mark-time", value)
		losses[value] = m.Training().ValidationLoss
		if size := m.Config().MarkTimeSize; value != "auto" && (size > 0) != (value == "on") {
			t.Errorf("%s: %d hidden units", value, size)
		}
	}
	if losses["auto"] != min(losses["on"], losses["off"]) {
		t.Errorf("validation losses: %v", losses)
	}
}

// TestTrainGains checks that what comes after the last epoch comes to the model: it has a lower loss than without, and says so.
func TestTrainGains(t *testing.T) {
	data := chain(t, "chain.json.gz", inOrder, 200)
	for option, others := range map[string][]string{"-calibrate": {"-epochs", "2", "-context", "4", "-paper"}, "-mark-table": {"-epochs", "1", "-context", "4"}} {
		without, with := trainNetwork(t, data, append(others, option+"=false")...), trainNetwork(t, data, append(others, option+"=true")...)
		if a, b := without.Training().ValidationLoss, with.Training().ValidationLoss; b >= a {
			t.Errorf("%s: a validation loss of %v, %v without", option, b, a)
		}
		if wants := option == "-mark-table"; without.Config().MarkTable || with.Config().MarkTable != wants {
			t.Errorf("%s: tables of marks %t, %t without", option, with.Config().MarkTable, without.Config().MarkTable)
		}
	}
}

func TestTrainClassicalRefuses(t *testing.T) {
	for _, c := range []struct{ options, reason string }{
		{"-kind arima", "lookup-set or continuation"},
		{"-kind poisson -epochs 3", "-epochs is not for -kind poisson"},
		{"-kind lookup-set -components 3", "-components is not for -kind lookup-set"},
		{"-kind renewal -components 0", "-components is 0"},
		{"-kind markov -resolution -1", "-resolution is -1"},
		{"-kind lognormmix -decay-per-pair", "-decay-per-pair is for -kind hawkes"},
		{"-kind lognormmix -kernels 2", "-kernels is for -kind hawkes"},
		{"-kind poisson -kernels 2", "-kernels is not for -kind poisson"},
		{"-kind hawkes -kernels 0", "-kernels is 0"},
		{"-kind hawkes -kernels 2 -decay-per-pair", "choose one"},
		{"-mark-time yes", "-mark-time is \"yes\", it must be off, on or auto"},
		{"-kind truncnorm -mark-time on", "-mark-time is for -kind lognormmix"},
		{"-mark-time auto -checkpoint c", "two trainings"},
		{"-kind markov -mark-table", "-mark-table is not for -kind markov"},
		{"-kind race -mark-table", "-mark-table is not for -kind race"},
		{"-kind race -calibrate", "-calibrate is not for -kind race"},
	} {
		args := append([]string{"train", "x.json", "-o", "m"}, strings.Fields(c.options)...)
		if status, _, errs := call(t, args...); status != cli.Usage || !strings.Contains(errs, c.reason) {
			t.Errorf("%s: status %d, %s, want %q", c.options, status, errs, c.reason)
		}
	}
}
