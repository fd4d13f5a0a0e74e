package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Version returns the version of the program that runs, from what the build noted: the module's version, or the revision of the
// checkout that it was built from, with +dirty if that had changes; "devel" if nothing was noted.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	return versionOf(info)
}

// VersionLine returns what a program prints for --version: its name, its version, the version of Go, and the platform.
func VersionLine(program string) string {
	return fmt.Sprintf("%s %s %s %s/%s", program, Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func versionOf(info *debug.BuildInfo) string {
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
