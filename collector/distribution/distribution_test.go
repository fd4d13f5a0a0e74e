package distribution

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/otelcol"

	"github.com/tppfaas/tppfaas/internal/cli"
)

// TestBuiltinConfiguration checks that the pipelines of the default configuration can be built, as it is and for another platform.
func TestBuiltinConfiguration(t *testing.T) {
	t.Setenv("TPPFAAS_STATE", t.TempDir())
	elsewhere := []string{Builtin, "yaml:processors::openwhisk::endpoint: https://openwhisk.example.com"}
	for _, key := range []string{"", "user:password"} {
		t.Setenv("OW_AUTH", key)
		for _, from := range [][]string{nil, elsewhere} {
			c, err := otelcol.NewCollector(Settings(from...))
			require.NoError(t, err)
			err = c.DryRun(t.Context())
			if key == "" && from != nil {
				require.ErrorContains(t, err, "key: the key of OpenWhisk is missing", "no key that is known here is sent elsewhere")
				continue
			}
			require.NoError(t, err)
		}
	}
}

// TestVersion checks that the collector reports the same version in its spans, metrics and logs as for --version.
func TestVersion(t *testing.T) {
	require.Equal(t, cli.Version(), Settings().BuildInfo.Version)
}

// TestWrongConfiguration checks that errors name what is wrong.
func TestWrongConfiguration(t *testing.T) {
	for want, from := range map[string]string{
		"endpoint: \"ftp://x\": the scheme ftp is neither http nor https": "yaml:processors::openwhisk::endpoint: ftp://x",
		"host and endpoint are the same setting: give only endpoint":      "yaml:processors::openwhisk::host: https://openwhisk.example.com",
		"on_missing: \"lose\" is neither pass_on nor drop":                "yaml:processors::openwhisk::on_missing: lose",
		"'processors' unknown type: \"opnwhisk\"":                         "yaml:processors::opnwhisk::host: x",
		"invalid keys: hots": "yaml:processors::openwhisk::hots: x",
		"there is no configuration builtin:cluster; there are builtin:local, builtin:prewarm and builtin:kafka": "builtin:cluster",
	} {
		c, err := otelcol.NewCollector(Settings(Builtin, from))
		require.NoError(t, err)
		require.ErrorContains(t, c.DryRun(t.Context()), want)
	}
}
