package manifest

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// entry is a key that is put into a file with its value, or with entries below it.
type entry struct {
	key   string
	value string // as it is written
	below []entry
}

// slot is a place of a value in the text.
type slot struct {
	parent     *yaml.Node // the mapping; nil in a sequence
	key, value *yaml.Node
}

// set writes a value, and replaces the text of the source.
func (h *holder) set(p place, value string) error {
	if err := h.source.put(slot{value: h.node}, slices.Concat(h.below, []string{p.group, p.resource}), value); err != nil {
		return fmt.Errorf("%s: %w", h.display(p), err)
	}
	return nil
}

// splice replaces a part of the text.
func (s *source) splice(from, to int, by string) {
	s.text = slices.Concat(s.text[:from], []byte(by), s.text[to:])
}

// put makes the value at keys below a slot the given one.
func (s *source) put(at slot, keys []string, value string) error {
	if len(keys) == 0 {
		return s.replace(at, value)
	}
	v := at.value
	switch {
	case v.Kind == yaml.AliasNode:
		e, err := inherit(v.Alias, keys, value)
		if err != nil {
			return err
		}
		from, err := s.begin(v)
		if err != nil {
			return err
		}
		to, err := s.end(v)
		if err != nil {
			return err
		}
		s.splice(from, to, "{<<: *"+v.Value+", "+flow(e, false)+"}")
		return nil
	case v.Kind == yaml.MappingNode:
		if i := own(v, keys[0]); i >= 0 {
			return s.put(slot{v, v.Content[i], v.Content[i+1]}, keys[1:], value)
		}
		e, err := inherit(v, keys, value)
		if err != nil {
			return err
		}
		return s.insert(v, e)
	case isNull(v) && at.key != nil:
		return s.fill(at, nest(keys, value))
	}
	return fmt.Errorf("line %d: this is no mapping: %s", v.Line, strings.TrimSpace(s.line(v.Line)))
}

// nest returns a key with the keys below it and the value at the end.
func nest(keys []string, value string) entry {
	if len(keys) == 1 {
		return entry{key: keys[0], value: value}
	}
	return entry{key: keys[0], below: []entry{nest(keys[1:], value)}}
}

// inherit returns an entry for keys below a mapping that has not the first of them itself. What it has of it through aliases or merge keys is
// repeated, since the entry hides it.
func inherit(m *yaml.Node, keys []string, value string) (entry, error) {
	from := lookup(m, keys[0])
	if len(keys) == 1 || from == nil || isNull(from) {
		return nest(keys, value), nil
	}
	e, err := repeat(keys[0], from)
	if err != nil {
		return e, err
	}
	at, err := inherit(from, keys[1:], value)
	if err != nil {
		return e, err
	}
	if i := slices.IndexFunc(e.below, func(b entry) bool { return b.key == keys[1] }); i >= 0 {
		e.below[i] = at
	} else {
		e.below = append(e.below, at)
	}
	return e, nil
}

// mostRepeated bounds how many keys are repeated.
const mostRepeated = 20

var simple = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)

// repeat returns a node as an entry.
func repeat(key string, n *yaml.Node) (entry, error) {
	e := entry{key: key}
	if !simple.MatchString(key) {
		return e, fmt.Errorf("line %d: the key %q is not repeated", n.Line, key)
	}
	switch n = target(n); n.Kind {
	case yaml.ScalarNode:
		plain := n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
		switch {
		case n.Style&yaml.TaggedStyle != 0 || plain && !simple.MatchString(n.Value):
			return e, fmt.Errorf("line %d: %s is shared, and it is not repeated: %s", n.Line, key, n.Value)
		case plain:
			e.value = n.Value
		default:
			e.value = strconv.Quote(n.Value)
		}
		return e, nil
	case yaml.MappingNode:
		keys := map[string]bool{}
		var collect func(m *yaml.Node, depth int) error
		collect = func(m *yaml.Node, depth int) error {
			if m = target(m); m == nil || m.Kind != yaml.MappingNode {
				return nil
			}
			for i := 0; i+1 < len(m.Content); i += 2 {
				k := m.Content[i]
				if isMerge(k) || keys[k.Value] {
					continue
				}
				if keys[k.Value] = true; len(keys) > mostRepeated {
					return fmt.Errorf("line %d: too much is shared to be repeated", n.Line)
				}
				b, err := repeat(k.Value, m.Content[i+1])
				if err != nil {
					return err
				}
				e.below = append(e.below, b)
			}
			for _, from := range merged(m) {
				if depth == 0 {
					return errors.New("merge keys are nested too deeply")
				}
				if err := collect(from, depth-1); err != nil {
					return err
				}
			}
			return nil
		}
		return e, collect(n, maxDepth)
	}
	return e, fmt.Errorf("line %d: %s is shared, and it is not repeated", n.Line, key)
}

