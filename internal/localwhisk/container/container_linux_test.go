package container

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestOutcomes checks outcome, result and logs for what actions do, against OpenWhisk's.
func TestOutcomes(t *testing.T) {
	r := newRuntime(t, Options{})
	s := spec(t)
	for _, test := range []struct {
		value  string
		want   Outcome
		result string
		logs   []string
	}{
		{`{}`, Outcome{Kind: Success, Size: 50, HasBody: true}, `{"greeting":"Hello, stranger!","n":1,"params":{}}`, []string{"stdout: Hello log stranger"}},
		{`{"mode": "error"}`, Outcome{Kind: ApplicationError, Size: 50, HasBody: true}, `{"error":"this is an application error"}`, nil},
		{`{"mode": "errorobj"}`, Outcome{Kind: ApplicationError, Size: 34, HasBody: true}, `{"error":{"code":42,"msg":"obj"}}`, nil},
		{`{"mode": "array"}`, Outcome{Kind: Success, Size: 8, HasBody: true}, `[1,2,3]`, nil},
		{`{"mode": "notjson"}`, Outcome{Kind: DeveloperError, Size: 61, HasBody: true, Broken: true}, `{"error":"` + noObject + `"}`, []string{"stderr: " + notAsExpected}},
		{`{"mode": "string"}`, Outcome{Kind: DeveloperError, Size: 61, HasBody: true, Broken: true}, `{"error":"` + noObject + `"}`, []string{"stderr: " + notAsExpected}},
		{`{"mode": "null"}`, Outcome{Kind: DeveloperError, Size: 5, HasBody: true, Broken: true}, `{"error":"The action did not produce a valid JSON or JSON Array response: null\n"}`, []string{"stderr: " + notAsExpected}},
		{`{"mode": "close"}`, Outcome{Kind: DeveloperError, Size: 27, HasBody: true, Broken: true}, `{"error":"command exited"}`, []string{"stderr: " + notAsExpected}},
		{`{"mode": "last"}`, Outcome{Kind: Success, Size: 11, HasBody: true}, `{"last":1}`, nil},
		{`{"mode": "partial"}`, Outcome{Kind: Success, Size: 8, HasBody: true}, `{"n":1}`, []string{"stdout: no newline"}},
	} {
		t.Run(test.value, func(t *testing.T) {
			c := started(t, r, s)
			o := run(c, test.value)
			require.Equal(t, test.result, string(o.Result))
			o.Result = nil
			require.Equal(t, test.want, o)
			require.Equal(t, test.logs, texts(c.Logs("id")))
			require.Empty(t, c.Logs("id"))
		})
	}
}

// TestCrash checks the outcome and the logs of an action that panics, and that the container cannot be used afterwards.
func TestCrash(t *testing.T) {
	c := started(t, newRuntime(t, Options{}), spec(t))
	run(c, `{}`)
	c.Logs("id")
	o := run(c, `{"mode": "crash"}`)
	require.Equal(t, broken(commandExited), o)
	logs := texts(c.Logs("id"))
	require.Contains(t, logs, "stdout: about to crash")
	require.Contains(t, logs, "stderr: panic: boom [recovered]"[:len("stderr: panic: boom")])
	require.Equal(t, "stderr: "+notAsExpected, logs[len(logs)-1])
	require.Equal(t, broken(commandExited), run(c, `{}`), "the action is gone")
}

// TestAnswersAreOfTheirInvocation checks that a second answer to an invocation is not taken for the answer to the next.
func TestAnswersAreOfTheirInvocation(t *testing.T) {
	c := started(t, newRuntime(t, Options{}), spec(t))
	require.JSONEq(t, `{"n":1}`, string(run(c, `{"mode": "twice"}`).Result))
	eventually(t, "the second answer is in the pipe", func() bool {
		g := c.(*processContainer)
		return unread(t, g.process.results) > 0 || g.process.answers.Buffered() > 0
	})
	require.JSONEq(t, `{"n":2}`, string(run(c, `{"mode": "partial"}`).Result))
}

