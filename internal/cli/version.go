package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// module is the path of this module, which may be a dependency of the module of the program that runs.
const module = "github.com/tppfaas/tppfaas"

// Version returns the version of this module in the program that runs, from what the build noted: the module's version, or the revision of
// the checkout that the program was built from, with +dirty if that had changes; "devel" if nothing was noted.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	return VersionOf(info)
}

// VersionLine returns what a program prints for --version: its name, its version, the version of Go, and the platform.
func VersionLine(program string) string {
	return fmt.Sprintf("%s %s %s %s/%s", program, Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// VersionOf returns the version of this module in the program that the information is about, as Version does for the one that runs.
func VersionOf(info *debug.BuildInfo) string {
	for _, d := range info.Deps {
		switch {
		case d.Path == module && d.Replace != nil:
			return "devel"
		case d.Path == module:
			return d.Version
		}
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	version := "devel"
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && s.Value != "":
			version += "-" + s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			version += "+dirty"
		}
	}
	return version
}

// isVersion reports whether a line asks for nothing but the version.
func isVersion(args []string) bool {
	return len(args) == 1 && (args[0] == "-version" || args[0] == "--version")
}
