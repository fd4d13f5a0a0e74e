package oracle

// GapsOf returns the gap before each call of each request.
func GapsOf(b *Bounds) func(request, call int) float64 {
	return func(request, call int) float64 { return b.uses[b.first[request]+call].gap }
}