// replace writes another value in place of a scalar, in its quotes.
func (s *source) replace(at slot, value string) error {
	v := at.value
	switch {
	case isEmpty(v) && v.Anchor == "" && v.Style&yaml.TaggedStyle == 0:
		end, err := s.colon(at.key)
		if err != nil {
			return err
		}
		s.splice(end, end, " "+value)
		return nil
	case v.Kind != yaml.ScalarNode && v.Kind != yaml.AliasNode, isEmpty(v):
		return fmt.Errorf("line %d: this is no value: %s", v.Line, strings.TrimSpace(s.line(v.Line)))
	case v.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return fmt.Errorf("line %d: a text over lines where a value belongs", v.Line)
	case v.Style&yaml.TaggedStyle != 0 && v.ShortTag() != "!!str":
		return fmt.Errorf("line %d: the value has the tag %s", v.Line, v.Tag)
	}
	from, err := s.begin(v)
	if err != nil {
		return err
	}
	to, err := s.end(v)
	if err != nil {
		return err
	}
	switch {
	case v.Style&yaml.DoubleQuotedStyle != 0:
		value = `"` + value + `"`
	case v.Style&yaml.SingleQuotedStyle != 0:
		value = `'` + value + `'`
	}
	s.splice(from, to, value)
	return nil
}

// fill puts an entry below a key that has no value yet.
func (s *source) fill(at slot, e entry) error {
	v := at.value
	if v.Anchor != "" || v.Style&yaml.TaggedStyle != 0 {
		return fmt.Errorf("line %d: %s has an anchor or a tag and no value", v.Line, at.key.Value)
	}
	if !isEmpty(v) { // ~ or null
		from, err := s.begin(v)
		if err != nil {
			return err
		}
		to, err := s.end(v)
		if err != nil {
			return err
		}
		s.splice(from, to, "{"+flow(e, isQuoted(at.key))+"}")
		return nil
	}
	end, err := s.colon(at.key)
	if err != nil {
		return err
	}
	if at.parent.Style&yaml.FlowStyle != 0 {
		s.splice(end, end, " {"+flow(e, isQuoted(at.key))+"}")
		return nil
	}
	indent := at.key.Column - 1 + s.step(at.parent)
	return s.insertLines(end, block(e, indent, s.step(at.parent)))
}

// isQuoted reports whether keys like this one, and values, stand in double quotes: as in JSON.
func isQuoted(key *yaml.Node) bool { return key.Style&yaml.DoubleQuotedStyle != 0 }

// beside is the key behind which a missing one is put, if it is there.
var beside = map[string]string{"limits": "requests", "requests": "limits", "memory": "cpu", "cpu": "memory"}

// insert puts an entry into a mapping.
func (s *source) insert(m *yaml.Node, e entry) error {
	if len(m.Content) == 0 {
		at, err := s.begin(m)
		if err != nil {
			return err
		}
		if at >= len(s.text) || s.text[at] != '{' {
			return s.lost(m)
		}
		s.splice(at+1, at+1, flow(e, s.isJSON()))
		return nil
	}
	i := len(m.Content) - 2
	if b := own(m, beside[e.key]); b >= 0 && beside[e.key] != "" {
		i = b
	}
	key := m.Content[i]
	end, err := s.entryEnd(key, m.Content[i+1])
	if err != nil {
		return err
	}
	if m.Style&yaml.FlowStyle == 0 {
		lines := block(e, m.Content[0].Column-1, s.step(m))
		if s.isOpen(m.Content[i+1], end) {
			return s.insertBefore(m, i, lines)
		}
		return s.insertLines(end, lines)
	}
	between := ", "
	start := s.lines[key.Line-1]
	if at, err := s.offset(key); err != nil {
		return err
	} else if before := string(s.text[start:at]); strings.TrimLeft(before, " \t") == "" && key.Line > m.Line && s.isRowEnd(end) {
		between = "," + s.newline() + before
	}
	s.splice(end, end, between+flow(e, isQuoted(key)))
	return nil
}

