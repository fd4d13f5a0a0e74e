package acquire

// rates turns the values of a counter at times (ms, increasing) into its growth a second over the window (ms) before each time, or what there is of that.
// rates[i] is that at times[i+1]: at the first time none is known. Where a counter is smaller than before, it began anew from 0; resets says how often.
func rates(times []int64, values []float64, window int64) (rates []float64, resets int) {
	grown := 0.0 // since times[0]
	total := make([]float64, len(values))
	first := 0
	for i := 1; i < len(values); i++ {
		if values[i] < values[i-1] {
			resets++
			grown += values[i]
		} else {
			grown += values[i] - values[i-1]
		}
		total[i] = grown
		for times[i]-times[first] > window && first < i-1 {
			first++
		}
		rates = append(rates, (grown-total[first])/float64(times[i]-times[first])*1000)
	}
	return rates, resets
}
