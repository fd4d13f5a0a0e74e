package apps

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// graphReader reads the functions of a graph.yaml. It walks the YAML nodes itself, because decoding into structs loses the order of the
// functions and the line numbers.
type graphReader struct {
	file string
	// lines has the line of every place that a later check may report.
	lines map[place]int
}

// parseGraph returns the functions in the order of the file; every error is an *Error.
func parseGraph(file string, text []byte) ([]Function, error) {
	r := &graphReader{file: file, lines: map[place]int{}}
	root, err := r.document(text)
	if err != nil {
		return nil, err
	}
	top, err := r.mapping(root, "the file", "functions")
	if err != nil {
		return nil, err
	}
	list, ok := top["functions"]
	if !ok {
		return nil, r.fail(root, "no key functions")
	}
	list = resolve(list)
	if list.Kind != yaml.MappingNode {
		return nil, r.fail(list, "functions must be a mapping from names to functions, not %s", describe(list))
	}
	app := Application{}
	for i := 0; i+1 < len(list.Content); i += 2 {
		key, value := list.Content[i], list.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			return nil, r.fail(key, "the name of a function cannot be %s", describe(key))
		}
		if err := checkName("function", key.Value); err != nil {
			return nil, r.fail(key, "%v", err)
		}
		if first, twice := r.lines[place{function: key.Value}]; twice {
			return nil, r.fail(key, "function %s is defined twice (first in line %d)", key.Value, first)
		}
		f, err := r.function(key, value)
		if err != nil {
			return nil, err
		}
		app.Functions = append(app.Functions, f)
	}
	if p := app.check(); p != nil {
		return nil, &Error{File: file, Line: r.lines[p.at], Reason: p.reason}
	}
	return app.Functions, nil
}

