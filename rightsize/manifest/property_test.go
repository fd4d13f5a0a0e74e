package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

// layout draws a file in some layout. Where the file holds a value of the function "target", it has it as written by hole.
type layout struct {
	t    *rapid.T
	step int
	out  strings.Builder
	hole map[string]string // by place, what stands there
}

func (l *layout) chance(name string, percent int) bool {
	return rapid.IntRange(0, 99).Draw(l.t, name) < percent
}

// noise writes comments and blank lines.
func (l *layout) noise() {
	for range rapid.IntRange(0, 2).Draw(l.t, "noise") {
		l.out.WriteString(rapid.SampledFrom([]string{
			"\n", "# a comment\n", "    # deeper: {\"\n", "   \n", "# größe ∞: '\n", "# limits:\n",
		}).Draw(l.t, "line"))
	}
}

func (l *layout) tail() string {
	return rapid.SampledFrom([]string{"", "", " # why", "  ", "\t# tab", " # ünï: {'"}).Draw(l.t, "tail")
}

// scalar writes a value in some quotes.
func (l *layout) scalar(value string) string {
	return rapid.SampledFrom([]string{value, `"` + value + `"`, `'` + value + `'`, "!!str " + value, "&own " + value}).Draw(l.t, "quotes")
}

var fillers = []string{
	"image: ghcr.io/x/y:latest", "lang: go", "environment:\n%slimits: \"{\"", "text: |\n%slimits:\n%s  memory: 1Gi", "text: >-\n%sfolded\n\n%sagain",
	"secrets:\n- a\n- b", "secrets: [a, 'b', \"c\"]", "labels: {a: b, 'limits': \"x\"}", "text: \"one\n%s two\"", "text: it's\n%splain", "empty:", "größe: ∞ {",
	"text: |+\n%skept\n\n",
}

// function writes a mapping of a function at an indentation; with named its first key is on the line of a dash.
func (l *layout) function(indent int, isTarget bool) {
	pad := strings.Repeat(" ", indent)
	l.noise()
	parts := []string{"name"} // in Kubernetes this is below resources, where other keys do no harm
	for i := range rapid.IntRange(0, 2).Draw(l.t, "fillers") {
		parts = append(parts, fmt.Sprintf("filler%d", i))
	}
	groups := []string{"limits", "requests"}
	for _, g := range groups {
		if l.chance(g, 60) {
			parts = append(parts, g)
		}
	}
	parts = rapid.Permutation(parts).Draw(l.t, "parts")
	used := map[string]bool{}
	for _, part := range parts {
		if part == "limits" || part == "requests" {
			l.group(indent, part, isTarget)
			continue
		}
		text := "who: me"
		if part != "name" {
			text = rapid.SampledFrom(fillers).Draw(l.t, "filler")
		}
		key, _, _ := strings.Cut(text, ":")
		if used[key] {
			continue
		}
		used[key] = true
		text = strings.ReplaceAll(text, "%s", pad+strings.Repeat(" ", l.step))
		text = strings.ReplaceAll(text, "\n- ", "\n"+pad+"- ")
		l.out.WriteString(pad + text + "\n")
		if !strings.Contains(text, "|") {
			l.noise()
		}
	}
}

func (l *layout) group(indent int, group string, isTarget bool) {
	pad, deeper := strings.Repeat(" ", indent), strings.Repeat(" ", indent+l.step)
	var have []string
	for _, resource := range []string{"memory", "cpu"} {
		if l.chance(resource, 60) {
			have = append(have, resource)
		}
	}
	have = rapid.Permutation(have).Draw(l.t, "order")
	value := func(resource string) string {
		v := map[string]string{"limitsmemory": "64Mi", "limitscpu": "200m", "requestsmemory": "32Mi", "requestscpu": "100m"}[group+resource]
		text := l.scalar(v)
		if !isTarget {
			return strings.ReplaceAll(text, "&own ", "")
		}
		text = strings.ReplaceAll(text, "&own", "&own"+group+resource)
		l.hole[group+resource] = v
		return "\x01" + group + resource + "\x02" + text + "\x03"
	}
	switch style := rapid.SampledFrom([]string{"block", "flow", "lines"}).Draw(l.t, "style"); {
	case len(have) == 0 && style == "block":
		l.out.WriteString(pad + group + ":" + l.tail() + "\n")
	case style == "block":
		l.out.WriteString(pad + group + ":" + l.tail() + "\n")
		for _, r := range have {
			l.out.WriteString(deeper + r + ": " + value(r) + l.tail() + "\n")
			l.noise()
		}
	case style == "flow":
		var parts []string
		for _, r := range have {
			parts = append(parts, r+": "+value(r))
		}
		l.out.WriteString(pad + group + ": {" + strings.Join(parts, " , ") + "}" + l.tail() + "\n")
	default:
		l.out.WriteString(pad + group + ": {\n")
		for i, r := range have {
			comma := ","
			if i == len(have)-1 && l.chance("comma", 50) {
				comma = ""
			}
			l.out.WriteString(deeper + r + ": " + value(r) + comma + l.tail() + "\n")
		}
		l.out.WriteString(pad + "}\n")
	}
}

