package integration

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// recorder is a test that notes how it ends.
type recorder struct {
	testing.TB
	end string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.end = "failed: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Skipf(format string, args ...any) {
	r.end = "skipped: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestMissing(t *testing.T) {
	for value, want := range map[string]string{
		"":         "skipped: no-such-program is missing: apt-get install it",
		"required": "failed: no-such-program is missing, and TPPFAAS_INTEGRATION=required: apt-get install it",
	} {
		t.Setenv(Variable, value)
		r := &recorder{TB: t}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			Program(r, "no-such-program", "apt-get install it")
		}()
		<-ended
		if r.end != want {
			t.Errorf("%s=%s: %q, want %q", Variable, value, r.end, want)
		}
	}
	if Program(t, "go", "") == "" || File(t, "doc.go", "", "") != "doc.go" {
		t.Error("what is there is not found")
	}
}

// plain are the programs that a test without the tag may start by name.
var plain = []string{"go", "bash", "sh", "git"}

// TestTestsAreSorted checks every test file of the module: those with the tag integration are named so, and their tests too; all others
// start no program by name but Go and a shell, and use no package that needs more.
func TestTestsAreSorted(t *testing.T) {
	tagged := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "bin", "build", "node_modules", "testdata"}, d.Name()):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if needsTag(file) {
			tagged++
		}
		for _, fault := range faults(filepath.Base(path), file) {
			t.Errorf("%s: %s", path, fault)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if tagged == 0 {
		t.Error("no file has the tag integration")
	}
}

func TestFaults(t *testing.T) {
	const tag = "//go:build integration\n\n"
	for _, c := range []struct{ name, text, want string }{
		{"a_test.go", "package a\nfunc TestA(t *testing.T) {}", ""},
		{"a_integration_test.go", tag + "package a\nfunc TestIntegrationA(t *testing.T) { exec.Command(\"java\") }", ""},
		{"a_integration_test.go", "//go:build integration && unix\n\npackage a\nfunc helper() {}", ""},
		{"a_test.go", tag + "package a", "has the tag integration, and its name does not end in _integration_test.go"},
		{"a_integration_test.go", "package a", "its name ends in _integration_test.go, and it lacks the tag integration"},
		{"a_integration_test.go", "//go:build !integration\n\npackage a", "its name ends in _integration_test.go, and it lacks the tag integration"},
		{"a_integration_test.go", tag + "package a\nfunc TestA(t *testing.T) {}", "TestA is not called TestIntegration…: make integration does not run it"},
		{"a_test.go", "package a\nfunc TestIntegrationA(t *testing.T) {}", "TestIntegrationA stands in a file without the tag integration"},
		{"a_test.go", "package a\nfunc f() { exec.CommandContext(ctx, \"/usr/bin/java\", \"-h\") }", "starts java, and has no tag integration"},
		{"a_test.go", "package a\nfunc f() { osexec.LookPath(\"npm\") }", "starts npm, and has no tag integration"},
		{"a_test.go", "package a\nfunc f() { exec.Command(\"go\", \"java\") }", ""},
		{"a_test.go", "package a\nimport \"github.com/tppfaas/tppfaas/internal/zipkintest\"", "imports internal/zipkintest, and has no tag integration"},
	} {
		file, err := parser.ParseFile(token.NewFileSet(), c.name, c.text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(faults(c.name, file), "; "); got != c.want {
			t.Errorf("%s %q: %q, want %q", c.name, c.text, got, c.want)
		}
	}
}

// needsTag reports whether a file is built only with the tag integration.
func needsTag(file *ast.File) bool {
	for _, group := range file.Comments {
		for _, comment := range group.List {
			expr, err := constraint.Parse(comment.Text)
			if err == nil && group.End() < file.Package &&
				!expr.Eval(func(tag string) bool { return tag != "integration" }) && expr.Eval(func(string) bool { return true }) {
				return true
			}
		}
	}
	return false
}

// faults returns what is wrong with the way in which a test file is sorted.
func faults(name string, file *ast.File) (found []string) {
	tagged := needsTag(file)
	switch named := strings.HasSuffix(name, "_integration_test.go"); {
	case tagged && !named:
		found = append(found, "has the tag integration, and its name does not end in _integration_test.go")
	case named && !tagged:
		found = append(found, "its name ends in _integration_test.go, and it lacks the tag integration")
	}
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") || f.Name.Name == "TestMain" {
			continue
		}
		switch named := strings.HasPrefix(f.Name.Name, "TestIntegration"); {
		case tagged && !named:
			found = append(found, f.Name.Name+" is not called TestIntegration…: make integration does not run it")
		case named && !tagged:
			found = append(found, f.Name.Name+" stands in a file without the tag integration")
		}
	}
	if tagged {
		return found
	}
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		for _, part := range []string{"internal/zipkintest", "internal/kafkatest"} {
			if err == nil && strings.HasSuffix(path, "/"+part) {
				found = append(found, "imports "+part+", and has no tag integration")
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if program, err := started(n); err == nil && !slices.Contains(plain, filepath.Base(program)) && !strings.HasPrefix(program, "/proc/") {
			found = append(found, "starts "+filepath.Base(program)+", and has no tag integration")
		}
		return true
	})
	return found
}

var errOther = errors.New("no call that starts a program by name")

// started returns the program that a call starts or looks for, where its name is written there.
func started(n ast.Node) (string, error) {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return "", errOther
	}
	function, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", errOther
	}
	at := map[string]int{"Command": 0, "LookPath": 0, "CommandContext": 1}
	i, ok := at[function.Sel.Name]
	if !ok || len(call.Args) <= i {
		return "", errOther
	}
	literal, ok := call.Args[i].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", errOther
	}
	return strconv.Unquote(literal.Value)
}