var (
	yamlError     = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced`)
	fromGrammar   = regexp.MustCompile(`^did not find expected (<|node content|'-' indicator|key|',' or)|^found (duplicate|undefined|incompatible)`)
)

// document returns the content of the only document.
func (r *graphReader) document(text []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, further yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) || err == nil && isNull(document.Content) {
		return nil, &Error{File: r.file, Reason: "the file is empty"}
	} else if err != nil {
		return nil, r.syntax(text, err)
	}
	if err := decoder.Decode(&further); err == nil {
		return nil, &Error{File: r.file, Line: further.Line, Reason: "a second document; one file describes one application"}
	} else if !errors.Is(err, io.EOF) {
		return nil, r.syntax(text, err)
	}
	return document.Content[0], nil
}

func isNull(content []*yaml.Node) bool {
	return len(content) == 0 || content[0].Kind == yaml.ScalarNode && content[0].Tag == "!!null"
}

// syntax returns an error of the YAML parser as an *Error with the line.
func (r *graphReader) syntax(text []byte, err error) error {
	m := yamlError.FindStringSubmatch(strings.Join(strings.Fields(err.Error()), " "))
	if m == nil {
		return &Error{File: r.file, Reason: err.Error()}
	}
	e := &Error{File: r.file, Reason: "not YAML: " + m[2]}
	switch {
	case m[1] != "":
		e.Line, _ = strconv.Atoi(m[1])
		if fromGrammar.MatchString(m[2]) {
			// The package counts lines from 0 in these, and from 1 in those of its scanner.
			e.Line++
		}
		// What is missing at the end of the file is missing in its last line.
		e.Line = min(e.Line, lineAt(text, max(len(text)-1, 0)))
	case unknownAnchor.MatchString(m[2]):
		e.Line = lineAt(text, bytes.Index(text, []byte("*"+unknownAnchor.FindStringSubmatch(m[2])[1])))
	case strings.Contains(m[2], "UTF-8") || strings.HasPrefix(m[2], "control characters"):
		e.Line = lineAt(text, bytes.IndexFunc(text, func(c rune) bool {
			return c == utf8.RuneError || unicode.IsControl(c) && c != '\n' && c != '\r' && c != '\t'
		}))
	default:
		// It names no line when that is the first one.
		e.Line = 1
	}
	return e
}

func (r *graphReader) function(key, value *yaml.Node) (Function, error) {
	f := Function{Name: key.Value}
	r.lines[place{function: f.Name}] = key.Line
	fields, err := r.mapping(value, f.Name, fieldDuration, fieldGamma, fieldInvokes)
	if err != nil {
		return f, err
	}
	duration, hasDuration := fields[fieldDuration]
	gamma, hasGamma := fields[fieldGamma]
	if f.Name == Main {
		if hasDuration {
			return f, r.fail(duration, "main only invokes: it takes no duration")
		}
		if hasGamma {
			return f, r.fail(gamma, "main only invokes: it takes no gamma")
		}
	} else {
		if !hasDuration {
			return f, r.fail(key, "%s has no duration (milliseconds)", f.Name)
		}
		if !hasGamma {
			return f, r.fail(key, "%s has no gamma, like {shape: 30, rate: 0.1}", f.Name)
		}
		if f.Duration, err = r.duration(f.Name, duration); err != nil {
			return f, err
		}
		if f.Gamma, err = r.gamma(f.Name, gamma); err != nil {
			return f, err
		}
	}
	if invokes, ok := fields[fieldInvokes]; ok {
		f.Invokes, err = r.invokes(f.Name, invokes)
	}
	return f, err
}

func (r *graphReader) duration(function string, n *yaml.Node) (time.Duration, error) {
	r.lines[place{function, fieldDuration, 0}] = n.Line
	ms, err := r.number(n, function+": duration")
	if err != nil {
		return 0, err
	}
	// This is checked before the conversion: what does not fit into a Duration would be another value afterwards.
	if !(ms >= 0 && ms <= milliseconds(MaxDuration)) {
		return 0, r.fail(n, "%s: duration must be between 0 and %d ms (a day), not %v", function, MaxDuration.Milliseconds(), ms)
	}
	return time.Duration(math.Round(ms * float64(time.Millisecond))), nil
}

func (r *graphReader) gamma(function string, n *yaml.Node) (Gamma, error) {
	var g Gamma
	r.lines[place{function, fieldGamma, 0}] = n.Line
	fields, err := r.mapping(n, function+": gamma", fieldShape, fieldRate)
	if err != nil {
		return g, err
	}
	for _, v := range []struct {
		field string
		to    *float64
	}{{fieldShape, &g.Shape}, {fieldRate, &g.Rate}} {
		value, ok := fields[v.field]
		if !ok {
			return g, r.fail(n, "%s: gamma has no %s", function, v.field)
		}
		r.lines[place{function, v.field, 0}] = value.Line
		if *v.to, err = r.number(value, function+": gamma "+v.field); err != nil {
			return g, err
		}
	}
	return g, nil
}

func (r *graphReader) invokes(function string, n *yaml.Node) ([]Invoke, error) {
	n = resolve(n)
	if n.Kind != yaml.SequenceNode {
		return nil, r.fail(n, "%s: invokes must be a list of functions, like [f1, f2], not %s", function, describe(n))
	}
	var invokes []Invoke
	for i, item := range n.Content {
		r.lines[place{function, fieldInvokes, i}] = item.Line
		var v Invoke
		var err error
		switch item = resolve(item); item.Kind {
		case yaml.ScalarNode:
			v.Function = item.Value
		case yaml.MappingNode:
			v, err = r.branch(function, item)
		default:
			err = r.fail(item, "%s: invokes must list functions, choices and loops, not %s", function, describe(item))
		}
		if err != nil {
			return nil, err
		}
		invokes = append(invokes, v)
	}
	return invokes, nil
}

// branch reads {choice: {f2: 0.7, f3: 0.3}} or {loop: {f5: 0.4, max: 3}}.
func (r *graphReader) branch(function string, n *yaml.Node) (v Invoke, err error) {
	if len(n.Content) != 2 || n.Content[0].Value != fieldChoice && n.Content[0].Value != fieldLoop {
		return v, r.fail(n, "%s: invokes: a mapping must be like {choice: {f1: 0.7, f2: 0.3}} or {loop: {f1: 0.4, max: 3}}", function)
	}
	kind := n.Content[0].Value
	list := resolve(n.Content[1])
	if list.Kind != yaml.MappingNode {
		return v, r.fail(n, "%s: invokes: %s must be a mapping from functions to probabilities, not %s", function, kind, describe(list))
	}
	if len(list.Content) == 0 {
		return v, r.fail(n, "%s: invokes: %s is empty", function, kind)
	}
	for i := 0; i+1 < len(list.Content); i += 2 {
		key := list.Content[i]
		if key.Kind != yaml.ScalarNode {
			return v, r.fail(key, "%s: invokes: the name of a function cannot be %s", function, describe(key))
		}
		x, err := r.number(list.Content[i+1], fmt.Sprintf("%s: invokes: %s: %s", function, kind, key.Value))
		switch {
		case err != nil:
			return v, err
		case kind == fieldChoice:
			v.Choice = append(v.Choice, newOption(key.Value, x))
		case key.Value == fieldMax && v.Loop.Max != 0:
			return v, r.fail(key, "%s: invokes: loop: key max comes twice", function)
		case key.Value == fieldMax:
			if x != math.Trunc(x) || !(x >= 1 && x <= MaxInvocations) {
				return v, r.fail(key, "%s: invokes: loop: max must be a whole number between 1 and %d, not %v", function, MaxInvocations, x)
			}
			v.Loop.Max = int(x)
		case v.Function != "":
			return v, r.fail(key, "%s: invokes: a loop repeats one function, not %s and %s", function, v.Function, key.Value)
		default:
			v.Function, v.Loop.Again = key.Value, x
		}
	}
	sortOptions(v.Choice)
	if kind == fieldLoop && (v.Function == "" || v.Loop.Max == 0) {
		return v, r.fail(n, "%s: invokes: a loop has a function and a max, like {loop: {f1: 0.4, max: 3}}", function)
	}
	return v, nil
}

// mapping returns the values by key. Keys that are not allowed, and keys that come twice, are errors.
func (r *graphReader) mapping(n *yaml.Node, what string, allowed ...string) (map[string]*yaml.Node, error) {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		return nil, r.fail(n, "%s must be a mapping with %s, not %s", what, strings.Join(allowed, ", "), describe(n))
	}
	values := make(map[string]*yaml.Node, len(allowed))
keys:
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if _, twice := values[key.Value]; twice {
			return nil, r.fail(key, "%s: key %s comes twice", what, key.Value)
		}
		for _, name := range allowed {
			if key.Kind == yaml.ScalarNode && key.Value == name {
				values[name] = n.Content[i+1]
				continue keys
			}
		}
		return nil, r.fail(key, "%s: unknown key %q (known: %s)", what, key.Value, strings.Join(allowed, ", "))
	}
	return values, nil
}

func (r *graphReader) number(n *yaml.Node, what string) (float64, error) {
	at := n
	n = resolve(n)
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" && n.Tag != "!!float" {
		return 0, r.fail(at, "%s must be a number, not %s", what, describe(n))
	}
	var x float64
	if err := n.Decode(&x); err != nil {
		return 0, r.fail(at, "%s must be a number, not %s", what, describe(n))
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, r.fail(at, "%s must be finite, not %s", what, n.Value)
	}
	return x, nil
}

// lineAt returns the line of the byte at offset, counted from 1, and 0 if offset is −1.
func lineAt(text []byte, offset int) int {
	if offset < 0 {
		return 0
	}
	return 1 + bytes.Count(text[:offset], []byte("\n"))
}

func (r *graphReader) fail(n *yaml.Node, format string, args ...any) error {
	return &Error{File: r.file, Line: n.Line, Reason: fmt.Sprintf(format, args...)}
}

// resolve returns the node that an alias stands for, and other nodes as they are. An anchor is never itself an alias.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	}
	value := []rune(n.Value)
	if len(value) > 40 {
		value = append(value[:40], '…')
	}
	quoted := strconv.Quote(string(value))
	// What is tagged as a number or a boolean may still be any text.
	if n.Tag == "!!str" || quoted != `"`+string(value)+`"` {
		return "the text " + quoted
	}
	return string(value)
}
