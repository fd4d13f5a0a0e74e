package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// The longest name and the longest number that a file may hold: what is longer is broken, and must not claim memory.
const (
	maxName   = 1 << 20
	maxNumber = 1 << 12
)

// maxDepth is how deep arrays and objects may be nested, as in encoding/json.
const maxDepth = 10000

var errEndsWithin = errors.New("the file ends in the middle of the dataset")

// jsonLexer reads JSON of any length through a small window. encoding/json would hold every value, and scan it three
// times; here only names, numbers and what is made of them are held, and values without a use are skipped as they come.
type jsonLexer struct {
	r        io.Reader
	buf      []byte // the window, buf[pos:] is unread
	pos      int
	offset   int64 // bytes before buf[0]
	line     int   // counted from 1; a line break within JSON is always white space
	err      error // why there is nothing behind the window
	captured []byte
	capture  int // how many bytes captured may grow to while values are skipped; 0 captures none, −1 any number
}

func newJSONLexer(r io.Reader) *jsonLexer {
	return &jsonLexer{r: r, buf: make([]byte, 0, 1<<16), line: 1}
}

// fill reads more behind the window and keeps what is in it from index keep on. It moves pos and reports whether there
// is more.
func (l *jsonLexer) fill(keep int) bool {
	if l.err != nil {
		return false
	}
	if keep > 0 {
		n := copy(l.buf, l.buf[keep:])
		l.buf, l.pos, l.offset = l.buf[:n], l.pos-keep, l.offset+int64(keep)
	}
	if len(l.buf) == cap(l.buf) {
		l.buf = append(l.buf, make([]byte, cap(l.buf))...)[:len(l.buf)]
	}
	for range 100 {
		n, err := l.r.Read(l.buf[len(l.buf):cap(l.buf)])
		l.buf, l.err = l.buf[:len(l.buf)+n], err
		if n > 0 {
			return true
		}
		if err != nil {
			return false
		}
	}
	l.err = io.ErrNoProgress
	return false
}

// failure returns the error that ended the input.
func (l *jsonLexer) failure() error {
	if l.err == io.EOF {
		return errEndsWithin
	}
	return l.err
}

// at returns the offset of the next byte.
func (l *jsonLexer) at() int64 { return l.offset + int64(l.pos) }

// syntax returns an error at the next byte, where something else is expected.
func (l *jsonLexer) syntax(due string) error {
	if l.pos == len(l.buf) && !l.fill(l.pos) {
		return l.failure()
	}
	found := "byte " + strconv.Itoa(int(l.buf[l.pos]))
	if c := l.buf[l.pos]; c > ' ' && c < 0x7f {
		found = string(c)
	}
	return fmt.Errorf("not JSON at byte %d: %s stands where %s is due", l.at(), found, due)
}

// peek skips white space and is the byte behind it, unread.
func (l *jsonLexer) peek() (byte, error) {
	for {
		for ; l.pos < len(l.buf); l.pos++ {
			switch c := l.buf[l.pos]; c {
			case ' ', '\t', '\r':
			case '\n':
				l.line++
			default:
				return c, nil
			}
		}
		if !l.fill(l.pos) {
			if l.err == io.EOF {
				return 0, io.EOF
			}
			return 0, l.err
		}
	}
}

// due returns the next byte, where the input must not end.
func (l *jsonLexer) due() (byte, error) {
	c, err := l.peek()
	if err == io.EOF {
		err = errEndsWithin
	}
	return c, err
}

// take reads the byte c, white space before it aside.
func (l *jsonLexer) take(c byte) error {
	got, err := l.due()
	if err != nil {
		return err
	}
	if got != c {
		return l.syntax(string(c))
	}
	l.keep(l.buf[l.pos : l.pos+1])
	l.pos++
	return nil
}

// keep captures what is skipped.
func (l *jsonLexer) keep(text []byte) {
	if l.capture < 0 {
		l.captured = append(l.captured, text...)
	} else if room := l.capture - len(l.captured); room > 0 {
		l.captured = append(l.captured, text[:min(room, len(text))]...)
	}
}

