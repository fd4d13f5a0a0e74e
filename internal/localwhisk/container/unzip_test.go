package container

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type entry struct {
	name, content string
	mode          fs.FileMode
}

func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		h.SetMode(e.mode)
		w, err := z.CreateHeader(h)
		require.NoError(t, err)
		_, err = w.Write([]byte(e.content))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return b.Bytes()
}

// TestUnzip checks that files, folders, and links that stay inside the folder are unpacked.
func TestUnzip(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, unzip(archive(t,
		entry{"folder/", "", fs.ModeDir | 0o755}, entry{"folder/a.txt", "a", 0o644}, entry{"./exec", "run", 0o755}, entry{"deep/er/b", "b", 0o600},
		entry{"link", "folder/a.txt", fs.ModeSymlink | 0o777}, entry{"deep/up", "../folder", fs.ModeSymlink | 0o777},
	), dir, 100))
	for name, want := range map[string]string{"folder/a.txt": "a", "exec": "run", "deep/er/b": "b", "link": "a", "deep/up/a.txt": "a"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
	info, err := os.Stat(filepath.Join(dir, "exec"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o555), info.Mode())
	info, err = os.Stat(filepath.Join(dir, "folder/a.txt"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o444), info.Mode())
}

var outside = []struct {
	entries []entry
	want    string
}{
	{[]entry{{"../x", "x", 0o644}}, "leads out of its folder"},
	{[]entry{{"a/../../x", "x", 0o644}}, "leads out of its folder"},
	{[]entry{{"a/..", "x", 0o644}}, "leads out of its folder"},
	{[]entry{{"../", "", fs.ModeDir | 0o755}}, "leads out of its folder"},
	{[]entry{{"/etc/x", "x", 0o644}}, "no path below its folder"},
	{[]entry{{`..\x`, "x", 0o644}}, "no path below its folder"},
	{[]entry{{"a\x00b", "x", 0o644}}, "no path below its folder"},
	{[]entry{{"l", "/etc/passwd", fs.ModeSymlink | 0o777}}, "leads out of its folder"},
	{[]entry{{"l", "../../../etc", fs.ModeSymlink | 0o777}}, "leads out of its folder"},
	{[]entry{{"l", "..", fs.ModeSymlink | 0o777}, {"l/x", "x", 0o644}}, "l/x"},
	{[]entry{{"d/e/", "", fs.ModeDir | 0o755}, {"a", "d/e", fs.ModeSymlink | 0o777}, {"b", "a/../../..", fs.ModeSymlink | 0o777}}, "leads out of its folder"},
	{[]entry{{"l", "nowhere", fs.ModeSymlink | 0o777}}, "or nowhere"},
	{[]entry{{"l", "l", fs.ModeSymlink | 0o777}}, "or nowhere"},
	{[]entry{{"l", "", fs.ModeSymlink | 0o777}}, "leads out"},
	{[]entry{{"x", "1", 0o644}, {"x", "2", 0o644}}, "file exists"},
	{[]entry{{"x", "1", 0o644}, {"x/y", "2", 0o644}}, "file exists"},
	{[]entry{{"p", "", fs.ModeNamedPipe | 0o644}}, "neither file, folder nor symbolic link"},
	{[]entry{{"big", strings.Repeat("0", 60), 0o644}, {"bigger", strings.Repeat("0", 60), 0o644}}, "too large"},
}

func TestUnzipRefuses(t *testing.T) {
	for _, test := range outside {
		parent := t.TempDir()
		dir := filepath.Join(parent, "in", "here")
		require.NoError(t, os.MkdirAll(dir, 0o755))
		err := unzip(archive(t, test.entries...), dir, 100)
		require.ErrorContains(t, err, test.want, "%v", test.entries)
		requireAlone(t, parent)
	}
	var many []entry
	for i := range maxEntries + 1 {
		many = append(many, entry{strings.Repeat("x", i%7+1) + "/", "", fs.ModeDir | 0o755})
	}
	require.ErrorContains(t, unzip(archive(t, many...), t.TempDir(), 100), "10001 entries")
	require.ErrorContains(t, unzip([]byte("PK no zip"), t.TempDir(), 100), "no zip")
}

// requireAlone checks that nothing was written outside in/here.
func requireAlone(t testing.TB, parent string) {
	t.Helper()
	for dir, only := range map[string]string{parent: "in", filepath.Join(parent, "in"): "here"} {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, 1)
		require.Equal(t, only, entries[0].Name())
	}
}

// FuzzUnzip checks that no archive writes outside its folder or more than is allowed, and that no link leads out.
func FuzzUnzip(f *testing.F) {
	for _, test := range outside {
		f.Add(archive(f, test.entries...))
	}
	f.Add(archive(f, entry{"exec", "run", 0o755}, entry{"d/l", "../exec", fs.ModeSymlink | 0o777}))
	f.Add([]byte("PK"))
	f.Fuzz(func(t *testing.T, content []byte) {
		parent := t.TempDir()
		dir := filepath.Join(parent, "in", "here")
		require.NoError(t, os.MkdirAll(dir, 0o755))
		const most = 1000
		unpacked := unzip(content, dir, most) == nil
		requireAlone(t, parent)
		total := int64(0)
		require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			require.NoError(t, err)
			if d.Type()&fs.ModeSymlink != 0 && unpacked {
				target, err := filepath.EvalSymlinks(path)
				require.NoError(t, err)
				real, err := filepath.EvalSymlinks(dir)
				require.NoError(t, err)
				require.True(t, target == real || strings.HasPrefix(target, real+"/"), "%s leads to %s", path, target)
			}
			if info, err := d.Info(); err == nil && d.Type().IsRegular() {
				total += info.Size()
			}
			return nil
		}))
		require.LessOrEqual(t, total, int64(most+1))
	})
}