// TestRequest checks the request that an action reads.
func TestRequest(t *testing.T) {
	c := started(t, newRuntime(t, Options{}), spec(t))
	inv := Invocation{
		Value: []byte("{\"mode\":\n \"request\"}"), ActionName: "/guest/ä \"x\"", ActionVersion: "0.0.7", ActivationID: "aa", TransactionID: "a\nb",
		Namespace: "guest", Deadline: time.UnixMilli(1700000000123),
	}
	want := `{"action_name":"/guest/ä \"x\"","action_version":"0.0.7","activation_id":"aa","deadline":"1700000000123",
		"namespace":"guest","transaction_id":"a\nb","value":{"mode":"request"}`
	o := c.Run(t.Context(), inv, time.Minute)
	require.JSONEq(t, want+"}", field[string](t, o, "line"))
	inv.APIKey = "key"
	o = c.Run(t.Context(), inv, time.Minute)
	require.JSONEq(t, want+`,"api_key":"key"}`, field[string](t, o, "line"))
	inv.Value = nil
	require.Contains(t, string(c.Run(t.Context(), inv, time.Minute).Result), `"params":{}`)
}

// TestLargeAnswers checks answers around the limit of 1 MiB.
func TestLargeAnswers(t *testing.T) {
	c := started(t, newRuntime(t, Options{}), spec(t))
	o := run(c, `{"mode": "big", "size": 1024000}`)
	require.Equal(t, Success, o.Kind)
	require.Equal(t, 1024012, o.Size)
	require.Len(t, field[string](t, o, "data"), 1024000)
	for _, size := range []int{1048676, 3 << 20} {
		o = run(c, fmt.Sprintf(`{"mode": "big", "size": %d}`, size))
		require.Equal(t, ApplicationError, o.Kind)
		require.False(t, o.Broken)
		require.Equal(t, size+12, o.Size)
		want := fmt.Sprintf("The action produced a response that exceeded the allowed length: %d > 1048576 bytes. The truncated response was: ", size+12)
		text := field[string](t, o, "error")
		require.True(t, strings.HasPrefix(text, want), text[:200])
		require.Equal(t, 1<<20, len(text)-len(want))
	}
	o = run(c, `{"name": "`+strings.Repeat("z", 1<<20-100)+`", "mode": "partial"}`)
	require.Equal(t, Success, o.Kind, "large parameters")
}

// TestTimeouts checks that an action is killed that exceeds its time limit, in Run, in Init, and while it does not read its parameters.
func TestTimeouts(t *testing.T) {
	r := newRuntime(t, Options{})
	c := started(t, r, spec(t))
	o := runFor(c, `{"sleep": 60000}`, 100*time.Millisecond)
	want := lost("The action exceeded its time limits of 100 milliseconds.")
	want.TimedOut = true
	require.Equal(t, want, o)
	require.True(t, c.(*processContainer).process.hasExited())
	require.Equal(t, []string{"stderr: " + notAsExpected}, texts(c.Logs("id")))

	slow, err := r.Start(t.Context(), 256)
	require.NoError(t, err)
	init, err := slow.Init(t.Context(), spec(t, "INIT_SLEEP", "1m"), 100*time.Millisecond)
	require.NoError(t, err)
	want = lost("The action exceeded its time limits of 100 milliseconds during initialization.")
	want.TimedOut = true
	require.Equal(t, &want, init)
	slow.Remove()

	deaf := started(t, r, spec(t))
	require.Equal(t, Success, run(deaf, `{"mode": "deaf"}`).Kind)
	o = runFor(deaf, `{"name": "`+strings.Repeat("z", 1<<20)+`"}`, 100*time.Millisecond)
	require.True(t, o.TimedOut, "the action does not read its parameters")
}

