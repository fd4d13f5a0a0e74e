package serve

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNewsvendorArguments reads what may follow newsvendor in a spec, as the laboratory does.
func TestNewsvendorArguments(t *testing.T) {
	for _, tt := range []struct {
		rest  string
		price float64
		kind  string
		every bool
	}{
		{"", 2560, "", false}, {"640", 640, "", false}, {"640:table", 640, "table", false}, {":table", 2560, "table", false},
		{"640:waits=every", 640, "", true}, {"waits=every", 2560, "", true}, {"640:table:waits=request", 640, "table", false},
	} {
		price, kind, every, err := newsvendorArguments(tt.rest)
		require.NoError(t, err, tt.rest)
		require.Equal(t, tt, struct {
			rest  string
			price float64
			kind  string
			every bool
		}{tt.rest, price, kind, every})
	}
	for rest, want := range map[string]string{
		"much":            `λ is "much", must be a number that is not negative`,
		"-1":              `λ is "-1", must be a number that is not negative`,
		"640:waits=never": `waits is "never", must be request or every`,
		"640:table:more":  `there is no argument for "more"`,
	} {
		_, _, _, err := newsvendorArguments(rest)
		require.ErrorContains(t, err, want)
	}
}
