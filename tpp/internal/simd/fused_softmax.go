package simd

import "math"

// SoftmaxCrossEntropy sets nll[i] to −log softmax(logits)[targets[i]] for each row i of logits, len(targets)×classes, and
// replaces the logits by the gradient of scale·Σ nll: scale·(softmax − one), one at the target.
func SoftmaxCrossEntropy[T Float](nll, logits []T, targets []int, classes int, scale T) {
	nll, logits = nll[:len(targets)], logits[:len(targets)*classes]
	var shifts [ratioRoom]T
	for i := 0; i < len(targets); i += ratioRoom {
		part := targets[i:min(i+ratioRoom, len(targets))]
		for j, target := range part {
			row := logits[(i+j)*classes:][:classes]
			logit := row[target]
			peak, total := softmax(row, row, scale)
			row[target] -= scale
			nll[i+j], shifts[j] = total, peak-logit
		}
		block := nll[i : i+len(part)]
		Log(block, block)
		for j := range block {
			block[j] += shifts[j]
		}
	}
}

// LogSoftmaxAt sets logProb[i] to log softmax(logits)[targets[i]] for each row i of logits, len(targets)×classes.
func LogSoftmaxAt[T Float](logProb, logits []T, targets []int, classes int) {
	logProb, logits = logProb[:len(targets)], logits[:len(targets)*classes]
	for i, target := range targets {
		row := logits[i*classes:][:classes]
		peak, total := sumExp(row)
		logProb[i] = row[target] - peak - T(math.Log(float64(total)))
	}
}
