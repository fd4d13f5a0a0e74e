// Package composition runs requests of an application on a platform in virtual time: each function sleeps, then invokes its successors.
//
//	err := platform.Deploy(localwhisk.Function{Name: name, Handler: composition.Handle[*request]})
//	…
//	err = composition.Invoke(platform, names, calls, request)
package composition

import (
	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/localwhisk"
)

// Call is an invocation of a request: what the platform carries as its parameters.
type Call[R any] struct {
	// Request is the request, and Index the index of the call in its calls.
	Request R
	Index   int

	plan *plan
	run  *localwhisk.Run
	todo []int // calls that it has yet to make
}

// plan is what the calls of a request have in common.
type plan struct {
	names []string
	calls []apps.Call
}

// Invoke invokes the first of the calls of a request now. Names are those of the functions, by [apps.Call.Function]; all are deployed with Handle.
func Invoke[R any](p *localwhisk.Platform, names []string, calls []apps.Call, request R) error {
	_, err := p.Invoke(names[calls[0].Function], &Call[R]{Request: request, plan: &plan{names, calls}}, nil)
	return err
}

// Handle is the handler of every function: it sleeps, then makes its calls, [apps.CallGap] apart.
func Handle[R any](run *localwhisk.Run) {
	c := run.Params().(*Call[R])
	own := &c.plan.calls[c.Index]
	c.run, c.todo = run, own.Invokes
	if own.Sleep > 0 {
		run.Sleep(own.Sleep, c.next)
	} else {
		c.next()
	}
}

// next makes the next call of a function and plans the one after it; after the last call the function ends.
func (c *Call[R]) next() {
	if len(c.todo) > 0 {
		successor := &Call[R]{Request: c.Request, Index: c.todo[0], plan: c.plan}
		c.todo = c.todo[1:]
		if _, err := c.run.Invoke(c.plan.names[c.plan.calls[successor.Index].Function], successor); err != nil {
			c.run.Fail(err)
			return
		}
	}
	if len(c.todo) > 0 {
		c.run.Sleep(apps.CallGap, c.next)
	} else {
		c.run.Finish()
	}
}
