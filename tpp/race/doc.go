// Package race models sequences in which each event makes others due: an invocation that was made must come, and the next
// event is whichever of those that are pending wins the race.
package race
