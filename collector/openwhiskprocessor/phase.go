package openwhiskprocessor

// phase is the state of a processor. It only moves forward:
//
//	          Start            Shutdown             nothing waits any more, or the time is up
//	created ─────────▶ running ─────────▶ draining ─────────────────────────────────────────▶ closed
//	   │                                                                                        ▲
//	   └──────────────────────────────────────── Shutdown ──────────────────────────────────────┘
//
// While it is running, new spans are accepted. While it is draining, they are refused, and lookups and deliveries go on for
// the spans that were accepted before. When it is closed, the workers and the forwarder return.
type phase int

const (
	created phase = iota
	running
	draining
	closed
)
