package tpp

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
)

// ReadFile reads a dataset, JSON or gzipped JSON, told apart by content. The error names the file, the sequence and
// the reason.
func ReadFile(path string) (*Dataset, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d, err := ReadDataset(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// ReadDataset reads a dataset document, gzipped or not, and checks everything in it. Unknown keys are skipped.
func ReadDataset(r io.Reader) (*Dataset, error) {
	br := bufio.NewReaderSize(r, 1<<16)
	if magic, _ := br.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		zr, err := gzip.NewReader(br)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		defer zr.Close()
		br = bufio.NewReaderSize(zr, 1<<16)
	}
	return decodeDataset(json.NewDecoder(br))
}

func decodeDataset(dec *json.Decoder) (*Dataset, error) {
	var (
		d                         Dataset
		mapping                   map[string]int
		hasSequences, hasMappings bool
	)
	err := decodeObject(dec, func(key string) error {
		switch key {
		case "sequences":
			if hasSequences {
				return errors.New(`"sequences" stands there twice`)
			}
			hasSequences = true
			return decodeArray(dec, "sequences", func(i int) error {
				var s jsonSequence
				if err := dec.Decode(&s); err != nil {
					return fmt.Errorf("sequence %d: %w", i, cleanJSONError(err))
				}
				d.Sequences = append(d.Sequences, s.sequence())
				return nil
			})
		case "mapping":
			if hasMappings {
				return errors.New(`"mapping" stands there twice`)
			}
			hasMappings = true
			var err error
			mapping, err = decodeMapping(dec)
			return err
		default:
			var skip json.RawMessage
			return cleanJSONError(dec.Decode(&skip))
		}
	})
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("more follows the dataset's closing brace, at byte %d", dec.InputOffset())
	}
	if !hasSequences {
		return nil, errors.New(`not a dataset: it has no "sequences"`)
	}
	if err := d.applyMapping(mapping); err != nil {
		return nil, err
	}
	return &d, d.Validate()
}

// applyMapping names the marks. Numbers left out of a mapping are closed up, in order, so marks become 0…NumMarks−1.
func (d *Dataset) applyMapping(mapping map[string]int) error {
	if len(mapping) == 0 {
		return nil
	}
	names := make([]string, 0, len(mapping))
	for name := range mapping {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if mapping[a] != mapping[b] {
			return mapping[a] - mapping[b]
		}
		return bytes.Compare([]byte(a), []byte(b))
	})
	dense := make(map[int]int, len(names))
	for i, name := range names {
		if i > 0 && mapping[name] == mapping[names[i-1]] {
			return fmt.Errorf("mapping is not one to one: %q and %q are both %d", names[i-1], name, mapping[name])
		}
		dense[mapping[name]] = i
	}
	d.MarkNames = names
	for i := range d.Sequences {
		for j, m := range d.Sequences[i].Marks {
			k, ok := dense[m]
			if !ok {
				return fmt.Errorf("sequence %d: marks[%d] = %d is not in the mapping of %d marks", i, j, m, len(names))
			}
			d.Sequences[i].Marks[j] = k
		}
	}
	return nil
}

// jsonSequence is a sequence as the file holds it. Its number types refuse null, which encoding/json takes for 0.
type jsonSequence struct {
	ArrivalTimes numbers  `json:"arrival_times"`
	Marks        integers `json:"marks"`
	WaitTimes    numbers  `json:"wait_times"`
	InitTimes    numbers  `json:"init_times"`
	Parents      integers `json:"parents"`
	TStart       *float64 `json:"t_start"`
	TEnd         *float64 `json:"t_end"`
}

func (s *jsonSequence) sequence() Sequence {
	return Sequence{
		ArrivalTimes: s.ArrivalTimes, Marks: s.Marks, WaitTimes: s.WaitTimes, InitTimes: s.InitTimes,
		Parents: s.Parents, TStart: s.TStart, TEnd: s.TEnd,
	}
}

type numbers []float64

func (n *numbers) UnmarshalJSON(data []byte) error {
	return eachNumber(data, func(size int) {
		*n = make(numbers, 0, size)
	}, func(text []byte) error {
		v, err := strconv.ParseFloat(string(text), 64)
		if err != nil {
			return fmt.Errorf("%s is not a number", excerpt(text))
		}
		*n = append(*n, v)
		return nil
	})
}

type integers []int

func (n *integers) UnmarshalJSON(data []byte) error {
	return eachNumber(data, func(size int) {
		*n = make(integers, 0, size)
	}, func(text []byte) error {
		v, err := strconv.Atoi(string(text))
		if err != nil {
			// 3.0 and 1e1 are integers in JSON too.
			f, ferr := strconv.ParseFloat(string(text), 64)
			if ferr != nil || f != math.Trunc(f) || math.Abs(f) > 1<<30 {
				return fmt.Errorf("%s is not an integer", excerpt(text))
			}
			v = int(f)
		}
		*n = append(*n, v)
		return nil
	})
}

// eachNumber splits a JSON array that is known to be valid JSON. A null in place of the array leaves it absent.
func eachNumber(data []byte, start func(size int), each func(text []byte) error) error {
	data = bytes.TrimSpace(data)
	if string(data) == "null" {
		return nil
	}
	if len(data) < 2 || data[0] != '[' {
		return fmt.Errorf("%s is not an array of numbers", excerpt(data))
	}
	inner := bytes.TrimSpace(data[1 : len(data)-1])
	if len(inner) == 0 {
		start(0)
		return nil
	}
	start(bytes.Count(inner, []byte{','}) + 1)
	for part := range bytes.SplitSeq(inner, []byte{','}) {
		if err := each(bytes.TrimSpace(part)); err != nil {
			return err
		}
	}
	return nil
}

