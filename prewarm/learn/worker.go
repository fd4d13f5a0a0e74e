package learn

import (
	"context"
	"math"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

var nan = math.NaN()

// worker does jobs in the background, one after the other. After each it rests for three times as long as that has taken, so that it takes a quarter of
// one processor at most.
type worker struct {
	jobs   chan *job
	done   chan verdict
	cancel context.CancelFunc
	ended  chan struct{}
	busy   bool // a job was given to it whose verdict was not picked up; only the policy uses it
	next   int  // place of the application that comes next
}

const rest = 3

func newWorker(ctx context.Context) *worker {
	ctx, cancel := context.WithCancel(ctx)
	w := &worker{jobs: make(chan *job, 1), done: make(chan verdict, 1), cancel: cancel, ended: make(chan struct{})}
	go w.work(ctx)
	return w
}

func (w *worker) work(ctx context.Context) {
	defer close(w.ended)
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-w.jobs:
			begin := time.Now()
			v := j.run(ctx)
			w.done <- v // there is room: no other job is given before it was taken
			pause := time.NewTimer(rest * time.Since(begin))
			select {
			case <-ctx.Done():
				pause.Stop()
				return
			case <-pause.C:
			}
		}
	}
}

func (w *worker) close() {
	w.cancel()
	<-w.ended
}

// pickUp takes what the worker has done, and gives it the next job.
func (p *Policy) pickUp(fleet *prewarm.Fleet) {
	w := p.worker
	if w.busy {
		select {
		case v := <-w.done:
			w.busy = false
			p.take(v, fleet)
		default:
		}
	}
	if w.busy || !p.waiting {
		return
	}
	apps := p.library.apps
	for range apps {
		w.next = (w.next + 1) % len(apps)
		if a := apps[w.next]; a.training {
			w.busy = true
			w.jobs <- p.job(a) // there is room
			return
		}
	}
	p.waiting = false
}
