// Package sprayjson says of JSON what OpenWhisk's parser of JSON, spray-json, says, and writes JSON as it does: clients see both.
//
//	if message := sprayjson.Check(body); message != "" {
//		return errors.New(message) // Unexpected character 'x' at input index 0 (line 1, position 1), expected JSON Value: …
//	}
//	body = sprayjson.Compact(body) // 1e2 becomes 1E+2
package sprayjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxDepth = 1000     // of arrays and objects in each other
	maxShown = 64 << 10 // bytes of a line that a message shows
)

// Check returns what is wrong with a text that is no JSON, with the line where it is unless that is very long; "" if nothing is.
func Check(text []byte) string {
	p := &parser{text: text}
	p.space()
	if p.value(0) && p.at < len(text) {
		p.unexpected("end-of-input", p.at)
	}
	return p.message
}

// parser parses a text up to the first error. Its methods return false when there is one.
type parser struct {
	text    []byte
	at      int
	message string
}

// next returns the byte at the current place, 0 at the end. A byte 0 in the text is an error everywhere.
func (p *parser) next() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *parser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \n\r\t", p.text[p.at]) >= 0 {
		p.at++
	}
}

// unexpected sets the error for what is at the current place. The message shows the line of the byte with the index shown.
func (p *parser) unexpected(expected string, shown int) bool {
	what := "end-of-input"
	if p.at < len(p.text) {
		c := rune(p.text[p.at])
		if r, size := utf8.DecodeRune(p.text[p.at:]); size > 1 {
			c = r
		}
		if what = "character '" + string(c) + "'"; unicode.IsControl(c) {
			what = fmt.Sprintf(`character '\u%04x'`, c)
		}
	}
	before := p.text[:shown]
	number := bytes.Count(before, []byte("\n")) + 1
	start := bytes.LastIndexByte(before, '\n') + 1
	line, _, _ := bytes.Cut(p.text[start:], []byte("\n"))
	visible := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, string(line))
	p.message = fmt.Sprintf("Unexpected %s at input index %d (line %d, position %d), expected %s", what, shown, number, shown-start+1, expected)
	if len(line) <= maxShown {
		p.message += fmt.Sprintf(":\n%s\n%s^\n", visible, strings.Repeat(" ", shown-start))
	}
	return false
}

// require goes past a character.
func (p *parser) require(c byte) bool {
	if p.next() != c {
		return p.unexpected("'"+string(c)+"'", p.at)
	}
	p.at++
	return true
}

