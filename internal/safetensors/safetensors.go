// Package safetensors reads and writes files of named tensors in the safetensors format: eight bytes of header length, a
// JSON header, and the numbers in little-endian order. It supports the types F32 and F64. Reading is strict: gaps or
// overlaps between tensors and trailing bytes are errors.
//
//	f, err := safetensors.Read(r)
//	weights := f.Tensors["rnn.weight_ih_l0"].Data
package safetensors

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
)

// Tensor is an array of numbers in row-major order.
type Tensor struct {
	Shape []int
	Data  []float64
}

// FromFloat32 returns a tensor of the shape with a copy of the values.
func FromFloat32(shape []int, values []float32) Tensor {
	data := make([]float64, len(values))
	for i, v := range values {
		data[i] = float64(v)
	}
	return Tensor{Shape: shape, Data: data}
}

// File is the content of a file. The zero value is an empty file.
type File struct {
	Metadata map[string]string
	Tensors  map[string]Tensor
}

// maxHeader is the largest size of a header that the format allows, in bytes.
const maxHeader = 100_000_000

// A header costs several times its size in memory once it is parsed, so that it is limited in what it may claim, apart from its
// size: a model has some dozens of tensors, of few dimensions, one entry of metadata, and a description that grows with its data.
const (
	maxTensors    = 4096
	maxDimensions = 16
	maxEntry      = 4096 // bytes of JSON of one tensor
	maxMetadata   = 256  // entries
	freeText      = 8 << 20
	textPerByte   = 16 // of data, which further text may describe
)

type entry struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets []int  `json:"data_offsets"`
}

// HeadSize is the number of bytes of a file that IsHead needs.
const HeadSize = 9

// IsHead reports whether head, the first HeadSize bytes of a file, are those of a safetensors file: the length of a header
// and its opening brace.
func IsHead(head []byte) bool {
	return len(head) >= HeadSize && head[8] == '{' && binary.LittleEndian.Uint64(head) <= maxHeader
}

// Read reads a whole file.
func Read(r io.Reader) (*File, error) {
	br := bufio.NewReader(r)
	var length [8]byte
	switch _, err := io.ReadFull(br, length[:]); {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return nil, fmt.Errorf("not a safetensors file: it is shorter than 8 bytes: %w", io.ErrUnexpectedEOF)
	case err != nil:
		return nil, err
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader {
		return nil, fmt.Errorf("not a safetensors file: it claims a header of %d bytes", n)
	}
	// Read through a limit: a header length made up by a broken file must not claim memory.
	header, err := io.ReadAll(io.LimitReader(br, int64(n)))
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if uint64(len(header)) < n {
		return nil, errors.New("the file ends within its header")
	}
	f, entries, err := parseHeader(header)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	names := slices.SortedFunc(maps.Keys(entries), func(a, b string) int {
		x, y := entries[a].Offsets, entries[b].Offsets
		if x[0] != y[0] {
			return x[0] - y[0]
		}
		return x[1] - y[1]
	})
	if err := checkMetadata(f.Metadata, entries); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	at := 0
	for _, name := range names {
		e := entries[name]
		if e.Offsets[0] != at {
			return nil, fmt.Errorf("tensor %q begins at byte %d of the data, where byte %d is due", name, e.Offsets[0], at)
		}
		at = e.Offsets[1]
		data, err := readNumbers(br, e)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		f.Tensors[name] = Tensor{Shape: e.Shape, Data: data}
	}
	if _, err := br.ReadByte(); err == nil {
		return nil, errors.New("bytes follow the last tensor")
	} else if err != io.EOF {
		return nil, err
	}
	return f, nil
}

func parseHeader(header []byte) (*File, map[string]entry, error) {
	f := &File{Metadata: map[string]string{}, Tensors: map[string]Tensor{}}
	entries := map[string]entry{}
	dec := json.NewDecoder(bytes.NewReader(header))
	t, err := dec.Token()
	if err != nil || t != json.Delim('{') {
		return nil, nil, errors.New("not a JSON object")
	}
	hasMetadata := false
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, nil, err
		}
		name := t.(string)
		if name == "__metadata__" {
			if hasMetadata {
				return nil, nil, errors.New("__metadata__ stands there twice")
			}
			hasMetadata = true
			if err := decodeMetadata(dec, f.Metadata); err != nil {
				return nil, nil, fmt.Errorf("__metadata__: %w", err)
			}
			continue
		}
		if len(entries) == maxTensors {
			return nil, nil, fmt.Errorf("more than %d tensors", maxTensors)
		}
		if _, ok := entries[name]; ok {
			return nil, nil, fmt.Errorf("tensor %q stands there twice", name)
		}
		var text json.RawMessage
		if err := dec.Decode(&text); err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		if len(text) > maxEntry {
			return nil, nil, fmt.Errorf("tensor %q: an entry of %d bytes", name, len(text))
		}
		var e entry
		if err := json.Unmarshal(text, &e); err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		if err := e.check(); err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		entries[name] = e
	}
	if _, err := dec.Token(); err != nil {
		return nil, nil, err
	}
	if rest := bytes.TrimSpace(header[dec.InputOffset():]); len(rest) > 0 {
		return nil, nil, errors.New("text follows the closing brace")
	}
	return f, entries, nil
}

