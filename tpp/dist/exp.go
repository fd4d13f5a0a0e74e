package dist

import "math"

const (
	expSteps   = 64                               // table entries between powers of two
	expStepHi  = 0x1.62e42fefap-1 / expSteps      // log(2)/expSteps, its leading bits: multiples are exact
	expStepLow = 0x1.cf79abc9e3b39p-40 / expSteps // and the rest
)

// exp2Bits holds the bits of 2^(i/expSteps).
var exp2Bits = func() (table [expSteps]uint64) {
	for i := range table {
		table[i] = math.Float64bits(math.Exp2(float64(i) / expSteps))
	}
	return table
}()

// expNeg returns exp(x) for x ≤ 0, to two units in the last place, in half the time of math.Exp: mixtures spend most of their
// time here. x = k log(2)/64 + r, with a table for k and a polynomial for |r| ≤ log(2)/128 (Tang 1989).
func expNeg(x float64) float64 {
	if !(x > -700) { // toward denormals
		return math.Exp(x)
	}
	k := int(x*(expSteps/math.Ln2) - 0.5)
	f := float64(k)
	r := (x - f*expStepHi) - f*expStepLow
	r2 := r * r
	p := r + r2*(1./2+r*(1./6)+r2*(1./24+r*(1./120)))
	s := math.Float64frombits(exp2Bits[k&(expSteps-1)] + uint64(k>>6)<<52)
	return s + s*p
}
