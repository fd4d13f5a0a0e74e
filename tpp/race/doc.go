// Package race models sequences in which each event makes others due: an invocation that was made must come, and the next
// event is whichever of those that are pending wins the race.
//
// A [Graph] says which events an event makes due. [Train] learns it from Sequence.Parents or, where there are none, estimates it from
// the times; [GraphFromNames] makes it from names, such as those of an application's functions.
//
//	m, err := race.Train(ctx, race.Config{}, training, validation, race.TrainOptions{Seed: 1})
//	if err != nil {
//		return err
//	}
//	for _, s := range m.Slots() {
//		fmt.Println(s.Parent, s.Marks, s.Came, s.Never) // what is due after which mark, and how often it came
//	}
//	scores, err := eval.Evaluate(ctx, m, test, eval.EvaluateOptions{})
//
// The package registers its kind with tpp.Register, so a program that imports it can read its files with tpp.ReadModelFile.
package race