// TestContexts checks that Run, Start and Init end when their context is done.
func TestContexts(t *testing.T) {
	r := newRuntime(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	c := started(t, r, spec(t))
	time.AfterFunc(10*time.Millisecond, cancel)
	o := c.Run(ctx, Invocation{Value: []byte(`{"sleep": 60000}`)}, time.Minute)
	require.Equal(t, InternalError, o.Kind)
	require.True(t, o.Broken)
	_, err := r.Start(ctx, 256)
	require.ErrorIs(t, err, context.Canceled)
	c, err = r.Start(t.Context(), 256)
	require.NoError(t, err)
	_, err = c.Init(ctx, spec(t, "INIT_SLEEP", "1m"), time.Minute)
	require.ErrorIs(t, err, context.Canceled)
}

// TestInitFails checks the outcome and the logs of actions that cannot be started.
func TestInitFails(t *testing.T) {
	r := newRuntime(t, Options{})
	program, err := standIn()
	require.NoError(t, err)
	with := func(change func(*Spec)) Spec {
		s := spec(t)
		change(&s)
		return s
	}
	text := string(program)
	for name, test := range map[string]struct {
		spec Spec
		text string
		log  string
	}{
		"exits":        {with(func(s *Spec) { s.Env["INIT_FAIL"] = "1" }), cannotStart, exitedInInit},
		"acknowledges": {with(func(s *Spec) { s.Env["INIT_ACK"] = "hello" }), cannotStart, `did not acknowledge its start, but wrote "hello`},
		"not ok":       {with(func(s *Spec) { s.Env["INIT_ACK"] = `{"ok": false}` }), cannotStart, "did not acknowledge"},
		"source code":  {with(func(s *Spec) { s.Code, s.Binary = []byte("package main"), false }), cannotStart, "Source code of kind go:1.24"},
		"no exec.env":  {with(func(s *Spec) { s.Code = packed(t, map[string]string{"exec": text}) }), cannotStart, `must be "openwhisk/action-golang-v1.24" for this runtime; it is ""`},
		"other exec.env": {with(func(s *Spec) { s.Kind = "go:1.20" }), cannotStart,
			`must be "openwhisk/action-golang-v1.20" for this runtime; it is "openwhisk/action-golang-v1.24"`},
		"image": {with(func(s *Spec) { s.Kind, s.Image = "blackbox", "docker.io/openwhisk/action-golang-v1.20:nightly" }), cannotStart,
			`must be "openwhisk/action-golang-v1.20"`},
		"no exec": {with(func(s *Spec) { s.Code = packed(t, map[string]string{"main.go": "x", "exec.env": goEnv}) }), cannotStart, "no file exec"},
		"no zip":  {with(func(s *Spec) { s.Code = []byte("PK, but no zip") }), cannotStart, "no zip that can be read"},
		"skeleton without exec": {with(func(s *Spec) {
			s.Kind, s.Image, s.Code = "blackbox", "openwhisk/dockerskeleton", packed(t, map[string]string{"x": ""})
		}), noBinary, "no file exec"},
		"no program": {with(func(s *Spec) { s.Code = packed(t, map[string]string{"exec": "?", "exec.env": goEnv}) }), cannotStart, "exec is no program for this system"},
		"no interpreter": {with(func(s *Spec) { s.Code = packed(t, map[string]string{"exec": "#!/no/such\n", "exec.env": goEnv}) }), cannotStart,
			"the interpreter that it needs, is not there"},
		"zero byte": {with(func(s *Spec) { s.Env["X"] = "a\x00b" }), cannotStart, "zero byte"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := r.Start(t.Context(), 256)
			require.NoError(t, err)
			defer c.Remove()
			o, err := c.Init(t.Context(), test.spec, time.Minute)
			require.NoError(t, err)
			require.NotNil(t, o)
			want := broken(test.text)
			require.Equal(t, &want, o)
			logs := texts(c.Logs("id"))
			require.Contains(t, strings.Join(logs, "\n"), test.log)
			require.Equal(t, "stderr: "+notAsExpected, logs[len(logs)-1])
		})
	}
	require.Equal(t, 57, broken(cannotStart).Size, "as recorded")
}

// TestProvide checks which kinds can run, and the outcomes of the others.
func TestProvide(t *testing.T) {
	require.Nil(t, Provide(&Spec{Kind: "go:1.24"}))
	require.Nil(t, Provide(&Spec{Kind: "blackbox", Code: []byte("x")}))
	require.Equal(t, InternalError, Provide(&Spec{Kind: "php:8.1"}).Kind)
	require.Nil(t, Provide(&Spec{Kind: "blackbox", Image: "openwhisk/dockerskeleton:nightly"}))
	o := Provide(&Spec{Kind: "blackbox", Image: "nosuchuser/nosuchimage"})
	require.JSONEq(t, `{"error": "Failed to pull container image 'nosuchuser/nosuchimage'."}`, string(o.Result))
	require.False(t, o.HasBody)
}

