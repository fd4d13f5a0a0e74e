package report

import "fmt"

// count returns a number of things with their name, such as 1 trace or 2 traces.
func count(n int, name string) string { return fmt.Sprintf("%d %s", n, plural(n, name)) }

// plural returns the name of one thing, or of several.
func plural(n int, name string) string {
	if n == 1 {
		return name
	}
	return name + "s"
}

// verb returns one of two forms of a verb, for one thing or several.
func verb(n int, one, several string) string {
	if n == 1 {
		return one
	}
	return several
}
