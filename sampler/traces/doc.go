// Package traces collects the traces that a Zipkin server has of functions that somebody else invokes.
//
//	result, err := traces.Collect(ctx, traces.Options{Server: address, Service: "shop", Since: time.Now().Add(-24 * time.Hour)}, spool)
//	…
//	_, err = spool.Seek(0, io.SeekStart)
//	r, err := dataset.NewSequenceReader(spool, dataset.ReadOptions{})
//
// What [Collect] writes is Zipkin's own JSON, which package dataset reads.
package traces
