//go:build unix && !linux

package chain

import "syscall"

func endsWithThread() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
