package deploy

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// peer is a pod that opens a connection.
type peer struct {
	namespace string
	labels    map[string]string
}

// admits reports whether the policies let a peer open a connection to a port of the owner's pods. A pod that no policy selects admits all.
func admits(t *testing.T, objects []object, from peer, owner string, port int32) bool {
	t.Helper()
	p := pods(objects)[owner]
	isolated := false
	for _, o := range objects {
		v, ok := o.value.(*networking.NetworkPolicy)
		if !ok || !matches(v.Spec.PodSelector.MatchLabels, p.Labels) {
			continue
		}
		require.Equal(t, []networking.PolicyType{networking.PolicyTypeIngress}, v.Spec.PolicyTypes, v.Name)
		isolated = true
		for _, rule := range v.Spec.Ingress {
			require.NotEmpty(t, rule.Ports, "%s: a rule without ports admits to all", v.Name)
			require.NotEmpty(t, rule.From, "%s: a rule without peers admits everyone, from outside of the cluster too", v.Name)
			open := false
			for _, q := range rule.Ports {
				number, ok := portOf(p, *q.Port)
				require.True(t, ok, "%s: the pods have no port %v", v.Name, q.Port)
				open = open || number == port
			}
			for _, f := range rule.From {
				if open && of(t, f, v.Namespace, from) {
					return true
				}
			}
		}
	}
	return !isolated
}

// of reports whether a peer is one of those that a policy in the namespace means.
func of(t *testing.T, f networking.NetworkPolicyPeer, namespace string, from peer) bool {
	t.Helper()
	require.Nil(t, f.IPBlock)
	if f.NamespaceSelector == nil {
		require.NotNil(t, f.PodSelector)
		if from.namespace != namespace {
			return false
		}
	} else if m := f.NamespaceSelector.MatchLabels; len(m) > 0 && !matches(m, map[string]string{"kubernetes.io/metadata.name": from.namespace}) {
		return false
	}
	return f.PodSelector == nil || matches(f.PodSelector.MatchLabels, from.labels)
}

// TestNetworkPolicies checks for every port of every pod who may open a connection to it: those who have to, and nobody else.
func TestNetworkPolicies(t *testing.T) {
	for name, objects := range sets(t) {
		t.Run(name, func(t *testing.T) {
			peers := map[string]peer{
				"function":   {namespace: functions(t, objects), labels: map[string]string{"name": "a-function"}},
				"prometheus": {namespace: "monitoring", labels: map[string]string{"app.kubernetes.io/name": "prometheus"}},
				"reader":     {namespace: "elsewhere", labels: map[string]string{"zipkin-client": "true"}},
				"stranger":   {namespace: "elsewhere", labels: map[string]string{"app.kubernetes.io/name": "collector"}},
			}
			for owner, p := range pods(objects) {
				peers[owner] = peer{namespace: customization(t).Namespace, labels: p.Labels}
			}
			may := map[string]map[string]bool{ // who may use a port that is not for everyone
				"collector-front otlp-grpc": {"function": true},
				"collector-front otlp-http": {"function": true},
				"collector otlp-grpc":       {"collector-front": true},
				"zipkin http":               {"collector": true, "reader": true},
				"elasticsearch http":        {"zipkin": true},
			}
			seen := map[string]bool{}
			for owner, p := range pods(objects) {
				for _, port := range p.Spec.Containers[0].Ports {
					where := owner + " " + port.Name
					seen[where] = true
					for who, from := range peers {
						// The probes of the kubelet need no rule.
						want := port.Name == "metrics" || port.Name != "health" && may[where][who]
						require.Equal(t, want, admits(t, objects, from, owner, port.ContainerPort), "%s to %s", who, where)
					}
				}
			}
			for where := range may {
				require.True(t, seen[where] || strings.HasPrefix(where, "elasticsearch"), where)
			}
		})
	}
	// Both Zipkins have the same policy.
	policies := map[string]any{}
	for _, file := range []string{"zipkin.yaml", "zipkin-elasticsearch.yaml"} {
		for _, o := range read(t, file) {
			if o.kind == "NetworkPolicy" && o.meta.Name == "zipkin" {
				policies[file] = o.value
			}
		}
	}
	require.Len(t, policies, 2)
	require.Equal(t, policies["zipkin.yaml"], policies["zipkin-elasticsearch.yaml"])
}

// functions returns the namespace of OpenWhisk, which the address of its API names.
func functions(t *testing.T, objects []object) string {
	t.Helper()
	u, err := url.Parse(environment(pods(objects)["collector"])["OW_APIHOST"])
	require.NoError(t, err)
	parts := strings.Split(u.Hostname(), ".")
	require.Equal(t, "svc.cluster.local", strings.Join(parts[2:], "."))
	return parts[1]
}

// environment returns the variables of the first container of a pod.
func environment(p core.PodTemplateSpec) map[string]string {
	m := map[string]string{}
	for _, e := range p.Spec.Containers[0].Env {
		m[e.Name] = e.Value
	}
	return m
}

// TestAddresses checks that every address in the pods' configurations and environments is one of a Service with that port, whose pods
// admit the sender.
func TestAddresses(t *testing.T) {
	for _, objects := range sets(t) {
		calls := [][3]string{} // from, host, port
		front := configuration(t, objects, "collector-front")
		dns := at(t, front, "exporters", "load_balancing", "resolver", "dns").(map[string]any)
		calls = append(calls, [3]string{"collector-front", dns["hostname"].(string), dns["port"].(string)})
		zipkin, err := url.Parse(at(t, configuration(t, objects, "collector"), "exporters", "zipkin", "endpoint").(string))
		require.NoError(t, err)
		calls = append(calls, [3]string{"collector", zipkin.Hostname(), zipkin.Port()})
		if hosts := environment(pods(objects)["zipkin"])["ES_HOSTS"]; hosts != "" {
			u, err := url.Parse(hosts)
			require.NoError(t, err)
			calls = append(calls, [3]string{"zipkin", u.Hostname(), u.Port()})
		}
		for _, call := range calls {
			host, qualified := strings.CutSuffix(call[1], "."+customization(t).Namespace+".svc.cluster.local")
			require.True(t, qualified || !strings.Contains(host, "."), host)
			found := false
			for _, o := range objects {
				v, ok := o.value.(*core.Service)
				if !ok || v.Name != host {
					continue
				}
				found = true
				owner, p := selected(t, objects, v.Spec.Selector)
				port, ok := portOf(p, intstr.Parse(call[2]))
				require.True(t, ok, call)
				from := peer{namespace: v.Namespace, labels: pods(objects)[call[0]].Labels}
				require.True(t, admits(t, objects, from, owner, port), call)
				if call[0] == "collector-front" {
					require.Equal(t, core.ClusterIPNone, v.Spec.ClusterIP, "a name for one address of all collectors cannot be balanced")
				}
			}
			require.True(t, found, "no service %s", call[1])
		}
	}
}
