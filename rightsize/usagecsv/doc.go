// Package usagecsv reads and writes what functions used of CPU and memory as CSV: a column Time, and mem_usage, cpu_usage, or both.
//
//	usage, err := usagecsv.ReadFiles(ctx, []string{"memory_usage.csv", "cpu_usage.csv.gz"}, usagecsv.Options{Function: "qrcode"})
//	if err != nil {
//		return err
//	}
//	err = usagecsv.WriteFile("usage.csv", usage)
//
// Columns stand in any order, others are left out. Memory is in bytes, CPU in cores, or in units as Kubernetes writes them (5023Ki, 1598830n); nothing,
// NaN, null and undefined stand for a value that is not known. Times are numbers since 1970, in milliseconds, or seconds where that is plain, or RFC 3339.
// A file may be compressed by gzip, whatever its name.
package usagecsv
