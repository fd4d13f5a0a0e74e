package prewarm

import "github.com/tppfaas/tppfaas/internal/idmap"

// Renewals carries out holds on a platform that can only renew the idle time of containers, see Platform.Renew: it says when which containers are to be renewed. The
// containers of a function are as good as each other, and an invocation cannot choose the one that it is run by. So if fewer of those that are idle are to be kept than there
// are, nothing is renewed, and the one whose time is over first goes; and if all are, all are renewed, by as many invocations that overlap. The zero value
// holds nothing.
type Renewals struct {
	until idmap.Map[ID, Time]
}

// Hold notes that a container is to be kept until a time. A later Hold replaces it.
func (r *Renewals) Hold(c ID, until Time) { r.until.Set(c, until) }

// End notes that a container is held no longer: it was used, or was removed.
func (r *Renewals) End(c ID) { r.until.Delete(c) }

// Removed is told that an idle container of a function was removed. If it was held, another one takes over for how long, if it is held for less.
func (r *Renewals) Removed(c ID, function int, fleet *Fleet) {
	until, ok := r.until.Get(c)
	if !ok {
		return
	}
	r.End(c)
	var least *Container
	shortest := until
	for _, k := range fleet.Containers(function, StateIdle) {
		if k.ID == c {
			continue
		}
		other, ok := r.until.Get(k.ID)
		if !ok {
			other = 0
		}
		if other < shortest {
			least, shortest = k, other
		}
	}
	if least != nil {
		r.Hold(least.ID, until)
	}
}

// Due reports whether the idle containers of a function, all of them, are to be renewed at a time, and if not, when that is to be looked at next if nothing happens.
func (r *Renewals) Due(function int, fleet *Fleet, at Time) (now bool, next Time) {
	if r.until.Len() == 0 || !fleet.Platform.Renews() {
		return false, Never
	}
	idle := fleet.Containers(function, StateIdle)
	ends, wanted := Never, 0
	for _, c := range idle {
		ends = min(ends, c.Since+fleet.Platform.IdleTimeout)
	}
	any := false
	for _, c := range idle {
		if until, ok := r.until.Get(c.ID); ok {
			any = true
			if until > ends+fleet.Platform.RenewLead() {
				wanted++
			}
		}
	}
	switch next := ends - fleet.Platform.RenewLead(); {
	case !any:
		return false, Never
	case wanted < len(idle): // the first one goes, and those that are left are looked at then
		return false, Never
	case next > at:
		return false, next
	}
	return true, Never
}
