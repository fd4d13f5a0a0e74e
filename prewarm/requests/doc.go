// Package requests models when the requests of an application arrive. A [Model] is fitted to the gaps between the requests that
// were recorded; the [Process] that it makes follows the requests as they come, and says at any moment, in a [Forecast], how likely it is that at
// least so many more will have come after so many seconds.
//
//	model, err := requests.Fit(recording.Gaps)
//	if err != nil {
//		return err
//	}
//	process := model.New(start)
//	process.Observe(arrival)
//	var f requests.Forecast // to be used again and again
//	process.Forecast(now, &f)
//	f.AtLeast(1, 2.3)    // probability that a request comes within 2.3 s, given that none has come since
//	f.Quantile(3, 0.05)  // by then the third request from now has come with probability 0.05
//	f.Quantiles(3, p, t) // the same for many probabilities
//	f.Mean(60)           // how many come within a minute on average
//
// Nothing is drawn at random: small probabilities are as smooth as large ones. Following the requests and making a forecast allocates nothing.
//
// What is exact: the next request, as the chosen model has it. Of those after it, a Poisson process, with or without a cycle, and a timetable are
// exact too; the sums of the gaps of a renewal process are tabulated up to 64, to a few percent of the probability; in bursts, of the gaps within
// one only the mean counts beside those between; the numbers of a Hawkes process are taken to be negative binomial; and after the gap that
// a recurrent network foretells the others are taken to be independent.
package requests
