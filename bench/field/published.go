package main

// published are figures that others have published, as text; empty where there is none.
type published struct {
	name, logLikelihood, wrong, rmse string
	source                           string
}

// publishedTaxi are figures for the set taxi.
var publishedTaxi = []published{
	{
		name: "S2P2, published", logLikelihood: "0.522",
		source: "Chang and others, \"Deep Continuous-Time State-Space Models for Marked Event Sequences\", NeurIPS 2025, quoted second-hand.",
	},
	{
		name: "recurrent and attention models, published", wrong: "8.5 to 9.5 %", rmse: "0.37",
		source: "the range of the models of EasyTPP (Xue and others, arXiv:2307.08097), quoted second-hand; RMSE of a mean drawn by thinning.",
	},
}
