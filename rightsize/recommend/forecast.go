package recommend

// NewForecast is a placeholder.
func NewForecast(o Options) Recommender { return NewKRR(0.15, o) }
