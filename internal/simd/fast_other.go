//go:build !amd64 || noasm

package simd

func detect() set { return portable }

// Without assembly there are no fast forms. detect returns portable, so the functions here are never called.

func gemmFast(_, _, _ int, _ []float32, _, _ int, _ []float32, _ int, _ []float32, _ int, _ []float32, _ int) {
}

func expFast(_, _ []float32)                 {}
func logFast(_, _ []float32)                 {}
func sigmoidFast(_, _ []float32)             {}
func tanhFast(_, _ []float32)                {}
func logNormalCDFGradFast(_, _, _ []float32) {}

func sumFast(_ []float32) float32                                         { return 0 }
func dotFast(_, _ []float32) float32                                      { return 0 }
func addScaledFast(_, _ []float32, _ float32, _ []float32)                {}
func sumExpFast(_ []float32) (peak, total float32)                        { return 0, 0 }
func softmaxRowsFast(_, _ []float32, _ float32, _, _ []float32)           {}
func normalMixtureCDFFast(_, _, _ []float32, _ float32) (c, s, d float32) { return 0, 0, 0 }

func gruForwardFast(_, _ int, _, _, _, _, _ []float32)                                     {}
func gruBackwardFast(_, _ int, _, _, _, _ []float32)                                       {}
func mixtureFast(_ int, _, _, _, _ []float32)                                              {}
func mixtureGradFast(_ int, _, _, _, _, _ []float32, _ float32)                            {}
func mixtureTickFast(_ int, _, _, _, _, _ []float32)                                       {}
func mixtureTickGradFast(_ int, _, _, _, _, _, _ []float32, _ float32)                     {}
func adamFast(_, _, _, _ []float32, _ float32, _ *[7]float32)                              {}
func gatherRowsFast(_ int, _, _, _, _, _ []float32, _ int)                                 {}
func scatterRowsFast(_, _ int, _ []float32, _ int, _ []float32, _ int, _ []float32, _ int) {}

func rectifyFast(_ []float32)                                                                    {}
func rectifyGradFast(_, _ []float32)                                                             {}
func mulFast(_, _ []float32)                                                                     {}
func logisticPrecisionsFast(_, _ []float32)                                                      {}
func logisticRowsFast(_, _ int, _ []float32, _ int, _, _, _ []float32)                           {}
func logisticRowsGradFast(_ int, _ []int32, _ []float32, _ int, _ []float32, _ int, _ []float32) {}
func logisticTicksFast(_ int, _ []int32, _ []float32, _ int, _, _, _ []float32)                  {}
func logisticTicksGradFast(_ int, _ []int32, _ []float32, _ int, _ []float32, _ int, _, _ []float32) {
}
func paddedComponents(k int) int                                     { return k }
func addGatheredFast(_ int, _, _ []float32, _ []int32, _ float32)    {}
func addScatteredFast(_ int, _, _ []float32, _ []int32, _ float32)   {}
func transposeFast(_, _ int, _ []float32, _ int, _ []float32, _ int) {}

func gatherSumFast(_ int, _, _ []float32, _ []int32, _ []float32, _ []int32)       {}
func rectifyScatteredFast(_ int, _, _ []float32, _ []int32, _ float32)             {}
func addGatheredRectifiedFast(_ int, _, _ []float32, _ []int32)                    {}
func rectifyGradScatteredFast(_ int, _, _, _ []float32, _ []int32)                 {}
func pooledGradFast(_ Pooled, _ int, _, _, _ []float32, _ float32, _, _ []float32) {}