// decodeMetadata reads a JSON object of strings.
func decodeMetadata(dec *json.Decoder, into map[string]string) error {
	t, err := dec.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	for entries := 0; dec.More(); entries++ {
		if entries == maxMetadata {
			return fmt.Errorf("more than %d entries", maxMetadata)
		}
		key, err := dec.Token()
		if err != nil {
			return err
		}
		var value string
		if err := dec.Decode(&value); err != nil {
			return err
		}
		into[key.(string)] = value
	}
	_, err = dec.Token()
	return err
}

// checkMetadata returns an error if the metadata is out of proportion to the data that it can describe.
func checkMetadata(metadata map[string]string, entries map[string]entry) error {
	text, data := 0, 0
	for key, value := range metadata {
		text += len(key) + len(value)
	}
	for _, e := range entries {
		data = max(data, e.Offsets[1])
	}
	if text > freeText && (text-freeText)/textPerByte > data {
		return fmt.Errorf("%d bytes of metadata for %d bytes of data", text, data)
	}
	return nil
}

func (e *entry) size() int { return map[string]int{"F32": 4, "F64": 8}[e.DType] }

func (e *entry) check() error {
	if e.size() == 0 {
		return fmt.Errorf("type %q, only F32 and F64 can be read", e.DType)
	}
	if len(e.Offsets) != 2 || e.Offsets[0] < 0 || e.Offsets[1] < e.Offsets[0] {
		return fmt.Errorf("data_offsets %v", e.Offsets)
	}
	if len(e.Shape) > maxDimensions {
		return fmt.Errorf("%d dimensions, there must be at most %d", len(e.Shape), maxDimensions)
	}
	n := e.size()
	for _, s := range e.Shape {
		if s < 0 || s > 0 && n > math.MaxInt32/s {
			return fmt.Errorf("shape %v", e.Shape)
		}
		n *= s
	}
	if n != e.Offsets[1]-e.Offsets[0] {
		return fmt.Errorf("shape %v of %s takes %d bytes, its data_offsets span %d", e.Shape, e.DType, n, e.Offsets[1]-e.Offsets[0])
	}
	return nil
}

func readNumbers(r io.Reader, e entry) ([]float64, error) {
	n := e.Offsets[1] - e.Offsets[0]
	raw, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err != nil {
		return nil, err
	}
	if len(raw) < n {
		return nil, errors.New("the file ends within its data")
	}
	data := make([]float64, n/e.size())
	for i := range data {
		if e.size() == 4 {
			data[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])))
		} else {
			data[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
		}
	}
	return data, nil
}

// Write writes the tensors as F32, in the order of their names. The same content gives the same bytes.
func Write(w io.Writer, f *File) error {
	if len(f.Tensors) > maxTensors {
		return fmt.Errorf("%d tensors, a file has at most %d", len(f.Tensors), maxTensors)
	}
	header := map[string]any{}
	entries := map[string]entry{}
	if len(f.Metadata) > 0 {
		header["__metadata__"] = f.Metadata
	}
	at := 0
	names := slices.Sorted(maps.Keys(f.Tensors))
	for _, name := range names {
		t := f.Tensors[name]
		e := entry{DType: "F32", Shape: t.Shape, Offsets: []int{at, at + 4*len(t.Data)}}
		if e.Shape == nil {
			e.Shape = []int{}
		}
		if err := e.check(); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		header[name], entries[name] = e, e
		at += 4 * len(t.Data)
	}
	if err := checkMetadata(f.Metadata, entries); err != nil {
		return err
	}
	// encoding/json writes maps in the order of their keys.
	text, err := json.Marshal(header)
	if err != nil {
		return err
	}
	// The data must begin at a multiple of eight bytes.
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	bw := bufio.NewWriter(w)
	bw.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(text))))
	bw.Write(text)
	var number [4]byte
	for _, name := range names {
		for _, v := range f.Tensors[name].Data {
			binary.LittleEndian.PutUint32(number[:], math.Float32bits(float32(v)))
			bw.Write(number[:])
		}
	}
	return bw.Flush()
}
