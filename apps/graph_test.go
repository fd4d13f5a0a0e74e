package apps

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"
)

func readText(text string) (*Application, error) {
	return Read(fstest.MapFS{"apps/x/graph.yaml": {Data: []byte(text)}}, "apps/x")
}

func TestReadKeepsTheOrderOfTheFile(t *testing.T) {
	app, err := readText(`
functions:
  z: {duration: 0.5, gamma: {shape: 1, rate: 2e0}, invokes: [b, a, b]}
  main: {invokes: [z]}
  b: &leaf {duration: 7, gamma: {shape: 3, rate: 0.25}, invokes: []}
  a: *leaf
`[1:])
	if err != nil {
		t.Fatal(err)
	}
	want := &Application{Name: "x", Functions: []Function{
		{Name: "z", Duration: 500 * time.Microsecond, Gamma: Gamma{1, 2}, Invokes: Always("b", "a", "b")},
		{Name: "main", Invokes: Always("z")},
		{Name: "b", Duration: 7 * time.Millisecond, Gamma: Gamma{3, 0.25}},
		{Name: "a", Duration: 7 * time.Millisecond, Gamma: Gamma{3, 0.25}},
	}}
	if got, want := fmt.Sprintf("%+v", app), fmt.Sprintf("%+v", want); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if n := app.Invocations(); n != 5 {
		t.Errorf("Invocations() = %d, want 5: main, z, b, a, b", n)
	}
	if app.Index("b") != 2 || app.Index("c") != -1 {
		t.Errorf("Index(b) = %d, Index(c) = %d, want 2 and -1", app.Index("b"), app.Index("c"))
	}
	if name := app.DeployedName("b"); name != "x-dev-b" {
		t.Errorf("DeployedName(b) = %q", name)
	}
}

