// Package atomicfile writes a file whole or not at all.
//
// A reader of the path sees either the old content or the complete new one:
//
//	err := atomicfile.Write("data/sequence.json.gz", func(w io.Writer) error {
//		return json.NewEncoder(w).Encode(dataset)
//	})
package atomicfile
