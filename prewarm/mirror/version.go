package mirror

import (
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// noteVersion notes the version of a function that a run had which began at a time, and reports whether it is one that was replaced. If it is new,
// containers with older code take nothing any more.
func (m *Mirror) noteVersion(f *function, o *source.Observation, began prewarm.Time) (older bool) {
	if o.Version == "" || o.Kind == source.Invoked {
		return false
	}
	// The platform's records may number versions in another way than spans do. Those of spans count, if there are any.
	spans := o.Span != ""
	switch {
	case f.version == "" || spans && !f.versionOfSpans:
		f.version, f.versionAt, f.versionOfSpans = clone(o.Version), began, spans
		clear(f.versions[:])
		return false
	case spans != f.versionOfSpans || o.Version == f.version:
		return false
	case began < f.versionAt:
		return true
	}
	for _, old := range f.versions {
		// A run of old code that came late, or a return to it.
		if old == o.Version && (o.Kind != source.Started || began < f.versionAt+time.Minute) {
			return true
		}
	}
	copy(f.versions[1:], f.versions[:])
	f.versions[0] = f.version
	f.version, f.versionAt = clone(o.Version), began
	m.redeploy(f)
	return false
}

// redeploy notes that a function has new code.
func (m *Mirror) redeploy(f *function) {
	f.starts = sample{}
	m.redeployed = append(m.redeployed, f.index)
	if m.options.Replicas {
		return // ObserveLoad says how many there are
	}
	for i := len(f.idle) - 1; i >= 0; i-- {
		m.remove(f.idle[i], m.now, prewarm.ByPlatform)
	}
	for i := len(f.busy) - 1; i >= 0; i-- {
		if c := f.busy[i]; c.ready {
			c.retired = true
		}
	}
	for i := len(f.pending) - 1; i >= 0; i-- {
		v := f.pending[i]
		c := v.c
		if c == nil || !c.retired {
			continue
		}
		m.displace(v)
		m.release(c)
		m.again(v)
	}
}
