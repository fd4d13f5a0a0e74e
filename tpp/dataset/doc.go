// Package dataset reads and writes sequences of events: JSON documents, JSON lines and CSV, gzipped or not, as a whole or one
// sequence at a time.
//
//	data, err := dataset.ReadFile("traces.json.gz")
//	…
//	err = dataset.WriteFile("traces.csv", data)
//
// Files that do not fit into memory are streamed:
//
//	r, err := dataset.OpenSequences("huge.jsonl", dataset.ReadOptions{})
//	if err != nil {
//		return err
//	}
//	defer r.Close()
//	for s, err := range r.All(ctx) {
//		…
//	}
//
// [Format] describes the formats, which reading tells apart by content and writing by the ending of the name. [ReadOptions] says
// how CSV columns are found and what unit times have. A [Summary] counts what is in a dataset, in memory that does not grow with it.
package dataset
