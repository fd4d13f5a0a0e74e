// Package install has no code: its test installs every command with go install, as users do, from a module proxy of this checkout.
package install
