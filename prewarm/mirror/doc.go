// Package mirror keeps a model of a platform's containers from what is observed of invocations, and turns observations, which come late, twice or
// not at all, into events in the order of time that a [prewarm.Fleet] and a policy understand.
package mirror
