package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReport(t *testing.T) {
	if testing.Short() {
		t.Skip("forecasts much, which TestForecast does too")
	}
	page := filepath.Join(t.TempDir(), "report.html")
	status, stdout, stderr := command(t, "report", "../../../data/usage_daily.csv.gz", "-recommender", "krr", "-o", page)
	require.Equal(t, 0, status, stderr)
	require.Contains(t, stdout, "\ndaily: 1728 samples from 2026-01-05 00:00:00")
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(text), "<svg")
	status, stdout, stderr = command(t, "report", "../../../data/usage_daily.csv.gz", "-json")
	require.Equal(t, 0, status, stderr)
	require.Contains(t, stdout, `"recommender":"forecast","base":"krr","functions":[{"name":"daily"`)
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{nil, 2, "a file of usage is missing"},
		{[]string{"none.csv"}, 1, "none.csv"},
		{[]string{"x.csv", "-recommender", "none"}, 2, "it is one of forecast, krr"},
		{[]string{"x.csv", "-base", "none"}, 2, "it is one of forecast, krr"},
		{[]string{"x.csv", "-max-changes", "-1"}, 2, "must not be negative"},
		{[]string{"x.csv", "-o", filepath.Join(page, "x")}, 1, page},
	} {
		status, stdout, stderr := command(t, append([]string{"report"}, test.args...)...)
		require.Equal(t, test.status, status, "%v", test.args)
		require.Empty(t, stdout)
		require.Contains(t, stderr, test.want)
	}
	require.Equal(t, "qrcode", functionOf("/a/usage_qrcode.csv.gz"))
	require.Equal(t, "x", functionOf("x"))
}
