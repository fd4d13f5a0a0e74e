package newsvendor

import "math"

// losses has the standard normal loss function φ(u) − u·(1 − Φ(u)) at multiples of 1/lossSteps from −mostLoss to mostLoss.
var losses = func() (l [2*mostLoss*lossSteps + 1]float64) {
	for i := range l {
		u := float64(i)/lossSteps - mostLoss
		l[i] = math.Exp(-u*u/2)/math.Sqrt(2*math.Pi) - u*math.Erfc(u/math.Sqrt2)/2
	}
	return l
}()

const mostLoss, lossSteps = 6, 64

// loss returns the expectation of the excess of a standard normal value over u, but for 2e-5: straight lines lie between the values of a table.
func loss(u float64) float64 {
	switch {
	case u <= -mostLoss:
		return -u
	case u >= mostLoss:
		return 0
	}
	x := (u + mostLoss) * lossSteps
	i := int(x)
	return losses[i] + (x-float64(i))*(losses[i+1]-losses[i])
}
