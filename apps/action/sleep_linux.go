package action

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// sleep returns when d has passed, or the context's error. It uses a timer file descriptor of Linux, which is precise: Go's runtime waits for
// its timers in epoll_wait, in whole milliseconds and with a slack of a thousandth of the time.
func sleep(ctx context.Context, d time.Duration) error {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return timerSleep(ctx, d)
	}
	timer := os.NewFile(uintptr(fd), "timer")
	defer timer.Close()
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}, nil); err != nil {
		return timerSleep(ctx, d)
	}
	stop := context.AfterFunc(ctx, func() { _ = timer.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	begin := time.Now()
	var expired [8]byte
	if _, err := timer.Read(expired[:]); err != nil && ctx.Err() == nil {
		return timerSleep(ctx, d-time.Since(begin)) // the runtime cannot wait for it
	}
	return ctx.Err()
}
