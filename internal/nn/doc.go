// Package nn holds the layers of the recurrent models, with gradients derived by hand, and the optimiser.
//
// Everything is generic over the float type: the models train and predict in float32, and the same code in float64 is
// held against independent references. Parameters live in one flat vector that a [Layout] cuts into named tensors, so
// a gradient, an optimiser's moments and a checkpoint are flat vectors of the same length too.
//
// A batch of sequences of unequal length is [Packed]: time-major, longest sequence first, no padding. Shapes in comments
// use R rows of the batch (one an event), D units of the context, G gate rows per unit (1 for RNN, 3 for GRU, 4 for
// LSTM), X input columns, K mixture components, M marks.
//
//	var l nn.Layout
//	in := nn.NewInput[float32](&l, nn.GRU, d, []nn.Feature{{Size: 1}, {Name: "mark", Levels: m, Size: 32}})
//	rnn := nn.NewRecurrent[float32](&l, nn.GRU, d)
//	head := nn.NewLinear[float32](&l, "linear", d, 3*k)
//	params := make([]float32, l.Size())
package nn