// excerpt quotes the beginning of a JSON text on one line.
func excerpt(text []byte) string {
	line := string(bytes.Join(bytes.Fields(text), []byte(" ")))
	if len(line) > 20 {
		line = line[:20] + "…"
	}
	return line
}

// decodeObject reads an object; value is called to read the value of each key.
func decodeObject(dec *json.Decoder, value func(key string) error) error {
	t, err := dec.Token()
	if err != nil {
		if err == io.EOF {
			return errors.New("it is empty")
		}
		return cleanJSONError(err)
	}
	if t != json.Delim('{') {
		return fmt.Errorf("not a JSON object: it starts with %v", t)
	}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return cleanJSONError(err)
		}
		if err := value(t.(string)); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return cleanJSONError(err)
}

// decodeArray reads an array; element is called to read each of its elements.
func decodeArray(dec *json.Decoder, name string, element func(i int) error) error {
	t, err := dec.Token()
	if err != nil {
		return cleanJSONError(err)
	}
	if t != json.Delim('[') {
		return fmt.Errorf("%q is not an array", name)
	}
	for i := 0; dec.More(); i++ {
		if err := element(i); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return cleanJSONError(err)
}

// decodeMapping reads token by token: a plain decode would keep the last of two equal names in silence.
func decodeMapping(dec *json.Decoder) (map[string]int, error) {
	var mapping map[string]int
	t, err := dec.Token()
	if err != nil {
		return nil, cleanJSONError(err)
	}
	if t == nil {
		return nil, nil
	}
	if t != json.Delim('{') {
		return nil, errors.New(`"mapping" is not an object`)
	}
	mapping = map[string]int{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, cleanJSONError(err)
		}
		name := t.(string)
		if _, ok := mapping[name]; ok {
			return nil, fmt.Errorf("mapping: %q stands there twice", name)
		}
		var mark *int
		if err := dec.Decode(&mark); err != nil {
			return nil, fmt.Errorf("mapping: %q: %w", name, cleanJSONError(err))
		}
		if mark == nil || *mark < 0 {
			return nil, fmt.Errorf("mapping: %q is not a number from 0 up", name)
		}
		mapping[name] = *mark
	}
	_, err = dec.Token()
	return mapping, cleanJSONError(err)
}

// cleanJSONError says where a document stops making sense.
func cleanJSONError(err error) error {
	var syntax *json.SyntaxError
	var typed *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the file ends in the middle of the dataset")
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON at byte %d: %v", syntax.Offset, syntax)
	case errors.As(err, &typed):
		return fmt.Errorf("%s at byte %d is a %s", typed.Field, typed.Offset, typed.Value)
	}
	return err
}

// WriteFile writes the dataset, gzipped if the name ends in .gz. The file is replaced only when the new one is whole.
func (d *Dataset) WriteFile(path string) error {
	return atomicfile.Write(path, d.Encode)
}

// Encode writes the dataset document to w after checking it, one sequence a line.
func (d *Dataset) Encode(w io.Writer) error {
	if err := d.Validate(); err != nil {
		return err
	}
	bw := bufio.NewWriterSize(w, 1<<16)
	bw.WriteString(`{"sequences": [`)
	var line []byte
	for i := range d.Sequences {
		if i > 0 {
			bw.WriteByte(',')
		}
		bw.WriteByte('\n')
		line = appendSequence(line[:0], &d.Sequences[i])
		bw.Write(line)
	}
	bw.WriteString("\n]")
	if len(d.MarkNames) > 0 {
		bw.WriteString(`, "mapping": {`)
		for i, name := range d.MarkNames {
			if i > 0 {
				bw.WriteString(", ")
			}
			quoted, err := json.Marshal(name)
			if err != nil {
				return fmt.Errorf("mapping: %q: %w", name, err)
			}
			fmt.Fprintf(bw, "%s: %d", quoted, i)
		}
		bw.WriteByte('}')
	}
	bw.WriteString("}\n")
	return bw.Flush()
}

func appendSequence(b []byte, s *Sequence) []byte {
	b = appendNumbers(append(b, `{"arrival_times": `...), s.ArrivalTimes)
	if s.Marks != nil {
		b = appendIntegers(append(b, `, "marks": `...), s.Marks)
	}
	if s.WaitTimes != nil {
		b = appendNumbers(append(b, `, "wait_times": `...), s.WaitTimes)
	}
	if s.InitTimes != nil {
		b = appendNumbers(append(b, `, "init_times": `...), s.InitTimes)
	}
	if s.Parents != nil {
		b = appendIntegers(append(b, `, "parents": `...), s.Parents)
	}
	if s.TStart != nil {
		b = appendNumber(append(b, `, "t_start": `...), *s.TStart)
	}
	if s.TEnd != nil {
		b = appendNumber(append(b, `, "t_end": `...), *s.TEnd)
	}
	return append(b, '}')
}

func appendNumbers(b []byte, values []float64) []byte {
	b = append(b, '[')
	for i, v := range values {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendNumber(b, v)
	}
	return append(b, ']')
}

// appendNumber writes times as people write them, 1620831914775, and falls back to an exponent far from 1.
func appendNumber(b []byte, v float64) []byte {
	if size := math.Abs(v); v == 0 || size >= 1e-6 && size < 1<<53 {
		return strconv.AppendFloat(b, v, 'f', -1, 64)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

func appendIntegers(b []byte, values []int) []byte {
	b = append(b, '[')
	for i, v := range values {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = strconv.AppendInt(b, int64(v), 10)
	}
	return append(b, ']')
}
