package distribution

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/otelcol"
)

// TestKafkaConfiguration checks that the pipelines to Kafka, and from it, can be built: as they are, with several brokers, TLS, and a user.
func TestKafkaConfiguration(t *testing.T) {
	t.Setenv("TPPFAAS_STATE", t.TempDir())
	t.Setenv("OW_AUTH", "user:password")
	sasl := "yaml:exporters::kafka::auth::sasl: {mechanism: SCRAM-SHA-512, username: u, password: p}"
	for _, test := range []struct {
		name string
		env  map[string]string
		more []string
		want string // in the error; "" for none
	}{
		{name: "as it is"},
		{name: "elsewhere", env: map[string]string{"TPPFAAS_KAFKA": "kafka-1:9092,kafka-2:9092", "TPPFAAS_KAFKA_INSECURE": "false"}, more: []string{sasl}},
		{name: "from Kafka", more: []string{
			"yaml:receivers::kafka: {brokers: [127.0.0.1:9092], traces: {topics: [otlp_spans]}}", "yaml:service::pipelines::traces::receivers: [otlp, kafka]",
		}},
		{name: "misspelt", more: []string{"yaml:exporters::kafka::broker: x"}, want: "invalid keys: broker"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			c, err := otelcol.NewCollector(Settings(append([]string{Builtin, BuiltinKafka}, test.more...)...))
			require.NoError(t, err)
			err = c.DryRun(t.Context())
			if test.want != "" {
				require.ErrorContains(t, err, test.want)
				return
			}
			require.NoError(t, err)
		})
	}
}
