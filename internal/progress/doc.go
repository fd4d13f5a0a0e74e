// Package progress shows how far a long run has come: one line that updates itself on a terminal, a plain line now and
// then in a log.
//
//	p := progress.New(os.Stderr, len(requests), "requests")
//	defer p.Done()
//	for _, r := range requests {
//		send(r)
//		p.Add(1, "")
//	}
package progress
