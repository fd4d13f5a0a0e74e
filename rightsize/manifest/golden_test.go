package manifest

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openfaas/go-sdk/stack"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

// parseCase reads what a golden file asks for: a function and NAME=VALUE.
func parseCase(t *testing.T, line string) (Target, Resources) {
	words := strings.Fields(line)
	target, r := Target{Function: words[0]}, Resources{}
	fields := map[string]*string{
		"namespace": &target.Namespace, "container": &target.Container, "memory": &r.MemoryLimit, "cpu": &r.CPULimit,
		"request-memory": &r.MemoryRequest, "request-cpu": &r.CPURequest,
	}
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		require.Contains(t, fields, name)
		*fields[name] = value
	}
	return target, r
}

// TestGolden sets values in the files of testdata, and compares with the diff or the error below them.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.Greater(t, len(files), 40)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			all, err := os.ReadFile(file)
			require.NoError(t, err)
			line, rest, _ := strings.Cut(string(all), "\n-- in --\n")
			in, want, _ := strings.Cut(rest, "-- out --\n")
			target, r := parseCase(t, line)
			edit, err := Set([]byte(in), target, r)
			var got string
			if err != nil {
				got = "error: " + err.Error() + "\n"
				require.NotContains(t, err.Error(), "\n")
			} else {
				got = Diff("file", []byte(in), edit.Text)
				for _, c := range edit.Changes {
					got += c.Path + ": " + c.Old + " → " + c.New + "\n"
				}
			}
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(line+"\n-- in --\n"+in+"-- out --\n"+got), 0o666))
				return
			}
			require.Equal(t, want, got)
			if err != nil {
				return
			}
			again, err := Set(edit.Text, target, r)
			require.NoError(t, err)
			require.Empty(t, again.Changes, "once more")
			require.Equal(t, edit.Text, again.Text)
			if strings.HasPrefix(filepath.Base(file), "stack_") {
				sameStack(t, in, edit, target)
			}
		})
	}
}

// sameStack checks that OpenFaaS's own parser sees the changes, and nothing else changed.
func sameStack(t require.TestingT, in string, edit *Edit, target Target) {
	const provider = "provider: {name: openfaas}\n"
	parse := func(text string) *stack.Services {
		switch {
		case strings.HasPrefix(text, "functions: {"), !strings.Contains(text, "provider:"):
			text = provider + text
		}
		s, err := stack.ParseYAMLData([]byte(text), "", "", false)
		require.NoError(t, err)
		return s
	}
	want, got := parse(in), parse(string(edit.Text))
	f := want.Functions[target.Function]
	resources := func(old *stack.FunctionResources, memory, cpu string) *stack.FunctionResources {
		if memory == "" && cpu == "" {
			return old
		}
		return &stack.FunctionResources{Memory: memory, CPU: cpu}
	}
	f.Limits = resources(f.Limits, edit.Resources.MemoryLimit, edit.Resources.CPULimit)
	f.Requests = resources(f.Requests, edit.Resources.MemoryRequest, edit.Resources.CPURequest)
	want.Functions[target.Function] = f
	require.Equal(t, want, got)
}
