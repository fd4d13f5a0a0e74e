package source

import (
	"strings"
	"time"
)

// OpenWhiskClock is the Clock of what OpenWhisk's records say.
const OpenWhiskClock = "openwhisk"

// FirstTime is the earliest time that is taken for one: what is before counts seconds for milliseconds, or nothing at all.
var FirstTime = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)

// MaxText bounds ids and names in an observation, in bytes. They are remembered as long as a request is in flight.
const MaxText = 256

// FunctionName returns the name of a function without namespace and package: f1 of /guest/shop/f1.
func FunctionName(name string) string {
	name = strings.TrimRight(name, "/")
	return name[strings.LastIndexByte(name, '/')+1:]
}
