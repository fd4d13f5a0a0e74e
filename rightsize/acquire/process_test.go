package acquire

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// machine is a /proc of the test.
type machine struct {
	t    *testing.T
	root string
}

// set writes what /proc says of a process.
func (m *machine) set(pid, parent int, name string, start, userTicks, childTicks, pages int) {
	folder := filepath.Join(m.root, fmt.Sprint(pid))
	require.NoError(m.t, os.MkdirAll(folder, 0o700))
	short := name[:min(len(name), 15)]
	stat := fmt.Sprintf("%d (%s) S %d 1 1 0 -1 4194560 0 0 0 0 %d 0 %d 0 20 0 1 0 %d 1000000 %d 18446744073709551615 1 1 0", pid, short, parent, userTicks, childTicks, start, pages)
	require.NoError(m.t, os.WriteFile(filepath.Join(folder, "stat"), []byte(stat), 0o600))
	require.NoError(m.t, os.WriteFile(filepath.Join(folder, "cmdline"), []byte("/usr/bin/"+name+"\x00-x\x00"), 0o600))
	require.NoError(m.t, os.WriteFile(filepath.Join(folder, "smaps_rollup"), fmt.Appendf(nil, "00400000-7fff [rollup]\nRss: 9 kB\nPss:   %d kB\nPss_Dirty: 9 kB\n", pages), 0o600))
}

func (m *machine) end(pid int) {
	require.NoError(m.t, os.RemoveAll(filepath.Join(m.root, fmt.Sprint(pid))))
}

// TestProcesses follows processes over virtual time: a tree counts as a container, of several the largest, and what children used stays when they end.
func TestProcesses(t *testing.T) {
	page := float64(os.Getpagesize())
	for _, pattern := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := &machine{t, t.TempDir()}
			require.NoError(t, os.Mkdir(filepath.Join(m.root, "irq"), 0o700))
			m.set(1, 0, "init", 0, 99999, 0, 99999)
			m.set(10, 1, "a-function-with-a-long-name", 5, 100, 0, 10)
			m.set(11, 10, "worker (1)", 6, 50, 0, 20)
			m.set(12, 11, "a-function-with-a-long-name", 7, 0, 0, 1) // below another one: it belongs to that
			m.set(20, 1, "a-function-with-a-long-name", 8, 10, 0, 40)
			m.set(30, 1, "a-function-with-a-lo", 9, 0, 0, 1000)
			o := ProcessOptions{root: m.root, PIDs: []int{10, 20}}
			if pattern {
				o = ProcessOptions{root: m.root, Pattern: regexp.MustCompile("^(?:a-function-with-a-long-name)$")}
			}
			p, err := NewProcesses(o)
			require.NoError(t, err)
			n := 0
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			result, err := p.Acquire(ctx, Request{Function: "f", OnSample: func(s Sample) error {
				switch n++; n {
				case 1:
					m.set(10, 1, "a-function-with-a-long-name", 5, 250, 0, 10) // 1.5 s in 15 s
					m.set(11, 10, "worker (1)", 6, 200, 0, 50)                 // and 1.5 s more
				case 2:
					m.set(11, 10, "worker (1)", 6, 200, 60, 20) // 12 has ended, after 0.6 s
					m.end(12)
				case 3:
					m.end(11)
					m.set(10, 1, "a-function-with-a-long-name", 5, 250, 260, 10)
					m.set(20, 1, "a-function-with-a-long-name", 8, 40, 0, 40) // 0.3 s
				case 4:
					m.end(10)
					m.end(20)
					m.set(40, 1, "a-function-with-a-long-name", 8, 10, 0, 40)
					stat := filepath.Join(m.root, "40", "stat")
					text, err := os.ReadFile(stat)
					require.NoError(t, err)
					require.NoError(t, os.WriteFile(stat, []byte(strings.Replace(string(text), ") S", ") Z", 1)), 0o600)) // a zombie is none
					if pattern {
						m.set(20, 1, "a-function-with-a-long-name", 99, 5000, 0, 7) // another one with the same number
					}
				case 5:
					cancel()
				}
				return nil
			}})
			require.NoError(t, err)
			u := result.Usage
			require.Equal(t, []float64{40 * page, 61 * page, 40 * page, 40 * page}, u.Memory[:4])
			require.True(t, math.IsNaN(u.CPU[0]))
			require.InDeltaSlice(t, []float64{0.2, 0.04, 0.02}, u.CPU[1:4], 1e-9)
			require.Equal(t, 2, result.PodsAtOnce)
			require.Empty(t, result.Gaps)
			require.EqualValues(t, 15_000, u.Times[1]-u.Times[0])
			if pattern {
				require.Equal(t, 5, u.Len())
				require.Equal(t, 7*page, u.Memory[4])
				require.True(t, math.IsNaN(u.CPU[4]))
				require.Equal(t, [2]int{3, 1}, [2]int{result.Pods, result.Restarts})
			} else {
				require.Equal(t, 4, u.Len())
				require.Equal(t, []string{"process 10, 20 has ended"}, result.Notes)
			}
		})
	}
}

