package simd

// SoftmaxCrossEntropy sets nll[i] to −log softmax(logits)[targets[i]] for each row i of logits, len(targets)×classes, and
// replaces the logits by the gradient of scale·Σ nll: scale·(softmax − one), one at the target.
func SoftmaxCrossEntropy[T Float](nll, logits []T, targets []int, classes int, scale T) {
	nll, logits = first(nll, len(targets)), first(logits, len(targets)*classes)
	var room [ratioRoom]T
	for i := 0; i < len(targets); i += ratioRoom {
		part := targets[i:min(i+ratioRoom, len(targets))]
		rows, total, peak := logits[i*classes:][:len(part)*classes], nll[i:][:len(part)], room[:len(part)]
		// First the logits at the targets, with their signs turned, then the gradient in place of the logits.
		for j, target := range part {
			room[j] = -rows[j*classes:][:classes][target]
		}
		negative := room
		softmaxRows(rows, rows, classes, scale, peak, total)
		Log(total, total)
		for j, target := range part {
			rows[j*classes+target] -= scale
			total[j] += peak[j] + negative[j]
		}
	}
}

// LogSoftmaxAt sets logProb[i] to log softmax(logits)[targets[i]] for each row i of logits, len(targets)×classes.
func LogSoftmaxAt[T Float](logProb, logits []T, targets []int, classes int) {
	logProb, logits = first(logProb, len(targets)), first(logits, len(targets)*classes)
	for i, target := range targets {
		row := logits[i*classes:][:classes]
		peak, total := sumExp(row)
		logProb[i] = row[target] - peak - log(total)
	}
}