func TestReadNamesWhatIsWrong(t *testing.T) {
	const leaf = "{duration: 1, gamma: {shape: 1, rate: 1}}"
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", ": the file is empty"},
		{"comments only", "# nothing\n", ": the file is empty"},
		{"null", "~\n", ": the file is empty"},
		{"no YAML", "functions:\n  main: {invokes: [f1\n  f1: x\n", ":2: not YAML: did not find expected ',' or ']'"},
		{"tab", "functions:\n\tmain: {}\n", ":2: not YAML: found character that cannot start any token"},
		{"unknown anchor", "functions:\n  main: {}\n  f1: *f\n", ":3: not YAML: unknown anchor 'f' referenced"},
		{"not UTF-8", "functions:\n  main: {}\n  # \xff\n", ":3: not YAML: invalid leading UTF-8 octet"},
		{"control character", "functions:\n  main: {}\n  # \x01\n", ":3: not YAML: control characters are not allowed"},
		{"in the first line", "[", ":1: not YAML: did not find expected node content"},
		{"missing colon", "functions:\n  main: {}\n  f1\n  f2: {}\n", ":3: not YAML: could not find expected ':'"},
		{"wrong indentation", "functions:\n  main: {}\n f1: {}\n", ":3: not YAML: did not find expected key"},
		{"two documents", "functions:\n  main: {}\n---\nfunctions:\n  main: {}\n", ":3: a second document; one file describes one application"},
		{"broken second document", "functions:\n  main: {}\n---\n[\n", ":4: not YAML: did not find expected node content"},
		{"a list", "[main]\n", ":1: the file must be a mapping with functions, not a list"},
		{"a word", "main\n", ":1: the file must be a mapping with functions, not the text \"main\""},
		{"lines of text", "!!int \"a\\n" + strings.Repeat("b", 99) + "\"\n", ":1: the file must be a mapping with functions, not the text \"a\\n" + strings.Repeat("b", 38) + "…\""},
		{"no functions", "{}\n", ":1: no key functions"},
		{"unknown key at the top", "functions:\n  main: {}\nname: x\n", `:3: the file: unknown key "name" (known: functions)`},
		{"functions twice", "functions:\n  main: {}\nfunctions:\n  main: {}\n", ":3: the file: key functions comes twice"},
		{"functions a list", "functions: [main]\n", ":1: functions must be a mapping from names to functions, not a list"},
		{"functions missing", "functions:\n", ":1: functions must be a mapping from names to functions, not nothing"},

		{"bad name", "functions:\n  main: {}\n  f 1: " + leaf, `:3: function "f 1": a name starts with a letter or digit and goes on with letters, digits, - and _`},
		{"a list as name", "functions:\n  ? [a]\n  : {}\n", ":2: the name of a function cannot be a list"},
		{"function twice", "functions:\n  main: {invokes: [f1]}\n  f1: " + leaf + "\n  f1: " + leaf, ":4: function f1 is defined twice (first in line 3)"},
		{"function is nothing", "functions:\n  main:\n", ":2: main must be a mapping with duration, gamma, invokes, not nothing"},
		{"unknown key", "functions:\n  main: {}\n  f1: {duration: 1, gama: {shape: 1, rate: 1}}", `:3: f1: unknown key "gama" (known: duration, gamma, invokes)`},
		{"key twice", "functions:\n  main: {}\n  f1:\n    duration: 1\n    duration: 2\n", ":5: f1: key duration comes twice"},
		{"no main", "functions:\n  f1: " + leaf, ": no function main, where every request enters"},
		{"no functions at all", "functions: {}\n", ": no function main, where every request enters"},
		{"main with duration", "functions:\n  main:\n    duration: 0\n", ":3: main only invokes: it takes no duration"},
		{"main with gamma", "functions:\n  main:\n    gamma: {shape: 1, rate: 1}\n", ":3: main only invokes: it takes no gamma"},

		{"no duration", "functions:\n  main: {}\n  f1: {gamma: {shape: 1, rate: 1}}", ":3: f1 has no duration (milliseconds)"},
		{"negative duration", "functions:\n  main: {}\n  f1:\n    duration: -0.5\n    gamma: {shape: 1, rate: 1}\n", ":4: f1: duration must be between 0 and 86400000 ms (a day), not -0.5"},
		{"endless duration", "functions:\n  main: {}\n  f1: {duration: .inf, gamma: {shape: 1, rate: 1}}", ":3: f1: duration must be finite, not .inf"},
		{"duration beyond float64", "functions:\n  main: {}\n  f1: {duration: 1e999, gamma: {shape: 1, rate: 1}}", `:3: f1: duration must be a number, not the text "1e999"`},
		{"duration of years", "functions:\n  main: {}\n  f1: {duration: 1e12, gamma: {shape: 1, rate: 1}}", ":3: f1: duration must be between 0 and 86400000 ms (a day), not 1e+12"},
		{"duration as text", "functions:\n  main: {}\n  f1: {duration: \"300\", gamma: {shape: 1, rate: 1}}", `:3: f1: duration must be a number, not the text "300"`},
		{"duration with a unit", "functions:\n  main: {}\n  f1: {duration: 300ms, gamma: {shape: 1, rate: 1}}", `:3: f1: duration must be a number, not the text "300ms"`},
		{"duration is nothing", "functions:\n  main: {}\n  f1: {duration: , gamma: {shape: 1, rate: 1}}", `:3: f1: duration must be a number, not nothing`},
		{"duration is true", "functions:\n  main: {}\n  f1: {duration: true, gamma: {shape: 1, rate: 1}}", `:3: f1: duration must be a number, not true`},
		{"no gamma", "functions:\n  main: {}\n  f1: {duration: 1}", ":3: f1 has no gamma, like {shape: 30, rate: 0.1}"},
		{"gamma a list", "functions:\n  main: {}\n  f1: {duration: 1, gamma: [30, 0.1]}", ":3: f1: gamma must be a mapping with shape, rate, not a list"},
		{"no shape", "functions:\n  main: {}\n  f1: {duration: 1, gamma: {rate: 1}}", ":3: f1: gamma has no shape"},
		{"no rate", "functions:\n  main: {}\n  f1: {duration: 1, gamma: {shape: 1}}", ":3: f1: gamma has no rate"},
		{"scale", "functions:\n  main: {}\n  f1: {duration: 1, gamma: {shape: 1, scale: 1}}", `:3: f1: gamma: unknown key "scale" (known: shape, rate)`},
		{"shape zero", "functions:\n  main: {}\n  f1:\n    duration: 1\n    gamma:\n      shape: 0\n      rate: 1\n", ":6: f1: gamma shape must be positive and finite, not 0"},
		{"rate negative", "functions:\n  main: {}\n  f1:\n    duration: 1\n    gamma:\n      shape: 1\n      rate: -1\n", ":7: f1: gamma rate must be positive and finite, not -1"},
		{"rate not a number", "functions:\n  main: {}\n  f1: {duration: 1, gamma: {shape: 1, rate: .nan}}", ":3: f1: gamma rate must be finite, not .nan"},
		{"mean of years", "functions:\n  main: {}\n  f1: {duration: 1, gamma: {shape: 1e300, rate: 1e-300}}", ":3: f1: the mean of gamma, shape/rate, is +Inf ms, more than a day"},

		{"invokes a word", "functions:\n  main: {invokes: f1}\n  f1: " + leaf, `:2: main: invokes must be a list of functions, like [f1, f2], not the text "f1"`},
		{"invokes a mapping", "functions:\n  main: {invokes: [{f1: 1}]}\n  f1: " + leaf, `:2: main: invokes: a mapping must be like {choice: {f1: 0.7, f2: 0.3}} or {loop: {f1: 0.4, max: 3}}`},
		{"invokes a list of lists", "functions:\n  main: {invokes: [[f1]]}\n  f1: " + leaf, `:2: main: invokes must list functions, choices and loops, not a list`},
		{"two branches in one", "functions:\n  main: {invokes: [{choice: {f1: 1}, loop: {f1: 1, max: 2}}]}\n  f1: " + leaf, `:2: main: invokes: a mapping must be like {choice: {f1: 0.7, f2: 0.3}} or {loop: {f1: 0.4, max: 3}}`},
		{"choice of a list", "functions:\n  main: {invokes: [{choice: [f1]}]}\n  f1: " + leaf, `:2: main: invokes: choice must be a mapping from functions to probabilities, not a list`},
		{"choice of nothing", "functions:\n  main: {invokes: [{choice: {}}]}\n  f1: " + leaf, `:2: main: invokes: choice is empty`},
		{"choice below 1", "functions:\n  main:\n    invokes:\n    - choice: {f1: 0.7, none: 0.2}\n  f1: " + leaf, `:4: main: the probabilities of a choice must add up to 1, not 0.9`},
		{"choice of zero", "functions:\n  main: {invokes: [{choice: {f1: 1, none: 0}}]}\n  f1: " + leaf, `:2: main: the probability of none in a choice must be above 0 and at most 1, not 0`},
		{"choice twice", "functions:\n  main: {invokes: [{choice: {f1: 0.5, f1: 0.5}}]}\n  f1: " + leaf, `:2: main: the choice has f1 twice`},
		{"choice by words", "functions:\n  main: {invokes: [{choice: {f1: often}}]}\n  f1: " + leaf, `:2: main: invokes: choice: f1 must be a number, not the text "often"`},
		{"choice of a stranger", "functions:\n  main: {invokes: [{choice: {f1: 0.5, f2: 0.5}}]}\n  f1: " + leaf, `:2: main invokes "f2", which is no function of this application`},
		{"choice and a function none", "functions:\n  main: {invokes: [{choice: {none: 0.5, f1: 0.5}}]}\n  f1: " + leaf + "\n  none: " + leaf, `:2: main: none in a choice is no function, and this application has a function none`},
		{"loop without max", "functions:\n  main: {invokes: [{loop: {f1: 0.5}}]}\n  f1: " + leaf, `:2: main: invokes: a loop has a function and a max, like {loop: {f1: 0.4, max: 3}}`},
		{"loop of nothing", "functions:\n  main: {invokes: [{loop: {max: 3}}]}\n  f1: " + leaf, `:2: main: invokes: a loop has a function and a max, like {loop: {f1: 0.4, max: 3}}`},
		{"loop of two", "functions:\n  main: {invokes: [{loop: {f1: 0.5, f2: 0.5, max: 3}}]}\n  f1: " + leaf, `:2: main: invokes: a loop repeats one function, not f1 and f2`},
		{"loop of half a run", "functions:\n  main: {invokes: [{loop: {f1: 0.5, max: 1.5}}]}\n  f1: " + leaf, `:2: main: invokes: loop: max must be a whole number between 1 and 10000, not 1.5`},
		{"loop with max twice", "functions:\n  main: {invokes: [{loop: {f1: 0.5, max: 1, max: 2}}]}\n  f1: " + leaf, `:2: main: invokes: loop: key max comes twice`},
		{"loop too likely", "functions:\n  main: {invokes: [{loop: {f1: 1.5, max: 2}}]}\n  f1: " + leaf, `:2: main: the probability of a further run of f1 must be between 0 and 1, not 1.5`},
		{"loops too long", "functions:\n  main: {invokes: [{loop: {f1: 0.5, max: 10000}}]}\n  f1: " + leaf, `:2: one request makes more than 10000 invocations (a function that two others invoke runs twice)`},
		{"loop of the caller", "functions:\n  main: {invokes: [f1]}\n  f1: {duration: 1, gamma: {shape: 1, rate: 1}, invokes: [{loop: {f1: 0.5, max: 2}}]}", `:3: cycle: f1 → f1`},
		{"unknown successor", "functions:\n  main:\n    invokes:\n      - f1\n      - f2\n  f1: " + leaf, `:5: main invokes "f2", which is no function of this application`},
		{"invokes itself", "functions:\n  main: {invokes: [f1]}\n  f1: {duration: 1, gamma: {shape: 1, rate: 1}, invokes: [f1]}", ":3: cycle: f1 → f1"},
		{"cycle", "functions:\n  main: {invokes: [a]}\n  a: {duration: 1, gamma: {shape: 1, rate: 1}, invokes: [b]}\n  b: {duration: 1, gamma: {shape: 1, rate: 1}, invokes: [c]}\n  c: {duration: 1, gamma: {shape: 1, rate: 1}, invokes: [a]}", ":5: cycle: a → b → c → a"},
		{"cycle through main", "functions:\n  main: {invokes: [a]}\n  a: {duration: 1, gamma: {shape: 1, rate: 1}, invokes: [main]}", ":3: cycle: main → a → main"},
		{"unreachable", "functions:\n  main: {invokes: [a]}\n  a: " + leaf + "\n  b: {duration: 1, gamma: {shape: 1, rate: 1}, invokes: [a]}", ":4: b is never invoked: no path leads to it from main"},
		{"exponentially many", doubling(14), ":2: one request makes more than 10000 invocations (a function that two others invoke runs twice)"},
		{"beyond any integer", doubling(200), ":2: one request makes more than 10000 invocations (a function that two others invoke runs twice)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := readText(c.text)
			if err == nil {
				t.Fatalf("accepted:\n%s", c.text)
			}
			if got, want := err.Error(), "apps/x/graph.yaml"+c.want; got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
			var e *Error
			if !errors.As(err, &e) {
				t.Errorf("%T is no *Error", err)
			}
		})
	}
}

