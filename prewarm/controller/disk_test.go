package controller

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tppfaas/tppfaas/internal/errorfs"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// TestDiskFails runs a controller over a disk whose n-th operation fails, for every n, and checks that the actuator is asked for nothing that was not written
// down, that the state says why nothing is done, and that it goes on once the disk works again.
func TestDiskFails(t *testing.T) {
	told := 0 // times that the state has said so
	for n := 1; ; n++ {
		folder := filepath.Join(t.TempDir(), "state")
		disk := errorfs.Fail(errorfs.OS{}, n, syscall.ENOSPC)
		j, _, err := openJournal(disk, folder)
		if err != nil {
			continue // it does not begin, and says so
		}
		blocked, operations := runOnDisk(t, j, disk, n)
		saved, err := readJournal(errorfs.OS{}, filepath.Join(folder, journalName))
		if err != nil || saved == nil {
			t.Fatalf("operation %d: %+v, %v", n, saved, err)
		}
		if blocked {
			told++
		}
		if operations < n {
			if told == 0 {
				t.Error("the state never said that it cannot be written")
			}
			if blocked {
				t.Errorf("without a failure: the state said that it cannot be written")
			}
			return
		}
	}
}

// runOnDisk runs a controller, observes requests that each lead to a command, and returns whether the state has ever said that it cannot be written, and the
// number of operations of the disk.
func runOnDisk(t *testing.T, j *Journal, disk *errorfs.Faulty, n int) (blocked bool, operations int) {
	synctest.Test(t, func(t *testing.T) {
		a := &fake{}
		c := newController(t, a, func(o *Options, run *RunOptions) {
			run.Journal, run.NewGuard = j, newGuardFor(a)
		})
		stop := started(t, c)
		sink := c.Sink("test")
		observe := func(i int) {
			if err := sink.Observe(t.Context(), []source.Observation{invoked("a", fmt.Sprint("t", i), "1")}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			s := c.Snapshot()
			if strings.Contains(s.ModeReason, "no space left") {
				blocked = true
			}
			text := readAll(t, j.path)
			for _, command := range a.asked() {
				if !strings.Contains(text, fmt.Sprintf(`"command":%d`, command.ID)) && !strings.Contains(text, fmt.Sprintf(`"c":%d,`, command.ID)) {
					t.Errorf("operation %d: command %d is not written down", n, command.ID)
				}
			}
		}
		for i := range 3 {
			observe(i)
		}
		already := disk.Operations() >= n
		time.Sleep(21 * time.Second) // by then it has tried again
		synctest.Wait()
		before := len(a.asked())
		observe(8)
		if already && len(a.asked()) != before+1 {
			t.Errorf("operation %d: it does not go on: %s", n, c.Snapshot().ModeReason)
		}
		operations = disk.Operations()
		err := stop()
		if err != nil && (disk.Operations() < n || !strings.Contains(err.Error(), "no space left")) {
			t.Errorf("operation %d: %v", n, err)
		}
		if err != nil && (strings.Count(err.Error(), "no space left") != 1 || strings.Contains(err.Error(), "\n")) {
			t.Errorf("operation %d: this is not one clear line: %q", n, err)
		}
	})
	return blocked, operations
}

// readAll returns what is in a file.
func readAll(t *testing.T, path string) string {
	t.Helper()
	saved, err := readJournal(errorfs.OS{}, path)
	if err != nil {
		t.Fatal(err)
	}
	if saved == nil {
		return ""
	}
	text, err := appendLine(nil, journalLine{Saved: saved})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
