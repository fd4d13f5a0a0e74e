// Package report shows what functions used, what is forecast, and which limits are recommended, as one page of HTML with its pictures inside, as text, or
// as JSON.
//
//	r, err := report.New(ctx, []*rightsize.Usage{usage}, report.Options{Source: "usage.csv"})
//	if err != nil {
//		return err
//	}
//	err = atomicfile.Write("report.html", r.WriteHTML)
package report
