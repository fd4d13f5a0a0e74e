package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxSize bounds the files that are read, in bytes.
const maxSize = 16 << 20

// source is the text of a file with its documents.
type source struct {
	text  []byte
	lines []int // where lines begin
	docs  []*yaml.Node
}

// parse reads all documents of a text. It refuses what cannot be changed safely, in any document: keys that are there twice, templates.
func parse(text []byte) (*source, error) {
	switch {
	case len(text) > maxSize:
		return nil, fmt.Errorf("%d bytes are too many, at most %d", len(text), maxSize)
	case !utf8.Valid(text):
		return nil, errors.New("it is not UTF-8")
	}
	s := &source{text: text}
	s.findLines()
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc yaml.Node
		err := decode(decoder, &doc)
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return nil, s.explain(err)
		}
		if err := s.check(&doc); err != nil {
			return nil, err
		}
		s.docs = append(s.docs, &doc)
	}
}

// decode reads a document. A panic of the parser is an error.
func decode(d *yaml.Decoder, doc *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it cannot be parsed: %v", r)
		}
	}()
	return d.Decode(doc)
}

var bom = []byte("\ufeff")

// findLines finds where lines begin, with the line breaks that YAML 1.1 knows.
func (s *source) findLines() {
	i := 0
	if bytes.HasPrefix(s.text, bom) {
		i = len(bom) // which the parser does not count
	}
	s.lines = append(s.lines, i)
	for i < len(s.text) {
		n := breakAt(s.text[i:])
		if n == 0 {
			i++
			continue
		}
		i += n
		s.lines = append(s.lines, i)
	}
}

// breakAt returns the length of the line break at the beginning of a text, 0 if there is none.
func breakAt(text []byte) int {
	switch {
	case bytes.HasPrefix(text, []byte("\r\n")):
		return 2
	case len(text) > 0 && (text[0] == '\n' || text[0] == '\r'):
		return 1
	case bytes.HasPrefix(text, []byte("\u0085")):
		return 2
	case bytes.HasPrefix(text, []byte("\u2028")), bytes.HasPrefix(text, []byte("\u2029")):
		return 3
	}
	return 0
}

// offset returns where a node begins; its column counts characters.
func (s *source) offset(n *yaml.Node) (int, error) {
	if n.Line < 1 || n.Line > len(s.lines) {
		return 0, fmt.Errorf("line %d: the place of %q is not found", n.Line, n.Value)
	}
	at := s.lines[n.Line-1]
	for range n.Column - 1 {
		if at >= len(s.text) {
			return 0, fmt.Errorf("line %d: the place of %q is not found", n.Line, n.Value)
		}
		_, size := utf8.DecodeRune(s.text[at:])
		at += size
	}
	return at, nil
}

// line returns the text of a line, counted from 1.
func (s *source) line(number int) string {
	if number < 1 || number > len(s.lines) {
		return ""
	}
	end := s.lineEnd(s.lines[number-1])
	return string(s.text[s.lines[number-1]:end])
}

// lineEnd returns where the line of an offset ends, before its break.
func (s *source) lineEnd(at int) int {
	for at < len(s.text) && breakAt(s.text[at:]) == 0 {
		at++
	}
	return at
}

var (
	errorLine = regexp.MustCompile(`line (\d+):`)
	template  = regexp.MustCompile(`\{\{`)
)

// explain says what people should know of an error of the parser.
func (s *source) explain(err error) error {
	for i := range s.lines {
		if template.MatchString(s.line(i + 1)) {
			return s.templateError(i + 1)
		}
	}
	if m := errorLine.FindStringSubmatch(err.Error()); m != nil {
		number, _ := strconv.Atoi(m[1])
		for _, n := range []int{number, number + 1} { // the parser's lines are sometimes those before
			if text := s.line(n); strings.Contains(text[:len(text)-len(strings.TrimLeft(text, " \t"))], "\t") {
				return fmt.Errorf("line %d: a tab where YAML has spaces", n)
			}
		}
	}
	return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
}

func (s *source) templateError(line int) error {
	return fmt.Errorf("line %d: a template, %s: change what it is filled with instead", line, strings.TrimSpace(s.line(line)))
}

// check refuses keys that are there twice, keys that are no scalars, and templates outside quotes.
func (s *source) check(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode && n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 && template.MatchString(n.Value) {
		return s.templateError(n.Line)
	}
	if n.Kind == yaml.MappingNode {
		seen := map[string]int{}
		for i := 0; i < len(n.Content); i += 2 {
			k := n.Content[i]
			if k.Kind != yaml.ScalarNode {
				if template.MatchString(s.line(k.Line)) {
					return s.templateError(k.Line)
				}
				return fmt.Errorf("line %d: a key that is no plain word", k.Line)
			}
			if first, twice := seen[k.Value]; twice {
				return fmt.Errorf("line %d: the key %q is there twice, first in line %d", k.Line, k.Value, first)
			}
			seen[k.Value] = k.Line
		}
	}
	for _, c := range n.Content {
		if err := s.check(c); err != nil {
			return err
		}
	}
	return nil
}
