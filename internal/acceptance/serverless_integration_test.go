//go:build linux && integration

package acceptance

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/apps/action"
	"github.com/tppfaas/tppfaas/internal/integration"
	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
	"github.com/tppfaas/tppfaas/internal/localwhisk/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestIntegrationServerless makes the Serverless Framework deploy every application, deploy it again, invoke it, show its logs and its functions, and remove
// it. It checks that one request runs through the whole composition, and that no action is left.
func TestIntegrationServerless(t *testing.T) {
	modules, err := filepath.Abs("../../apps/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	program := integration.File(t, filepath.Join(modules, ".bin", "serverless"), "the Serverless Framework", "make fetch-serverless")
	folder := t.TempDir()
	if err := os.CopyFS(folder, apps.Files()); err != nil {
		t.Fatal(err)
	}
	pack(t, filepath.Join(folder, "action"))
	if err := os.Symlink(modules, filepath.Join(folder, "node_modules")); err != nil {
		t.Fatal(err)
	}
	// Each application has its own platform, so that they can be tested at the same time.
	for _, name := range apps.Embedded() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, err := apps.Load(name)
			if err != nil {
				t.Fatal(err)
			}
			p := servePlatform(t)
			s := &serverless{t: t, program: program, dir: filepath.Join(folder, name), home: t.TempDir(), platform: p}
			main := app.DeployedName(apps.Main)

			s.run("deploy", "Deployment successful!", "deploy")
			s.run("redeploy", "Deployment successful!", "deploy")
			var listed []struct{ Name, Version string }
			p.get("actions?limit=200", &listed)
			if len(listed) != len(app.Functions) {
				t.Errorf("%d actions are deployed, want %d", len(listed), len(app.Functions))
			}
			for _, a := range listed {
				if a.Version != "0.0.2" {
					t.Errorf("%s has version %s after the second deployment, want 0.0.2", a.Name, a.Version)
				}
			}
			drawer, err := apps.NewDrawer(app, apps.Variation{}, 1)
			if err != nil {
				t.Fatal(err)
			}
			calls, _, _ := drawer.Next()
			s.run("invoke", `"function": "main"`, "invoke", "--function", apps.Main, "--data", `{"seed": 1}`)
			p.await(len(calls))
			s.run("logs", main+": slept 0 ms, invoked ", "logs", "--function", apps.Main)
			s.run("info", main, "info")
			s.run("remove", "", "remove")
			p.get("actions?limit=200", &listed)
			if len(listed) != 0 {
				t.Errorf("after the removal there are %d actions", len(listed))
			}
		})
	}
}

// pack builds the function of the compositions, and writes its zip into a folder.
func pack(t *testing.T, folder string) {
	t.Helper()
	executable, err := action.Build(t.Context(), "amd64")
	if err != nil {
		t.Fatal(err)
	}
	zip, err := action.Zip(executable, "go:1.20")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "action.zip"), zip, 0o666); err != nil {
		t.Fatal(err)
	}
}

// platform is a client of a platform that runs real containers.
type platform struct {
	t      *testing.T
	server *rest.Server
}

func servePlatform(t *testing.T) *platform {
	t.Helper()
	runtime, err := container.NewProcessRuntime(container.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server, err := rest.Start(t.Context(), rest.Options{Runtime: runtime, MemoryMB: 22 * 256})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return &platform{t, server}
}

func (p *platform) get(path string, answer any) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.server.URL()+"/api/v1/namespaces/_/"+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Close = true
	r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(p.server.Auth())))
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil || response.StatusCode != http.StatusOK {
		p.t.Fatal(path, response.Status, err)
	}
}

// await returns when n activations are stored, and fails if one of them has failed.
func (p *platform) await(n int) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		var records []struct {
			Name       string
			StatusCode int
		}
		p.get("activations?limit=200", &records)
		for _, r := range records {
			if r.StatusCode != 0 {
				p.t.Fatalf("%s ended with status %d", r.Name, r.StatusCode)
			}
		}
		if len(records) >= n {
			if len(records) > n {
				p.t.Errorf("%d activations, want %d", len(records), n)
			}
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%d of %d activations came", len(records), n)
		}
	}
}

// serverless runs the Serverless Framework in the folder of an application.
type serverless struct {
	t                  *testing.T
	program, dir, home string
	platform           *platform
}

// run runs a command, and checks that it succeeds and prints text.
func (s *serverless) run(what, text string, args ...string) {
	s.t.Helper()
	begin := time.Now()
	c := exec.CommandContext(s.t.Context(), s.program, args...)
	c.Dir = s.dir
	c.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.home, "OW_APIHOST=" + s.platform.server.URL(), "OW_AUTH=" + s.platform.server.Auth(),
		// Without these, commands wait for the network.
		"SLS_TELEMETRY_DISABLED=1", "SLS_NOTIFICATIONS_MODE=off", "CI=true",
	}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Run(); err != nil {
		s.t.Fatalf("%s: %v\n%s", what, err, out.String())
	}
	if !strings.Contains(out.String(), text) {
		s.t.Errorf("%s prints no %q but\n%s", what, text, out.String())
	}
	s.t.Logf("%-8s %.1f s", what, time.Since(begin).Seconds())
}
