// Package tune searches for good values of parameters that training does not find itself, by random search with successive halving: many settings are
// tried at a small budget, the best of them at a larger one, and so on (Jamieson and Talwalkar 2016, Non-stochastic best arm identification and
// hyperparameter optimization).
//
//	space := tune.Space{
//		{Name: "rate", Low: 1e-3, High: 3e-2, Log: true},
//		{Name: "context", Choices: []string{"32", "64", "128"}},
//	}
//	found, err := tune.Search(ctx, space, tune.Options{Trials: 27, MaxBudget: 200, Seed: 1}, func(ctx context.Context, run tune.Run) (float64, error) {
//		rate, _ := strconv.ParseFloat(run.Values["rate"], 64)
//		…
//		return validationLoss, nil
//	})
//	fmt.Println(found.Best.Values)
//
// The same seed gives the same search, whatever the number of workers: whether a trial goes on is decided when all trials of its rung are done.
package tune
