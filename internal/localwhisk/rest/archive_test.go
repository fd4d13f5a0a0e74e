package rest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
)

// someRecord returns a record of activation n.
func someRecord(n int, start int64, namespace, path, result string) *record {
	end, duration, size := start+3, int64(3), len(result)
	return &record{
		ID: fmt.Sprintf("%032x", n), Annotations: json.RawMessage(`[{"key":"path","value":"` + path + `"},{"key":"waitTime","value":2}]`),
		Duration: &duration, End: &end, Logs: []string{}, Name: "a", Namespace: namespace, Start: start, Subject: namespace, Version: "0.0.1",
		Response: response{Result: json.RawMessage(result), Size: &size, Status: "success", Success: true},
		path:     path, kind: container.ApplicationError, received: time.Unix(0, start*1e6+int64(n)),
	}
}

// TestActivationsAreKept checks that records are returned as they were put, from a block or not, that lists are ordered by start, and that the
// oldest records are removed.
func TestActivationsAreKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.SampledFrom([]int{1, 5, 300, 2000}).Draw(t, "most")
		a := newActivationStore(most, 1<<30)
		n := rapid.IntRange(0, 3*most).Draw(t, "n")
		var put []*record
		for i := range n {
			path := rapid.SampledFrom([]string{"guest/a", "guest/p/a", "guest/b"}).Draw(t, "path")
			r := someRecord(i, int64(1000+rapid.IntRange(0, 50).Draw(t, "start")), rapid.SampledFrom([]string{"guest", "other"}).Draw(t, "namespace"), path,
				`{"text":"<a&b> \n é"}`)
			put = append(put, r)
			a.put(r)
		}
		kept := len(a.index)
		if kept > 2*most || n <= most && kept != n || n > most && kept < (most+1)/2 {
			t.Fatalf("%d of %d are kept, at most %d should be", kept, n, most)
		}
		for i, r := range put {
			got, want := a.get(r.Namespace, r.ID), r
			if i < n-kept {
				want = nil
			}
			if !reflect.DeepEqual(got, want) {
				g, _ := json.Marshal(got)
				w, _ := json.Marshal(want)
				t.Fatalf("record %d of %d:\n got %s\nwant %s", i, n, g, w)
			}
			if a.get("nobody", r.ID) != nil {
				t.Fatal("a record is seen from another namespace")
			}
		}
		want := slices.DeleteFunc(slices.Clone(put[n-kept:]), func(r *record) bool { return r.path != "guest/p/a" })
		slices.SortFunc(want, func(x, y *record) int {
			return cmp.Or(cmp.Compare(y.Start, x.Start), y.received.Compare(x.received))
		})
		found := a.find(func(r *indexed) bool { return r.of.path == "guest/p/a" })
		if len(found) != len(want) {
			t.Fatalf("%d found, want %d", len(found), len(want))
		}
		for i, number := range found {
			if got := a.getNumber(number); !reflect.DeepEqual(got, want[i]) {
				t.Fatalf("place %d of the list has %+v, want %+v", i, got, want[i])
			}
		}
	})
}

// TestActivationBytes checks that records with large results are removed beyond the limit on bytes.
func TestActivationBytes(t *testing.T) {
	a := newActivationStore(1000, 1<<20)
	for i := range 100 {
		noise := make([]byte, 100_000)
		for j := range noise {
			noise[j] = "0123456789abcdef"[(i*j*j+j*7919+i)%16]
		}
		a.put(someRecord(i, int64(i), "guest", "guest/a", `"`+string(noise)+`"`))
	}
	if len(a.index) == 100 || len(a.index) < 2 || a.bytes+a.recentBytes > 3*blockBytes {
		t.Errorf("%d are kept, in %d bytes and %d fresh ones", len(a.index), a.bytes, a.recentBytes)
	}
	if r := a.get("guest", fmt.Sprintf("%032x", 99)); r == nil || len(r.Response.Result) != 100_002 {
		t.Error("the last one is not there")
	}
}

// BenchmarkActivations measures putting a record, and getting an old one.
func BenchmarkActivations(b *testing.B) {
	b.Run("put", func(b *testing.B) {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		a := newActivationStore(100_000, 32<<20)
		b.ReportAllocs()
		for i := range b.N {
			a.put(someRecord(i, int64(i), "guest", "guest/a", `{}`))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(len(a.index)), "B/record")
	})
	b.Run("get", func(b *testing.B) {
		a := newActivationStore(100_000, 32<<20)
		for i := range 100_000 {
			a.put(someRecord(i, int64(i), "guest", "guest/a", `{}`))
		}
		b.ResetTimer()
		for i := range b.N {
			if a.get("guest", fmt.Sprintf("%032x", a.first+uint64(i*7919)%90_000)) == nil {
				b.Fatal("it is not there")
			}
		}
	})
}
