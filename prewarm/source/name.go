package source

import "strings"

// MaxText bounds ids and names in an observation, in bytes. They are remembered as long as a request is in flight.
const MaxText = 256

// FunctionName returns the name of a function without namespace and package: f1 of /guest/shop/f1.
func FunctionName(name string) string {
	name = strings.TrimRight(name, "/")
	return name[strings.LastIndexByte(name, '/')+1:]
}
