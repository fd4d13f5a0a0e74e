// Package neural provides recurrent neural temporal point processes: it trains them, writes and reads them, and predicts
// the next event of a sequence with them.
//
//	training, validation, test := data.Split(1)
//	m, err := neural.Train(ctx, neural.Config{}, training, validation, neural.TrainOptions{Seed: 1})
//	...
//	state := m.NewState(0)
//	err = state.Observe(tpp.Event{Time: 120, Mark: 2})
//	next := state.Next(130) // given that nothing came until 130
//
// The zero Config is a LogNormMix with good defaults. [PaperConfig] and [PaperTraining] give the published models:
//
//	m, err := neural.Train(ctx, neural.PaperConfig(neural.TruncNorm), training, validation, neural.PaperTraining(neural.TruncNorm))
//
// # The network
//
// For an event with a gap τ to the one before, a mark of M, and covariates, with contexts of D units (G·D gates: G is 1
// for RNN, 3 for GRU, 4 for LSTM, 2 for SSM):
//
//	features   (log(max(τ, GapFloor) + LogShift) − mean)/std    1
//	           embedding of the mark                            MarkEmbeddingSize
//	           each covariate: its embedding, or standardised   Size, or 1
//	encoder    x·W_ihᵀ + b_ih + h·W_hhᵀ + b_hh                  X columns, D units → G·D gates
//	context    h, or context_init before the first event        G·D gates → D
//	time head  h·Wᵀ + b                                         D → outputs of the kind, see below
//	mark-time  + U·tanh(h·Pᵀ + b + E[mark]) on the logits      D → K, if MarkTimeSize > 0
//	mark head  softmax(h·Wᵀ + b)                                D → M, and one class for the end of the sequence
//	table      a share w of which marks followed the last one   if MarkTable; fitted after the network
//
// The encoder SSM has no W_hh: it has D units c that decay, with gates z and u, and a layer that makes the context of them,
//
//	c' = exp(−exp(z)) ⊙ c + u,  h = tanh(c'·W_outᵀ + b_out).
//
// The three predictions (gap, mark, and whether there is a next event) are independent of each other given the context. With a MarkTimeSize of R > 0
// the mark has a part in the weights of the K components of the gap, through R hidden units: the density of a gap and a mark is p(mark) p(gap | mark),
// that of the gap alone has the mean of the weights, and everything of their joint distribution has a closed form.
//
// # Kinds
//
//	               LogNormMix                                TruncNorm
//	outputs        3K: K locations, log scales, logits       1
//	prediction     mixture of K log-normals                  one time: exp(mean + std·out), or softplus(out)
//	loss (time)    −log probability of the gap's tick, or    absolute error; LogHead divides it by the mean
//	               −log density                              absolute deviation of the training gaps
//	survival       scored where a window has an end          not scored: there is no distribution
//	tensors        linear.weight, linear.bias                time_linear.weight, time_linear.bias
//
// Importing the package registers its kinds with [tpp.Register], so that [tpp.ReadModel] reads their files.
package neural
