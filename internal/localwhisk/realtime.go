package localwhisk

import "time"

// RealClock is the Clock of real time. The zero value is ready for use, by several goroutines.
type RealClock struct{}

// Now returns the present time.
func (RealClock) Now() time.Time { return time.Now() }

// AfterFunc calls f in a goroutine of its own when d has passed.
func (RealClock) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	return time.AfterFunc(d, f).Stop
}

// RealTimeConfig returns the configuration of a platform whose Backend does real work: there are no simulated delays and no stem cells.
func RealTimeConfig(memoryMB int) Config {
	return Config{
		MemoryMB:         memoryMB,
		FunctionMemoryMB: min(256, memoryMB),
		IdleTimeout:      10 * time.Minute,
		PauseGrace:       10 * time.Second,
		Init:             Delay{Min: time.Millisecond},
	}
}
