package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
)

// withProcesses starts a server whose actions are processes. It returns the directory of the containers, and the code of an action.
func withProcesses(t *testing.T, o Options) (c *client, dir, code string) {
	t.Helper()
	dir = t.TempDir()
	p, err := container.NewProcessRuntime(container.Options{Dir: dir})
	if err != nil {
		t.Skip(err)
	}
	o.Runtime = p
	c = serve(t, o)
	if code, err = goCode(); err != nil {
		t.Fatal(err)
	}
	return c, dir, code
}

// states returns the states of the processes that run code from a directory: T is stopped, S is sleeping.
func states(dir string) string {
	var list []byte
	exes, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, exe := range exes {
		target, err := os.Readlink(exe)
		if err != nil || !strings.HasPrefix(target, dir+"/") {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(filepath.Dir(exe), "stat"))
		if i := bytes.LastIndexByte(stat, ')'); err == nil && i > 0 {
			list = append(list, stat[i+2])
		}
	}
	return string(list)
}

func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("this does not come: " + what)
		}
	}
}

// TestNoWarming checks that the engine refuses to start a container of an action for nobody, since its /init has the environment of an
// invocation, and that the platform goes on.
func TestNoWarming(t *testing.T) {
	c := serve(t, Options{})
	c.want(200, "", "PUT", under+"actions/a", goAction)
	c.server.store.mu.Lock()
	var key string
	for _, a := range c.server.store.actions {
		key = a.key
	}
	c.server.store.mu.Unlock()
	_, err := c.server.engine.StartContainer(key)
	if want := "localwhisk: starting a container of " + key + ": this platform starts containers for invocations only"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	c.want(200, "greeting", "POST", under+"actions/a?blocking=true", "{}")
}

// TestRealContainers deploys a zip and invokes it cold, warm, after a pause, and after its container was evicted.
func TestRealContainers(t *testing.T) {
	c, dir, code := withProcesses(t, Options{MemoryMB: 512, PauseGrace: 20 * time.Millisecond})
	deploy := func(name, kind string) {
		c.want(200, `"version":"0.0.1"`, "PUT", under+"actions/"+name, `{"exec":{`+kind+`,"code":"`+code+`"}}`)
	}
	deploy("a", `"kind":"go:1.20"`)
	deploy("b", `"kind":"blackbox","image":"openwhisk/action-golang-v1.20"`)
	deploy("once", `"kind":"blackbox","image":"openwhisk/dockerskeleton"`)
	deploy("newer", `"kind":"go:1.24"`)

	// invoke returns the record, and the number of invocations in the container so far.
	invoke := func(name, parameters string, status int) (r record, n int, initTime int64, cold bool) {
		t.Helper()
		answer, body := c.do("POST", under+"actions/"+name+"?blocking=true", parameters)
		if answer.StatusCode != status {
			t.Fatalf("%s: %d %s", name, answer.StatusCode, body)
		}
		r = c.record(answer.Header.Get("X-Openwhisk-Activation-Id"))
		var result struct{ N int }
		_ = json.Unmarshal(r.Response.Result, &result)
		var annotations []struct {
			Key   string
			Value any
		}
		if err := json.Unmarshal(r.Annotations, &annotations); err != nil {
			t.Fatal(err)
		}
		for _, a := range annotations {
			if a.Key == "initTime" {
				v, _ := a.Value.(float64)
				initTime, cold = int64(v), true
			}
		}
		return r, result.N, initTime, cold
	}
	expect := func(name string, n int, cold bool) {
		t.Helper()
		r, gotN, initTime, gotCold := invoke(name, `{"name":"you"}`, 200)
		if gotN != n || gotCold != cold {
			t.Errorf("%s: invocation %d of its container instead of %d; cold: %t instead of %t", name, gotN, n, gotCold, cold)
		}
		if *r.Duration < initTime {
			t.Errorf("%s: initTime %d ms of %d", name, initTime, *r.Duration)
		}
		if len(r.Logs) != 1 || !strings.HasSuffix(r.Logs[0], "stdout: Hello log you") {
			t.Errorf("%s: logs %q", name, r.Logs)
		}
	}
	expect("a", 1, true)
	expect("a", 2, false)
	waitFor(t, "the pause", func() bool { return states(dir) == "T" })
	expect("a", 3, false)
	expect("b", 1, true)
	expect("b", 2, false)
	waitFor(t, "the pause of both", func() bool { return states(dir) == "TT" })
	expect("once", 1, true) // there is no room for three containers: a's, the least recently used, is evicted
	waitFor(t, "the end of two", func() bool { return len(states(dir)) == 1 })
	expect("once", 1, false) // the container is warm, the process is new
	expect("b", 3, false)
	expect("a", 1, true)

	invoke("a", `{"mode":"crash"}`, 502)
	expect("a", 1, true)
	r, _, _, cold := invoke("newer", `{}`, 502)
	if !cold || string(r.Response.Result) != `{"error":"Cannot start action. Check logs for details."}` || len(r.Logs) != 2 {
		t.Errorf("a zip for another version: %s %q", r.Response.Result, r.Logs)
	}
	if err := c.server.Close(); err != nil {
		t.Error(err)
	}
	if left := states(dir); left != "" {
		t.Errorf("processes are left: %s", left)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Error(entries, err)
	}
}

// TestManyRealContainers checks that more invocations than fit into memory at once all run.
func TestManyRealContainers(t *testing.T) {
	c, _, code := withProcesses(t, Options{MemoryMB: 1024})
	var ids []string
	for i := range 4 {
		c.want(200, "", "PUT", fmt.Sprintf("%sactions/a%d", under, i), `{"exec":{"kind":"go:1.20","code":"`+code+`"}}`)
	}
	for i := range 40 {
		answer, body := c.do("POST", fmt.Sprintf("%sactions/a%d", under, i%4), fmt.Sprintf(`{"name":"n%d","sleep":5}`, i))
		if answer.StatusCode != 202 {
			t.Fatal(answer.Status, body)
		}
		ids = append(ids, answer.Header.Get("X-Openwhisk-Activation-Id"))
	}
	for i, id := range ids {
		r := c.record(id)
		if want := fmt.Sprintf(`"greeting":"Hello, n%d!"`, i); !strings.Contains(string(r.Response.Result), want) {
			t.Errorf("%s: %s", want, r.Response.Result)
		}
	}
}