// TestProcessesUntil checks the samples until an end, PSS, and a child whose parent did not wait for it.
func TestProcessesUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{t, t.TempDir()}
		m.set(10, 1, "f", 5, 100, 0, 10)
		m.set(11, 10, "g", 5, 1000, 0, 10)
		p, err := NewProcesses(ProcessOptions{root: m.root, PIDs: []int{10}, Proportional: true})
		require.NoError(t, err)
		done := 0
		result, err := p.Acquire(t.Context(), Request{Function: "f", Step: time.Second, To: time.Now().Add(3500 * time.Millisecond), OnProgress: func(n, total int) {
			done = n
			require.Equal(t, 4, total)
			if n == 2 {
				m.end(11)
				m.set(10, 1, "f", 5, 150, 0, 10)
			}
		}})
		require.NoError(t, err)
		require.Equal(t, 4, done)
		require.Equal(t, []float64{20 << 10, 20 << 10, 10 << 10, 10 << 10}, result.Usage.Memory)
		require.InDeltaSlice(t, []float64{0, 0.5, 0}, result.Usage.CPU[1:], 1e-9)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, to := range []time.Time{time.Now().Add(time.Hour), {}} {
			_, err = p.Acquire(ctx, Request{Function: "f", To: to})
			require.ErrorIs(t, err, context.Canceled)
		}
	})
}

// TestLooksOnce checks that there is a look even where the time is over before it: by a step as short as this, it always is.
func TestLooksOnce(t *testing.T) {
	p := &processMeter{o: &ProcessOptions{root: t.TempDir(), PIDs: []int{7}}, roots: map[identity]rootState{}}
	_, err := live(t.Context(), &Request{Function: "f", Step: time.Nanosecond, To: time.Now()}, p.take)
	require.EqualError(t, err, "there is no process 7")
}

// TestOwnProcess looks at this process, where that can be.
func TestOwnProcess(t *testing.T) {
	p, err := NewProcesses(ProcessOptions{PIDs: []int{os.Getpid()}})
	if runtime.GOOS != "linux" {
		require.ErrorContains(t, err, "which Linux has")
		return
	}
	require.NoError(t, err)
	result, err := p.Acquire(t.Context(), Request{Function: "f", Step: 10 * time.Millisecond, To: time.Now().Add(20 * time.Millisecond)})
	require.NoError(t, err)
	require.Greater(t, result.Usage.Memory[0], 1e6)
	require.Less(t, result.Usage.Memory[0], 1e10)
}

func TestProcessMistakes(t *testing.T) {
	for want, o := range map[string]ProcessOptions{
		"by their numbers or by a pattern": {},
		"-1 is no number of a process":     {PIDs: []int{-1}},
	} {
		_, err := NewProcesses(o)
		require.ErrorContains(t, err, want)
	}
	root := t.TempDir()
	acquire := func(o ProcessOptions) error {
		o.root = root
		p, err := NewProcesses(o)
		require.NoError(t, err)
		_, err = p.Acquire(t.Context(), Request{Function: "f", Step: time.Millisecond, To: time.Now().Add(2 * time.Millisecond)})
		return err
	}
	require.EqualError(t, acquire(ProcessOptions{PIDs: []int{7}}), "there is no process 7")
	require.ErrorContains(t, acquire(ProcessOptions{Pattern: regexp.MustCompile("f")}), "no process was seen whose program is called f")
	m := &machine{t, root}
	m.set(7, 1, "f", 1, 1, 1, 1)
	require.NoError(t, os.WriteFile(filepath.Join(root, "7", "smaps_rollup"), []byte("Pss: x kB"), 0o600))
	require.ErrorContains(t, acquire(ProcessOptions{PIDs: []int{7}, Proportional: true}), "smaps_rollup: its line Pss: ")
	require.NoError(t, os.WriteFile(filepath.Join(root, "7", "stat"), []byte("7 (f) S 1"), 0o600))
	require.ErrorContains(t, acquire(ProcessOptions{PIDs: []int{7}}), "stat: it has no field 24")
	root = filepath.Join(root, "nowhere")
	require.ErrorContains(t, acquire(ProcessOptions{PIDs: []int{7}}), "the processes of this machine: ")
}

// FuzzStat checks that no text makes the readers of /proc panic, or says what cannot be.
func FuzzStat(f *testing.F) {
	f.Add([]byte("10 (a) b) S 1 1 1 0 -1 4194560 0 0 0 0 5 1 0 0 20 0 1 0 99 1000000 12 18446744073709551615"), []byte("Pss: 12 kB\n"))
	f.Fuzz(func(t *testing.T, stat, smaps []byte) {
		if p, err := parseStat(stat); err == nil && (p.cpu < 0 || p.rss < 0 || strings.Contains(string(stat), ")") && !strings.Contains(string(stat), p.name)) {
			t.Fatalf("%+v", p)
		}
		if v, err := parsePSS(smaps); err == nil && v < 0 {
			t.Fatal(v)
		}
	})
}