// more reports whether an array or object that was opened by first goes on; it reads the comma or the closing byte.
func (l *jsonLexer) more(closing byte, first bool) (bool, error) {
	c, err := l.due()
	if err != nil {
		return false, err
	}
	switch {
	case c == closing:
		return false, l.take(closing)
	case first:
		return true, nil
	case c != ',':
		return false, l.syntax(", or " + string(closing))
	}
	return true, l.take(',')
}

// key reads the name of a member and the colon behind it.
func (l *jsonLexer) key() (string, error) {
	if c, err := l.due(); err != nil {
		return "", err
	} else if c != '"' {
		return "", l.syntax("a name")
	}
	name, err := l.str()
	if err != nil {
		return "", err
	}
	key := string(name)
	return key, l.take(':')
}

// object reads an object; value must read the value of each key.
func (l *jsonLexer) object(value func(key string) error) error {
	if err := l.take('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		if ok, err := l.more('}', first); !ok || err != nil {
			return err
		}
		key, err := l.key()
		if err != nil {
			return err
		}
		if err := value(key); err != nil {
			return err
		}
	}
}

// str reads a string, at whose opening quote the lexer stands. The bytes hold until the next read.
func (l *jsonLexer) str() ([]byte, error) {
	start, plain, ok := l.pos, true, true
	l.pos++
	for {
		for ; l.pos < len(l.buf); l.pos++ {
			switch c := l.buf[l.pos]; {
			case c == '"':
				l.pos++
				text := l.buf[start:l.pos]
				if plain {
					return text[1 : len(text)-1], nil
				}
				if !utf8.Valid(text) {
					return nil, fmt.Errorf("a string at byte %d is not UTF-8: %q", l.offset+int64(start), shortText(text))
				}
				if hasLoneSurrogate(text) {
					return nil, fmt.Errorf("a string at byte %d has half of a UTF-16 pair as \\u escape: %s", l.offset+int64(start), shortText(text))
				}
				var s string
				if err := json.Unmarshal(text, &s); err != nil {
					return nil, fmt.Errorf("not JSON at byte %d: a string with a wrong escape", l.offset+int64(start))
				}
				return []byte(s), nil
			case c < ' ':
				return nil, l.syntax("the end of a string")
			case c == '\\':
				plain = false
				if l.pos+1 == len(l.buf) {
					if start, ok = l.extend(start); !ok {
						return nil, l.failure()
					}
				}
				l.pos++
			case c >= utf8.RuneSelf:
				// encoding/json replaces what is not UTF-8: two names would become one.
				plain = false
			}
		}
		if l.pos-start > maxName {
			return nil, fmt.Errorf("a string of more than %d bytes at byte %d", maxName, l.offset+int64(start))
		}
		if start, ok = l.extend(start); !ok {
			return nil, l.failure()
		}
	}
}

// shortText returns the beginning of a quoted string without its quotes.
func shortText(text []byte) string {
	text = text[1 : len(text)-1]
	return string(text[:min(len(text), 40)])
}

// hasLoneSurrogate reports whether a quoted string has an escape for half of a UTF-16 pair, which is no character.
func hasLoneSurrogate(text []byte) bool {
	code := func(i int) rune { // of the escape at i, or −1
		if i+6 > len(text) || text[i] != '\\' || text[i+1] != 'u' {
			return -1
		}
		n, err := strconv.ParseUint(string(text[i+2:i+6]), 16, 32)
		if err != nil {
			return -1
		}
		return rune(n)
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		c := code(i)
		switch {
		case c < 0: // a short escape
			i++
		case !utf16.IsSurrogate(c):
			i += 5
		case utf16.DecodeRune(c, code(i+6)) != utf8.RuneError:
			i += 11
		default:
			return true
		}
	}
	return false
}

// extend fills the window behind a token that begins at start, and is where the token begins then.
func (l *jsonLexer) extend(start int) (int, bool) {
	if l.err != nil {
		return start, false
	}
	return 0, l.fill(start)
}

