package rest

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkInvoke measures an invocation of a warm action over the REST API, including the client, with one client and with several.
func BenchmarkInvoke(b *testing.B) {
	for _, clients := range []int{1, 4} {
		for _, how := range []string{"blocking=true", "blocking=true&result=true", "blocking=false"} {
			b.Run(fmt.Sprintf("clients=%d/%s", clients, how), func(b *testing.B) {
				c := serve(b, Options{MemoryMB: 1 << 20})
				c.want(200, "", "PUT", under+"actions/a", goAction)
				todo := make(chan struct{})
				done := make(chan struct{})
				for range clients {
					go func() {
						for range todo {
							c.want(map[bool]int{true: 202, false: 200}[how == "blocking=false"], "", "POST", under+"actions/a?"+how, `{"name":"x"}`)
						}
						done <- struct{}{}
					}()
				}
				b.ResetTimer()
				begin := time.Now()
				for range b.N {
					todo <- struct{}{}
				}
				close(todo)
				for range clients {
					<-done
				}
				b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "invocations/s")
			})
		}
	}
}
