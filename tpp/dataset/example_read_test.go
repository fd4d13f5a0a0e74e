package dataset_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// Reading one sequence at a time, in the memory of one, with the marks numbered as a model knows them.
func ExampleSequenceReader() {
	file := strings.NewReader(`{"arrival_times": [0, 120, 370], "marks": ["main", "resize", "store"]}
{"arrival_times": [9000, 9100], "marks": ["main", "store"]}`)
	r, err := dataset.NewSequenceReader(file, dataset.ReadOptions{MarkNames: []string{"resize", "store", "main"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	for s, err := range r.All(context.Background()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(s.InterTimes(), s.Marks)
	}
	// Output:
	// [120 250] [2 0 1]
	// [100] [2 1]
}

// An event log whose times are seconds, on a clock with ticks of a millisecond.
func ExampleReadOptions() {
	log := strings.NewReader("case,when,activity\n17,1620831914.7752,order\n18,1620831915.1,order\n17,1620831916,pay\n")
	r, err := dataset.NewSequenceReader(log, dataset.ReadOptions{Unit: "s", Resolution: 1, TimeColumn: "when"})
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := r.ReadAll(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(data.Sequences), "sequences of", data.MarkNames)
	fmt.Println(data.Sequences[0].InterTimes())
	// Output:
	// 2 sequences of [order pay]
	// [1225]
}

// A dataset in another format.
func ExampleEncode() {
	data := &tpp.Dataset{
		MarkNames: []string{"main", "f1"},
		Sequences: []tpp.Sequence{{ArrivalTimes: []float64{0, 12.5}, Marks: []int{0, 1}}},
	}
	if err := dataset.Encode(os.Stdout, data, dataset.FormatCSV); err != nil {
		fmt.Println(err)
	}
	if err := dataset.Encode(os.Stdout, data, dataset.FormatJSONLines); err != nil {
		fmt.Println(err)
	}
	// Output:
	// sequence,time,mark
	// 0,0,main
	// 0,12.5,f1
	// {"mapping": {"main": 0, "f1": 1}}
	// {"arrival_times": [0, 12.5], "marks": ["main", "f1"]}
}

// What is in a dataset.
func ExampleSummary() {
	r, err := dataset.NewSequenceReader(strings.NewReader("sequence,time\na,1\na,1\na,11\nb,5\nb,7\n"), dataset.ReadOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	var sum dataset.Summary
	for s, err := range r.All(context.Background()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		sum.Add(s)
	}
	fmt.Printf("%d events, %d of %d gaps are 0, the median is %g\n", sum.Events, sum.ZeroGaps, sum.Gaps, sum.GapQuantile(0.5))
	// Output: 5 events, 1 of 3 gaps are 0, the median is 2
}
