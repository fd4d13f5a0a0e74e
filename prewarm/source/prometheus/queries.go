package prometheus

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Queries are what is asked, in PromQL; an empty one is not. Each results in a vector whose series have the name of a function in the label Label. Series of
// one function are added up.
type Queries struct {
	// Label is the label that names the function. Cut is what its value has behind the name, if it has it, from its first byte on: "." for f1.openfaas-fn.
	Label, Cut string
	// Arrived, Ended, Failed and Refused are counters of invocations, CPU is one of seconds. They must not be summed in PromQL: a series that begins anew
	// at 0 is told apart here.
	Arrived, Ended, Failed, Refused, CPU string
	// InFlight, Queued, Replicas and Ready are gauges.
	InFlight, Queued, Replicas, Ready string
}

// quantity is one of the things that are asked for.
type quantity int

const (
	arrived quantity = iota
	ended
	failed
	refused
	cpu
	inFlight
	queued
	replicas
	ready
	quantities
)

// firstGauge is the first quantity that is no counter.
const firstGauge = inFlight

// String returns the name that errors have for a quantity.
func (q quantity) String() string {
	return [...]string{"arrived", "ended", "failed", "refused", "cpu", "in flight", "queued", "replicas", "ready"}[q]
}

// texts returns the queries by quantity.
func (q *Queries) texts() [quantities]string {
	return [...]string{q.Arrived, q.Ended, q.Failed, q.Refused, q.CPU, q.InFlight, q.Queued, q.Replicas, q.Ready}
}

// name returns the name of the function that a label's value says.
func (q *Queries) name(value string) string {
	if q.Cut != "" {
		value, _, _ = strings.Cut(value, q.Cut)
	}
	return value
}

// fresh is how old a gauge may be. Prometheus gives one for five minutes after whoever had it is gone.
const fresh = "1m"

// OpenFaaS returns the queries for the functions in a namespace of OpenFaaS, by its gateway's metrics; "" stands for all namespaces. Ready and InFlight and CPU
// are known of OpenFaaS Pro alone.
//
// The names and labels of the community edition are those of its gateway (openfaas/faas, gateway/metrics/metrics.go, exporter.go and handlers/notifiers.go): both
// counters and gateway_service_count have function_name, which is NAME.NAMESPACE; a run counts as started when the gateway passes it on, and in the total when it is
// answered, by its HTTP status code. Those that only Pro has are not public: their names, and that of pod_cpu_usage_seconds_total, are as in the documentation.
func OpenFaaS(namespace string) Queries {
	in := func(more string) string {
		var matchers []string
		if namespace != "" {
			matchers = append(matchers, "function_name=~"+strconv.Quote(`.+\.`+regexp.QuoteMeta(namespace)))
		}
		if more != "" {
			matchers = append(matchers, more)
		}
		return "{" + strings.Join(matchers, ",") + "}"
	}
	own := "{}"
	if namespace != "" {
		own = "{namespace=" + strconv.Quote(namespace) + "}"
	}
	return Queries{
		Label: "function_name", Cut: ".",
		Arrived:  "gateway_function_invocation_started" + in(""),
		Ended:    "gateway_function_invocation_total" + in(`code!="429"`),
		Failed:   "gateway_function_invocation_total" + in(`code=~"5.."`),
		Refused:  "gateway_function_invocation_total" + in(`code="429"`),
		CPU:      "pod_cpu_usage_seconds_total" + own,
		InFlight: gauge("gateway_function_invocation_inflight" + in("")),
		Replicas: gauge("gateway_service_count" + in("")),
		Ready:    gauge("gateway_service_ready_count" + in("")),
	}
}

// Knative returns the queries for the services in a namespace of Knative, by the metrics of its queue proxies and its autoscaler under the names that they had
// before OpenTelemetry (v1.18 and before); "" stands for all namespaces.
func Knative(namespace string) Queries {
	in := func(more string) string {
		var matchers []string
		if namespace != "" {
			matchers = append(matchers, "namespace_name="+strconv.Quote(namespace))
		}
		if more != "" {
			matchers = append(matchers, more)
		}
		return "{" + strings.Join(matchers, ",") + "}"
	}
	return Queries{
		Label:    "configuration_name",
		Arrived:  "revision_request_count" + in(""),
		Ended:    "revision_app_request_count" + in(""),
		Failed:   "revision_app_request_count" + in(`response_code_class="5xx"`),
		Queued:   gauge("revision_queue_depth" + in("")),
		Replicas: gauge("autoscaler_requested_pods" + in("")),
		Ready:    gauge("autoscaler_actual_pods" + in("")),
	}
}

// gauge returns the query for the values of a gauge that are fresh.
func gauge(selector string) string { return fmt.Sprintf("last_over_time(%s[%s])", selector, fresh) }
