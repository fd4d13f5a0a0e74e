package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/testbin"
)

// given is the file of an image, to be tested instead of one that the test makes of the program that tests start.
var given = flag.String("image", "", "test this image, made by make image, instead of one that the test makes")

func TestMain(m *testing.M) {
	status := testbin.Main(m)
	if shared.dir != "" {
		if err := os.RemoveAll(shared.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

// sample returns an image with certificates that the test has made.
func sample(t *testing.T) image {
	t.Helper()
	certs, err := checked(certificate(t), "a test", "here")
	require.NoError(t, err)
	tag, err := name.NewTag("tppfaas/collector:devel")
	require.NoError(t, err)
	return image{tag: tag, created: time.Unix(1_700_000_000, 0).UTC(), certificates: certs}
}

// other is an architecture that is not that of this machine.
func other() string {
	if runtime.GOARCH == "arm64" {
		return "amd64"
	}
	return "arm64"
}

// shared is the image that all tests look at.
var shared struct {
	sync.Mutex
	dir, file    string
	certificates []byte
}

// made returns the file of an image and what it must have: the one that is given, or one that has the collector for this machine, and for
// the other architecture something else.
func made(t *testing.T) (file string, certificates []byte) {
	t.Helper()
	if *given != "" {
		return *given, nil
	}
	if testing.Short() {
		t.Skip("compresses the collector")
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.file != "" {
		return shared.file, shared.certificates
	}
	collector, err := testbin.Path("collector/cmd/collector")
	require.NoError(t, err)
	shared.dir, err = os.MkdirTemp("", "collector-image-test-")
	require.NoError(t, err)
	p := program{product: products[0], file: collector, arch: runtime.GOARCH, version: "v1.2.3", revision: "53bafdc"}
	elsewhere := program{product: products[0], file: filepath.Join(shared.dir, "collector"), arch: other(), version: "v1.2.3", revision: "53bafdc"}
	require.NoError(t, os.WriteFile(elsewhere.file, []byte("another program"), 0o600)) // its mode is not that of the file
	i := sample(t)
	file = filepath.Join(shared.dir, "image.tar")
	require.NoError(t, i.write(file, []program{p, elsewhere}))
	shared.file, shared.certificates = file, i.certificates.pem
	return file, shared.certificates
}

// unpack unpacks an archive into a folder, and returns the headers by name. It requires that all files have names, modes and times as
// they should.
func unpack(t *testing.T, r io.Reader, dir string) map[string]*tar.Header {
	t.Helper()
	headers := map[string]*tar.Header{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return headers
		}
		require.NoError(t, err)
		name := path.Clean(h.Name)
		require.True(t, fs.ValidPath(name), h.Name)
		require.NotContains(t, headers, name)
		headers[name] = h
		require.Zero(t, h.Mode&0o6000, "%s has the rights of its owner", name)
		to := filepath.Join(dir, filepath.FromSlash(name))
		switch h.Typeflag {
		case tar.TypeDir:
			require.NoError(t, os.MkdirAll(to, 0o777))
		case tar.TypeReg:
			f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, h.FileInfo().Mode().Perm())
			require.NoError(t, err)
			_, err = io.Copy(f, archive)
			require.NoError(t, errors.Join(err, f.Close()))
		default:
			t.Fatalf("%s is neither a file nor a folder", name)
		}
		require.NoError(t, os.Chmod(to, h.FileInfo().Mode()&(fs.ModePerm|fs.ModeSticky)))
		if os.Getuid() == 0 {
			require.NoError(t, os.Chown(to, h.Uid, h.Gid))
		}
	}
}

// images unpacks an archive and returns its images by architecture, and the architecture of the first of them.
func images(t *testing.T, file, dir string) (all map[string]v1.Image, first string) {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	unpack(t, f, dir)
	top, err := layout.ImageIndexFromPath(dir)
	require.NoError(t, err)
	entries, err := top.IndexManifest()
	require.NoError(t, err)
	require.Len(t, entries.Manifests, 1)
	require.Equal(t, map[string]string{
		"org.opencontainers.image.ref.name": "devel", "io.containerd.image.name": "docker.io/tppfaas/collector:devel",
	}, entries.Manifests[0].Annotations)
	index, err := top.ImageIndex(entries.Manifests[0].Digest)
	require.NoError(t, err)
	platforms, err := index.IndexManifest()
	require.NoError(t, err)
	all = map[string]v1.Image{}
	for _, m := range platforms.Manifests {
		require.Equal(t, "linux", m.Platform.OS)
		all[m.Platform.Architecture], err = index.Image(m.Digest)
		require.NoError(t, err)
	}
	require.Len(t, all, len(platforms.Manifests))
	return all, platforms.Manifests[0].Platform.Architecture
}

// TestDigests checks that each blob has the name of its digest, that every digest and size in a manifest is right, and that what docker
// load reads is the first image.
func TestDigests(t *testing.T) {
	file, _ := made(t)
	dir := t.TempDir()
	all, first := images(t, file, dir)
	blobs, err := filepath.Glob(filepath.Join(dir, "blobs/sha256/*"))
	require.NoError(t, err)
	for _, name := range blobs {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		sum := sha256.Sum256(text)
		require.Equal(t, hex.EncodeToString(sum[:]), filepath.Base(name))
	}
	top, err := layout.ImageIndexFromPath(dir)
	require.NoError(t, err)
	require.NoError(t, validate.Index(top))

	tag, err := name.NewTag("tppfaas/collector:devel")
	require.NoError(t, err)
	loaded, err := tarball.ImageFromPath(file, &tag)
	require.NoError(t, err)
	require.NoError(t, validate.Image(loaded))
	got, err := loaded.ConfigName()
	require.NoError(t, err)
	want, err := all[first].ConfigName()
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// TestImage checks what the image has: its settings, and each file.
func TestImage(t *testing.T) {
	file, certificates := made(t)
	all, _ := images(t, file, t.TempDir())
	for arch, img := range all {
		config, err := img.ConfigFile()
		require.NoError(t, err)
		require.Equal(t, "linux", config.OS)
		require.Equal(t, arch, config.Architecture)
		require.Equal(t, "65532:65532", config.Config.User)
		require.Equal(t, []string{"/collector"}, config.Config.Entrypoint)
		require.Empty(t, config.Config.Cmd)
		require.Equal(t, "/home/nonroot", config.Config.WorkingDir)
		for _, label := range []string{"version", "source", "title", "licenses"} {
			require.NotEmpty(t, config.Config.Labels["org.opencontainers.image."+label], label)
		}
		require.NotEmpty(t, config.Config.Labels["io.github.tppfaas.certificates"])
		require.Len(t, config.History, len(config.RootFS.DiffIDs))

		dir := t.TempDir()
		content := mutate.Extract(img)
		headers := unpack(t, content, dir)
		require.NoError(t, content.Close())
		want := map[string]int64{
			"collector": 0o755, "etc": 0o755, "etc/group": 0o644, "etc/passwd": 0o644, "etc/ssl": 0o755, "etc/ssl/certs": 0o755,
			"etc/ssl/certs/ca-certificates.crt": 0o644, "home": 0o755, "home/nonroot": 0o700, "tmp": 0o1777,
		}
		for name, h := range headers {
			require.Equal(t, want[name], h.Mode, name)
			require.Equal(t, config.Created.Unix(), h.ModTime.Unix(), name)
			owner := 0
			if name == "home/nonroot" {
				owner = user
			}
			require.Equal(t, []int{owner, owner}, []int{h.Uid, h.Gid}, name)
		}
		require.Len(t, headers, len(want))
		pem, err := os.ReadFile(filepath.Join(dir, "etc/ssl/certs/ca-certificates.crt"))
		require.NoError(t, err)
		if *given == "" {
			require.Equal(t, certificates, pem)
			require.Equal(t, "v1.2.3", config.Config.Labels["org.opencontainers.image.version"])
			require.Equal(t, "53bafdc", config.Config.Labels["org.opencontainers.image.revision"])
			continue
		}
		_, err = checked(pem, "", "the image")
		require.NoError(t, err)
		p, err := inspect(filepath.Join(dir, "collector"))
		require.NoError(t, err)
		require.Equal(t, arch, p.arch)
		require.True(t, p.static, "the collector for %s needs libraries", arch)
		require.Equal(t, p.version, config.Config.Labels["org.opencontainers.image.version"])
	}
	require.Contains(t, all, runtime.GOARCH)
}

// TestSameInputsMakeTheSameBytes checks that nothing but the inputs shows in the file: no time, folder, user or mode of this machine.
func TestSameInputsMakeTheSameBytes(t *testing.T) {
	i := sample(t)
	make := func(i image, content string, mode fs.FileMode) []byte {
		t.Helper()
		dir := t.TempDir()
		var programs []program
		for _, arch := range []string{"amd64", "arm64"} {
			p := program{product: products[0], file: filepath.Join(dir, arch), arch: arch, version: "devel"}
			require.NoError(t, os.WriteFile(p.file, []byte(content+arch), mode))
			programs = append(programs, p)
		}
		file := filepath.Join(dir, "image.tar")
		require.NoError(t, i.write(file, programs))
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		return text
	}
	once := make(i, "program", 0o600)
	require.True(t, bytes.Equal(once, make(i, "program", 0o755)))
	require.False(t, bytes.Equal(once, make(i, "another", 0o755)))
	later := i
	later.created = i.created.Add(time.Second)
	require.False(t, bytes.Equal(once, make(later, "program", 0o755)))
}

// TestEpoch checks which times an image may have.
func TestEpoch(t *testing.T) {
	for value, want := range map[string]int64{"": 0, "0": 0, "1700000000": 1_700_000_000} {
		got, err := epoch(value)
		require.NoError(t, err)
		require.Equal(t, want, got.Unix())
	}
	for _, value := range []string{"-1", "today", "1.5", "99999999999"} {
		_, err := epoch(value)
		require.ErrorContains(t, err, "SOURCE_DATE_EPOCH="+value)
	}
}

// TestArguments checks that a wrong call is refused before anything is built.
func TestArguments(t *testing.T) {
	bundle := filepath.Join(t.TempDir(), "bundle.pem")
	require.NoError(t, os.WriteFile(bundle, certificate(t), 0o666))
	for want, args := range map[string]string{
		`"windows/amd64" is not like linux/amd64`:                       "-platform linux/amd64,windows/amd64",
		`"linux/arm/v7" is not like linux/amd64`:                        "-platform linux/arm/v7",
		"linux/amd64 is there twice":                                    "-platform linux/amd64,linux/amd64",
		`unexpected argument "now"`:                                     "now",
		"-certificates: open /nowhere":                                  "-certificates /nowhere",
		"-name: repository can only contain":                            "-name UPPER:x",
		"-name: tppfaas/collector has no tag":                           "-name tppfaas/collector",
		"there are images of collector and prewarm, not of \"sampler\"": "-program sampler",
	} {
		var stdout, stderr bytes.Buffer
		err := run(t.Context(), strings.Fields(args), &stdout, &stderr)
		require.ErrorContains(t, err, want, args)
		require.Empty(t, stderr.String(), "nothing is built")
	}
}
