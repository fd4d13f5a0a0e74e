// Package drive calls a function with payloads of random size, a random number of times a minute, so that it uses CPU and memory as one that people call.
//
//	d, err := drive.New(drive.Options{URL: "http://127.0.0.1:8080/function/qrcode", Calls: drive.Range{5, 60}, Sizes: drive.Range{16, 2048}, Seed: 1})
//	if err != nil {
//		return err
//	}
//	summary, err := d.Run(ctx)
//
// The same seed always makes the same plan of times, sizes and bytes. A journal lets another run go on where one was ended.
package drive