// number reads a number and checks its form. The bytes hold until the next read.
func (l *jsonLexer) number() ([]byte, error) {
	start := l.pos
	for {
		for l.pos < len(l.buf) && isNumeric[l.buf[l.pos]] {
			l.pos++
		}
		if l.pos < len(l.buf) || l.pos-start > maxNumber {
			break
		}
		var ok bool
		if start, ok = l.extend(start); !ok {
			break
		}
	}
	text := l.buf[start:l.pos]
	if len(text) > maxNumber || !validNumber(text) {
		err := fmt.Errorf("not JSON at byte %d: %s is not a number", l.offset+int64(start), excerpt(text))
		if len(text) == 0 {
			err = l.syntax("a value")
		}
		return nil, err
	}
	return text, nil
}

var isNumeric = func() (table [256]bool) {
	for _, c := range []byte("0123456789+-.eE") {
		table[c] = true
	}
	return table
}()

// validNumber reports whether a text is a number by the grammar of RFC 8259, section 6.
func validNumber(text []byte) bool {
	digits := func() bool {
		n := 0
		for n < len(text) && '0' <= text[n] && text[n] <= '9' {
			n++
		}
		text = text[n:]
		return n > 0
	}
	if len(text) > 0 && text[0] == '-' {
		text = text[1:]
	}
	if len(text) > 0 && text[0] == '0' {
		text = text[1:]
	} else if !digits() {
		return false
	}
	if len(text) > 0 && text[0] == '.' {
		if text = text[1:]; !digits() {
			return false
		}
	}
	if len(text) > 0 && (text[0] == 'e' || text[0] == 'E') {
		text = text[1:]
		if len(text) > 0 && (text[0] == '+' || text[0] == '-') {
			text = text[1:]
		}
		if !digits() {
			return false
		}
	}
	return len(text) == 0
}

// skip reads a value of any kind and forgets it.
func (l *jsonLexer) skip() error { return l.skipNested(0) }

func (l *jsonLexer) skipNested(depth int) error {
	c, err := l.due()
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("nested too deep at byte %d", l.at())
	}
	switch c {
	case '{':
		return l.skipMembers('}', depth)
	case '[':
		return l.skipMembers(']', depth)
	case '"':
		return l.skipString()
	case 't':
		return l.literal("true")
	case 'f':
		return l.literal("false")
	case 'n':
		return l.literal("null")
	}
	text, err := l.number()
	l.keep(text)
	return err
}

func (l *jsonLexer) skipMembers(closing byte, depth int) error {
	if err := l.take(l.buf[l.pos]); err != nil {
		return err
	}
	for first := true; ; first = false {
		if ok, err := l.more(closing, first); !ok || err != nil {
			return err
		}
		if closing == '}' {
			if c, err := l.due(); err != nil {
				return err
			} else if c != '"' {
				return l.syntax("a name")
			}
			if err := l.skipString(); err != nil {
				return err
			}
			if err := l.take(':'); err != nil {
				return err
			}
		}
		if err := l.skipNested(depth + 1); err != nil {
			return err
		}
	}
}

// skipString does not hold the string, however long it is.
func (l *jsonLexer) skipString() error {
	l.keep(l.buf[l.pos : l.pos+1])
	l.pos++
	escape, hex := false, 0 // behind a backslash; hexadecimal digits still due
	for {
		from := l.pos
		for ; l.pos < len(l.buf); l.pos++ {
			c := l.buf[l.pos]
			switch {
			case hex > 0:
				if bytes.IndexByte([]byte("0123456789abcdefABCDEF"), c) < 0 {
					return l.syntax("a hexadecimal digit")
				}
				hex--
			case escape:
				if bytes.IndexByte([]byte(`"\/bfnrtu`), c) < 0 {
					return l.syntax("an escape")
				}
				escape = false
				if c == 'u' {
					hex = 4
				}
			case c == '\\':
				escape = true
			case c < ' ':
				return l.syntax("the end of a string")
			case c == '"':
				l.pos++
				l.keep(l.buf[from:l.pos])
				return nil
			}
		}
		l.keep(l.buf[from:l.pos])
		if !l.fill(l.pos) {
			return l.failure()
		}
	}
}