// doubling is a chain in which each of n functions invokes the next one twice: 2^(n+1) − 1 invocations, and main.
func doubling(n int) string {
	var b strings.Builder
	b.WriteString("functions:\n  main: {invokes: [f0]}\n")
	for i := range n {
		fmt.Fprintf(&b, "  f%d: {duration: 0, gamma: {shape: 1, rate: 1}, invokes: [f%d, f%d]}\n", i, i+1, i+1)
	}
	fmt.Fprintf(&b, "  f%d: {duration: 0, gamma: {shape: 1, rate: 1}}\n", n)
	return b.String()
}

func TestInvocationsCountsPaths(t *testing.T) {
	app, err := readText(doubling(10))
	if err != nil {
		t.Fatal(err)
	}
	if n, want := app.Invocations(), 1+1<<11-1; n != want {
		t.Errorf("Invocations() = %d, want %d", n, want)
	}
}

func TestReadMissingFile(t *testing.T) {
	_, err := Read(fstest.MapFS{"apps/x/serverless.yaml": {}}, "apps/x")
	if want := "apps/x/graph.yaml: file does not exist"; err == nil || err.Error() != want {
		t.Errorf("err = %v, want %s", err, want)
	}
}

func TestValidateOfAnApplicationInCode(t *testing.T) {
	leaf := Function{Name: "f1", Duration: time.Second, Gamma: Gamma{1, 1}}
	for _, c := range []struct {
		name string
		app  Application
		want string // "" if it is valid
	}{
		{"good", Application{"x", []Function{{Name: Main, Invokes: Always("f1")}, leaf}}, ""},
		{"only main", Application{"x", []Function{{Name: Main}}}, ""},
		{"bad name", Application{"../x", []Function{{Name: Main}}}, `application "../x": a name starts with`},
		{"zero value", Application{}, `application "": a name starts with`},
		{"main sleeps", Application{"x", []Function{{Name: Main, Duration: 1}}}, "application x: main only invokes: it takes no duration"},
		{"main with gamma", Application{"x", []Function{{Name: Main, Gamma: Gamma{1, 1}}}}, "application x: main only invokes: it takes no gamma"},
		{"no gamma", Application{"x", []Function{{Name: Main, Invokes: Always("f1")}, {Name: "f1"}}}, "application x: f1: gamma shape must be positive"},
		{"negative", Application{"x", []Function{{Name: Main}, {Name: "f1", Duration: -1, Gamma: Gamma{1, 1}}}}, "application x: f1: duration must be between"},
		{"not a number", Application{"x", []Function{{Name: Main}, {Name: "f1", Gamma: Gamma{1, math.NaN()}}}}, "application x: f1: gamma rate must be positive"},
		{"twice", Application{"x", []Function{{Name: Main, Invokes: Always("f1")}, leaf, leaf}}, "application x: function f1 is defined twice"},
		{"unreachable", Application{"x", []Function{{Name: Main}, leaf}}, "application x: f1 is never invoked"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.app.Validate()
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
			} else if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("err = %v, want %s…", err, c.want)
			}
		})
	}
}

