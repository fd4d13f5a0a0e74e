package controller

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/internal/errorfs"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// someRecords are what a controller may write.
func someRecords() []Record {
	return []Record{
		{Kind: recordAsked, Function: "b", Command: 1, Decision: 1, N: 2, At: time.Second},
		{Kind: recordResult, Command: 1, Outcome: actuator.Created, Instance: "i1", At: 2 * time.Second},
		{Kind: recordResult, Command: 1, Outcome: actuator.Failed, At: 2 * time.Second},
		{Kind: recordAsked, Function: "a", Command: 2, Decision: 2, N: 1, At: 3 * time.Second},
		{Kind: recordScaled, Function: "b", Command: 3, N: 4, Base: 1, Known: true, At: 4 * time.Second},
		{Kind: recordPaused, Paused: true, At: 5 * time.Second},
		{Kind: recordRenewed, Function: "a", Command: 3, N: 2, Vain: 1, Containers: []prewarm.ID{7}, At: 5 * time.Second},
		{Kind: recordReleased, Command: 2, At: 6 * time.Second},
		{Kind: recordScaled, Function: "b", Command: 4, N: -1, Base: 1, Known: true, At: 7 * time.Second},
	}
}

// after returns what is saved after the first n records.
func after(t *testing.T, n int) *Saved {
	t.Helper()
	s := &Saved{Epoch: virtualEpoch, Command: 1, Decision: 1, Warmed: []SavedWarm{}, Scales: []SavedScale{}, Functions: []FunctionState{}}
	records := someRecords()
	for i := range n {
		s.Add(&records[i])
	}
	return canonical(t, s)
}

// canonical returns what a file would have of s.
func canonical(t testing.TB, s *Saved) *Saved {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var same Saved
	if err := json.Unmarshal(text, &same); err != nil {
		t.Fatal(err)
	}
	return &same
}

// TestJournalAtAnyByte cuts a journal off at every byte, and spoils each of them: what is read is what was written before, as of some record, and nothing
// else.
func TestJournalAtAnyByte(t *testing.T) {
	var text []byte
	var ends []int
	add := func(l journalLine) {
		var err error
		if text, err = appendLine(text, l); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, len(text))
	}
	add(journalLine{Saved: after(t, 0)})
	records := someRecords()
	for i := range records {
		add(journalLine{Record: &records[i]})
	}
	whole := func(n int) int { // lines
		lines := 0
		for lines < len(ends) && ends[lines] <= n {
			lines++
		}
		return lines
	}
	check := func(got *Saved, lines int, what string, at int) {
		t.Helper()
		if lines == 0 {
			if got != nil {
				t.Errorf("%s at %d: something is read from nothing", what, at)
			}
			return
		}
		if got == nil || !reflect.DeepEqual(canonical(t, got), after(t, lines-1)) {
			t.Errorf("%s at %d: read %+v, want %+v", what, at, got, after(t, lines-1))
		}
	}
	for n := range text {
		check(parseJournal(text[:n]), whole(n), "cut off", n)
		spoilt := bytes.Clone(text)
		spoilt[n] ^= 0x15
		check(parseJournal(spoilt), whole(n), "spoilt", n)
	}
	check(parseJournal(text), len(ends), "whole", len(text))
}

