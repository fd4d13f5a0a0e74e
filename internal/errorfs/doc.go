// Package errorfs has the few file operations of code that must not lose data, so that tests can let any one of them fail.
//
// Code takes an FS, which is OS outside of tests. A test runs it once over a Faulty that fails nothing, to count its operations, and then
// once for each of them:
//
//	for n := 1; n <= operations; n++ {
//		fs := errorfs.Fail(errorfs.OS{}, n, syscall.ENOSPC)
//		…
//	}
//
// Over a Volatile file system, FailFrom is the end of the process, and Crash that of the machine.
package errorfs
