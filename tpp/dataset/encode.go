package dataset

import (
	"io"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/tpp"
)

// WriteFile writes a dataset in the format that the ending of the name asks for, see [FormatOf], gzipped if it ends
// in .gz. The file is replaced only when the new one is whole.
func WriteFile(path string, d *tpp.Dataset) error {
	return atomicfile.Write(path, func(w io.Writer) error { return Encode(w, d, FormatOf(path)) })
}

// Encode writes a dataset to w in the format after checking it. A JSON document has one sequence a line.
func Encode(w io.Writer, d *tpp.Dataset, format Format) error {
	if err := d.Validate(); err != nil {
		return err
	}
	sw, err := NewSequenceWriter(w, format)
	if err != nil {
		return err
	}
	for i := range d.Sequences {
		sw.Columns.Add(&d.Sequences[i])
	}
	sw.names = d.MarkNames
	for i := range d.Sequences {
		if err := sw.Write(&d.Sequences[i], d.MarkNames); err != nil {
			return err
		}
	}
	return sw.Close()
}
