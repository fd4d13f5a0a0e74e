//go:build !unix

package controller

import "os"

// lock does nothing: this system has no such locks.
func lock(*os.File) error { return nil }