// TestEnvironment checks that an action has the environment and the descriptors that it should have, and none of the platform's.
func TestEnvironment(t *testing.T) {
	t.Setenv("SECRET_OF_THE_PLATFORM", "must not be seen")
	r := newRuntime(t, Options{})
	file, err := os.Create(filepath.Join(t.TempDir(), "of the platform"))
	require.NoError(t, err)
	defer file.Close()
	c := started(t, r, spec(t, "__OW_ACTION_NAME", "/guest/stand-in", "PARAMETER", `{"x":1}`))
	o := run(c, `{"mode": "environment"}`)
	dir := field[string](t, o, "dir")
	require.ElementsMatch(t, []string{
		"HOME=" + dir, "PARAMETER={\"x\":1}", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PWD=" + dir, "TMPDIR=" + dir,
		"__OW_ACTION_NAME=/guest/stand-in", "__OW_EXECUTION_ENV=" + goEnv, "__OW_WAIT_FOR_ACK=1", "__OW_PROXY_VERSION=1.17.1",
	}, field[[]string](t, o, "env"))
	for fd, target := range field[map[string]string](t, run(c, `{"mode": "descriptors"}`), "files") {
		if n, _ := strconv.Atoi(fd); n <= 3 {
			require.True(t, strings.HasPrefix(target, "pipe:"), target)
			continue
		}
		require.True(t, strings.HasPrefix(target, "/proc/") || strings.HasPrefix(target, "anon_inode:") || strings.HasPrefix(target, "/sys/fs/cgroup/"),
			"descriptor %s is %s", fd, target)
	}
}

// TestOwnDirectory checks that containers share the code but not their working directories, which are removed with them.
func TestOwnDirectory(t *testing.T) {
	r := newRuntime(t, Options{})
	program, err := standIn()
	require.NoError(t, err)
	s := spec(t)
	s.Code = packed(t, map[string]string{"exec": string(program), "exec.env": goEnv + "\n", "words.txt": "some words", "more/words.txt": "more words"})
	one, two := started(t, r, s), started(t, r, s)
	for _, c := range []Container{one, two} {
		require.Equal(t, "some words", field[string](t, run(c, `{"mode": "read", "name": "words.txt"}`), "text"))
		require.Equal(t, "more words", field[string](t, run(c, `{"mode": "read", "name": "more/words.txt"}`), "text"))
	}
	require.Equal(t, "<nil>", field[string](t, run(one, `{"mode": "write", "name": "own.txt"}`), "problem"))
	require.Contains(t, field[string](t, run(two, `{"mode": "read", "name": "own.txt"}`), "problem"), "no such file")
	dir := field[string](t, run(one, `{"mode": "environment"}`), "dir")
	require.FileExists(t, filepath.Join(dir, "own.txt"))
	one.Remove()
	require.NoDirExists(t, dir)
	require.Equal(t, 1, r.codes.unpacked)
}

// TestSpare checks that Start returns the spare container, but not one that has died or has another memory limit.
func TestSpare(t *testing.T) {
	r := newRuntime(t, Options{})
	s := spec(t)
	spare := func() (g *processContainer) {
		eventually(t, "a spare", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			g = r.spare
			return g != nil
		})
		return g
	}
	started(t, r, s)
	next := spare()
	require.Same(t, next, started(t, r, s))
	dying := spare()
	require.NoError(t, syscall.Kill(dying.process.identity.pid, syscall.SIGKILL))
	<-dying.process.exited
	require.NotSame(t, dying, started(t, r, s))
	larger := s
	larger.MemoryMB *= 2
	require.NotSame(t, spare(), started(t, r, larger))
	eventually(t, "a larger spare", func() bool { return spare().memoryMB == larger.MemoryMB })
}

// TestExitGrace checks that an idle action that is removed can finish what its answer did not wait for, such as the export of a span, but not
// if it was paused, nor without end.
func TestExitGrace(t *testing.T) {
	r := newRuntime(t, Options{})
	for _, paused := range []bool{false, true} {
		file := filepath.Join(t.TempDir(), "farewell")
		c := started(t, r, spec(t, "FAREWELL", file))
		require.Equal(t, Success, run(c, `{}`).Kind)
		if paused {
			require.NoError(t, c.Pause())
		}
		c.Remove()
		if paused {
			require.NoFileExists(t, file)
		} else {
			require.FileExists(t, file)
		}
	}
	c := started(t, r, spec(t, "FAREWELL", "never"))
	pid := field[int](t, run(c, `{"mode": "environment"}`), "pid")
	c.Remove()
	require.False(t, alive(pid))
}

