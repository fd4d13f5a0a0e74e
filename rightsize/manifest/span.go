package manifest

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// begin returns where a node begins behind its anchor and tag.
func (s *source) begin(n *yaml.Node) (int, error) {
	if n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle == 0 && len(n.Content) > 0 {
		return s.begin(n.Content[0])
	}
	at, err := s.offset(n)
	if err != nil {
		return 0, err
	}
	for at < len(s.text) && (s.text[at] == '&' || s.text[at] == '!') {
		for at < len(s.text) && !isBlank(s.text[at]) && breakAt(s.text[at:]) == 0 {
			at++
		}
		at = s.skip(at)
	}
	return at, nil
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' }

// skip returns where something stands again behind blanks, line breaks and comments.
func (s *source) skip(at int) int {
	for at < len(s.text) {
		switch n := breakAt(s.text[at:]); {
		case n > 0:
			at += n
		case isBlank(s.text[at]):
			at++
		case s.text[at] == '#':
			at = s.lineEnd(at)
		default:
			return at
		}
	}
	return at
}

// isEmpty reports whether a value is null because nothing is written there.
func isEmpty(n *yaml.Node) bool { return isNull(n) && n.Value == "" && n.Style == 0 }

// colon returns the offset behind the colon of a key.
func (s *source) colon(key *yaml.Node) (int, error) {
	at, err := s.end(key)
	if err != nil {
		return 0, err
	}
	for at < len(s.text) && isBlank(s.text[at]) {
		at++
	}
	if at == len(s.text) || s.text[at] != ':' {
		return 0, fmt.Errorf("line %d: there is no colon behind %q", key.Line, key.Value)
	}
	return at + 1, nil
}

// entryEnd returns where the value of a key ends.
func (s *source) entryEnd(key, value *yaml.Node) (int, error) {
	if !isEmpty(value) {
		return s.end(value)
	}
	if value.Anchor != "" {
		return 0, fmt.Errorf("line %d: %s has an anchor and no value", key.Line, key.Value)
	}
	if at, err := s.colon(key); err == nil {
		return at, nil
	}
	return s.end(key) // {a, b}
}

// end returns where a node ends.
func (s *source) end(n *yaml.Node) (int, error) {
	at, err := s.begin(n)
	if err != nil {
		return 0, err
	}
	switch n.Kind {
	case yaml.AliasNode:
		name := "*" + n.Value
		if !bytes.HasPrefix(s.text[at:], []byte(name)) {
			return 0, s.lost(n)
		}
		return at + len(name), nil
	case yaml.ScalarNode:
		return s.scalarEnd(n, at)
	}
	for i, c := range n.Content {
		to := at
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			continue
		} else if n.Kind == yaml.MappingNode {
			to, err = s.entryEnd(n.Content[i-1], c)
		} else if !isEmpty(c) {
			to, err = s.end(c)
		} else {
			to, err = s.offset(c)
		}
		if err != nil {
			return 0, err
		}
		if i == len(n.Content)-1 {
			if n.Style&yaml.FlowStyle == 0 || s.text[at] != '{' && s.text[at] != '[' {
				return to, nil
			}
			return s.close(n, to)
		}
	}
	return s.close(n, at+1)
}

// close returns the offset behind the bracket that closes a mapping or a sequence in flow style, whose last element ends at an offset.
func (s *source) close(n *yaml.Node, at int) (int, error) {
	at = s.skip(at)
	if at < len(s.text) && s.text[at] == ',' {
		at = s.skip(at + 1)
	}
	if at >= len(s.text) || s.text[at] != '}' && s.text[at] != ']' {
		return 0, s.lost(n)
	}
	return at + 1, nil
}

func (s *source) lost(n *yaml.Node) error {
	return fmt.Errorf("line %d: it is not understood where this ends: %s", n.Line, strings.TrimSpace(s.line(n.Line)))
}

// scalarEnd returns where a scalar ends that begins at an offset.
func (s *source) scalarEnd(n *yaml.Node, at int) (int, error) {
	if isEmpty(n) {
		return at, nil
	}
	if at >= len(s.text) {
		return 0, s.lost(n)
	}
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0 && s.text[at] == '"':
		for at++; at < len(s.text); at++ {
			switch s.text[at] {
			case '\\':
				at++
			case '"':
				return at + 1, nil
			}
		}
	case n.Style&yaml.SingleQuotedStyle != 0 && s.text[at] == '\'':
		for at++; at < len(s.text); at++ {
			if s.text[at] != '\'' {
				continue
			}
			if at+1 == len(s.text) || s.text[at+1] != '\'' {
				return at + 1, nil
			}
			at++
		}
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 && (s.text[at] == '|' || s.text[at] == '>'):
		return s.blockEnd(at), nil
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0:
		if end, ok := s.plainEnd(n.Value, at); ok {
			return end, nil
		}
	}
	return 0, s.lost(n)
}

// plainEnd returns where a plain scalar ends: it may go over several lines, whose breaks are blanks in its value.
func (s *source) plainEnd(value string, at int) (int, bool) {
	for value != "" {
		r, size := utf8.DecodeRuneInString(value)
		if r != ' ' && r != '\t' && breakAt([]byte(value)) == 0 {
			if at+size > len(s.text) || string(s.text[at:at+size]) != value[:size] {
				return 0, false
			}
			at, value = at+size, value[size:]
			continue
		}
		from := at
		for at < len(s.text) && (isBlank(s.text[at]) || breakAt(s.text[at:]) > 0) {
			at += max(breakAt(s.text[at:]), 1)
		}
		if at == from {
			return 0, false
		}
		for value != "" && (isBlank(value[0]) || breakAt([]byte(value)) > 0) {
			value = value[max(breakAt([]byte(value)), 1):]
		}
	}
	return at, true
}

// blockEnd returns where a literal or folded scalar ends, whose | or > is at an offset: before the break of its last line.
func (s *source) blockEnd(at int) int {
	header := string(s.text[at:s.lineEnd(at)])
	header, _, _ = strings.Cut(header, " ")
	keeps := strings.Contains(header, "+") // blank lines at the end belong to it
	end, indent := s.lineEnd(at), -1
	for from := end + breakAt(s.text[end:]); from < len(s.text); {
		to := s.lineEnd(from)
		line := string(s.text[from:to])
		trimmed := strings.TrimLeft(line, " ")
		switch {
		case trimmed == "":
			if keeps {
				end = to
			}
		case indent < 0:
			indent = len(line) - len(trimmed)
			end = to
		case len(line)-len(trimmed) < indent:
			return end
		default:
			end = to
		}
		n := breakAt(s.text[to:])
		if n == 0 {
			break
		}
		from = to + n
	}
	return end
}
