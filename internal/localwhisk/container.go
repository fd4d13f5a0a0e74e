package localwhisk

import "time"

// Container is a place where the runs of one function happen, one at a time.
type Container struct {
	id       int
	memoryMB int
	function *Function // nil in a stem cell

	activation *activation // what it works for; nil while it is idle
	paused     bool
	spoilt     bool          // not to be used again
	called     bool          // whether a function in it has invoked another
	initTime   time.Duration // of its /init
	idleTimer  *idleTimer    // pauses or removes it; nil while it is busy

	older, newer *Container // neighbours in the order of becoming idle
}

// ID returns the container's number; a platform counts its containers from 1.
func (c *Container) ID() int { return c.id }

// MemoryMB returns the container's memory in MiB.
func (c *Container) MemoryMB() int { return c.memoryMB }

// Function returns the function that the container belongs to; false for a stem cell, which belongs to none yet.
func (c *Container) Function() (Function, bool) {
	if c.function == nil {
		return Function{}, false
	}
	return *c.function, true
}

// idleTimer is a planned step in the life of an idle container.
type idleTimer struct {
	stop func() bool
}

// idleList holds the idle containers in the order in which they became idle.
type idleList struct {
	oldest, newest *Container
	memoryMB       int
	// warm holds the same containers by function, each in the same order.
	warm map[*Function][]*Container
}

func (l *idleList) push(c *Container) {
	c.older = l.newest
	if l.newest != nil {
		l.newest.newer = c
	} else {
		l.oldest = c
	}
	l.newest = c
	l.memoryMB += c.memoryMB
	l.warm[c.function] = append(l.warm[c.function], c)
}

func (l *idleList) remove(c *Container) {
	if c.older != nil {
		c.older.newer = c.newer
	} else {
		l.oldest = c.newer
	}
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		l.newest = c.older
	}
	c.older, c.newer = nil, nil
	l.memoryMB -= c.memoryMB
	warm := l.warm[c.function]
	for i := len(warm) - 1; i >= 0; i-- {
		if warm[i] == c {
			l.warm[c.function] = append(warm[:i], warm[i+1:]...)
			break
		}
	}
}

// newestOf returns the container of f that became idle last, nil if there is none.
func (l *idleList) newestOf(f *Function) *Container {
	warm := l.warm[f]
	if len(warm) == 0 {
		return nil
	}
	return warm[len(warm)-1]
}

// Params returns what the invocation that c works for was sent with, nil if it works for none. A Backend may call it from its
// methods, not later.
func (c *Container) Params() any {
	if c.activation == nil {
		return nil
	}
	return c.activation.params
}

// ActivationID returns the id of the activation that c works for, "" if it works for none; see Params.
func (c *Container) ActivationID() string {
	if c.activation == nil {
		return ""
	}
	return c.activation.record.ID
}
