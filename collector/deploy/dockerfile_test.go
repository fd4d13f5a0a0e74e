package deploy

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"
)

const root = "../.."

// ignored returns what .dockerignore keeps from the build, as a function of a path relative to the root of the project.
func ignored(t *testing.T) func(name string) bool {
	t.Helper()
	f, err := os.Open(filepath.Join(root, ".dockerignore"))
	require.NoError(t, err)
	defer f.Close()
	patterns, err := ignorefile.ReadAll(f)
	require.NoError(t, err)
	matcher, err := patternmatcher.New(patterns)
	require.NoError(t, err)
	return func(name string) bool {
		t.Helper()
		matches, err := matcher.MatchesOrParentMatches(filepath.FromSlash(name))
		require.NoError(t, err)
		return matches
	}
}

// TestDockerSeesWhatTheBuildNeeds checks that no file from which Go builds the collector is kept from the build, on no architecture.
func TestDockerSeesWhatTheBuildNeeds(t *testing.T) {
	ignored := ignored(t)
	template := `{{if and .Module .Module.Main}}`
	for _, kind := range []string{"GoFiles", "SFiles", "HFiles", "EmbedFiles"} {
		template += `{{range .` + kind + `}}{{$.Dir}}/{{.}}{{"\n"}}{{end}}`
	}
	template += `{{end}}`
	base, err := filepath.Abs(root)
	require.NoError(t, err)
	for _, arch := range []string{"amd64", "arm64"} {
		list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", template, "./collector/cmd/collector")
		list.Dir = root
		list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
		out, err := list.Output()
		require.NoError(t, err)
		needed := strings.Fields(string(out))
		require.Contains(t, needed, filepath.Join(base, "collector/config.yaml"), "embedded files are not in the list")
		for _, file := range append(needed, filepath.Join(base, "go.mod"), filepath.Join(base, "go.sum")) {
			rel, err := filepath.Rel(base, file)
			require.NoError(t, err)
			require.False(t, ignored(rel), rel)
		}
	}
}

// TestDockerIsSentLittle checks that what is large, private or made elsewhere is not sent to the engine.
func TestDockerIsSentLittle(t *testing.T) {
	ignored := ignored(t)
	for _, name := range []string{
		".git", ".git/config", "bin/collector", "build/testbin/collector", "data/high_parallel.json.gz", "apps/node_modules/x/index.js", "docs/trace.png",
		".collector/zipkin", "internal/install/install_test.go", "internal/localwhisk/testdata/x", "collector/deploy/secret.yaml",
	} {
		require.True(t, ignored(name), name)
	}
	sent := int64(0)
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || file == root {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && ignored(rel):
			return filepath.SkipDir
		case d.IsDir() || ignored(rel):
			return nil
		}
		info, err := d.Info()
		sent += info.Size()
		return err
	})
	require.NoError(t, err)
	require.Less(t, sent, int64(8<<20))
	require.Greater(t, sent, int64(1<<18))
}

// TestDockerfile checks that the image is built by the Go of go.mod, and has the name that the pods ask for.
func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile("Dockerfile")
	require.NoError(t, err)
	content, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	module, err := modfile.ParseLax("go.mod", content, nil)
	require.NoError(t, err)
	version := regexp.MustCompile(`(?m)^FROM golang:(\S+) AS build$`).FindSubmatch(text)
	require.NotNil(t, version)
	require.True(t, strings.HasPrefix(module.Go.Version+".", string(version[1])+"."), "%s builds go %s", version[1], module.Go.Version)

	k := customization(t)
	require.Len(t, k.Images, 1)
	name := k.Images[0].Name + ":" + k.Images[0].NewTag
	require.Contains(t, string(text), "docker build -f collector/deploy/Dockerfile -t "+name+" .\n")
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	require.Contains(t, string(makefile), "\nIMAGE := "+name+"\n")
}
