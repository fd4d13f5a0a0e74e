package container

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSkeletonOutcome checks the outcomes of the last lines of actions in the docker skeleton; those with an asterisk were recorded on an OpenWhisk.
func TestSkeletonOutcome(t *testing.T) {
	for _, x := range []struct {
		line, result string
		kind         OutcomeKind
		size         int
	}{
		{`{"a":1,"a":2}`, `{"a":2}`, Success, 8},                     // *
		{`null`, `{"error":"` + noObject + `"}`, DeveloperError, 61}, // *
		{`{"i":9007199254740993,"f":1.0,"e":1e400,"n":-0,"big":123456789012345678901234567890,"x":1.10}`, // *
			`{"error":"The action did not produce a valid JSON or JSON Array response: {\"big\":123456789012345678901234567890,\"e\":Infinity,\"f\":1.0,\"i\":9007199254740993,\"n\":0,\"x\":1.1}\n"}`, DeveloperError, 95},
		{` { "b" : [1, 2.50, 1e16, 1e-5, -1.5e300, 0.0001, 123456789.125 ], "a":"ä😀\n\u007f" } `, `{"a":"\u00e4\ud83d\ude00\n\u007f","b":[1,2.5,1e+16,1e-05,-1.5e+300,0.0001,123456789.125]}`, Success, 90},
		{`{"error":{"x" : true}}`, `{"error":{"x":true}}`, ApplicationError, 21},
		{`[ null, {} ]`, `[null,{}]`, Success, 10},
		{`"x"`, `{"error":"` + noObject + `"}`, DeveloperError, 61},
		{``, `{"error":"` + noObject + `"}`, DeveloperError, 61},
	} {
		o := skeletonOutcome([]byte(x.line), len(x.line)+1)
		require.Equal(t, x.result, string(o.Result), x.line)
		require.Equal(t, x.kind, o.Kind, x.line)
		require.Equal(t, x.size, o.Size, x.line)
	}
}
