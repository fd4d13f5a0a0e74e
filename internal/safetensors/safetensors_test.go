package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func TestFileSurvivesWriting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &File{Metadata: map[string]string{"tpp": rapid.String().Draw(t, "metadata")}, Tensors: map[string]Tensor{}}
		for range rapid.IntRange(0, 4).Draw(t, "tensors") {
			shape := rapid.SliceOfN(rapid.IntRange(0, 4), 1, 3).Draw(t, "shape")
			n := 1
			for _, s := range shape {
				n *= s
			}
			data := make([]float64, n)
			for i := range data {
				data[i] = float64(rapid.Float32().Draw(t, "value"))
			}
			f.Tensors[rapid.StringMatching(`[a-z]{1,3}`).Draw(t, "name")] = Tensor{shape, data}
		}
		var a, b bytes.Buffer
		if err := Write(&a, f); err != nil {
			t.Fatal(err)
		}
		if Write(&b, f); !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Fatal("two writes differ")
		}
		got, err := Read(&a)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Tensors, f.Tensors) || strings.ToValidUTF8(f.Metadata["tpp"], "\ufffd") != got.Metadata["tpp"] {
			t.Fatalf("got %v, want %v", got, f)
		}
	})
}

// file returns a file of a header and data zero bytes.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func TestReadRejects(t *testing.T) {
	const a = `"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for _, c := range []struct {
		name   string
		file   []byte
		reason string
	}{
		{"empty", nil, "shorter than 8 bytes"},
		{"text", []byte(`{"sequences": []}`), "claims a header"},
		{"header cut", file("{"+a+"}", 8)[:20], "ends within its header"},
		{"header no JSON", file("nonsense", 0), "not a JSON object"},
		{"header with more behind", file("{"+a+"}{}", 8), "follows the closing brace"},
		{"data cut", file("{"+a+"}", 7), "ends within its data"},
		{"data left over", file("{"+a+"}", 9), "bytes follow"},
		{"a name twice", file("{"+a+","+a+"}", 8), `"a" stands there twice`},
		{"metadata of numbers", file(`{"__metadata__":{"x":1}}`, 0), "__metadata__"},
		{"whole numbers", file(`{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}`, 8), "only F32 and F64"},
		{"shape too small", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}`, 8), "takes 4 bytes"},
		{"shape too large", file(`{"a":{"dtype":"F32","shape":[9999999,9999999],"data_offsets":[0,8]}}`, 8), "shape"},
		{"negative shape", file(`{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, 8), "shape"},
		{"offsets backwards", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, 8), "data_offsets"},
		{"a gap", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), "where byte 0 is due"},
		{"an overlap", file(`{`+a+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), "where byte 8 is due"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Read(bytes.NewReader(c.file)); err == nil || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("got error %v, want one that says %q", err, c.reason)
			}
		})
	}
}

// TestReadBoundsMemory checks that a header of 20 MB is refused at little more cost than its size, whatever it is full of.
func TestReadBoundsMemory(t *testing.T) {
	const size = 20 << 20
	repeat := func(before, item, after string) string {
		return before + strings.Repeat(item, size/len(item)) + strings.TrimSuffix(item, ",") + after
	}
	var tensors, metadata strings.Builder
	for i := 0; tensors.Len() < size; i++ {
		fmt.Fprintf(&tensors, `"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},`, i)
	}
	for i := 0; metadata.Len() < size; i++ {
		fmt.Fprintf(&metadata, `"%d":"",`, i)
	}
	for _, c := range []struct{ name, header, reason string }{
		{"empty tensors", "{" + strings.TrimSuffix(tensors.String(), ",") + "}", "more than 4096 tensors"},
		{"metadata", `{"__metadata__":{` + strings.TrimSuffix(metadata.String(), ",") + "}}", "more than 256 entries"},
		{"a text", `{"__metadata__":{"tpp":"` + strings.Repeat("x", size) + `"}}`, "bytes of metadata for 0 bytes of data"},
		{"dimensions", repeat(`{"a":{"dtype":"F32","shape":[`, "0,", `],"data_offsets":[0,0]}}`), "an entry of"},
		{"a few dimensions more", `{"a":{"dtype":"F32","shape":[` + strings.Repeat("1,", 16) + `1],"data_offsets":[0,4]}}`, "17 dimensions"},
	} {
		content := file(c.header, 0)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Read(bytes.NewReader(content))
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: got error %v, want one that says %q", c.name, err, c.reason)
		}
		// Reading the text by doubling takes some five times its size.
		if took := after.TotalAlloc - before.TotalAlloc; took > 12*uint64(len(content))+1<<20 {
			t.Errorf("%s: %d MB allocated for a header of %d MB", c.name, took>>20, len(content)>>20)
		}
	}
}

// TestReadPassesErrorsOn lets the reading fail after any number of bytes, at the end too: the error is that, and says nothing of the format.
func TestReadPassesErrorsOn(t *testing.T) {
	whole := file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8)
	failure := errors.New("the disk is gone")
	for n := range len(whole) + 1 {
		_, err := Read(io.MultiReader(bytes.NewReader(whole[:n]), iotest.ErrReader(failure)))
		if !errors.Is(err, failure) || strings.Contains(err.Error(), "bytes") {
			t.Errorf("after %d bytes: error %v", n, err)
		}
	}
}

func TestReadTakesF64(t *testing.T) {
	b := file(`{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}`, 0)
	f, err := Read(bytes.NewReader(append(b, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f)))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Tensors["a"].Data[0]; got != 1.5 {
		t.Errorf("got %v, want 1.5", got)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(file(`{"__metadata__":{"x":"y"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8))
	f.Add(file(`{}`, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		if err := Write(new(bytes.Buffer), got); err != nil {
			t.Fatalf("read but not written: %v", err)
		}
	})
}
