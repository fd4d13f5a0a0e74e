package container

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func realSpec(b *testing.B) Spec {
	program, err := realAction()
	require.NoError(b, err)
	return Spec{
		Name: "/guest/a", Kind: "go:1.20", Binary: true, MemoryMB: 256, LogMB: 10,
		Code: packed(b, map[string]string{"exec": string(program), "exec.env": "openwhisk/action-golang-v1.20"}),
	}
}

// BenchmarkColdStart measures Start and Init of a container with the action of the compositions, while other containers exist.
func BenchmarkColdStart(b *testing.B) {
	for _, others := range []int{0, 32, 128} {
		b.Run(fmt.Sprintf("beside=%d", others), func(b *testing.B) {
			r := newRuntime(b, Options{})
			s := realSpec(b)
			for range others {
				started(b, r, spec(b))
			}
			started(b, r, s)
			var init time.Duration
			for b.Loop() {
				c, err := r.Start(b.Context(), s.MemoryMB)
				if err != nil {
					b.Fatal(err)
				}
				begin := time.Now()
				if o, err := c.Init(b.Context(), s, time.Minute); o != nil || err != nil {
					b.Fatal(o, err)
				}
				init += time.Since(begin)
				b.StopTimer()
				c.Remove()
				b.StartTimer()
			}
			b.ReportMetric(float64(init.Microseconds())/float64(b.N), "µs-init/op")
		})
	}
}

// BenchmarkFirstStart measures the first start of an action, which also unpacks its code.
func BenchmarkFirstStart(b *testing.B) {
	s := realSpec(b)
	for b.Loop() {
		b.StopTimer()
		r := newRuntime(b, Options{})
		b.StartTimer()
		started(b, r, s).Remove()
	}
}

// BenchmarkWarmRun measures an invocation of an action that does nothing.
func BenchmarkWarmRun(b *testing.B) {
	for _, others := range []int{0, 32, 128} {
		b.Run(fmt.Sprintf("beside=%d", others), func(b *testing.B) {
			r := newRuntime(b, Options{})
			for range others {
				started(b, r, spec(b))
			}
			c := started(b, r, spec(b))
			for b.Loop() {
				if o := run(c, `{"mode": "quiet"}`); o.Kind != Success {
					b.Fatal(string(o.Result))
				}
				c.Logs("")
			}
		})
	}
}

// BenchmarkWarmRunParallel measures invocations in twice as many containers as there are processors.
func BenchmarkWarmRunParallel(b *testing.B) {
	r := newRuntime(b, Options{})
	s := spec(b)
	b.SetParallelism(2)
	b.RunParallel(func(pb *testing.PB) {
		c := started(b, r, s)
		for pb.Next() {
			if o := run(c, `{"mode": "quiet"}`); o.Kind != Success {
				b.Error(string(o.Result))
			}
			c.Logs("")
		}
	})
}

// BenchmarkPause measures Pause and Unpause together.
func BenchmarkPause(b *testing.B) {
	c := started(b, newRuntime(b, Options{}), spec(b))
	for b.Loop() {
		if c.Pause() != nil || c.Unpause() != nil {
			b.Fatal("paused")
		}
	}
	run(c, `{}`)
}

// BenchmarkEnforceMemory measures one check of the memory of idle containers, which the supervisor makes ten times a second.
func BenchmarkEnforceMemory(b *testing.B) {
	for _, n := range []int{8, 64} {
		b.Run(fmt.Sprintf("containers=%d", n), func(b *testing.B) {
			r := newRuntime(b, Options{})
			var containers []Container
			for range n {
				containers = append(containers, started(b, r, spec(b)))
			}
			s := &supervisor{byID: map[uint64]*child{}}
			for i, c := range containers {
				s.byID[uint64(i)] = &child{pid: c.(*processContainer).process.identity.pid, limit: 1 << 40}
			}
			for ticks := 0; b.Loop(); ticks++ {
				s.enforceMemory(ticks%descendantsEvery == 0)
			}
		})
	}
}

// BenchmarkSupervisorMemory reports the memory of a supervisor of 16 containers.
func BenchmarkSupervisorMemory(b *testing.B) {
	r := newRuntime(b, Options{})
	for range 16 {
		started(b, r, spec(b))
	}
	for b.Loop() {
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.supervisor.command.Process.Pid))
	require.NoError(b, err)
	for line := range strings.Lines(string(status)) {
		for _, name := range []string{"VmRSS", "RssAnon"} {
			var kb float64
			if _, err := fmt.Sscanf(line, name+": %f kB", &kb); err == nil {
				b.ReportMetric(kb/1024, name+"-MiB")
			}
		}
	}
}