// TestJournalFailures runs a journal over file systems of which the n-th operation fails, once or from then on, and checks that what was said to be written
// is there for the next process.
func TestJournalFailures(t *testing.T) {
	run := func(disk errorfs.FS, folder string) (least int) { // records that must be there, −1 for not even the beginning
		least = -1
		j, _, err := openJournal(disk, folder)
		if err != nil {
			return least
		}
		defer j.Close()
		if j.Compact(after(t, 0)) == nil {
			least = 0
		}
		records := someRecords()
		for i := range records {
			if err := j.Append(records[i : i+1]); err == nil {
				least = i + 1
			} else if j.Compact(after(t, i+1)) == nil { // what is in memory is written as a whole
				least = i + 1
			}
			if i == 4 {
				_ = j.Sync()
			}
			if i == 5 && j.Compact(after(t, i+1)) == nil {
				least = i + 1
			}
		}
		return least
	}
	count := errorfs.Fail(errorfs.OS{}, 0, nil)
	if run(count, filepath.Join(t.TempDir(), "state")) != len(someRecords()) {
		t.Fatal("without failures something is missing")
	}
	for _, onward := range []bool{false, true} {
		for n := 1; n <= count.Operations(); n++ {
			folder := filepath.Join(t.TempDir(), "state")
			disk := errorfs.Fail(errorfs.OS{}, n, syscall.ENOSPC)
			if onward {
				disk = errorfs.FailFrom(errorfs.OS{}, n, syscall.ENOSPC)
			}
			least := run(disk, folder)
			j, saved, err := OpenJournal(folder)
			if err != nil {
				t.Fatalf("operation %d: %v", n, err)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			if !isAfter(t, saved, least) {
				t.Errorf("operation %d (and all after it: %v): after %d records that were written there is %+v", n, onward, least, saved)
			}
			if !onward && least < len(someRecords())-1 && least >= 0 {
				t.Errorf("operation %d: after a single failure nothing more is written (%d)", n, least)
			}
		}
	}
}

// isAfter reports whether saved is what there is after least records or more.
func isAfter(t *testing.T, saved *Saved, least int) bool {
	if saved == nil {
		return least < 0
	}
	for n := max(least, 0); n <= len(someRecords()); n++ {
		if reflect.DeepEqual(canonical(t, saved), after(t, n)) {
			return true
		}
	}
	return false
}

// TestJournalOnACrashingMachine checks that after the end of the machine there is what was synced, and nothing that was never written.
func TestJournalOnACrashingMachine(t *testing.T) {
	for _, keepNames := range []bool{false, true} {
		folder := filepath.Join(t.TempDir(), "state")
		disk := errorfs.NewVolatile()
		j, _, err := openJournal(disk, folder)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Compact(after(t, 0)); err != nil {
			t.Fatal(err)
		}
		records := someRecords()
		for i := range records {
			if err := j.Append(records[i : i+1]); err != nil {
				t.Fatal(err)
			}
			if i == 3 {
				if err := j.Sync(); err != nil {
					t.Fatal(err)
				}
			}
		}
		j.close()
		_ = j.lock.Close()
		if err := disk.Crash(keepNames); err != nil {
			t.Fatal(err)
		}
		saved, err := readJournal(errorfs.OS{}, filepath.Join(folder, journalName))
		if err != nil || !isAfter(t, saved, 4) {
			t.Errorf("names kept: %v: there is %+v, %v", keepNames, saved, err)
		}
	}
}

// TestJournalIsForOne checks that a second controller cannot use the state of another.
func TestJournalIsForOne(t *testing.T) {
	folder := t.TempDir()
	j, _, err := OpenJournal(folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenJournal(folder); err == nil {
		t.Error("two controllers use the same state")
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	again, _, err := OpenJournal(folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenJournal(filepath.Join(file, "below")); err == nil {
		t.Error("a folder below a file is opened")
	}
}

// FuzzJournal checks that no file makes reading it fail.
func FuzzJournal(f *testing.F) {
	text, err := appendLine(nil, journalLine{Saved: &Saved{Epoch: virtualEpoch}})
	if err != nil {
		f.Fatal(err)
	}
	records := someRecords()
	for i := range records {
		if text, err = appendLine(text, journalLine{Record: &records[i]}); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(text)
	s := newSteps(f, nil, 0, nil)
	s.observe(source.Invoked, "a", "t", "1", "", "", time.Second)
	s.observe(source.Started, "a", "t", "1", "", "x", 2*time.Second)
	s.Remember()
	text, err = appendLine(nil, journalLine{Saved: s.saved})
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range s.Records() {
		if text, err = appendLine(text, journalLine{Record: &r}); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(text)
	f.Add([]byte(fmt.Sprintf("%08x {}\n", 0)))
	f.Fuzz(func(t *testing.T, text []byte) {
		saved := parseJournal(text)
		for end := range bytes.Lines(text) { // and lines whose checksum is right
			if l, err := appendLine(nil, journalLine{}); err == nil && len(end) > 9 {
				_ = parseJournal(append(l, end...))
			}
		}
		if saved != nil {
			c := newController(t, &fake{}, func(o *Options, run *RunOptions) { o.Epoch, run.Saved = virtualEpoch, saved })
			c.core.Begin(0, saved)
			_ = c.Close(t.Context())
		}
	})
}

// TestNoJournalIsNoState checks that a folder that is empty has nothing.
func TestNoJournalIsNoState(t *testing.T) {
	j, saved, err := OpenJournal(filepath.Join(t.TempDir(), "a", "b"))
	if err != nil || saved != nil {
		t.Fatalf("%+v, %v", saved, err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(j.path); err == nil {
		t.Error("a journal was written by nobody")
	}
}

// TestJournalOfOthers checks that a file which is not such a journal, or is of a later version, is left as it is, and that an empty one is nothing.
func TestJournalOfOthers(t *testing.T) {
	later, err := appendLine(nil, journalLine{Saved: &Saved{Format: journalFormat + 1}})
	if err != nil {
		t.Fatal(err)
	}
	older, err := appendLine(nil, journalLine{Saved: &Saved{Paused: true}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, text, want string
		paused           bool
	}{
		{"notes of somebody", "buy milk\n", "is damaged, or is no such file", false},
		{"a first line that is torn", string(older[:20]), "is damaged", false},
		{"a later version", string(later), "of a later version (its format is 2", false},
		{"an empty file", "", "", false},
		{"an older version", string(older), "", true},
	} {
		folder := t.TempDir()
		file := filepath.Join(folder, journalName)
		if err := os.WriteFile(file, []byte(c.text), 0o666); err != nil {
			t.Fatal(err)
		}
		j, saved, err := OpenJournal(folder)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), folder) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: error %v, want %q", c.name, err, c.want)
			}
			if text, err := os.ReadFile(file); err != nil || string(text) != c.text {
				t.Errorf("%s: the file has %q now, %v", c.name, text, err)
			}
			continue
		}
		if err != nil || (saved != nil && saved.Paused) != c.paused {
			t.Errorf("%s: %+v, %v", c.name, saved, err)
			continue
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestRecordsCount checks that containers which were asked for after the state was written as a whole are counted in what a killed process leaves.
func TestRecordsCount(t *testing.T) {
	s := &Saved{Totals: Totals{Warmups: 10}}
	for _, r := range []Record{
		{Kind: recordAsked, Function: "a", Command: 1, N: 3},
		{Kind: recordAsked, Function: "a", Command: 1, N: 3}, // again
		{Kind: recordResult, Command: 1, Outcome: actuator.Created},
		{Kind: recordResult, Command: 1, Outcome: actuator.Failed},
		{Kind: recordResult, Command: 1, Outcome: actuator.Held}, // was not asked for after all
	} {
		s.Add(&r)
	}
	if s.Totals.Warmups != 12 {
		t.Errorf("%d containers were asked for, want 12", s.Totals.Warmups)
	}
}
