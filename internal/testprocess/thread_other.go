//go:build !linux

package testprocess

import "syscall"

// killedWithThread makes the kernel kill a child process when the thread that started it ends, which only Linux can do.
func killedWithThread() *syscall.SysProcAttr { return nil }