// write is the inverse of reading, for the tests.
func write(app *Application) string {
	var b strings.Builder
	b.WriteString("functions:\n")
	for _, f := range app.Functions {
		var invokes []string
		for _, v := range f.Invokes {
			invokes = append(invokes, v.String())
		}
		fmt.Fprintf(&b, "  %s: {invokes: [%s]", f.Name, strings.Join(invokes, ", "))
		if f.Name != Main {
			fmt.Fprintf(&b, ", duration: %v, gamma: {shape: %v, rate: %v}", milliseconds(f.Duration), f.Gamma.Shape, f.Gamma.Rate)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func drawApplication(t *rapid.T) *Application {
	n := rapid.IntRange(0, 12).Draw(t, "functions")
	app := &Application{Name: "x"}
	names := append(rapid.Permutation([]string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"}).Draw(t, "names")[:n:n], Main)
	slices.Reverse(names)
	for i, name := range names {
		f := Function{Name: name}
		if i > 0 {
			f.Duration = time.Duration(rapid.Int64Range(0, int64(MaxDuration)).Draw(t, "duration"))
			f.Gamma = Gamma{rapid.Float64Range(1e-3, 1e3).Draw(t, "shape"), rapid.Float64Range(1e-3, 1e3).Draw(t, "rate")}
			// Whoever invokes it stands before it, so there is no cycle and everything is reached.
			by := &app.Functions[rapid.IntRange(0, i-1).Draw(t, "invoked by")]
			by.Invokes = append(by.Invokes, drawInvoke(t, name))
		}
		app.Functions = append(app.Functions, f)
	}
	// In the file the order is free.
	app.Functions = rapid.Permutation(app.Functions).Draw(t, "order")
	return app
}

// drawInvoke draws an entry that may invoke a function.
func drawInvoke(t *rapid.T, name string) Invoke {
	switch rapid.SampledFrom([]string{"function", "function", "choice", "loop"}).Draw(t, "entry") {
	case "choice":
		p := rapid.Float64Range(0.01, 0.99).Draw(t, "probability")
		return Invoke{Choice: []Option{{name, p}, {"", 1 - p}}}
	case "loop":
		return Invoke{Function: name, Loop: Loop{rapid.Float64Range(0, 1).Draw(t, "again"), rapid.IntRange(1, 3).Draw(t, "max")}}
	}
	return Invoke{Function: name}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app := drawApplication(t)
		if err := app.Validate(); err != nil {
			t.Fatal(err)
		}
		want := len(app.Functions) // each stands in one place
		for _, f := range app.Functions {
			for _, v := range f.Invokes {
				want += max(v.Loop.Max-1, 0)
			}
		}
		if n := app.Invocations(); n != want {
			t.Fatalf("at most %d invocations, want %d", n, want)
		}
		got, err := readText(write(app))
		if err != nil {
			t.Fatalf("%v in\n%s", err, write(app))
		}
		if got, want := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", app); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	})
}

func FuzzRead(f *testing.F) {
	for _, name := range Embedded() {
		text, err := embedded.ReadFile(name + "/" + GraphFile)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("functions: &a {main: {invokes: [*a]}}"))
	f.Add([]byte("? [a]\n: b"))
	f.Add([]byte("functions:\n  main: {invokes: [{choice: {a: 0.5, none: 0.5}}, {loop: {a: 0.5, max: 2}}]}\n  a: {duration: 1, gamma: {shape: 1, rate: 1}}"))
	f.Add([]byte("functions:\n  main: {}\n---\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		app, err := readText(string(text))
		if err != nil {
			if e := err.Error(); strings.Contains(e, "\n") || !strings.HasPrefix(e, "apps/x/graph.yaml:") {
				t.Errorf("not one line that names the file: %q", e)
			}
			return
		}
		if err := app.Validate(); err != nil {
			t.Errorf("read without an error, but %v", err)
		}
		if n := app.Invocations(); n < 1 || n > MaxInvocations {
			t.Errorf("%d invocations of %d functions", n, len(app.Functions))
		}
		if again, err := readText(write(app)); err != nil || fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", app) {
			t.Errorf("read back as %+v, %v", again, err)
		}
	})
}