// draw returns a file, and the same with other values where the target's stand.
func draw(t *rapid.T, r Resources) (text, replaced string, has map[string]string, target Target) {
	l := &layout{t: t, step: rapid.SampledFrom([]int{2, 3, 4}).Draw(t, "step"), hole: map[string]string{}}
	indent := func(n int) string { return strings.Repeat(" ", n*l.step) }
	target = Target{Function: "target"}
	names := rapid.Permutation([]string{"target", "other", "größer"}).Draw(t, "names")
	if rapid.Bool().Draw(t, "stack") {
		l.out.WriteString("provider: {name: openfaas}\nfunctions:\n")
		for _, name := range names {
			l.out.WriteString(indent(1) + name + ":" + l.tail() + "\n")
			l.function(2*l.step, name == "target")
		}
	} else {
		for _, name := range names {
			l.out.WriteString("---\nkind: Deployment\nmetadata: {name: " + name + "}\nspec:\n" + indent(1) + "template:\n" + indent(2) + "spec:\n" + indent(3) + "containers:\n" + indent(3) + "- name: c\n")
			if l.chance("resources", 70) {
				l.out.WriteString(indent(3) + "  resources:\n")
				l.function(5*l.step, name == "target")
			}
		}
	}
	text = l.out.String()
	if l.chance("no newline", 30) {
		text = strings.TrimRight(text, "\n")
	}
	replaced = text
	for key, old := range l.hole {
		now := map[string]string{"limitsmemory": r.MemoryLimit, "limitscpu": r.CPULimit, "requestsmemory": r.MemoryRequest, "requestscpu": r.CPURequest}[key]
		from := strings.Index(text, "\x01"+key+"\x02")
		to := from + strings.Index(text[from:], "\x03")
		part := text[from:to]
		if now == "" {
			now = old
		}
		replaced = strings.Replace(replaced, part, strings.Replace(part, old, now, 1), 1)
	}
	clean := func(s string) string {
		for key := range l.hole {
			s = strings.ReplaceAll(s, "\x01"+key+"\x02", "")
		}
		s = strings.ReplaceAll(s, "\x03", "")
		if crlf := l.chance("CRLF", 30); crlf {
			s = strings.ReplaceAll(s, "\n", "\r\n")
		}
		return s
	}
	// The same draws for both.
	clean1 := clean(text)
	if strings.Contains(clean1, "\r\n") {
		replaced = strings.ReplaceAll(replaced, "\n", "\r\n")
	}
	for key := range l.hole {
		replaced = strings.ReplaceAll(replaced, "\x01"+key+"\x02", "")
	}
	replaced = strings.ReplaceAll(replaced, "\x03", "")
	if l.chance("BOM", 20) {
		clean1, replaced = string(bom)+clean1, string(bom)+replaced
	}
	return clean1, replaced, l.hole, target
}

