//go:build !unix

package controller

import "github.com/tppfaas/tppfaas/internal/errorfs"

func lockFile(errorfs.File) error { return nil }
