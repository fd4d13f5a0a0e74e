package rest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/apache/openwhisk-client-go/whisk"
)

// wskClient returns a client of the library that wsk uses. It needs its own http.Client, and must not be used by several goroutines.
func wskClient(t *testing.T, s *Server) *whisk.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	base, err := url.Parse(s.URL() + "/api")
	if err != nil {
		t.Fatal(err)
	}
	c, err := whisk.NewClient(&http.Client{Transport: transport}, &whisk.Config{
		AuthToken: s.Auth(), Namespace: "_", BaseURL: base, Version: "v1", Host: s.URL(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestClientGo uses every call of openwhisk-client-go.
func TestClientGo(t *testing.T) {
	server := serve(t, Options{})
	wsk := wskClient(t, server.server)
	ok := func(r *http.Response, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if r == nil || r.StatusCode/100 != 2 {
			t.Fatalf("answer %+v", r)
		}
	}
	refused := func(status int, text string, r *http.Response, err error) {
		t.Helper()
		if r == nil || r.StatusCode != status || err == nil || !strings.Contains(err.Error(), text) {
			t.Fatalf("answer %+v, error %v, want %d, %s", r, err, status, text)
		}
	}
	// A blocking invocation is answered before its record is stored.
	stored := func(r *http.Response) { t.Helper(); server.record(r.Header.Get("X-Openwhisk-Activation-Id")) }
	yes, code := true, "UEsDBBQA"
	value := func(key string, v any) whisk.KeyValueArr { return whisk.KeyValueArr{{Key: key, Value: v}} }

	info, r, err := wsk.Info.Get()
	if ok(r, err); info.BuildNo != "standalone" {
		t.Errorf("info %+v", info)
	}

	// Actions.
	action := &whisk.Action{
		Name: "hello", Exec: &whisk.Exec{Kind: "go:default", Code: &code, Binary: &yes}, Parameters: value("name", "all"),
		Annotations: value("note", "n"), Limits: &whisk.Limits{Timeout: new(5000), Memory: new(128)},
	}
	inserted, r, err := wsk.Actions.Insert(action, false)
	if ok(r, err); inserted.Version != "0.0.1" || inserted.Exec.Kind != "go:1.20" || *inserted.Limits.Timeout != 5000 || *inserted.Limits.Logsize != 10 {
		t.Errorf("inserted %+v", inserted)
	}
	_, r, err = wsk.Actions.Insert(action, false)
	refused(http.StatusConflict, "resource already exists", r, err)
	inserted, r, err = wsk.Actions.Insert(&whisk.Action{Name: "hello", DelAnnotations: []string{"note"}}, true)
	if ok(r, err); inserted.Version != "0.0.2" || inserted.Annotations.GetValue("note") != nil || inserted.Parameters.GetValue("name") != "all" {
		t.Errorf("updated %+v", inserted)
	}
	got, r, err := wsk.Actions.Get("hello", false)
	if ok(r, err); got.Exec.Code != nil || got.Exec.Binary == nil || !*got.Exec.Binary {
		t.Errorf("got without code %+v", got.Exec)
	}
	got, r, err = wsk.Actions.Get("hello", true)
	if ok(r, err); got.Exec.Code == nil || *got.Exec.Code != code {
		t.Errorf("got with code %+v", got.Exec)
	}
	actions, r, err := wsk.Actions.List("", &whisk.ActionListOptions{Limit: 30})
	if ok(r, err); len(actions) != 1 || actions[0].Name != "hello" || actions[0].Namespace != "guest" {
		t.Errorf("listed %+v", actions)
	}

	// Invocations, and their records.
	result, r, err := wsk.Actions.Invoke("hello", map[string]any{"x": 1}, true, true)
	if ok(r, err); result.(map[string]any)["greeting"] != "Hello, all!" {
		t.Errorf("result %v", result)
	}
	stored(r)
	answer, r, err := wsk.Actions.Invoke("hello", nil, true, false)
	if ok(r, err); answer.(map[string]any)["response"].(map[string]any)["success"] != true {
		t.Errorf("answer %v", answer)
	}
	stored(r)
	_, r, err = wsk.Actions.Invoke("hello", map[string]any{"mode": "error"}, true, true)
	refused(http.StatusBadGateway, "", r, err)
	stored(r)
	answer, r, err = wsk.Actions.Invoke("hello", nil, false, false)
	ok(r, err)
	id, _ := answer.(map[string]any)["activationId"].(string)
	server.record(id)
	activation, r, err := wsk.Activations.Get(id)
	if ok(r, err); activation.Name != "hello" || activation.Start == 0 || activation.Version != "0.0.2" || !activation.Success {
		t.Errorf("activation %+v", activation)
	}
	logs, r, err := wsk.Activations.Logs(id)
	if ok(r, err); len(logs.Logs) != 1 || !strings.HasSuffix(logs.Logs[0], "stdout: Hello log all") {
		t.Errorf("logs %q", logs.Logs)
	}
	response, r, err := wsk.Activations.Result(id)
	if ok(r, err); response.Status != "success" || !response.Success {
		t.Errorf("response %+v", response)
	}
	_, r, err = wsk.Activations.Get(strings.Repeat("0", 32))
	refused(http.StatusNotFound, "does not exist", r, err)
	activations, r, err := wsk.Activations.List(&whisk.ActivationListOptions{Name: "hello", Limit: 10, Docs: true})
	if ok(r, err); len(activations) != 4 || activations[0].ActivationID != id || activations[0].Response.Result == nil {
		t.Errorf("activations %+v", activations)
	}
	count, r, err := wsk.Activations.Count(&whisk.ActivationCountOptions{Count: true, Since: activation.Start})
	if ok(r, err); count.Activations < 1 || count.Activations > 4 {
		t.Errorf("count %+v", count)
	}

	// Packages and bindings.
	_, r, err = wsk.Packages.Insert(&whisk.Package{Name: "p", Publish: &yes, Parameters: value("a", 1)}, false)
	ok(r, err)
	_, r, err = wsk.Packages.Insert(&whisk.BindingPackage{Name: "b", Parameters: value("b", 2), Binding: whisk.Binding{Namespace: "_", Name: "p"}}, false)
	ok(r, err)
	_, r, err = wsk.Actions.Insert(&whisk.Action{Name: "p/act", Exec: &whisk.Exec{Kind: "go:1.20", Code: &code}}, true)
	ok(r, err)
	binding, r, err := wsk.Packages.Get("b")
	if ok(r, err); len(binding.Actions) != 1 || binding.Binding.Name != "p" || fmt.Sprintf("%v %v", binding.Parameters.GetValue("a"), binding.Parameters.GetValue("b")) != "1 2" {
		t.Errorf("binding %+v", binding)
	}
	inPackage, r, err := wsk.Actions.List("b", &whisk.ActionListOptions{Limit: 30})
	if ok(r, err); len(inPackage) != 1 || inPackage[0].Namespace != "guest/p" {
		t.Errorf("in the package %+v", inPackage)
	}
	packages, r, err := wsk.Packages.List(&whisk.PackageListOptions{Limit: 30})
	if ok(r, err); len(packages) != 2 || packages[0].Name != "b" {
		t.Errorf("packages %+v", packages)
	}
	_, r, err = wsk.Packages.Refresh()
	refused(http.StatusNotFound, "The requested resource could not be found.", r, err)
	r, err = wsk.Packages.Delete("p")
	refused(http.StatusConflict, "Package not empty (contains 1 entity)", r, err)
	r, err = wsk.Actions.Delete("p/act")
	ok(r, err)
	for _, name := range []string{"b", "p"} {
		r, err = wsk.Packages.Delete(name)
		ok(r, err)
	}

	// Triggers and rules.
	trigger, r, err := wsk.Triggers.Insert(&whisk.Trigger{Name: "t", Parameters: value("t1", "v1")}, false)
	if ok(r, err); trigger.Version != "0.0.1" {
		t.Errorf("trigger %+v", trigger)
	}
	fired, r, err := wsk.Triggers.Fire("t", nil)
	if ok(r, err); r.StatusCode != http.StatusNoContent || fired.ActivationId != "" {
		t.Errorf("fired without a rule %+v", fired)
	}
	rule, r, err := wsk.Rules.Insert(&whisk.Rule{Name: "r", Trigger: "/_/t", Action: "/_/hello"}, false)
	if ok(r, err); rule.Status != "active" {
		t.Errorf("rule %+v", rule)
	}
	trigger, r, err = wsk.Triggers.Get("t")
	if ok(r, err); len(trigger.Rules) != 1 {
		t.Errorf("trigger %+v", trigger)
	}
	fired, r, err = wsk.Triggers.Fire("t", map[string]any{"y": 2})
	ok(r, err)
	if ruleResult := server.record(fired.ActivationId); len(ruleResult.Logs) != 1 || !strings.Contains(ruleResult.Logs[0], `"rule":"guest/r"`) {
		t.Errorf("fired %+v", ruleResult)
	}
	_, r, err = wsk.Rules.SetState("r", "inactive")
	ok(r, err)
	rule, r, err = wsk.Rules.Get("r")
	if ok(r, err); rule.Status != "inactive" {
		t.Errorf("rule %+v", rule)
	}
	rules, r, err := wsk.Rules.List(&whisk.RuleListOptions{Limit: 30})
	if ok(r, err); len(rules) != 1 || rules[0].Name != "r" {
		t.Errorf("rules %+v", rules)
	}
	triggers, r, err := wsk.Triggers.List(&whisk.TriggerListOptions{Limit: 30})
	if ok(r, err); len(triggers) != 1 || triggers[0].Name != "t" {
		t.Errorf("triggers %+v", triggers)
	}
	r, err = wsk.Rules.Delete("r")
	ok(r, err)
	_, r, err = wsk.Triggers.Delete("t")
	ok(r, err)
	r, err = wsk.Actions.Delete("hello")
	ok(r, err)
	r, err = wsk.Actions.Delete("hello")
	refused(http.StatusNotFound, "does not exist", r, err)

	// The API gateway has no APIs and accepts none, and there are no SDKs.
	apis, r, err := wsk.Apis.List(&whisk.ApiListRequestOptions{})
	if ok(r, err); len(apis.Apis) != 0 {
		t.Errorf("APIs %+v", apis)
	}
	some, r, err := wsk.Apis.Get(&whisk.ApiGetRequest{}, &whisk.ApiGetRequestOptions{})
	if ok(r, err); len(some.Apis) != 0 {
		t.Errorf("APIs %+v", some)
	}
	_, r, err = wsk.Apis.Insert(&whisk.ApiCreateRequest{}, &whisk.ApiCreateRequestOptions{}, true)
	refused(http.StatusNotFound, "The requested resource does not exist.", r, err)
	r, err = wsk.Apis.Delete(&whisk.ApiDeleteRequest{}, &whisk.ApiDeleteRequestOptions{})
	refused(http.StatusNotFound, "The requested resource does not exist.", r, err)

	namespaces, r, err := wsk.Namespaces.List() // sets the client's namespace to ""
	if ok(r, err); !slices.Equal(namespaces, []whisk.Namespace{{Name: "guest"}}) {
		t.Errorf("namespaces %+v", namespaces)
	}
	r, err = wsk.Sdks.Install("blackbox.tar.gz") // removes the path from the client's base URL
	if err != nil || r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("SDK: %+v, %v", r, err)
	}
	r.Body.Close()
}

// TestClientGoWithAWrongKey checks the client's error for a wrong key.
func TestClientGoWithAWrongKey(t *testing.T) {
	server := serve(t, Options{})
	wsk := wskClient(t, server.server)
	wsk.AuthToken = "a:b"
	_, r, err := wsk.Actions.Get("x", false)
	if r == nil || r.StatusCode != http.StatusUnauthorized || !strings.Contains(err.Error(), "The supplied authentication is invalid") {
		t.Errorf("%+v, %v", r, err)
	}
}
