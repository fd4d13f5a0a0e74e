// Package progress shows the progress of a long run: on a terminal as one line that is updated, in a log as a line every ten seconds.
//
//	p := progress.New(os.Stderr, len(requests), "requests")
//	defer p.Done()
//	for _, r := range requests {
//		send(r)
//		p.Add(1, "")
//	}
package progress