// TestSkeleton checks that each invocation of a blackbox starts a process.
func TestSkeleton(t *testing.T) {
	r := newRuntime(t, Options{})
	program, err := standIn()
	require.NoError(t, err)
	for name, code := range map[string][]byte{"zip": packed(t, map[string]string{"exec": string(program)}), "executable": program} {
		t.Run(name, func(t *testing.T) {
			s := spec(t, "PARAMETER", "p")
			s.Kind, s.Image, s.Code = "blackbox", "openwhisk/dockerskeleton", code
			c := started(t, r, s)
			for i := range 3 {
				require.NoError(t, c.Pause())
				require.NoError(t, c.Unpause())
				o := run(c, `{"name": "you"}`)
				require.JSONEq(t, `{"greeting": "Hello, you!", "n": 1, "params": {"name": "you"}}`, string(o.Result), "run %d", i)
				require.Equal(t, []string{"stdout: Hello log you"}, texts(c.Logs("id")))
			}
			env := field[[]string](t, run(c, `{"mode": "environment"}`), "env")
			require.Subset(t, env, []string{"PARAMETER=p", "__OW_ACTIVATION_ID=id", "__OW_DEADLINE=1700000000123", "__OW_NAMESPACE=guest"})
			require.Equal(t, broken(noObject), run(c, `{"mode": "notjson"}`))
			require.Equal(t, []string{"stdout: this is no JSON", "stderr: " + notAsExpected}, texts(c.Logs("id")))
			require.Equal(t, broken(noObject), run(c, `{"mode": "silent"}`), "it writes nothing")
			require.Equal(t, ApplicationError, run(c, `{"mode": "error"}`).Kind)
			require.Equal(t, ApplicationError, run(c, `{"mode": "big", "size": 3000000}`).Kind)
			require.Equal(t, Success, run(c, `{"mode": "daemon"}`).Kind)
			require.True(t, runFor(c, `{"sleep": 60000}`, 50*time.Millisecond).TimedOut)
			o := run(c, `{"name": "`+strings.Repeat("z", 200_000)+`"}`)
			require.Equal(t, DeveloperError, o.Kind)
			require.Contains(t, strings.Join(texts(c.Logs("id")), "\n"), "arguments and environment are too large")
		})
	}
}

// TestScript checks that a blackbox may be the text of a script, as wsk sends it with -native.
func TestScript(t *testing.T) {
	s := spec(t)
	s.Kind, s.Image, s.Binary = "blackbox", "openwhisk/dockerskeleton", false
	s.Code = []byte("#!/bin/sh\necho \"{\\\"of\\\": \\\"$__OW_ACTION_NAME\\\"}\"\n")
	require.JSONEq(t, `{"of": "/guest/stand-in"}`, string(run(started(t, newRuntime(t, Options{}), s), `{}`).Result))
}

// TestRealAction checks that the function of the compositions runs, as a kind and as a blackbox.
func TestRealAction(t *testing.T) {
	program, err := realAction()
	require.NoError(t, err)
	r := newRuntime(t, Options{})
	graph := `{"functions": {"main": {}}}`
	value := `{"application": "a", "function": "main", "graph": ` + graph + `}`
	for _, s := range []Spec{{Kind: "go:1.20"}, {Kind: "blackbox", Image: "openwhisk/action-golang-v1.20"}} {
		s.Name, s.Binary, s.MemoryMB, s.LogMB = "/guest/a", true, 256, 10
		s.Code = packed(t, map[string]string{"exec": string(program), "exec.env": "openwhisk/action-golang-v1.20"})
		c := started(t, r, s)
		for range 3 {
			o := run(c, value)
			require.Equal(t, Success, o.Kind, "%s", o.Result)
			require.JSONEq(t, `{"function": "main", "call": 0, "activations": {}}`, string(o.Result))
		}
	}
}