// isJSON reports whether the whole text is JSON, by its first letter.
func (s *source) isJSON() bool {
	at := s.skip(s.lines[0])
	return at < len(s.text) && s.text[at] == '{'
}

// isRowEnd reports whether nothing but a comma stands behind an offset in its line.
func (s *source) isRowEnd(at int) bool {
	return strings.Trim(string(s.text[at:s.lineEnd(at)]), " \t,") == ""
}

// insertLines puts lines behind the line in which something ends.
func (s *source) insertLines(end int, lines []string) error {
	to := s.lineEnd(end)
	if rest := strings.TrimLeft(string(s.text[end:to]), " \t"); rest != "" && rest[0] != '#' {
		return fmt.Errorf("no line can be put behind this: %s", rest)
	}
	nl := s.newline()
	s.splice(to, to, nl+strings.Join(lines, nl))
	return nil
}

// isOpen reports whether a value that ends at an offset ends with a text over lines, and the file with that, without a line break. One put behind it
// would belong to the text.
func (s *source) isOpen(n *yaml.Node, end int) bool {
	for len(n.Content) > 0 {
		n = n.Content[len(n.Content)-1]
	}
	return end == len(s.text) && n.Kind == yaml.ScalarNode && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0
}

// insertBefore puts lines before the entry of a mapping in block style whose key is at an index.
func (s *source) insertBefore(m *yaml.Node, i int, lines []string) error {
	if i >= 2 {
		end, err := s.entryEnd(m.Content[i-2], m.Content[i-1])
		if err != nil {
			return err
		}
		return s.insertLines(end, lines)
	}
	key := m.Content[i]
	at, err := s.offset(key)
	if err != nil {
		return err
	}
	start := s.lines[key.Line-1]
	if strings.TrimLeft(string(s.text[start:at]), " ") != "" {
		return fmt.Errorf("line %d: a text over lines ends the file without a line break: put one there", key.Line)
	}
	nl := s.newline()
	s.splice(start, start, strings.Join(lines, nl)+nl)
	return nil
}

// newline returns the line break of the file.
func (s *source) newline() string {
	end := s.lineEnd(s.lines[0])
	if n := breakAt(s.text[end:]); n > 0 {
		return string(s.text[end : end+n])
	}
	return "\n"
}

// step returns by how much the file indents below a key of a mapping.
func (s *source) step(m *yaml.Node) int {
	if d := stepOf(m); d > 0 {
		return d
	}
	for _, doc := range s.docs {
		if d := anyStep(doc); d > 0 {
			return d
		}
	}
	return 2
}

func stepOf(m *yaml.Node) int {
	if m.Kind != yaml.MappingNode || m.Style&yaml.FlowStyle != 0 {
		return 0
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		v := m.Content[i+1]
		if v.Kind == yaml.MappingNode && v.Style&yaml.FlowStyle == 0 && len(v.Content) > 0 && v.Content[0].Line > m.Content[i].Line {
			if d := v.Content[0].Column - m.Content[i].Column; d > 0 {
				return d
			}
		}
	}
	return 0
}

func anyStep(n *yaml.Node) int {
	if d := stepOf(n); d > 0 {
		return d
	}
	for _, c := range n.Content {
		if d := anyStep(c); d > 0 {
			return d
		}
	}
	return 0
}

// flow writes an entry in flow style.
func flow(e entry, quoted bool) string {
	key, value := e.key, e.value
	if quoted {
		key = strconv.Quote(key)
		if value != "" && value[0] != '"' {
			value = strconv.Quote(value)
		}
	}
	if len(e.below) > 0 {
		var parts []string
		for _, b := range e.below {
			parts = append(parts, flow(b, quoted))
		}
		value = "{" + strings.Join(parts, ", ") + "}"
	}
	return key + ": " + value
}

// block writes an entry as lines in block style.
func block(e entry, indent, step int) []string {
	line := strings.Repeat(" ", indent) + e.key + ":"
	if len(e.below) == 0 {
		return []string{line + " " + e.value}
	}
	lines := []string{line}
	for _, b := range e.below {
		lines = append(lines, block(b, indent+step, step)...)
	}
	return lines
}