// literal reads true, false or null.
func (l *jsonLexer) literal(word string) error {
	for i := range len(word) {
		if l.pos == len(l.buf) && !l.fill(l.pos) {
			return l.failure()
		}
		if l.buf[l.pos] != word[i] {
			return l.syntax(word)
		}
		l.keep(l.buf[l.pos : l.pos+1])
		l.pos++
	}
	return nil
}

// misfit reads a value that is not what it should be and says so, quoting its beginning.
func (l *jsonLexer) misfit(what string) error {
	before, capture := l.captured, l.capture
	l.captured, l.capture = nil, 64
	err := l.skip()
	text := l.captured
	l.captured, l.capture = before, capture
	if err != nil {
		return err
	}
	return fmt.Errorf("%s is not %s", excerpt(text), what)
}

// excerpt quotes the beginning of a JSON text on one line.
func excerpt(text []byte) string {
	line := string(bytes.Join(bytes.Fields(text), []byte(" ")))
	if runes := []rune(line); len(runes) > 20 {
		line = string(runes[:20]) + "…"
	}
	return line
}

// null reads a null if one stands there.
func (l *jsonLexer) null() (bool, error) {
	c, err := l.due()
	if err != nil || c != 'n' {
		return false, err
	}
	return true, l.literal("null")
}

// elements reads an array; element must read each value, whose first byte it is given. A null in place of the array
// leaves it absent.
func (l *jsonLexer) elements(what string, element func(c byte) error) (present bool, err error) {
	if absent, err := l.null(); absent || err != nil {
		return false, err
	}
	if l.buf[l.pos] != '[' {
		return false, l.misfit(what)
	}
	if err := l.take('['); err != nil {
		return false, err
	}
	for first := true; ; first = false {
		if ok, err := l.more(']', first); !ok || err != nil {
			return true, err
		}
		c, err := l.due()
		if err != nil {
			return false, err
		}
		if err := element(c); err != nil {
			return false, err
		}
	}
}

func isNumberStart(c byte) bool { return c == '-' || '0' <= c && c <= '9' }

// float reads a number, at whose first byte c the lexer stands.
func (l *jsonLexer) float(c byte, parse func([]byte) (float64, error)) (float64, error) {
	if !isNumberStart(c) {
		return 0, l.misfit("a number")
	}
	text, err := l.number()
	if err != nil {
		return 0, err
	}
	v, err := parse(text)
	if err != nil {
		return 0, fmt.Errorf("%s is not a number", excerpt(text))
	}
	return v, nil
}

// floats reads an array of numbers.
func (l *jsonLexer) floats(parse func([]byte) (float64, error)) ([]float64, error) {
	values := []float64{}
	present, err := l.elements("an array of numbers", func(c byte) error {
		v, err := l.float(c, parse)
		values = append(values, v)
		return err
	})
	if !present || err != nil {
		return nil, err
	}
	return values, nil
}

// integer reads a whole number, at whose first byte c the lexer stands.
func (l *jsonLexer) integer(c byte) (int, error) {
	if !isNumberStart(c) {
		return 0, l.misfit("an integer")
	}
	text, err := l.number()
	if err != nil {
		return 0, err
	}
	v, err := strconv.Atoi(string(text))
	if err != nil {
		// 3.0 and 1e1 are integers in JSON too.
		f, ferr := strconv.ParseFloat(string(text), 64)
		if ferr != nil || f != math.Trunc(f) || math.Abs(f) > 1<<30 {
			return 0, fmt.Errorf("%s is not an integer", excerpt(text))
		}
		v = int(f)
	}
	return v, nil
}

// integers reads an array of whole numbers.
func (l *jsonLexer) integers() ([]int, error) {
	values := []int{}
	present, err := l.elements("an array of integers", func(c byte) error {
		v, err := l.integer(c)
		values = append(values, v)
		return err
	})
	if !present || err != nil {
		return nil, err
	}
	return values, nil
}
