// Package atomicfile writes files atomically: completely or not at all.
//
// Readers of the path see either the old content or the complete new one:
//
//	err := atomicfile.Write("data/sequence.json.gz", func(w io.Writer) error {
//		return json.NewEncoder(w).Encode(dataset)
//	})
package atomicfile
