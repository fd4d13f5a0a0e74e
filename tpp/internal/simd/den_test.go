package simd
import "testing"
func BenchmarkDenormal(b *testing.B) {
	for _, name := range Sets()[:2] {
	for _, s := range []float32{1, 1e-38,1e-40} {
		b.Run(name, func(b *testing.B) {
			use(b, name)
			p := newProduct[float32](newRand(1), 64, 192, 64, 0, false, false)
			for i := range p.a { p.a[i]*=s }
			for b.Loop() { p.run() }
		})
	}}
}
