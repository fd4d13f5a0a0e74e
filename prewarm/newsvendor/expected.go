package newsvendor

import "github.com/tppfaas/tppfaas/prewarm"

// Expected implements prewarm.Expecter: it appends the demands of a trace, as the deciders have them.
func (p *Policy) Expected(trace prewarm.ID, list []prewarm.Expected) []prewarm.Expected {
	t := p.predictor.of(trace)
	if t == nil {
		return list
	}
	for _, f := range p.predictor.apps[t.app].history.app.Functions {
		d := p.deciders[f]
		head, ok := d.heads.Get(trace)
		if !ok {
			continue
		}
		for i := head; i >= 0; i = d.entries[i].next {
			v := &d.entries[i].Demand
			list = append(list, prewarm.Expected{
				Function: f, Probability: v.Probability,
				Lower: moment(v.Times.Quantile(0.05)), Median: moment(v.Times.Quantile(0.5)), Upper: moment(v.Times.Quantile(0.95)),
			})
		}
	}
	return list
}