// documents decodes all documents of a file, as a program that uses it does.
func documents(text []byte) ([]any, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var all []any
	for {
		var v any
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
}

// setIn sets a value in decoded documents, and reports whether it could: a mapping with keys that are no texts is not followed.
func setIn(docs []any, h *holder, p place, value string) bool {
	var at any = docs
	steps := append(append([]string{}, h.steps...), append(h.below, p.group, p.resource)...)
	for i, s := range steps {
		switch v := at.(type) {
		case []any:
			var n int
			fmt.Sscan(s, &n)
			at = v[n]
		case map[string]any:
			if i == len(steps)-1 {
				v[s] = value
				return true
			}
			if next, ok := v[s]; !ok || next == nil {
				v[s] = map[string]any{}
			}
			at = v[s]
		default:
			return false
		}
	}
	return false
}

// sameText writes decoded documents so that a number and the text of it are the same.
func sameText(docs []any) string { return fmt.Sprintf("%v", docs) }

// isSubsequence reports whether a text is another one with bytes put in.
func isSubsequence(short, long string) bool {
	for i := range len(long) {
		if short != "" && short[0] == long[i] {
			short = short[1:]
		}
	}
	return short == ""
}

// TestSetChangesNothingElse sets values in files of all layouts: where they stand the file differs in these alone, and where they are missing bytes
// are only put in.
func TestSetChangesNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pick := func(name, value string) string {
			return rapid.SampledFrom([]string{"", value}).Draw(t, name)
		}
		r := Resources{pick("memory", "96Mi"), pick("cpu", "250m"), pick("request memory", "48Mi"), pick("request cpu", "75m")}
		text, replaced, has, target := draw(t, r)
		if r == (Resources{}) {
			return
		}
		edit, err := Set([]byte(text), target, r)
		require.NoError(t, err, "%s", text)
		require.True(t, isSubsequence(replaced, string(edit.Text)), "%q became %q", replaced, edit.Text)
		missing := 0
		s, err := parse([]byte(text))
		require.NoError(t, err)
		h, err := s.find(target)
		require.NoError(t, err)
		want, err := documents([]byte(text))
		require.NoError(t, err)
		for _, p := range places {
			if v := *r.at(p); v != "" {
				require.True(t, setIn(want, h, p, v))
				if has[p.group+p.resource] == "" {
					missing++
				}
			}
		}
		if missing == 0 {
			require.Equal(t, replaced, string(edit.Text))
		}
		got, err := documents(edit.Text)
		require.NoError(t, err)
		require.Equal(t, sameText(want), sameText(got))
		after, _, err := Get(edit.Text, target)
		require.NoError(t, err)
		require.Equal(t, after, edit.Resources)
		for _, p := range places {
			if v := *r.at(p); v != "" {
				require.Equal(t, v, *after.at(p))
			}
		}
		again, err := Set(edit.Text, target, r)
		require.NoError(t, err)
		require.Equal(t, string(edit.Text), string(again.Text))
		if strings.Contains(text, "provider: {name: openfaas}") {
			sameStack(t, text, edit, target)
		}
	})
}

// FuzzSet checks that no text lets Set panic or change what it should not: the values that the file decodes to are those before, with the new ones.
func FuzzSet(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(f, err)
	for _, file := range files {
		all, err := os.ReadFile(file)
		require.NoError(f, err)
		line, rest, _ := strings.Cut(string(all), "\n-- in --\n")
		in, _, _ := strings.Cut(rest, "-- out --\n")
		name, _, _ := strings.Cut(line, " ")
		f.Add(in, name, "64Mi", "")
		f.Add(strings.ReplaceAll(in, "\n", "\r\n"), name, "", "10m")
	}
	f.Fuzz(func(t *testing.T, text, function, memory, request string) {
		r := Resources{MemoryLimit: memory, CPURequest: request}
		target := Target{Function: function}
		edit, err := Set([]byte(text), target, r)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		want, err := documents([]byte(text))
		if err != nil {
			return // the decoder is stricter about what stands elsewhere
		}
		got, err := documents(edit.Text)
		require.NoError(t, err)
		s, err := parse([]byte(text))
		require.NoError(t, err)
		h, err := s.find(target)
		require.NoError(t, err)
		for _, p := range places {
			for _, c := range edit.Changes {
				if h.display(p) == c.Path && !setIn(want, h, p, c.New) {
					return
				}
			}
		}
		require.Equal(t, sameText(want), sameText(got))
		again, err := Set(edit.Text, target, r)
		require.NoError(t, err)
		require.Empty(t, again.Changes)
	})
}
