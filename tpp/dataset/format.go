package dataset

import "strings"

// Format is a form in which a file holds sequences. Each may be gzipped.
type Format string

// The formats. Reading tells them apart by their content, writing by the ending of the name.
const (
	// FormatJSON is one document: {"sequences": [{"arrival_times": [...], "marks": [...]}, ...], "mapping": {"a": 0, ...}}. Data sets of
	// other tools are read too: lists of sequences with time_since_start and type_event (EasyTPP), and arrays of arrays of arrival_times
	// and marks (ifl-tpp), whose marks have their numbers for names.
	FormatJSON Format = "json"
	// FormatJSONLines is one sequence a line, in the form that a document has it: {"arrival_times": [...], "marks":
	// ["a", "b", ...]}. The marks are names, which are numbered as they appear. They may be numbers behind a line
	// {"mapping": {"a": 0, ...}}, which holds until the next such line: so files can be put one behind the other.
	FormatJSONLines Format = "jsonl"
	// FormatCSV is one event a line, under a line that names the columns; see [ReadOptions].
	FormatCSV Format = "csv"
	// FormatZipkin is only read: spans of Zipkin's API, version 2, as a list of traces (lists of spans) or a list of spans, or several of these
	// one behind the other. Each trace is a sequence; see [SpanRule].
	FormatZipkin Format = "zipkin"
	// FormatOTLP is only read: spans of OpenTelemetry in OTLP's JSON, as the Collector's file exporter writes them, a request
	// {"resourceSpans": [...]} on each line, or one alone. Each trace is a sequence, wherever its spans stand.
	FormatOTLP Format = "otlp"
)

// DurationCovariate is the covariate that has the time from the arrival of each event to its end, in milliseconds; see ReadOptions.Durations.
const DurationCovariate = "duration"

// FormatOf returns the format for the ending of a file's name, .gz aside: FormatJSONLines for .jsonl and .ndjson,
// FormatCSV for .csv, and FormatJSON for everything else.
func FormatOf(path string) Format {
	name := strings.ToLower(strings.TrimSuffix(path, ".gz"))
	switch {
	case strings.HasSuffix(name, ".jsonl"), strings.HasSuffix(name, ".ndjson"):
		return FormatJSONLines
	case strings.HasSuffix(name, ".csv"):
		return FormatCSV
	}
	return FormatJSON
}

// ReadOptions says how to read a file of sequences or of spans. The zero value reads what this package writes.
//
// A CSV file begins with a line that names its columns; they are separated by commas, semicolons or tabs. Times are
// numbers of the Unit, or time stamps as in RFC 3339 (the T may be a space, and no zone means UTC). Marks are names.
// These columns are found by their names, in any case and with spaces or dashes for underscores, the first there is:
//
//	sequence     sequence, sequence_id, trace, trace_id, case, case_id, case:concept:name, session, session_id, user, user_id, id
//	time         time, timestamp, arrival_time, time:timestamp, ts, datetime, date_time, event_time, date, t
//	mark         mark, event, event_type, type, function, activity, concept:name, action, item, item_id, label
//	wait_time, init_time, parent, t_start, t_end, and covariate:NAME for a covariate NAME
//
// Without a sequence column the file is one sequence, of which [SequenceReader.Warnings] warns; without a mark column it is unmarked. Other columns are skipped.
// The cells of wait_time, init_time and a covariate may be empty if they are for the whole sequence; an empty parent is
// −1 if another one is not; t_start and t_end must not change within a sequence.
//
// Of spans, see [FormatZipkin] and [FormatOTLP], an event's parent is the nearest span above it that is an event. Its time is the start of
// its span, which the collector of this project sets to the arrival. The attributes waitTimeMilli and initTimeMilli are the wait and
// init times, where all events of a trace have them. Without these the attribute faas.coldstart, 0 or 1, is a covariate. Events
// are sorted by time, and those at the same time with parents before children. Unit is ignored: the format defines the unit.
type ReadOptions struct {
	// Name is what errors name as the file. Empty is the path for OpenSequences, and no name for NewSequenceReader.
	Name string
	// Unit is what a number counts that is a time in the file: ns, us, ms (the default), s, min, h or d. Times are taken to
	// milliseconds. A float64 of milliseconds resolves a quarter of a microsecond at today's time since 1970.
	Unit string
	// Resolution is the tick of the clock in milliseconds: times are rounded to whole ticks, and wait and init times
	// above 0 to one tick at least. 0 leaves them as they are.
	Resolution float64
	// Tick is what most gaps should not be shorter than, in milliseconds: see [SequenceReader.Warnings]. 0 is the Resolution, or 1 ms
	// without one.
	Tick float64
	// MarkNames are the names of the marks by their numbers, as a model knows them: marks are numbered like this, and
	// one that is not among them is an error. Nil numbers them as the file does.
	MarkNames []string
	// Sort puts the events of a sequence in the order of their times, equal times in the order of the file. Otherwise
	// an event that is before the one ahead of it is an error.
	Sort bool
	// Scattered says that the lines of one sequence may stand apart in a CSV file. It is then held in memory as a
	// whole, and its sequences come in the order of their first lines. Otherwise a sequence that goes on after another
	// one has begun is an error. Reading a whole dataset does not mind.
	Scattered bool
	// SequenceColumn, TimeColumn and MarkColumn are the names of these columns in a CSV file. Empty finds them.
	SequenceColumn, TimeColumn, MarkColumn string
	// Spans says which spans are events; the zero value takes the first of [SpanRules] that finds one. What is called MarkColumn says where their
	// marks come from: name, service, service/name, or the key of an attribute. Empty takes faas.name if there is one; otherwise the
	// span's name for invocations, and service/name for others.
	Spans SpanRule
	// Durations takes in how long each span lasted, from arrival to end in milliseconds, as the covariate [DurationCovariate], where all events
	// of a trace say so.
	Durations bool
	// CovariateColumns are further columns of a CSV file to take in as covariates.
	CovariateColumns []string
}
