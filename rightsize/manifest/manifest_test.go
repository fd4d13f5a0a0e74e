package manifest

import (
	"bytes"
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const stackText = "functions:\n  a:\n    image: a\n    limits: {memory: 64Mi}\n    requests: {cpu: '50m'}\n"

func TestGet(t *testing.T) {
	r, kind, err := Get([]byte(stackText), Target{Function: "a"})
	require.NoError(t, err)
	require.Equal(t, "function of OpenFaaS", kind)
	require.Equal(t, Resources{MemoryLimit: "64Mi", CPURequest: "50m"}, r)
	for text, want := range map[string]string{
		"":                               "it has neither functions",
		"\xff":                           "it is not UTF-8",
		"functions: {a: }":               "a has nothing below it",
		"functions: {[a]: 1}":            "a key that is no plain word",
		strings.Repeat("#", maxSize+1):   "are too many",
		"functions: {a: *b}":             "unknown anchor",
		"kind: Pod\nmetadata: {name: a}": "Pod a: it has no containers",
		"apiVersion: openfaas.com/v1\nkind: Function\nmetadata: {name: a}": "it has no spec",
		"functions: {b: {namespace: n}, c: {}}":                            "it has no a: it has b in n (function of OpenFaaS, line 1), c (",
	} {
		_, _, err := Get([]byte(text), Target{Function: "a"})
		require.ErrorContains(t, err, want, "%.30q", text)
	}
	_, _, err = Get([]byte(stackText), Target{})
	require.ErrorContains(t, err, "no function is named")
	_, err = Set([]byte(stackText), Target{Function: "a"}, Resources{})
	require.ErrorContains(t, err, "no limit and no request")
	_, err = Set([]byte(stackText), Target{Function: "a"}, Resources{CPULimit: "20m"})
	require.EqualError(t, err, "a: the limit of cpu would be 20m, below its request of 50m")
}

// TestMeant checks that units that were mixed up are refused.
func TestMeant(t *testing.T) {
	for want, r := range map[string]Resources{
		"limits of memory: 100m are 0.1 bytes, and nothing runs in less than 1Mi":                     {MemoryLimit: "100m"},
		"requests of memory: 64 are 64 bytes, and nothing runs in less than 1Mi":                      {MemoryRequest: "64"},
		"limits of cpu: 64Mi are 67108864 cores, and nothing has more than 10000":                     {CPULimit: "64Mi"},
		"requests of cpu: quantity \"1 core\": want a number with a unit like 40Mi, 1.5Gi, 100m, 0.5": {CPURequest: "1 core"},
	} {
		_, err := Set([]byte(stackText), Target{Function: "a"}, r)
		require.EqualError(t, err, "a: "+want)
	}
}

// TestTabsInJSON checks that JSON may be indented by tabs.
func TestTabsInJSON(t *testing.T) {
	edit, err := Set([]byte("{\n\t\"kind\": \"Pod\",\n\t\"metadata\": {\"name\": \"a\"},\n\t\"spec\": {\"containers\": [\n\t\t{\n\t\t\t\"name\": \"a\"\n\t\t}\n\t]}\n}\n"), Target{Function: "a"}, Resources{CPULimit: "1"})
	require.NoError(t, err)
	require.Contains(t, string(edit.Text), "\"name\": \"a\",\n\t\t\t\"resources\": {\"limits\": {\"cpu\": \"1\"}}\n")
}

// TestAliasBomb checks that a file whose aliases stand for more than any memory holds is refused.
func TestAliasBomb(t *testing.T) {
	text := "functions: {a: {image: x}}\nx0: &x0 [a]\n"
	for i := range 8 {
		name := string(rune('1' + i))
		text += "y" + name + ": &y" + name + " [" + strings.Repeat("*"+map[bool]string{true: "x0", false: "y" + string(rune('0'+i))}[i == 0]+", ", 12) + "]\n"
	}
	_, err := Set([]byte(text), Target{Function: "a"}, Resources{MemoryLimit: "1Mi"})
	require.ErrorContains(t, err, "too many values")
}

// TestDiff applies diffs by hand, and one with git.
func TestDiff(t *testing.T) {
	require.Empty(t, Diff("x", []byte("a\n"), []byte("a\n")))
	require.Equal(t, "--- x\n+++ x\n@@ -1,2 +1,3 @@\n a\n-b\n\\ No newline at end of file\n+b\n+c\n", Diff("x", []byte("a\nb"), []byte("a\nb\nc\n")))
	require.Equal(t, "--- x\n+++ x\n@@ -0,0 +1 @@\n+a\n", Diff("x", nil, []byte("a\n")))
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.SampledFrom([]string{"a\n", "b\n", "c\n", "\n"}), 0, 30)
		before := strings.Join(lines.Draw(t, "before"), "")
		after := strings.Join(lines.Draw(t, "after"), "")
		if rapid.Bool().Draw(t, "no newline") {
			after = strings.TrimSuffix(after, "\n")
		}
		require.Equal(t, after, apply(t, before, Diff("x", []byte(before), []byte(after))))
	})
	dir := t.TempDir()
	file := filepath.Join(dir, "x")
	before := strings.Repeat("a\nb\nc\nd\n", 20)
	after := "z\n" + strings.Replace(strings.Replace(before, "b\nc\n", "b\n", 1), "d\na\nb", "d\nx\nb", 9) + "end"
	require.NoError(t, os.WriteFile(file, []byte(before), 0o666))
	command := exec.Command("git", "apply", "-p0")
	command.Dir = dir
	command.Stdin = strings.NewReader(Diff("x", []byte(before), []byte(after)))
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, after, string(got))
}

