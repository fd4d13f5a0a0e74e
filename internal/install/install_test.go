package install

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

const path = "github.com/tppfaas/tppfaas"

// TestInstall installs every command from a proxy that has this checkout as a version, and asks each for its version.
func TestInstall(t *testing.T) {
	if testing.Short() {
		t.Skip("links every command")
	}
	commands := commands(t)
	proxy := t.TempDir()
	version := serve(t, proxy)
	cache := goEnv(t, "GOMODCACHE")
	bin := t.TempDir()
	arguments := []string{"install", "-ldflags", "-s -w"} // which links faster
	for _, c := range commands {
		arguments = append(arguments, c+"@"+version)
	}
	install := exec.CommandContext(t.Context(), "go", arguments...)
	install.Dir = t.TempDir()
	// The dependencies are in the cache, for this test was built with them. What is in the proxy has no checksum that anybody knows.
	install.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=", "GOSUMDB=off", "GOWORK=off",
		fmt.Sprintf("GOPROXY=file://%s,file://%s/cache/download,%s", filepath.ToSlash(proxy), filepath.ToSlash(cache), goEnv(t, "GOPROXY")))
	end := share(t, filepath.Join(cache, "cache", "tppfaas-install-test.lock")) // others that test the same checkout have the same version there
	t.Cleanup(func() { end(func() { forget(t, cache, version) }) })
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("go install: %v\n%s", err, out)
	}
	for _, c := range commands {
		name := c[strings.LastIndex(c, "/")+1:]
		out, err := exec.CommandContext(t.Context(), filepath.Join(bin, name), "--version").CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), name+" "+version+" go1.") {
			t.Errorf("%s --version: %v: %s", name, err, out)
		}
	}
}

// commands lists the packages that users install: the programs in folders named cmd.
func commands(t *testing.T) []string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-f", `{{if eq .Name "main"}}{{.ImportPath}}{{end}}`, path+"/...")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var found []string
	for _, c := range strings.Fields(string(out)) {
		if strings.Contains(c, "/cmd/") {
			found = append(found, c)
		}
	}
	for _, want := range []string{"/tpp/cmd/tpp", "/sampler/cmd/sampler", "/collector/cmd/collector", "/apps/action/cmd/action"} {
		if !slices.Contains(found, path+want) {
			t.Fatalf("%s is not among the commands %q", want, found)
		}
	}
	return found
}

// serve writes what a module proxy has of the checkout and returns the version under which it is there. The same files have the same
// version, so that what go builds of them is found in its cache the next time.
func serve(t *testing.T, proxy string) (version string) {
	t.Helper()
	files, sum := files(t, "../..")
	version = "v0.0.0-test.h" + sum[:12]
	dir := filepath.Join(proxy, filepath.FromSlash(path), "@v")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	var content bytes.Buffer
	if err := zip.Create(&content, module.Version{Path: path, Version: version}, files); err != nil {
		t.Fatalf("the checkout cannot be a module: %v", err)
	}
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"list": []byte(version + "\n"), version + ".info": fmt.Appendf(nil, `{"Version":%q,"Time":"2021-06-01T00:00:00Z"}`, version),
		version + ".mod": mod, version + ".zip": content.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return version
}

// file is a file of the checkout.
type file struct{ root, path string }

func (f file) Path() string                 { return f.path }
func (f file) Lstat() (os.FileInfo, error)  { return os.Lstat(filepath.Join(f.root, f.path)) }
func (f file) Open() (io.ReadCloser, error) { return os.Open(filepath.Join(f.root, f.path)) }

// files lists the files of the checkout, without what was built or fetched, and returns a checksum of them all.
func files(t *testing.T, root string) (found []zip.File, sum string) {
	t.Helper()
	hash := sha256.New()
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && slices.Contains([]string{".git", "bin", "build", "node_modules"}, d.Name()):
			return filepath.SkipDir
		case !d.Type().IsRegular() || d.Name() == ".git" || d.Name() == "action.zip":
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(hash, "%s %d\n", rel, len(content))
		hash.Write(content)
		found = append(found, file{root, filepath.ToSlash(rel)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found, hex.EncodeToString(hash.Sum(nil))
}

// forget removes the version from the module cache, where it is read-only.
func forget(t *testing.T, cache, version string) {
	dir := filepath.Join(cache, filepath.FromSlash(path)+"@"+version)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(name, 0o777)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
	downloads := filepath.Join(cache, "cache", "download", filepath.FromSlash(path), "@v")
	names, err := filepath.Glob(filepath.Join(downloads, version+".*"))
	if err != nil {
		t.Error(err)
	}
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	if err != nil {
		t.Fatalf("go env %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}
