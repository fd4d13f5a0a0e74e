// Package rightsize holds what functions used of CPU and memory, and the quantities in which people write what they may use. Packages below it
// acquire usage, forecast it, recommend limits, compare recommenders, and write limits into the files that people keep them in.
//
//	usage, err := rightsize.NewUsage("qrcode", times, memory, cpu)
//	if err != nil {
//		return err
//	}
//	fmt.Println(rightsize.FormatMemory(slices.Max(usage.Memory))) // 40Mi
package rightsize
