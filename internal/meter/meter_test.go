package meter

import (
	"strings"
	"testing"
	"time"
)

// TestCounts checks that phases and products are counted between Start and its stop, and not before or after.
func TestCounts(t *testing.T) {
	count := func() {
		EndProduct(Begin(), 2, 3, 4)
		End(Loss, Begin())
		Add(Cells, time.Second)
		AddLoop(10*time.Second, 2, 15*time.Second)
	}
	count()
	stop := Start()
	if !On() || Begin() == 0 {
		t.Fatal("not on")
	}
	count()
	count()
	got := stop()
	count()
	if On() || Begin() != 0 {
		t.Fatal("still on")
	}
	if got.Operations != 2*2*2*3*4 {
		t.Errorf("%d operations", got.Operations)
	}
	if got.Time[Cells] != 2*time.Second || got.Time[Wait] != 10*time.Second || got.Loops != 20*time.Second {
		t.Errorf("cells %v, wait %v, loops %v", got.Time[Cells], got.Time[Wait], got.Loops)
	}
	if second := Start()(); second != (Counts{}) {
		t.Errorf("a second count begins with %+v", second)
	}
}

// TestReport checks the shares: of 2 workers for 30 s, who waited 10 s in loops that took 20 s, and one of whom waited beside the loops.
func TestReport(t *testing.T) {
	c := Counts{Loops: 20 * time.Second}
	c.Time[Products], c.Time[Wait] = 30*time.Second, 10*time.Second
	got := c.Report(30*time.Second, 2)
	for _, want := range []string{"products 50.0 %", "cells 0.0 %", "wait 33.3 %", "rest 16.7 %"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
}
