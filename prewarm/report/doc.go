// Package report analyses the cold starts in recorded traces: how long invocations wait for cold and for warm containers, where in a composition
// cold starts are, what they cost end to end, how latency moves while containers start, and what another keep-alive would change.
//
//	b := report.NewBuilder(report.Options{})
//	if err := b.ReadFile(ctx, "traces.json.gz", dataset.ReadOptions{}); err != nil {
//		return err
//	}
//	r, err := b.Report(ctx)
//	if err != nil {
//		return err
//	}
//	err = atomicfile.Write("report.html", r.WriteHTML)
//
// A [Report] is values only, which are written as one page of HTML with its pictures inside, as text, or as JSON. Times are in seconds, memory
// times time in MB·s.
package report
