//go:build !linux

package kafkatest

import "syscall"

// killedWithThread makes the kernel kill a child process when the thread that started it ends, which only Linux can do.
func killedWithThread() *syscall.SysProcAttr { return nil }
