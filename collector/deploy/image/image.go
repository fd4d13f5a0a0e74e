package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
)

// user is the number of the user that runs the program, and of its group: that of the manifests and of Distroless images.
const user = 65532

// image is what images of all architectures have in common.
type image struct {
	tag          name.Tag
	created      time.Time // of everything
	certificates certificates
}

// node is a file or, with a name that ends in a slash, a folder of a layer.
type node struct {
	name    string
	mode    int64
	owner   int
	content []byte
}

// base returns what is in the image beside the program.
func (i image) base() []node {
	return []node{
		{name: "etc/", mode: 0o755},
		{name: "etc/group", mode: 0o644, content: fmt.Appendf(nil, "root:x:0:\nnonroot:x:%d:\n", user)},
		{name: "etc/passwd", mode: 0o644, content: fmt.Appendf(nil, "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:%d:%[1]d:nonroot:/home/nonroot:/sbin/nologin\n", user)},
		{name: "etc/ssl/", mode: 0o755},
		{name: "etc/ssl/certs/", mode: 0o755},
		{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, content: i.certificates.pem},
		{name: "home/", mode: 0o755},
		{name: "home/nonroot/", mode: 0o700, owner: user},
		{name: "tmp/", mode: 0o777 | 0o1000},
	}
}

// layer returns a layer with the nodes.
func (i image) layer(nodes ...node) (v1.Layer, error) {
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	for _, n := range nodes {
		h := &tar.Header{Name: n.name, Mode: n.mode, Uid: n.owner, Gid: n.owner, Size: int64(len(n.content)), ModTime: i.created, Format: tar.FormatUSTAR, Typeflag: tar.TypeReg}
		if n.name[len(n.name)-1] == '/' {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(n.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}

// of returns the image with a program.
func (i image) of(p program) (v1.Image, error) {
	content, err := os.ReadFile(p.file)
	if err != nil {
		return nil, err
	}
	files, err := i.layer(i.base()...)
	if err != nil {
		return nil, err
	}
	executable, err := i.layer(node{name: p.product.name, mode: 0o755, content: content})
	if err != nil {
		return nil, err
	}
	labels := map[string]string{
		"org.opencontainers.image.title":       p.product.name,
		"org.opencontainers.image.description": p.product.description,
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.source":      "https://" + module,
		"org.opencontainers.image.version":     p.version,
		"io.github.tppfaas.certificates":       i.certificates.origin,
	}
	if p.revision != "" {
		labels["org.opencontainers.image.revision"] = p.revision
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	base, err = mutate.ConfigFile(base, &v1.ConfigFile{
		OS: "linux", Architecture: p.arch, Created: v1.Time{Time: i.created}, RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{
			Entrypoint: []string{"/" + p.product.name},
			Env:        []string{"PATH=/"},
			User:       fmt.Sprintf("%d:%[1]d", user),
			WorkingDir: "/home/nonroot",
			Labels:     labels,
		},
	})
	if err != nil {
		return nil, err
	}
	history := func(what string) v1.History { return v1.History{Created: v1.Time{Time: i.created}, CreatedBy: what} }
	return mutate.Append(base,
		mutate.Addendum{Layer: files, MediaType: types.OCILayer, History: history("users, and " + i.certificates.origin)},
		mutate.Addendum{Layer: executable, MediaType: types.OCILayer, History: history(p.product.name + " " + p.version)})
}

// write writes the images of all programs to a file: an OCI layout whose only entry is an index with an image for each platform, in a tar
// archive. Engines that do not know the layout find the first image by manifest.json, as docker save writes it.
func (i image) write(file string, programs []program) (err error) {
	dir, err := os.MkdirTemp("", "image-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	var first v1.Image
	for _, p := range programs {
		img, err := i.of(p)
		if err != nil {
			return err
		}
		if first == nil {
			first = img
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: p.arch}},
		})
	}
	at, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	// containerd looks for the second annotation, in which Docker Hub has its short name. Both are those that docker buildx writes.
	names := map[string]string{
		"org.opencontainers.image.ref.name": i.tag.TagStr(),
		"io.containerd.image.name":          strings.Replace(i.tag.Name(), name.DefaultRegistry+"/", "docker.io/", 1),
	}
	if err := at.AppendIndex(index, layout.WithAnnotations(names)); err != nil {
		return err
	}
	manifest, err := loadable(first, i.tag)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "manifest.json"), manifest, 0o666); err != nil {
		return err
	}
	return atomicfile.Write(file, func(w io.Writer) error { return i.archive(w, dir) })
}

// loadable returns the manifest.json that docker load reads.
func loadable(img v1.Image, tag name.Tag) ([]byte, error) {
	manifest, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	blob := func(h v1.Hash) string { return path.Join("blobs", h.Algorithm, h.Hex) }
	d := tarball.Descriptor{Config: blob(manifest.Config.Digest), RepoTags: []string{tag.String()}}
	for _, l := range manifest.Layers {
		d.Layers = append(d.Layers, blob(l.Digest))
	}
	return json.Marshal(tarball.Manifest{d})
}

// archive writes a folder's files as a tar archive, sorted by name, with the same times, modes and owners everywhere.
func (i image) archive(w io.Writer, dir string) error {
	t := tar.NewWriter(w)
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || file == dir {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		h := &tar.Header{Name: filepath.ToSlash(rel), Mode: 0o644, ModTime: i.created, Format: tar.FormatUSTAR, Typeflag: tar.TypeReg}
		if d.IsDir() {
			h.Name, h.Mode, h.Typeflag = h.Name+"/", 0o755, tar.TypeDir
			return t.WriteHeader(h)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		h.Size = int64(len(content))
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		_, err = t.Write(content)
		return err
	})
	if err != nil {
		return err
	}
	return t.Close()
}
