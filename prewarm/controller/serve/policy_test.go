package serve

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNewsvendorArguments reads what may follow newsvendor in a spec, as the laboratory does.
func TestNewsvendorArguments(t *testing.T) {
	for rest, want := range map[string]newsvendorOptions{
		"":                                {price: 2560},
		"640":                             {price: 640},
		"640:table":                       {price: 640, kind: "table"},
		":table":                          {price: 2560, kind: "table"},
		"640:waits=every":                 {price: 640, everyWait: true},
		"waits=every":                     {price: 2560, everyWait: true},
		"640:table:waits=request":         {price: 640, kind: "table"},
		"640:start=300":                   {price: 640, start: 300},
		"640:table:start=0.5:waits=every": {price: 640, start: 0.5, kind: "table", everyWait: true},
	} {
		o, err := newsvendorArguments(rest)
		require.NoError(t, err, rest)
		require.Equal(t, want, o, rest)
	}
	for rest, want := range map[string]string{
		"much":                `λ is "much", must be a number from 0 to below 1e9`,
		"-1":                  `λ is "-1", must be a number from 0 to below 1e9`,
		"640:waits=never":     `waits is "never", must be request or every`,
		"640:start=1e9":       `start is "1e9", must be a number from 0 to below 1e9`,
		"start=1:start=2":     `start is given twice`,
		"waits=every:waits=x": `waits is given twice`,
		"640:start=-1":        `start is "-1", must be a number from 0 to below 1e9`,
		"640:table:more":      `there is no argument for "more"`,
	} {
		_, err := newsvendorArguments(rest)
		require.ErrorContains(t, err, want)
	}
}