// apply applies a diff to a text, from its hunks alone.
func apply(t require.TestingT, before, diff string) string {
	if diff == "" {
		return before
	}
	rest, line := splitLines([]byte(before)), 1
	var out strings.Builder
	lines := splitLines([]byte(diff))[2:]
	for i, l := range lines {
		next := ""
		if i+1 < len(lines) {
			next = lines[i+1]
		}
		body := l[1:]
		if strings.HasPrefix(next, "\\") {
			body = strings.TrimSuffix(body, "\n")
		}
		switch l[0] {
		case '@':
			var from int
			_, after, _ := strings.Cut(l, "-")
			numbers, _, _ := strings.Cut(after, " ")
			start, count, _ := strings.Cut(numbers, ",")
			for _, r := range start {
				from = 10*from + int(r-'0')
			}
			if count == "0" {
				from++
			}
			for ; line < from; line++ {
				out.WriteString(rest[0])
				rest = rest[1:]
			}
		case '+':
			out.WriteString(body)
		case '-', ' ':
			require.Equal(t, rest[0], body)
			if l[0] == ' ' {
				out.WriteString(body)
			}
			rest, line = rest[1:], line+1
		}
	}
	return out.String() + strings.Join(rest, "")
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real.yml"), filepath.Join(dir, "stack.yml")
	require.NoError(t, os.WriteFile(real, []byte("1"), 0o640))
	require.NoError(t, os.Symlink("real.yml", link))
	read := func(name string) string {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		return string(text)
	}
	write := func(before, after string) string {
		backup, err := WriteFile(link, []byte(before), []byte(after))
		require.NoError(t, err)
		return filepath.Base(backup)
	}
	require.Equal(t, "stack.yml.bak", write("1", "2"))
	require.Equal(t, "stack.yml.bak.1", write("2", "1"))
	require.Equal(t, "stack.yml.bak", write("1", "3"), "a backup of this content is there")
	require.Equal(t, "1", read(link+".bak"))
	require.Equal(t, "2", read(link+".bak.1"))
	require.Equal(t, "3", read(real))
	info, err := os.Lstat(link)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeSymlink)
	info, err = os.Stat(real)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode().Perm())

	_, err = WriteFile(link, []byte("1"), []byte("4"))
	require.ErrorContains(t, err, "changed meanwhile")
	require.Equal(t, "3", read(real))
	_, err = WriteFile(dir, nil, nil)
	require.ErrorContains(t, err, "no regular file")
	_, err = WriteFile(filepath.Join(dir, "none"), nil, nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = WriteFile(filepath.Join(dir, "x.gz"), nil, nil)
	require.ErrorContains(t, err, "compressed")
	big := filepath.Join(dir, "big")
	require.NoError(t, os.WriteFile(big, bytes.Repeat([]byte("#"), maxSize+1), 0o666))
	_, err = ReadFile(big)
	require.ErrorContains(t, err, "too many")
}

// TestBackupsAreBounded checks that backups do not pile up: of many the oldest one with a number gives way, and the first, of what the file was at first, stays.
func TestBackupsAreBounded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stack.yml")
	require.NoError(t, os.WriteFile(file, []byte("now"), 0o666))
	begin := time.Unix(1790000000, 0)
	for n := range mostBackups {
		name, age := file+".bak", time.Duration(n)
		if n > 0 {
			name += "." + strconv.Itoa(n)
			age = time.Duration(n+50) % mostBackups // as if the names had been gone through before
		}
		require.NoError(t, os.WriteFile(name, []byte("that of "+strconv.Itoa(n)), 0o666))
		require.NoError(t, os.Chtimes(name, begin, begin.Add(age*time.Second)))
	}
	for i, want := range []string{".bak.50", ".bak.51", ".bak.52"} {
		backup, err := WriteFile(file, []byte("now"+strings.Repeat("!", i)), []byte("now"+strings.Repeat("!", i+1)))
		require.NoError(t, err)
		require.Equal(t, "stack.yml"+want, filepath.Base(backup))
		text, err := os.ReadFile(backup)
		require.NoError(t, err)
		require.Equal(t, "now"+strings.Repeat("!", i), string(text))
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, entries, mostBackups+1)
	for _, n := range []string{"", ".1", ".49", ".53", ".99"} {
		text, err := os.ReadFile(file + ".bak" + n)
		require.NoError(t, err)
		require.Equal(t, "that of "+strings.TrimPrefix(cmp.Or(n, ".0"), "."), string(text))
	}
}
