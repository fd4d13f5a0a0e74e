package lab

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/apps"
)

func parsed(t *testing.T, spec string) *application {
	t.Helper()
	app, err := parseApplication(spec)
	require.NoError(t, err)
	return app
}

// TestApplicationsAreValid checks that every application that is known by name can be drawn from.
func TestApplicationsAreValid(t *testing.T) {
	for _, name := range Applications() {
		app := parsed(t, name)
		require.NoError(t, app.Validate(), name)
		require.Equal(t, name, app.Name)
		d, err := app.newDrawer(1, false)
		require.NoError(t, err)
		require.NotEmpty(t, d.next())
	}
	require.Subset(t, Applications(), []string{"branch", "checkout", "long", "memory", "sequence"})
}

// TestDurationsOfTheProtocol checks the applications of this package against the durations that the protocol gives them.
func TestDurationsOfTheProtocol(t *testing.T) {
	for name, want := range map[string]map[string]int{
		"branch": {"main": 0, "f1": 300, "f2": 2500, "a1": 400, "a2": 400, "a3": 400, "a4": 300, "b1": 400, "b2": 400, "b3": 400, "b4": 300},
		"memory": {"main": 0, "x": 50, "a0": 50, "b0": 50, "s1": 1500, "s2": 1500, "a1": 400, "a2": 400, "a3": 300, "b1": 400, "b2": 400, "b3": 300},
		"long":   {"main": 0, "f1": 5000, "f2": 5000, "f3": 5000, "f4": 5000, "f5": 5000, "f6": 5000},
	} {
		app := parsed(t, name)
		got := map[string]int{}
		for _, f := range app.Functions {
			got[f.Name] = int(f.Duration.Milliseconds())
			if f.Name != apps.Main {
				require.InDelta(t, float64(f.Duration.Milliseconds()), f.Gamma.Mean(), 1e-9)
				require.EqualValues(t, 30, f.Gamma.Shape)
			}
		}
		require.Equal(t, want, got, name)
	}
}

// called returns the names of the functions of a request.
func called(app *application, calls []apps.Call) []string {
	var names []string
	for _, c := range calls {
		names = append(names, app.Functions[c.Function].Name)
	}
	return names
}

// TestSecondBranchFollowsFirst checks that in 95 of 100 requests of memory the second branch is that of the first, and that each is taken by
// half of them.
func TestSecondBranchFollowsFirst(t *testing.T) {
	app := parsed(t, "memory")
	d, err := app.newDrawer(1, false)
	require.NoError(t, err)
	const n = 4000
	same, first := 0, 0
	for range n {
		names := called(app, d.next())
		require.Len(t, names, 8) // main, x, s1, one of a0 and b0, s2, and three of a branch
		a0, a1 := slices.Contains(names, "a0"), slices.Contains(names, "a1")
		require.NotEqual(t, a0, slices.Contains(names, "b0"))
		require.NotEqual(t, a1, slices.Contains(names, "b1"))
		require.Equal(t, a1, slices.Contains(names, "a3"))
		if a0 {
			first++
		}
		if a0 == a1 {
			same++
		}
	}
	require.InDelta(t, 0.5, float64(first)/n, 0.03)
	require.InDelta(t, 0.95, float64(same)/n, 0.015)
}

// TestSizes checks that a factor multiplies all durations of a request, that it is log-normal, and that nothing else is drawn differently.
func TestSizes(t *testing.T) {
	plain, err := parsed(t, "branch").newDrawer(3, false)
	require.NoError(t, err)
	sized, err := parsed(t, "branch~0.6").newDrawer(3, false)
	require.NoError(t, err)
	var sum, squares float64
	const n = 2000
	for range n {
		a, b := plain.next(), sized.next()
		require.Equal(t, len(a), len(b))
		factor := float64(b[1].Sleep) / float64(a[1].Sleep)
		for i := range a {
			require.Equal(t, a[i].Function, b[i].Function)
			if i > 0 { // main does not sleep
				require.InEpsilon(t, factor*float64(a[i].Sleep), float64(b[i].Sleep), 1e-6)
			}
		}
		sum += math.Log(factor)
		squares += math.Log(factor) * math.Log(factor)
	}
	require.InDelta(t, 0, sum/n, 0.05)
	require.InDelta(t, 0.6, math.Sqrt(squares/n), 0.03)
}

// TestFixedDurations checks that functions then work for their durations.
func TestFixedDurations(t *testing.T) {
	d, err := parsed(t, "long").newDrawer(1, true)
	require.NoError(t, err)
	for _, c := range d.next()[1:] {
		require.Equal(t, 5*time.Second, c.Sleep)
	}
}

// TestWrongApplications checks the messages for what is no application.
func TestWrongApplications(t *testing.T) {
	for spec, message := range map[string]string{
		"nothing":               `application "nothing": no such folder, and not one of branch, checkout, `,
		"sequence~":             `the spread of sizes behind ~ must be a number from 0 to 3, not ""`,
		"sequence~4":            `not "4"`,
		"sequence~NaN":          `not "NaN"`,
		"sequence+sequence":     "application sequence is named twice",
		"sequence+sequence~0.5": "application sequence is named twice",
		"":                      `application ""`,
		"sequence+":             `application ""`,
	} {
		_, err := parseApplications(spec)
		require.ErrorContains(t, err, message, spec)
	}
}
