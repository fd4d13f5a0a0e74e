// Package dataset reads and writes event sequences as JSON documents, JSON lines or CSV, and reads spans of Zipkin and OpenTelemetry; each
// gzipped or not.
//
//	data, err := dataset.ReadFile("traces.json.gz")
//	if err != nil {
//		return err
//	}
//	err = dataset.WriteFile("traces.csv", data)
//
// Reading recognises the format by the content, writing by the ending of the name; see [Format]. [ReadOptions] sets the
// unit and the resolution of the times, the names of the marks, and the columns of a CSV file. Times are in milliseconds
// once read.
//
// A file that does not fit into memory is read one sequence at a time:
//
//	r, err := dataset.OpenSequences("log.csv", dataset.ReadOptions{Unit: "s", TimeColumn: "when"})
//	if err != nil {
//		return err
//	}
//	defer r.Close()
//	for s, err := range r.All(ctx) {
//		if err != nil {
//			return err // names the file, the sequence or line, and the reason
//		}
//		summary.Add(s)
//	}
//
// Spans are traces of services or functions. [SequenceReader.Choices] says what was taken for events, [SequenceReader.Warnings] what is missing.
//
// [SequenceWriter] writes one sequence at a time, and [Summary] counts and measures what it is given.
package dataset
