// Package nn provides the layers of recurrent networks, with gradients derived by hand, their losses, and the Adam
// optimiser.
//
// Everything is generic over the float type: models train and predict in float32, and tests compare the same code in
// float64 with independent references. Parameters are one flat vector, which a [Layout] divides into named tensors, so a
// gradient, the optimiser's moments and a checkpoint are flat vectors of the same length.
//
// A batch of sequences of unequal length is [Packed]: time-major, longest sequence first, no padding. Shapes in comments
// use R rows of the batch (one per event), D units of the context, G gates (1 for RNN, 3 for GRU, 4 for LSTM), X input
// columns, K mixture components, M marks.
//
// Layers are made once:
//
//	var l nn.Layout
//	in := nn.NewInput[float32](&l, nn.LSTM, d, []nn.Feature{{Name: "time"}, {Name: "mark", Levels: m, Size: 32}})
//	rnn := nn.NewRecurrent[float32](&l, nn.LSTM, d)
//	head := nn.NewLinear[float32](&l, "linear", d, m)
//	params, grad := make([]float32, l.Size()), make([]float32, l.Size()) // params to be initialised
//
// A forward and a backward pass over a batch, where values holds the features of the rows (R × 2) and targets the class of
// each row:
//
//	in.Prepare(params) // after every change of params
//	rnn.Prepare(params)
//	head.Prepare(params)
//
//	p := nn.Pack(lengths, nil)
//	var t nn.Trace[float32]
//	rnn.Encode(params, in, values, p, &t) // → t.H (R × D)
//	head.Forward(out, params, t.H, p.Rows()) // → out (R × M)
//
//	logLikelihood := nn.SoftmaxNLL(out, targets, memory, scale) // out is now the gradient of −scale·logLikelihood
//	clear(t.DH)
//	head.Backward(grad, params, t.DH, out, t.H, p.Rows()) // adds to grad and t.DH
//	rnn.EncodeBackward(grad, params, in, values, p, &t, &ws, 0) // adds to grad; ws is an InputGradient
//
// An update of the parameters:
//
//	adam.Begin(len(params))
//	adam.UpdatePart(params, grad, 0, len(params))
package nn