func (p *parser) value(depth int) bool {
	if depth > maxDepth {
		p.message = fmt.Sprintf("JSON input nested too deeply:JSON input was nested more deeply than the configured limit of maxNesting = %d", maxDepth)
		return false
	}
	switch c := p.next(); {
	case c == 'f':
		return p.word("false")
	case c == 'n':
		return p.word("null")
	case c == 't':
		return p.word("true")
	case c == '{':
		return p.list('}', func() bool {
			if !p.quoted() || !p.require(':') {
				return false
			}
			p.space()
			return p.value(depth + 1)
		})
	case c == '[':
		return p.list(']', func() bool { return p.value(depth + 1) })
	case c == '"':
		return p.quoted()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	return p.unexpected("JSON Value", p.at)
}

// word goes past a word. The error of one that ends otherwise shows its beginning.
func (p *parser) word(word string) bool {
	start := p.at
	for i := range len(word) {
		if p.next() != word[i] {
			return p.unexpected("JSON Value", start)
		}
		p.at++
	}
	p.space()
	return true
}

// list goes past an object or an array, whose elements element goes past.
func (p *parser) list(end byte, element func() bool) bool {
	p.at++
	p.space()
	if p.next() != end {
		for {
			if !element() {
				return false
			}
			if p.next() != ',' {
				break
			}
			p.at++
			p.space()
		}
	}
	if !p.require(end) {
		return false
	}
	p.space()
	return true
}

func (p *parser) number() bool {
	digits := func() bool {
		start := p.at
		for c := p.next(); c >= '0' && c <= '9'; c = p.next() {
			p.at++
		}
		return p.at > start || p.unexpected("DIGIT", p.at)
	}
	if p.next() == '-' {
		p.at++
	}
	if p.next() == '0' {
		p.at++
	} else if !digits() {
		return false
	}
	if p.next() == '.' {
		if p.at++; !digits() {
			return false
		}
	}
	if c := p.next(); c == 'e' || c == 'E' {
		p.at++
		if c := p.next(); c == '-' || c == '+' {
			p.at++
		}
		if !digits() {
			return false
		}
	}
	p.space()
	return true
}

// quoted goes past a text in quotes.
func (p *parser) quoted() bool {
	if !p.require('"') {
		return false
	}
	for {
		switch c := p.next(); {
		case c < ' ' || c == '"':
			if !p.require('"') {
				return false
			}
			p.space()
			return true
		case c == '\\':
			p.at++
			switch p.next() {
			case '"', '/', '\\', 'b', 'f', 'n', 'r', 't':
				p.at++
			case 'u':
				p.at++
				for range 4 {
					if c := p.next(); c == 0 || strings.IndexByte("0123456789abcdefABCDEF", c) < 0 {
						return p.unexpected("hex digit", p.at)
					}
					p.at++
				}
			default:
				return p.unexpected("JSON escape sequence", p.at)
			}
		default:
			p.at++
		}
	}
}

// Compact returns valid JSON as spray-json writes it: without white space between its parts, with as few escapes as possible, and with numbers as
// Java writes them. It returns the JSON itself if nothing changes.
func Compact(text json.RawMessage) json.RawMessage {
	var b []byte
	kept := 0 // text up to here is in b
	replace := func(from, to int, by string) {
		b = append(append(b, text[kept:from]...), by...)
		kept = to
	}
	for i := 0; i < len(text); {
		start := i
		switch c := text[i]; {
		case c == '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] != '\\' || i+1 == len(text) {
					continue
				}
				if by, end := unescaped(text, i); end > 0 {
					replace(i, end, by)
					i = end - 1
				} else {
					i++
				}
			}
			i++
		case c == ' ' || c == '\n' || c == '\r' || c == '\t':
			i++
			replace(start, i, "")
		case c == '-' || c >= '0' && c <= '9':
			plain := c != '-'
			for i++; i < len(text) && strings.IndexByte("+-.eE0123456789", text[i]) >= 0; i++ {
				plain = plain && text[i] >= '0' && text[i] <= '9'
			}
			if !plain {
				if old := string(text[start:i]); Number(old) != old {
					replace(start, i, Number(old))
				}
			}
		default:
			i++
		}
	}
	if b == nil {
		return text
	}
	return append(b, text[kept:]...)
}

// unescaped returns what spray-json writes for the escape at an index, and where that ends. The end is 0 if it stays as it is.
func unescaped(text []byte, at int) (by string, end int) {
	switch text[at+1] {
	case '/':
		return "/", at + 2
	case 'u':
	default:
		return "", 0
	}
	unit := func(at int) (rune, bool) {
		if at+6 > len(text) || text[at] != '\\' || text[at+1] != 'u' {
			return 0, false
		}
		n, err := strconv.ParseUint(string(text[at+2:at+6]), 16, 16)
		return rune(n), err == nil
	}
	r, ok := unit(at)
	if end = at + 6; !ok {
		return "", 0
	}
	if utf16.IsSurrogate(r) {
		low, _ := unit(end)
		if r = utf16.DecodeRune(r, low); r == unicode.ReplacementChar {
			return "", 0
		}
		end += 6
	}
	if i := strings.IndexRune("\b\f\n\r\t\"\\", r); i >= 0 {
		return `\` + `bfnrt"\`[i:i+1], end
	}
	if r < ' ' {
		return fmt.Sprintf(`\u%04x`, r), end
	}
	return string(r), end
}

// Pretty returns valid JSON as spray-json writes it for people: each member of an object in a line of its own.
func Pretty(text json.RawMessage) string {
	var b strings.Builder
	text = Compact(text)
	depth := []byte{}
	line := func() {
		b.WriteByte('\n')
		b.WriteString(strings.Repeat("  ", bytes.Count(depth, []byte("{"))))
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch c {
		case '"':
			start := i
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
			b.Write(text[start:min(i+1, len(text))])
			continue
		case '{', '[':
			b.WriteByte(c)
			if i+1 < len(text) && (text[i+1] == '}' || text[i+1] == ']') {
				i++
				b.WriteByte(text[i])
				continue
			}
			if depth = append(depth, c); c == '{' {
				line()
			}
			continue
		case '}', ']':
			if len(depth) > 0 {
				depth = depth[:len(depth)-1]
			}
			if c == '}' {
				line()
			}
		case ',':
			if b.WriteByte(c); len(depth) > 0 && depth[len(depth)-1] == '{' {
				line()
			} else {
				b.WriteByte(' ')
			}
			continue
		case ':':
			b.WriteString(": ")
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
